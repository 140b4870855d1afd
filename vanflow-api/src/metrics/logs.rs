//! What routers log of certificates.
//!
//! A router does not say in advance that a certificate will expire. It logs a connection that fails for one: the side
//! that does not accept a certificate that it `certificate verify failed`, the side whose certificate has expired what
//! the other answered, `alert certificate expired`. The words are OpenSSL's.

use std::collections::{BTreeMap, HashMap};

use vanflow_proto::Attribute;
use vanflow_store::{Record, Revision};

use crate::metrics::{
    entities::site_and_name,
    exposition::{Gathered, SampleValue},
    labels::LabelSet,
    table::Name,
};

/// What a router's log has, in lower case, when a connection failed for a certificate.
const MARKS: [&str; 4] =
    ["certificate expired", "certificate has expired", "certificate verify failed", "expired certificate"];

/// Whether what a router logged is that a connection failed for a certificate.
pub(crate) fn is_of_certificate(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    MARKS.iter().any(|mark| text.contains(mark))
}

/// How many LOG records there were of each router.
#[derive(Debug)]
pub(super) struct Logs {
    /// The latest revision that was looked at.
    until: Revision,
    latest: Revision,
    /// By site and name of the router.
    errors: BTreeMap<[String; 2], Total>,
    /// What a former process counted of routers that were not there yet.
    saved: HashMap<[String; 2], u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Total {
    count: u64,
    /// Whether there is such a router.
    is_there: bool,
}

impl Logs {
    /// Counts what comes after that revision.
    pub(super) fn since(revision: Revision) -> Self {
        Self { until: revision, latest: revision, errors: BTreeMap::new(), saved: HashMap::new() }
    }

    /// All records will be looked at.
    pub(super) fn begin(&mut self, now: Revision) {
        self.until = std::mem::replace(&mut self.latest, now);
        self.errors.values_mut().for_each(|total| total.is_there = false);
    }

    /// A router that is there.
    pub(super) fn observe_router(&mut self, router: Record<'_>) {
        let router = site_and_name(Some(router));
        let saved = self.saved.remove(&router).unwrap_or(0);
        let total = self.errors.entry(router).or_default();
        (total.count, total.is_there) = (total.count + saved, true);
    }

    /// A LOG record, which has ended when it is reported.
    pub(super) fn observe_log(&mut self, log: Record<'_>) {
        let Some(said) = log.text(Attribute::LogText).filter(|_| log.revision() > self.until) else { return };
        if is_of_certificate(&said.to_cow()) {
            self.errors.entry(site_and_name(log.router())).or_default().count += 1;
        }
    }

    /// Goes on from what a former process counted.
    pub(super) fn restore(&mut self, saved: &HashMap<(Name, Vec<String>), u64>) {
        let its = saved.iter().filter(|((name, _), _)| *name == Name::CertificateErrors);
        let router = |labels: &[String]| Some([labels.first()?.clone(), labels.get(1)?.clone()]);
        self.saved = its.filter_map(|((_, labels), count)| Some((router(labels)?, *count))).collect();
    }

    /// What there is, for the next process.
    pub(super) fn saved(&self) -> impl Iterator<Item = ((Name, Vec<String>), u64)> {
        let kept = self.saved.iter().map(|(router, count)| (router, *count));
        let counted = self.errors.iter().map(|(router, total)| (router, total.count));
        kept.chain(counted).map(|(router, count)| ((Name::CertificateErrors, router.to_vec()), count))
    }

    /// All records were looked at. Of a router that is not there nothing is kept.
    pub(super) fn end(&mut self) {
        self.errors.retain(|_, total| total.is_there);
    }

    pub(super) fn gather(&self, identity: &LabelSet, gathered: &mut Gathered) {
        for (values, total) in &self.errors {
            let labels = identity.of(Name::CertificateErrors, values.iter().map(String::as_str));
            gathered.add(Name::CertificateErrors, labels, SampleValue::Count(total.count));
        }
    }
}
