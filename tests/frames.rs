//! Messages in pieces, in both dialects, and between them what is no message.

use std::collections::BTreeSet;

use serde_json::Value;
use vanflow_proto::{
    Attribute, Dialect, Encoder, RecordKind, UpdateBuf,
    source::{ExchangeOptions, Outgoing, Source},
};

use crate::network::{EPOCH, Network, flow_count, listener, router};

const LISTENERS: usize = 120;
const PROCESSES: usize = 70;

/// A router and a controller, all of whose messages take more than one frame of 512 octets.
async fn network() -> Network {
    let options = ExchangeOptions { largest_frame: Some(512), ..ExchangeOptions::default() };
    let network = Network::start(options).await;
    network.add(Source::router("a:0"));
    network.add(Source::controller("east"));
    network.report("a:0", |source| {
        source.update(router("a:0", "0/east-1", EPOCH));
        for number in 1..=LISTENERS {
            source.update(listener(&format!("a:{number}"), "a:0", &service(number)));
        }
    });
    network.report("east", |source| {
        source.update(
            UpdateBuf::new(RecordKind::Site, "east")
                .with(Attribute::StartTime, EPOCH)
                .with(Attribute::Name, "east"),
        );
        for number in 0..PROCESSES {
            source.update(
                UpdateBuf::new(RecordKind::Process, format!("pod-{number}"))
                    .with(Attribute::Parent, "east")
                    .with(Attribute::StartTime, EPOCH)
                    .with(Attribute::Name, format!("pod {number}, whose name is of some length")),
            );
        }
    });
    network
}

fn service(number: usize) -> String {
    format!("service-{number}-{}", "x".repeat(number * 10))
}

fn texts(records: &Value, name: &str) -> BTreeSet<String> {
    let records = records.as_array().into_iter().flatten();
    records.filter_map(|record| Some(record.get(name)?.as_str()?.to_owned())).collect()
}

fn len(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn batches_in_many_frames_are_whole_in_both_dialects() {
    let network = network().await;
    let collector = network.collector(|_| {}).await;
    collector.ready().await;
    let listeners = collector.until("/api/v1alpha1/listeners", |all| len(all) == LISTENERS).await;
    assert_eq!(texts(&listeners, "vanAddress"), (1..=LISTENERS).map(service).collect());
    let processes = collector.until("/api/v1alpha1/processes", |all| len(all) == PROCESSES).await;
    assert_eq!(texts(&processes, "name").len(), PROCESSES);
    assert_eq!(texts(&processes, "parent"), BTreeSet::from(["east".to_owned()]));
    let sites = collector.get("/api/v1alpha1/sites").await;
    assert!(len(&sites) == 1 && sites[0]["name"] == "east", "{sites}");
    collector.leave().await;
}

#[tokio::test]
async fn messages_that_come_three_times_count_once() {
    // faults 9
    let network = network().await;
    network.exchange().repeat(2);
    let collector = network.collector(|_| {}).await;
    collector.ready().await;
    network.listened("mc/sfe.a:0.flows").await;
    let flow = |id: &str| {
        UpdateBuf::new(RecordKind::BiflowTport, id)
            .with(Attribute::Parent, "a:1")
            .with(Attribute::StartTime, EPOCH)
            .with(Attribute::SourceHost, "10.0.0.7")
            .with(Attribute::Octets, 7)
    };
    network.report("a:0", |source| {
        source.update(flow("a:1001"));
        source.update(flow("a:1002"));
    });
    network.report("a:0", |source| source.end("a:1002", EPOCH.plus_micros(70)));
    network.report("a:0", |source| source.update(flow_count("a:1", 2)));
    collector.until("/api/v1alpha1/listeners", |all| all[0]["flowCountL4"] == 2).await;
    let flows = "/api/v1alpha1/records?rtype=BIFLOW_TPORT&includeDeleted=1";
    let flows = collector.until(flows, |all| len(all) == 2 && all[1]["endTime"].is_u64()).await;
    assert!(flows[0]["octets"] == 7 && flows[0].get("endTime").is_none(), "{flows}");
    assert_eq!(flows[1]["endTime"], EPOCH.plus_micros(70).as_micros(), "{flows}");
    let path = "/api/v1alpha1/addresses";
    let addresses = collector.get(path).await;
    let ours = |address: &&Value| address["name"] == service(1).as_str();
    let address = addresses.as_array().into_iter().flatten().find(ours).expect("the service");
    assert_eq!((&address["totalFlows"], &address["currentFlows"]), (&2.into(), &1.into()), "{address}");
    assert_eq!(len(&collector.get("/api/v1alpha1/listeners?includeDeleted=1").await), LISTENERS);
    collector.leave().await;
}

#[tokio::test]
async fn what_is_no_message_costs_its_neighbours_nothing() {
    // faults 17
    let network = network().await;
    let collector = network.collector(|_| {}).await;
    collector.ready().await;
    network.listened("mc/sfe.a:0.flows").await;
    let garbage = [
        b"garbage".to_vec(),
        Vec::new(),
        vec![0xff; 2000],
        [&[0x00, 0x53, 0x77, 0xd1][..], &[0xff; 8]].concat(),
    ];
    let addresses = ["mc/sfe.all", "mc/sfe.a:0", "mc/sfe.a:0.flows", "mc/sfe.east"];
    let mut messages: Vec<_> =
        garbage.iter().flat_map(|message| addresses.map(|address| (address, message.clone()))).collect();
    // Well formed, the next of its source, and more than a collector takes.
    let large = listener("a:999", "a:0", "large").with(Attribute::Name, "x".repeat(17 * 1024 * 1024));
    let mut number = 0;
    network.report_nobody("a:0", |source| number = source.next_message_id());
    let large = Encoder::new(Dialect::Router).records("mc/sfe.a:0", number, &[large]);
    messages.insert(0, ("mc/sfe.a:0", large));
    let count = messages.len();
    for (number, (address, message)) in (1..).zip(messages) {
        network.exchange().publish(&Outgoing { address: address.into(), message: message.into() });
        network.report("a:0", |source| {
            source.update(flow_count("a:1", number));
            source.update(
                UpdateBuf::new(RecordKind::BiflowTport, format!("a:{}", 1000 + number))
                    .with(Attribute::Parent, "a:1")
                    .with(Attribute::StartTime, EPOCH),
            );
        });
    }
    let connections =
        collector.until("/api/v1alpha1/records?rtype=BIFLOW_TPORT", |all| len(all) == count).await;
    assert_eq!(texts(&connections, "id"), (1..=count).map(|number| format!("a:{}", 1000 + number)).collect());
    collector.until("/api/v1alpha1/listeners", |all| all[0]["flowCountL4"] == count).await;
    let listeners = collector.get("/api/v1alpha1/listeners").await;
    assert_eq!(len(&listeners), LISTENERS, "there is none from the message that was too large");
    assert_eq!(network.deserted(), [""; 0], "neither the connection nor a link was given up");
    collector.leave().await;
}
