//! Routers whose site nobody reports (faults 8).

use proptest::prelude::*;
use vanflow_proto::{Attribute, RecordKind, UpdateBuf, discovery::Extent};
use vanflow_store::{Record, Snapshot, SourceId};

use crate::support::{Network, change, find, ids, live};

const ROUTER: RecordKind = RecordKind::Router;
const SITE: RecordKind = RecordKind::Site;

fn settle(network: &mut Network, source: SourceId) {
    network.store.source_settled(source, Extent::All, network.now);
}

/// A router that names no site, with a listener and a connection, and has settled.
fn gateway(network: &mut Network) -> SourceId {
    let source = network.router("gw:0");
    let updates = [
        network.started(ROUTER, "gw:0", "").with(Attribute::Name, "0/gate"),
        network
            .started(RecordKind::Listener, "gw:1", "gw:0")
            .with(Attribute::VanAddress, "echo")
            .with(Attribute::Protocol, "tcp"),
        network.started(RecordKind::BiflowTport, "gw:2", "gw:1").with(Attribute::SourceHost, "10.0.0.9"),
    ];
    network.report(source, &updates);
    settle(network, source);
    source
}

fn name(record: Record<'_>) -> String {
    record.text(Attribute::Name).map(|name| name.to_string()).unwrap_or_default()
}

fn sites(snapshot: &Snapshot) -> Vec<(String, bool)> {
    let mut sites: Vec<_> =
        snapshot.of_kind(SITE).map(|site| (site.id().to_string(), site.is_derived())).collect();
    sites.sort();
    sites
}

#[test]
fn a_router_that_names_no_site_is_in_one_of_its_own() {
    // faults 8
    let mut network = Network::new();
    gateway(&mut network);
    let snapshot = network.snapshot();
    let site = find(&snapshot, "gateway-gw:0");
    assert!(site.is_derived() && site.is_live() && site.kind() == Some(SITE));
    assert_eq!(name(site), "gate");
    assert_eq!(site.start(), Some(network.now));
    assert_eq!(ids(site.routers()), ["gw:0"]);
    for id in ["gw:0", "gw:1", "gw:2"] {
        let record = find(&snapshot, id);
        assert_eq!(record.site(), Some(site), "{id}");
        assert!(record.site_id().is_some_and(|id| id == *"gateway-gw:0"));
    }
    assert_eq!((snapshot.live_count(SITE), snapshot.retained_count(SITE)), (1, 1));
    assert!(snapshot.records().all(|record| !record.is_derived()), "it is no report");
}

#[test]
fn a_site_is_derived_only_once_its_router_has_settled() {
    // faults 8: its controller reports it, mostly a little later than the router reports itself.
    let mut network = Network::new();
    let west = network.west();
    assert_eq!(sites(&network.snapshot()), []);
    let controller = network.controller("site-west");
    network.report(controller, &[network.started(SITE, "site-west", "")]);
    let before = network.store.revision();
    settle(&mut network, west);
    assert_eq!(sites(&network.snapshot()), [("site-west".to_owned(), false)]);
    assert_eq!(network.store.revision(), before, "nothing has changed");
}

#[test]
fn a_reported_site_takes_the_place_of_a_derived_one() {
    // faults 8
    let mut network = Network::new();
    let west = network.west();
    settle(&mut network, west);
    let controller = network.controller("site-west");
    let process =
        network.started(RecordKind::Process, "p", "site-west").with(Attribute::SourceHost, "10.0.0.9");
    network.report(controller, &[process]);
    network.report(west, &[network.connection("west:2")]);
    let snapshot = network.snapshot();
    assert_eq!(sites(&snapshot), [("site-west".to_owned(), true)]);
    assert_eq!(name(find(&snapshot, "site-west")), "west-1");
    let client = find(&snapshot, "west:2").process();
    assert_eq!(client.map(|process| process.id().to_string()).as_deref(), Some("p"), "pairs work");
    // A controller that starts anew before it has reported its site means the same one.
    network.store.source_restarted(controller, network.now);
    network.wait(1);
    let began = network.now;
    network.report(controller, &[network.started(SITE, "site-west", "").with(Attribute::Name, "west")]);
    let snapshot = network.snapshot();
    let site = find(&snapshot, "site-west");
    assert_eq!(sites(&snapshot), [("site-west".to_owned(), false)]);
    assert_eq!((name(site), site.start()), ("west".to_owned(), Some(began)), "nothing is left of it");
    assert_eq!(ids(site.routers()), ["west:0"]);
    assert_eq!(find(&snapshot, "west:2").site(), Some(site));
    assert_eq!((snapshot.live_count(SITE), snapshot.retained_count(SITE)), (1, 1));
    // Whose it is, is for who reported it.
    network.report(west, &[change(SITE, "site-west").with(Attribute::EndTime, network.now)]);
    assert!(find(&network.snapshot(), "site-west").is_live());
}

#[test]
fn a_derived_site_ends_and_leaves_with_its_last_router() {
    // faults 8, 25
    let mut network = Network::with_retention(60);
    let gateway = gateway(&mut network);
    network.wait(5);
    let end = |kind, id: &str| change(kind, id).with(Attribute::EndTime, network.now);
    let ends = [end(ROUTER, "gw:0"), end(RecordKind::Listener, "gw:1")];
    network.report(gateway, &ends);
    let snapshot = network.snapshot();
    let site = find(&snapshot, "gateway-gw:0");
    assert_eq!(site.end(), Some(network.now));
    assert_eq!((snapshot.live_count(SITE), snapshot.retained_count(SITE)), (0, 1));
    network.wait(120);
    assert_eq!(sites(&network.snapshot()).len(), 1, "a connection lives that belongs to it");
    network.report(gateway, &[change(RecordKind::BiflowTport, "gw:2").with(Attribute::EndTime, network.now)]);
    for _ in 0..70 {
        network.wait(1);
    }
    let snapshot = network.snapshot();
    assert_eq!(sites(&snapshot), []);
    assert_eq!(snapshot.retained_count(SITE), 0);
    assert_eq!(snapshot.next_after(None).map(|record| record.id().to_string()), None, "nothing is left");
}

#[test]
fn a_router_that_comes_to_name_its_site_leaves_the_one_of_its_own() {
    // faults 8
    let mut network = Network::new();
    let gateway = gateway(&mut network);
    let named = change(ROUTER, "gw:0").with(Attribute::Parent, "site-east").with(Attribute::Name, "0/east-1");
    network.report(gateway, &[named]);
    let snapshot = network.snapshot();
    assert_eq!(sites(&snapshot), [("site-east".to_owned(), true)]);
    assert_eq!(name(find(&snapshot, "site-east")), "east-1");
    assert_eq!(live(&snapshot, SITE), ["site-east"]);
    network.report(gateway, &[change(ROUTER, "gw:0").with(Attribute::Name, "0/east-2")]);
    assert_eq!(name(find(&network.snapshot(), "site-east")), "east-2");
}

/// What may happen, in any order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Settle(usize),
    Router(usize),
    End(usize),
    Site,
    SiteEnds,
}

const ROUTERS: [(&str, &str); 3] = [("a:0", "site"), ("b:0", "site"), ("c:0", "")];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let routers = 0..ROUTERS.len();
    let mut steps: Vec<_> = routers.flat_map(|router| [Step::Settle(router), Step::Router(router)]).collect();
    steps.extend([Step::End(0), Step::Site, Step::SiteEnds]);
    (Just(steps).prop_shuffle(), 0..9_usize).prop_map(|(mut steps, count)| {
        steps.truncate(count + 1);
        steps
    })
}

proptest! {
    /// Whatever comes first, a site that is derived is never beside one that was reported, and there is one for each
    /// router that has settled.
    #[test]
    fn in_any_order_there_is_one_site(steps in steps()) {
        // faults 8
        let mut network = Network::new();
        let start = network.now;
        let sources = ROUTERS.map(|(id, _)| network.router(id));
        let controller = network.controller("site");
        let mut is_site_reported = false;
        let (mut known, mut settled) = ([false; 3], [false; 3]);
        for step in steps {
            network.wait(1);
            match step {
                Step::Settle(router) => {
                    settle(&mut network, sources[router]);
                    settled[router] = true;
                }
                Step::Router(router) => {
                    let (id, site) = ROUTERS[router];
                    let record = UpdateBuf::new(ROUTER, id).with(Attribute::StartTime, start);
                    let record = if site.is_empty() { record } else { record.with(Attribute::Parent, site) };
                    network.report(sources[router], &[record]);
                    known[router] = true;
                }
                Step::End(router) => {
                    let (id, _) = ROUTERS[router];
                    network.report(sources[router], &[change(ROUTER, id).with(Attribute::EndTime, network.now)]);
                }
                Step::Site => {
                    network.report(controller, &[UpdateBuf::new(SITE, "site").with(Attribute::StartTime, start)]);
                    is_site_reported = true;
                }
                Step::SiteEnds => {
                    network.report(controller, &[change(SITE, "site").with(Attribute::EndTime, network.now)]);
                    is_site_reported = true;
                }
            }
            let snapshot = network.snapshot();
            let named: Vec<_> = snapshot.find("site").collect();
            prop_assert!(named.len() <= 1);
            let of_kind: Vec<_> = snapshot.of_kind(SITE).map(|site| site.id().to_string()).collect();
            prop_assert_eq!(of_kind.len(), snapshot.retained_count(SITE));
            prop_assert_eq!(snapshot.live_of_kind(SITE).count(), snapshot.live_count(SITE));
            if is_site_reported {
                prop_assert!(!named[0].is_derived());
            }
            for (router, (id, site)) in ROUTERS.into_iter().enumerate() {
                let Some(record) = snapshot.find(id).next() else { continue };
                let expected = if site.is_empty() { format!("gateway-{id}") } else { site.to_owned() };
                if let Some(its) = record.site() {
                    prop_assert!(its.id() == *expected);
                    prop_assert!(its.routers().any(|router| router == record));
                    prop_assert_eq!(its.is_derived(), site.is_empty() || !is_site_reported);
                    prop_assert!(!its.is_derived() || its.is_live() == its.routers().any(|router| router.is_live()));
                } else {
                    prop_assert!(!(known[router] && settled[router] && record.is_live()));
                }
            }
        }
    }
}
