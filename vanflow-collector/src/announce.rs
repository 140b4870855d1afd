//! What a person who started the collector wants to know first: where it answers, and when there is something to see.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};
use vanflow_api::{Network, Status};
use vanflow_proto::{Attribute, RecordKind};
use vanflow_store::Snapshot;

use crate::{
    advice,
    config::{Access, Http, Source},
    terminal::StatusLine,
};

/// How often the line of a terminal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// For how long nothing must have come any more for the network to be known.
const SETTLED: Duration = Duration::from_secs(2);

/// Says in the log which addresses are answered on, and where the page is at each.
pub(crate) fn addresses(addresses: &[SocketAddr], scheme: &str, page: &str) {
    for address in addresses {
        let here = here(*address);
        info!("answering on {scheme}://{address}: the page is at {scheme}://{here}{page}");
    }
}

/// Says what those who run it should know of who may look, and who may read along.
pub(crate) fn access(http: &Http, access: &Access) {
    if access.is_insecure {
        warn!(
            "anyone who reaches {} sees everything: --insecure-no-auth asks nobody who they are; --auth htpasswd=FILE or \
             tokens=FILE would",
            http.listen.join(", ")
        );
    }
    if let Some(address) = http.beyond_loopback().filter(|_| http.tls.is_none()) {
        let what = if access.is_open() { "what is shown" } else { "passwords, and what is shown," };
        warn!(
            "listening at {address} without TLS: {what} can be read on the way; --tls-cert and --tls-key encrypt it, or a \
             proxy in front of the collector"
        );
    }
}

/// The same for a person at a terminal, with where the emulated router is, if there is one.
pub(crate) fn page(
    line: &StatusLine,
    addresses: &[SocketAddr],
    scheme: &str,
    page: &str,
    router: Option<&str>,
) {
    for address in addresses {
        line.say(&format!("the page is at {scheme}://{}{page}", here(*address)));
    }
    if let Some(router) = router {
        line.say(&format!("the emulated router is at {router}"));
    }
}

/// An address by which this machine reaches itself.
fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Says so when the first router and the first site are known, and returns then.
pub(crate) async fn first_records(mut network: Network) {
    for (kind, what) in [(RecordKind::Router, "router"), (RecordKind::Site, "site")] {
        loop {
            let snapshot = network.snapshot();
            if let Some(name) = first(&snapshot, kind) {
                info!("the first {what} is known: {name}");
                break;
            }
            if !network.changed().await {
                return;
            }
            // Whatever comes at once comes before this is over.
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn first(snapshot: &Snapshot, kind: RecordKind) -> Option<String> {
    let named = |record: vanflow_store::Record<'_>| Some(record.text(Attribute::Name)?.to_string());
    snapshot.live_of_kind(kind).find_map(named)
}

/// Says once, in the log, what to do where the router cannot be attached to.
pub(crate) async fn advise(network: Network, source: Source) {
    let mut status = network.status();
    let mut said = None;
    loop {
        let known = status.borrow_and_update().clone();
        let advice = advice::about_router(&source, &known.detail).filter(|_| !known.attached);
        if let Some(advice) = advice.filter(|advice| said.as_ref() != Some(advice)) {
            info!("{advice}");
            said = Some(advice);
        }
        if known.ready || status.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps the line of a terminal up to date until the network is known, and returns then.
pub(crate) async fn progress(line: StatusLine, network: Network, source: Source) {
    let mut pace = interval(LOOK_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut latest = (Known::default(), Instant::now());
    loop {
        pace.tick().await;
        let known = Known::of(&network.snapshot());
        if known != latest.0 {
            latest = (known, Instant::now());
        }
        let status = network.status().borrow().clone();
        if known.is_whole(&status) && (status.complete || latest.1.elapsed() >= SETTLED) {
            line.end(&format!("the network is known: {known}"));
            return;
        }
        line.show(&text(&status, known, &source));
    }
}

/// What is known of a network, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    sources: usize,
    incomplete: usize,
    sites: usize,
    routers: usize,
    services: usize,
}

impl Known {
    fn of(snapshot: &Snapshot) -> Self {
        let alive = || snapshot.sources().filter(|source| source.is_alive());
        Self {
            sources: alive().count(),
            incomplete: alive().filter(|source| source.is_incomplete()).count(),
            sites: snapshot.live_count(RecordKind::Site),
            routers: snapshot.live_count(RecordKind::Router),
            services: snapshot.services().filter(|service| service.is_live()).count(),
        }
    }

    /// Whether there is nothing that is still waited for.
    fn is_whole(self, status: &Status) -> bool {
        status.attached && status.flushed && self.sources > 0 && self.incomplete == 0
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sources, incomplete, sites, routers, services } = *self;
        let counted = [(sites, "site"), (routers, "router"), (services, "service")];
        write!(f, "{}", count(sources, "source"))?;
        if incomplete > 0 {
            write!(f, " ({incomplete} still to answer)")?;
        }
        counted.into_iter().try_for_each(|(number, noun)| write!(f, ", {}", count(number, noun)))
    }
}

/// What the line shows while the network is not known.
fn text(status: &Status, known: Known, source: &Source) -> String {
    if !status.attached {
        let advice = advice::about_router(source, &status.detail);
        return advice.map_or_else(
            || status.detail.clone(),
            |advice| format!("{}: {advice}", without_reason(&status.detail)),
        );
    }
    match known.sources {
        0 => format!("{}: no source yet", status.detail),
        _ => format!("{}: {known}", without_question(&status.detail)),
    }
}

/// What is not attached to, without the words of who said so: the advice has others.
fn without_reason(detail: &str) -> &str {
    detail.split(": ").next().unwrap_or(detail)
}

fn without_question(detail: &str) -> &str {
    detail.split(", asking").next().unwrap_or(detail)
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Router;

    #[test]
    fn the_address_to_try_is_one_that_can_be_reached() {
        let tried = |address: &str| here(address.parse().expect("an address")).to_string();
        assert_eq!(tried("0.0.0.0:8010"), "127.0.0.1:8010");
        assert_eq!(tried("[::]:8010"), "[::1]:8010");
        assert_eq!(tried("192.0.2.7:8010"), "192.0.2.7:8010");
    }

    fn status(attached: bool, detail: &str) -> Status {
        let mut status = Status::default();
        status.attached = attached;
        detail.clone_into(&mut status.detail);
        status
    }

    #[test]
    fn the_line_says_what_is_known_and_what_is_waited_for() {
        let source =
            Source::Router(Router::Url { url: "amqp://r".into(), ca: None, identity: None, password: None });
        let known = Known { sources: 10, incomplete: 3, sites: 4, routers: 1, services: 11 };
        let asking = status(true, "attached to amqp://r:5672, asking its network for records");
        assert_eq!(
            text(&asking, known, &source),
            "attached to amqp://r:5672: 10 sources (3 still to answer), 4 sites, 1 router, 11 services"
        );
        assert_eq!(
            text(&status(true, "attached to amqp://r:5672"), Known::default(), &source),
            "attached to amqp://r:5672: no source yet"
        );
        assert_eq!(
            Known { incomplete: 0, ..known }.to_string(),
            "10 sources, 4 sites, 1 router, 11 services"
        );
    }

    #[test]
    fn the_line_says_what_to_do_where_nobody_is_attached_to() {
        let source =
            Source::Router(Router::Url { url: "amqp://r".into(), ca: None, identity: None, password: None });
        let refused = "not attached to amqp://r:5672: cannot reach the router at r:5672: Connection refused (os error 111)";
        assert_eq!(
            text(&status(false, refused), Known::default(), &source),
            "not attached to amqp://r:5672: nobody listens there: does the router run, and is that its AMQP port? \
             --router names another; it is tried again"
        );
        assert_eq!(text(&status(false, "starting"), Known::default(), &source), "starting");
    }

    #[test]
    fn a_network_is_whole_when_all_sources_were_asked_and_have_answered() {
        let known = Known { sources: 2, ..Known::default() };
        let mut status = status(true, "");
        assert!(!known.is_whole(&status), "they were not asked");
        status.flushed = true;
        assert!(known.is_whole(&status));
        assert!(!Known { incomplete: 1, ..known }.is_whole(&status));
        assert!(!Known::default().is_whole(&status));
    }
}
