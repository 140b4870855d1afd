//! What the history of metrics says of one moment: rates, and of a moment in the past all that is known of traffic.

use std::collections::HashMap;

use vanflow_history::{Growth, History, SeriesLabels};
use vanflow_store::{FailureReason, FailureSide};

use super::figures::{Figures, FlowRates, Rates, WINDOWS};
use crate::interest::Interest;

/// What was measured up to a moment.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// When the last measurement was, in milliseconds since the epoch.
    pub(super) at_ms: i64,
    /// Whether it is worked out from what has ended.
    pub(super) is_of_rows: bool,
    pub(super) flows: Vec<MeasuredFlow>,
    pub(super) by_key: HashMap<String, usize>,
    /// Octets both ways, by [`LINK_KEY`].
    pub(super) links: HashMap<String, Rates>,
}

/// What connections with the same labels came to.
#[derive(Debug)]
pub(super) struct MeasuredFlow {
    pub(super) labels: FlowLabels,
    pub(super) rates: FlowRates,
    pub(super) counts: Counts,
}

/// What was counted over the longest of [`WINDOWS`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) opened: f64,
    pub(super) requests: f64,
    pub(super) failed_requests: f64,
    pub(super) failures: [f64; FailureSide::ALL.len()],
    pub(super) refused: [f64; FailureSide::ALL.len()],
}

/// Where connections come from and go to, as metrics call it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FlowLabels {
    pub(super) source: EndLabels,
    pub(super) destination: EndLabels,
    /// The address of the service.
    pub(super) address: String,
}

/// One of both ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EndLabels {
    pub(super) site_id: String,
    pub(super) site_name: String,
    pub(super) component_id: String,
    pub(super) component_name: String,
    pub(super) process_name: String,
    /// Where it is known: no metric has it.
    pub(super) process_id: Option<String>,
}

/// What a label has where it is not known.
pub(super) const UNKNOWN: &str = "unknown";

/// The labels that tell flows apart, but for the protocol: metrics of requests have that of the request there.
const KEY: [&str; 7] = [
    "source_site_id",
    "source_component_id",
    "source_process_name",
    "dest_site_id",
    "dest_component_id",
    "dest_process_name",
    "routing_key",
];

const LINK_KEY: [&str; 5] = ["site_id", "router_name", "dest_site_id", "dest_router_name", "link"];

impl Measured {
    /// What a history says of a moment, in milliseconds since the epoch. None where nothing was measured then, and not all
    /// of it where that is not wanted any more.
    pub(super) fn of(history: &History, at_ms: i64, interest: &Interest) -> Option<Self> {
        let mut measured = Self { at_ms: history.scraped_ms(at_ms)?, ..Self::default() };
        let mut key = String::new();
        let mut each = |name: &str, add: fn(&mut MeasuredFlow, &SeriesLabels<'_>, Rates, f64)| {
            if interest.has_ended() {
                return;
            }
            history.growth(name, at_ms, WINDOWS, |labels, growth| {
                read_key(&mut key, &KEY, labels);
                let known = measured.by_key.get(key.as_str()).copied();
                let position = known.unwrap_or_else(|| {
                    measured.by_key.insert(key.clone(), measured.flows.len());
                    let labels = FlowLabels::of(labels);
                    let (rates, counts) = (FlowRates::default(), Counts::default());
                    measured.flows.push(MeasuredFlow { labels, rates, counts });
                    measured.flows.len() - 1
                });
                let counted = growth.last().copied().flatten().map_or(0.0, |growth| growth.by);
                add(&mut measured.flows[position], labels, rates(growth), counted);
            });
        };
        each("skupper_sent_bytes_total", |flow, _, rates, _| flow.rates.sent.add(rates));
        each("skupper_received_bytes_total", |flow, _, rates, _| flow.rates.received.add(rates));
        each("skupper_connections_opened_total", |flow, _, rates, opened| {
            flow.rates.connections.add(rates);
            flow.counts.opened += opened;
        });
        each("skupper_requests_total", |flow, labels, rates, ended| {
            flow.rates.requests.add(rates);
            flow.counts.requests += ended;
            if matches!(labels.value("code"), None | Some("5xx" | UNKNOWN)) {
                flow.counts.failed_requests += ended;
            }
        });
        each("skupper_connections_failed_total", |flow, labels, _, failed| {
            let Some(side) = labels.value("side") else { return };
            let Some(side) = FailureSide::ALL.into_iter().find(|known| known.name() == side) else { return };
            flow.counts.failures[side as usize] += failed;
            if labels.value("reason") == Some(FailureReason::Refused.name()) {
                flow.counts.refused[side as usize] += failed;
            }
        });
        for name in ["skupper_link_sent_bytes_total", "skupper_link_received_bytes_total"] {
            history.growth(name, at_ms, WINDOWS, |labels, growth| {
                read_key(&mut key, &LINK_KEY, labels);
                measured.links.entry(key.clone()).or_default().add(rates(growth));
            });
        }
        Some(measured)
    }

    /// All that was measured of connections, in no order.
    pub(super) fn flows(&self) -> &[MeasuredFlow] {
        &self.flows
    }

    /// The position, among all, of the flow that has those values of labels, in the order of the metrics' table.
    pub(super) fn flow<'l>(&self, labels: impl Iterator<Item = (&'l str, &'l str)> + Clone) -> Option<usize> {
        let mut key = String::new();
        write_key(&mut key, &KEY, |name| {
            labels.clone().find(|(known, _)| *known == name).map(|(_, value)| value)
        });
        self.by_key.get(&key).copied()
    }

    /// Octets over a link: site and name of the router that connects, those of the other, and the name of the link.
    pub(super) fn link(&self, between: [&str; 5]) -> Option<Rates> {
        let mut key = String::new();
        write_key(&mut key, &LINK_KEY, |name| {
            LINK_KEY.iter().position(|known| *known == name).map(|position| between[position])
        });
        self.links.get(&key).copied()
    }
}

impl MeasuredFlow {
    /// What is known of a moment in the past: rates, and units and errors of the longest of [`WINDOWS`] before it.
    pub(super) fn figures(&self) -> Figures {
        let Counts { opened, requests, failed_requests, failures, refused } = self.counts;
        let most = |counts: [f64; 2]| counts.into_iter().fold(0.0, f64::max).round() as u64;
        let [opened, requests, failed_requests] =
            [opened, requests, failed_requests].map(|count| count.round() as u64);
        let failed = most(failures);
        let has_requests = requests > 0;
        Figures {
            rates: self.rates,
            units: if has_requests { requests + failed } else { opened.max(failed) },
            errors: failed_requests + failed,
            refused: most(refused),
            octets: self.rates.octets().shown().unwrap_or_default() as u64,
            has_requests,
            ..Figures::default()
        }
    }
}

impl FlowLabels {
    fn of(labels: &SeriesLabels<'_>) -> Self {
        let mut read = Self::default();
        for (name, value) in labels.iter() {
            let place = match name {
                "source_site_id" => &mut read.source.site_id,
                "source_site_name" => &mut read.source.site_name,
                "source_component_id" => &mut read.source.component_id,
                "source_component_name" => &mut read.source.component_name,
                "source_process_name" => &mut read.source.process_name,
                "dest_site_id" => &mut read.destination.site_id,
                "dest_site_name" => &mut read.destination.site_name,
                "dest_component_id" => &mut read.destination.component_id,
                "dest_component_name" => &mut read.destination.component_name,
                "dest_process_name" => &mut read.destination.process_name,
                "routing_key" => &mut read.address,
                _ => continue,
            };
            value.clone_into(place);
        }
        read
    }
}

fn rates(growth: [Option<Growth>; WINDOWS.len()]) -> Rates {
    Rates(growth.map(|growth| growth.map(Growth::rate)))
}

fn read_key(key: &mut String, names: &[&str], labels: &SeriesLabels<'_>) {
    write_key(key, names, |name| labels.value(name));
}

pub(super) fn write_key<'l>(key: &mut String, names: &[&str], value: impl Fn(&str) -> Option<&'l str>) {
    key.clear();
    for name in names {
        let value = value(name).unwrap_or_default();
        // Its length keeps it apart from the next, whatever is in it.
        key.push_str(itoa::Buffer::new().format(value.len()));
        key.push(':');
        key.push_str(value);
    }
}
