//! Who is at the ends of connections: processes that are reported, and those that must be there.

use std::{borrow::Cow, sync::Arc};

use vanflow_proto::{Attribute, RecordKind, Timestamp};
use vanflow_store::{Record, Text, derived};

use crate::v2alpha1::{
    schema::one_of,
    view::{View, earliest, ended, known, later},
};

/// What a process can be.
pub(super) const ROLES: &[&str] = &["internal", "external", "remote"];

/// A process at an end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Party<'v> {
    Reported(Record<'v>),
    Implied(Arc<Implied>),
}

impl<'v> Party<'v> {
    pub(crate) fn reported(&self) -> Option<Record<'v>> {
        match self {
            Self::Reported(record) => Some(*record),
            Self::Implied(_) => None,
        }
    }

    fn text(
        &self,
        reported: impl FnOnce(Record<'v>) -> Option<Text<'v>>,
        implied: impl FnOnce(&Place) -> &str,
    ) -> Cow<'v, str> {
        match self {
            Self::Reported(record) => known(reported(*record)),
            Self::Implied(process) => Cow::Owned(implied(&process.place).to_owned()),
        }
    }

    pub(crate) fn id(&self) -> Cow<'v, str> {
        self.text(|reported| Some(reported.id()), |implied| &implied.id)
    }

    pub(crate) fn name(&self) -> Cow<'v, str> {
        self.text(|reported| reported.text(Attribute::Name), |implied| &implied.name)
    }

    /// The group; a process without one is a group of its own.
    pub(crate) fn group(&self) -> Cow<'v, str> {
        let group = |reported: Record<'v>| {
            let group = reported.text(Attribute::Group).filter(|group| *group != *"");
            group.or_else(|| reported.text(Attribute::Name))
        };
        self.text(group, |implied| &implied.group)
    }

    pub(crate) fn component_id(&self) -> String {
        derived::component_id(&self.group())
    }

    pub(crate) fn host(&self) -> Cow<'v, str> {
        self.text(|reported| reported.text(Attribute::SourceHost), |implied| &implied.host)
    }

    pub(crate) fn site_id(&self) -> Cow<'v, str> {
        self.text(|reported| reported.text(Attribute::Parent), |implied| &implied.site_id)
    }

    pub(crate) fn site_name(&self) -> Cow<'v, str> {
        self.text(|reported| reported.site()?.text(Attribute::Name), |implied| &implied.site_name)
    }

    pub(crate) fn role(&self) -> &'static str {
        match self {
            Self::Reported(record) => one_of(record.text(Attribute::Mode), ROLES, "external"),
            Self::Implied(_) => "remote",
        }
    }

    pub(crate) fn start(&self) -> Option<Timestamp> {
        match self {
            Self::Reported(record) => record.start(),
            Self::Implied(process) => process.start,
        }
    }

    /// None while it is there.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        match self {
            Self::Reported(record) => ended(*record),
            Self::Implied(process) => process.end,
        }
    }
}

/// A process that must be at a host because connections come from there or go there, though no record says so.
#[derive(Clone, Debug)]
pub(crate) struct Implied {
    pub(crate) place: Arc<Place>,
    start: Option<Timestamp>,
    /// None while it is there.
    pub(crate) end: Option<Timestamp>,
}

impl Implied {
    pub(crate) fn new(place: Arc<Place>, start: Option<Timestamp>, end: Option<Timestamp>) -> Self {
        Self { place, start, end }
    }

    /// Something else says that it is there, for some time.
    pub(crate) fn extend(&mut self, start: Option<Timestamp>, end: Option<Timestamp>) {
        self.start = earliest(self.start, start);
        self.end = later(self.end, end);
    }
}

/// Where an [`Implied`] process must be, and what it is called for that.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) id: Arc<str>,
    name: String,
    group: String,
    host: String,
    site_id: String,
    site_name: String,
}

impl Place {
    /// The id of the process that must be at a host of a site.
    pub(crate) fn id_of(site: Record<'_>, host: Text<'_>) -> String {
        derived::site_process_id(&host.to_cow(), &site.id().to_cow())
    }

    pub(crate) fn new(id: String, site: Record<'_>, host: Text<'_>, what: &str) -> Self {
        let site_id = site.id().to_cow().into_owned();
        let short = site_id.split('-').next().unwrap_or_default();
        Self {
            name: format!("site-{what}-{host}-{short}"),
            group: format!("site-{what}s-{short}"),
            host: host.to_string(),
            site_name: known(site.text(Attribute::Name)).into_owned(),
            id: id.into(),
            site_id,
        }
    }
}

/// Every process, live and ended, reported or not.
pub(crate) fn processes(view: View<'_>) -> impl Iterator<Item = Party<'_>> {
    let reported = view.snapshot.of_kind(RecordKind::Process).map(Party::Reported);
    reported.chain(view.derived.implied.iter().map(|process| Party::Implied(Arc::clone(process))))
}
