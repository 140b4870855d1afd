//! FLOW records of 2.x routers are connections and requests like any others (faults 32): what each pair in the capture
//! comes to, worked out here from its records alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use vanflow_store::derived;

use super::{results, single};
use crate::support::{Fixture, capture_path, replay};

const CAPTURE: &str = "router-2.7";

/// Codes of attributes in `*.merged.json`.
const TYPE: &str = "0";
const PARENT: &str = "2";
const START: &str = "3";
const END: &str = "4";
const COUNTERFLOW: &str = "5";
const SOURCE_HOST: &str = "14";
const PROTOCOL: &str = "16";
const SOURCE_PORT: &str = "17";
const ADDRESS: &str = "19";
const OCTETS: &str = "23";
const LATENCY: &str = "24";
const METHOD: &str = "27";
const RESULT: &str = "28";
const REASON: &str = "29";
const NAME: &str = "30";
const TRACE: &str = "31";

type Fields = Map<String, Value>;

/// The records of the capture, as another AMQP implementation reads them.
struct Records {
    all: BTreeMap<String, Fields>,
    /// The far half of each near one.
    far: BTreeMap<String, String>,
}

impl Records {
    fn new() -> Self {
        let text = std::fs::read_to_string(capture_path(&format!("{CAPTURE}.merged.json"))).unwrap();
        let all: BTreeMap<String, Fields> = serde_json::from_str(&text).unwrap();
        let mut far = BTreeMap::new();
        for (id, record) in &all {
            if let Some(near) = record.get(COUNTERFLOW) {
                let other = far.insert(near.as_str().unwrap().to_owned(), id.clone());
                assert_eq!(other, None, "the capture has no second far half of {near}");
            }
        }
        Self { all, far }
    }

    fn of_type(&self, code: u64) -> impl Iterator<Item = (&str, &Fields)> {
        self.all
            .iter()
            .filter(move |(_, record)| record[TYPE] == code)
            .map(|(id, record)| (id.as_str(), record))
    }

    fn flows(&self) -> impl Iterator<Item = (&str, &Fields)> {
        self.of_type(6)
    }

    fn parent(&self, record: &Fields) -> Option<&Fields> {
        self.all.get(record.get(PARENT)?.as_str()?)
    }

    /// The FLOWs under LISTENERs.
    fn connections(&self) -> impl Iterator<Item = (&str, &Fields)> {
        self.flows().filter(|(_, flow)| self.parent(flow).is_some_and(|parent| parent[TYPE] == 4))
    }

    /// The FLOWs under those.
    fn requests(&self) -> impl Iterator<Item = (&str, &Fields)> {
        let is_connection = |flow: &Fields| self.parent(flow).is_some_and(|parent| parent[TYPE] == 4);
        self.flows().filter(move |(_, flow)| {
            self.parent(flow).is_some_and(|parent| parent[TYPE] == 6 && is_connection(parent))
        })
    }

    fn far(&self, id: &str) -> Option<&Fields> {
        self.all.get(self.far.get(id)?)
    }
}

fn or<'v>(record: Option<&'v Fields>, code: &str, otherwise: &'v Value) -> &'v Value {
    record.and_then(|record| record.get(code)).unwrap_or(otherwise)
}

fn number(record: Option<&Fields>, code: &str) -> u64 {
    or(record, code, &json!(0)).as_u64().unwrap()
}

fn error(record: Option<&Fields>) -> Value {
    match record.and_then(|record| record.get(RESULT)) {
        Some(result) => {
            json!(format!("{} ({})", result.as_str().unwrap(), record.unwrap()[REASON].as_str().unwrap()))
        }
        None => Value::Null,
    }
}

/// PROCESS records of the capture, and the process that must be where no record says so.
fn client(host: &str) -> (String, String) {
    match host {
        "127.0.0.21" => ("7fcb7dde-0ebb-5ce5-9fcd-e967aecad573".to_owned(), "cart-7f9c".to_owned()),
        "127.0.0.22" => ("b6e83569-e1a5-52af-911f-fbf0ce7c9f44".to_owned(), "frontend-5d8b".to_owned()),
        _ => {
            let site = "11111111-aaaa-4000-8000-000000000001";
            (derived::site_process_id(host, site), format!("site-client-{host}-11111111"))
        }
    }
}

/// The server, its name and its site: the edge's connector is the only one that ever said whose it is.
fn server(address: &str) -> [&'static str; 4] {
    match address {
        "web" => [
            "d5950a08-9988-5972-9b63-3122f73b3e06",
            "web-77aa",
            "33333333-cccc-4000-8000-000000000003",
            "edge",
        ],
        _ => ["unknown"; 4],
    }
}

fn ends(records: &Records, connection: &Fields) -> Value {
    let listener = records.parent(connection).unwrap();
    let address = listener[ADDRESS].as_str().unwrap();
    let (source, source_name) = client(connection[SOURCE_HOST].as_str().unwrap());
    let [server, server_name, server_site, server_site_name] = server(address);
    json!({
        "destProcessId": server,
        "destProcessName": server_name,
        "destSiteId": server_site,
        "destSiteName": server_site_name,
        "routingKey": address,
        "sourceProcessId": source,
        "sourceProcessName": source_name,
        "sourceSiteId": "11111111-aaaa-4000-8000-000000000001",
        "sourceSiteName": "west",
        // What the server's router says it passed begins with the client's; the edge never said its name to a trace.
        "traceRouters": if address == "web" { json!(["0/west-1", "0/edge-1"]) } else { json!(["0/west-1"]) },
        "traceSites": if address == "web" { json!(["west", "edge"]) } else { json!(["west"]) },
        "protocol": listener[PROTOCOL],
    })
}

fn extended(mut value: Value, more: Value) -> Value {
    let Value::Object(more) = more else { unreachable!() };
    value.as_object_mut().unwrap().extend(more);
    value
}

fn lasted(record: &Fields) -> Value {
    match record[END].as_u64().unwrap() - record[START].as_u64().unwrap() {
        0 => Value::Null,
        lasted => json!(lasted),
    }
}

fn expected_connection(records: &Records, id: &str, near: &Fields) -> Value {
    let far = records.far(id);
    if let Some(far) = far {
        assert_eq!(far[TRACE], "0/west-1", "of {id}");
    }
    let listener = records.parent(near).unwrap();
    let answered = || {
        let requests = records.requests().filter(|(_, request)| request[PARENT] == id);
        requests.map(|(request, _)| number(records.far(request), OCTETS)).sum()
    };
    let connector = match far {
        Some(far) => far[PARENT].clone(),
        None if listener[ADDRESS] == "web" => json!("qVuDr:1"),
        None => json!("unknown"),
    };
    let own = json!({
        "identity": id,
        "listenerId": near[PARENT],
        "connectorId": connector,
        "startTime": near[START],
        "endTime": near[END],
        "duration": lasted(near),
        "sourceHost": near[SOURCE_HOST],
        "sourcePort": near[SOURCE_PORT],
        "proxyHost": or(far, SOURCE_HOST, &json!("")),
        "proxyPort": or(far, SOURCE_PORT, &json!("")),
        "octetCount": near[OCTETS],
        "octetReverseCount": far.map_or_else(answered, |far| number(Some(far), OCTETS)),
        "latency": number(Some(near), LATENCY),
        "latencyReverse": number(far, LATENCY),
        "listenerError": error(Some(near)),
        "connectorError": error(far),
    });
    extended(ends(records, near), own)
}

fn expected_request(records: &Records, id: &str, near: &Fields) -> Value {
    let connection = records.parent(near).unwrap();
    let own = json!({
        "identity": id,
        "connectionId": near[PARENT],
        "startTime": near[START],
        "endTime": near[END],
        "duration": lasted(near),
        "method": near[METHOD],
        "status": near[RESULT],
        "octetCount": near[OCTETS],
        "octetReverseCount": number(records.far(id), OCTETS),
    });
    extended(ends(records, connection), own)
}

/// Each of the items has each property that is expected, and there are no others.
fn compare(items: &[Value], expected: &BTreeMap<&str, Value>) {
    let found: Vec<_> = items.iter().map(|item| item["identity"].as_str().unwrap()).collect();
    assert_eq!(found, expected.keys().copied().collect::<Vec<_>>());
    for (item, expected) in items.iter().zip(expected.values()) {
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&item[name], value, "{name} of {item}");
        }
    }
}

const ALL: &str = "timeRangeStart=0";

#[test]
fn each_pair_in_the_capture_is_the_connection_that_its_records_come_to() {
    let (records, fixture) = (Records::new(), Fixture::replayed(CAPTURE));
    let expected: BTreeMap<_, _> =
        records.connections().map(|(id, near)| (id, expected_connection(&records, id, near))).collect();
    assert_eq!(expected.len(), 291, "76 to shop, 82 to web, 100 to echo, 33 to dead");
    let connections = results(&fixture, &format!("connections?{ALL}"));
    compare(&connections, &expected);
    for connection in &connections {
        let id = connection["identity"].as_str().unwrap();
        assert_eq!(&single(&fixture, &format!("connections/{id}")), connection);
    }
}

#[test]
fn each_nested_flow_in_the_capture_is_the_request_that_its_records_come_to() {
    let (records, fixture) = (Records::new(), Fixture::replayed(CAPTURE));
    let expected: BTreeMap<_, _> =
        records.requests().map(|(id, near)| (id, expected_request(&records, id, near))).collect();
    assert_eq!(expected.len(), 550);
    let requests = results(&fixture, &format!("applicationflows?{ALL}"));
    compare(&requests, &expected);
    for request in requests.iter().step_by(50) {
        let id = request["identity"].as_str().unwrap();
        assert_eq!(&single(&fixture, &format!("applicationflows/{id}")), request);
    }
}

#[test]
fn a_far_half_and_a_connector_s_own_flow_are_no_connections() {
    let (records, fixture) = (Records::new(), Fixture::replayed(CAPTURE));
    let shown: Vec<_> =
        records.connections().chain(records.requests()).map(|(id, _)| id.to_owned()).collect();
    let others = records.flows().filter(|(id, _)| !shown.iter().any(|shown| shown == id));
    for (id, _) in others.step_by(40) {
        for collection in ["connections", "applicationflows"] {
            let answer = fixture.get(&format!("/api/v2alpha1/{collection}/{id}"));
            assert_eq!(answer.status.as_u16(), 404, "{collection}/{id}");
        }
    }
}

/// Octets of all items, both ways.
fn octets(items: &[Value]) -> [u64; 2] {
    ["octetCount", "octetReverseCount"]
        .map(|name| items.iter().map(|item| item[name].as_u64().unwrap()).sum())
}

#[test]
fn lists_of_pairs_are_filtered_sorted_and_paged_like_any_others() {
    let (records, fixture) = (Records::new(), Fixture::replayed(CAPTURE));
    let of_service = |address: &str| {
        let records = &records;
        let address = address.to_owned();
        records
            .connections()
            .filter(move |(_, near)| records.parent(near).unwrap()[ADDRESS] == address.as_str())
    };
    let echo =
        results(&fixture, &format!("connections?{ALL}&routingKey=echo:7&sortBy=octetReverseCount.desc"));
    assert_eq!(echo.len(), of_service("echo:7").count());
    let sent: u64 = of_service("echo:7").map(|(_, near)| number(Some(near), OCTETS)).sum();
    let received: u64 = of_service("echo:7").map(|(id, _)| number(records.far(id), OCTETS)).sum();
    assert_eq!(octets(&echo), [sent, received]);
    assert!(echo.is_sorted_by_key(|item| std::cmp::Reverse(item["octetReverseCount"].as_u64().unwrap())));

    let by_end = results(&fixture, &format!("connections?{ALL}&sortBy=endTime.desc&limit=7&offset=3"));
    let mut ends: Vec<_> = records.connections().map(|(_, near)| near[END].as_u64().unwrap()).collect();
    ends.sort_unstable_by(|left, right| right.cmp(left));
    let listed: Vec<_> = by_end.iter().map(|item| item["endTime"].as_u64().unwrap()).collect();
    assert_eq!(listed, ends[3..10]);

    let failed = results(&fixture, &format!("applicationflows?{ALL}&status=5&method=DELETE"));
    assert_eq!(failed.len(), 11 + 2 + 46 + 66);
    let west = records.of_type(0).find(|(_, site)| site[NAME] == "west").unwrap().0;
    let from_west = results(&fixture, &format!("applicationflows?{ALL}&sourceSiteId={west}"));
    assert_eq!(from_west.len(), 550);
}

/// The pairs of processes, with how many connections and requests there are between each, by protocol.
#[test]
fn pairs_of_processes_have_the_connections_and_requests_between_them() {
    let (records, fixture) = (Records::new(), Fixture::replayed(CAPTURE));
    let mut expected = BTreeMap::<String, u64>::new();
    let requests = records.requests().map(|(_, request)| records.parent(request).unwrap());
    for connection in records.connections().map(|(_, connection)| connection).chain(requests) {
        let listener = records.parent(connection).unwrap();
        let [server, ..] = server(listener[ADDRESS].as_str().unwrap());
        if server != "unknown" {
            let (client, _) = client(connection[SOURCE_HOST].as_str().unwrap());
            *expected.entry(derived::process_pair_id(&client, server, "http1")).or_default() += 1;
        }
    }
    assert_eq!(expected.values().sum::<u64>(), 82 + 296);
    let pairs = results(&fixture, &format!("processpairs?{ALL}"));
    let found: BTreeMap<_, _> = pairs
        .iter()
        .map(|pair| (pair["identity"].as_str().unwrap().to_owned(), pair["recordCount"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, expected);
    let sites = results(&fixture, &format!("sitepairs?{ALL}"));
    assert_eq!(sites.iter().map(|pair| pair["recordCount"].as_u64().unwrap()).sum::<u64>(), 82 + 296);
    let web = derived::service_id("web", "http1");
    assert_eq!(results(&fixture, &format!("services/{web}/processpairs?{ALL}")).len(), pairs.len());
    assert_eq!(results(&fixture, &format!("services/{web}/connections?{ALL}")).len(), 82);
    let observed = |address: &str| {
        let id = derived::service_id(address, if address == "web" { "http1" } else { "tcp" });
        single(&fixture, &format!("services/{id}"))["observedApplicationProtocols"].clone()
    };
    assert_eq!([observed("web"), observed("echo:7")], [json!(["http1"]), json!([])]);
    // Clients that no record speaks of are there because connections come from them.
    let clients = results(&fixture, "processes?state=all&timeRangeStart=0&name=site-client");
    let hosts: Vec<_> = clients.iter().map(|client| client["sourceHost"].as_str().unwrap()).collect();
    assert_eq!(hosts, ["127.0.0.1", "127.0.0.23"]);
}

/// The sum of all samples of a metric whose labels include these.
fn sum(exposition: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = exposition.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let matching = samples
        .filter(|line| labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\""))));
    matching.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

#[test]
fn metrics_are_the_sums_of_the_pairs() {
    let records = Records::new();
    let mut options = vanflow_api::ApiOptions::default();
    options.metrics.zero_for = std::time::Duration::ZERO;
    let fixture = Fixture::with_options(replay(CAPTURE, u64::MAX), options);
    // Nothing more comes: what has no connector in it will have none.
    fixture.publisher.update_status(|status| status.complete = true);
    let exposition = fixture.get("/metrics").text().to_owned();
    for address in ["echo:7", "shop", "web", "dead"] {
        let rows: Vec<_> = records
            .connections()
            .filter(|(_, near)| records.parent(near).unwrap()[ADDRESS] == address)
            .map(|(id, near)| expected_connection(&records, id, near))
            .collect();
        let [sent, received] = octets(&rows).map(|octets| octets as f64);
        let count = rows.len() as f64;
        let labels = [("routing_key", address)];
        for (name, expected) in [
            ("skupper_connections_opened_total", count),
            ("skupper_connections_closed_total", count),
            ("skupper_sent_bytes_total", sent),
            ("skupper_received_bytes_total", received),
        ] {
            assert_eq!(sum(&exposition, name, &labels), expected, "{name} of {address}");
        }
        let timed = rows.iter().filter(|row| row["latency"] != 0 && row["latencyReverse"] != 0);
        let incoming = [labels[0], ("direction", "incoming")];
        let observed = sum(&exposition, "legacy_flow_latency_microseconds_count", &incoming);
        assert_eq!(observed, timed.count() as f64, "{address}");
        for (method, class) in [("GET", '2'), ("GET", '4'), ("POST", '2'), ("DELETE", '5')] {
            let requests = records.requests().filter(|(_, request)| {
                records.parent(records.parent(request).unwrap()).unwrap()[ADDRESS] == address
                    && request[METHOD] == method
                    && request[RESULT].as_str().unwrap().starts_with(class)
            });
            let code = format!("{class}xx");
            let labels = [labels[0], ("method", method), ("code", &*code), ("protocol", "http1")];
            let counted = sum(&exposition, "skupper_requests_total", &labels);
            assert_eq!(counted, requests.count() as f64, "{method} {class}xx of {address}");
        }
    }
    assert_eq!(sum(&exposition, "skupper_connections_opened_total", &[]), 291.0);
    assert_eq!(sum(&exposition, "skupper_requests_total", &[]), 550.0);
}

#[test]
fn what_is_shown_in_the_midst_of_the_traffic_is_what_is_known_by_then() {
    let fixture = Fixture::new(replay(CAPTURE, 20_000_000));
    let live = results(&fixture, &format!("connections?{ALL}&state=active"));
    let ended = results(&fixture, &format!("connections?{ALL}&state=terminated"));
    assert!(!live.is_empty() && live.len() < ended.len(), "{} {}", live.len(), ended.len());
    assert!(live.iter().all(|item| item["endTime"] == 0));
    let all = results(&fixture, &format!("connections?{ALL}"));
    assert_eq!(all.len(), live.len() + ended.len());
}
