//! What is not held any more: lists, groups and pages are those of a collector that never lets go of anything.

use std::{
    iter,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use proptest::{collection::vec, option, prelude::*};
use vanflow_api::{ApiOptions, Due, Ended, history_tables as tables};
use vanflow_history::rows::{
    Column, Held, Part, Row, Rows, Span, Summing, Table, UnreadableRows, Value, Wanted,
};
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::{SourceId, Store, StoreOptions};

use crate::support::{Answer, EPOCH, Fixture, apply, ends_of_a_service, request_with, service};

const SECOND: u64 = 1_000_000;

/// Rows in a vector.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) rows: Mutex<Vec<(usize, Row)>>,
    pub(crate) is_damaged: bool,
    /// From when on none was removed.
    pub(crate) since: u64,
    /// How many rows were given to who asked.
    pub(crate) given: AtomicUsize,
}

impl Kept {
    fn each(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        if self.is_damaged {
            return Err(UnreadableRows("connections/7.parquet: it is torn".to_owned()));
        }
        let tables = tables();
        let at = tables.iter().position(|its| its.name == wanted.table).unwrap();
        for (_, row) in self.rows.lock().unwrap().iter().filter(|(of, _)| *of == at) {
            if wanted.admits(&tables[at], row) && visit(only(&tables[at], wanted, row)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Rows for Kept {
    fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        self.each(wanted, &mut |row| {
            self.given.fetch_add(1, Ordering::Relaxed);
            visit(row)
        })
    }

    fn visit_sums(
        &self,
        wanted: &Wanted<'_>,
        summing: &Summing,
        visit: &mut dyn FnMut(Part) -> ControlFlow<()>,
    ) -> Result<Span, UnreadableRows> {
        let tables = tables();
        let its = tables.iter().find(|its| its.name == wanted.table).unwrap();
        // Of a minute in three there are sums.
        let minute = 60 * SECOND;
        let is_of_minutes = summing.step.is_none_or(|step| step.is_multiple_of(minute));
        let mut has_replaced = false;
        self.visit(&Wanted::all(wanted.table, Span { from: 0, until: u64::MAX }), &mut |row| {
            has_replaced |= its.replaces(&row);
            ControlFlow::Continue(())
        })?;
        let is_summed_up = |row: &Row| {
            is_of_minutes
                && !has_replaced
                && summing.whole.has(its.end(row))
                && !(its.end(row) / minute).is_multiple_of(3)
        };
        let mut summed_up = Vec::new();
        let all = Wanted::all(wanted.table, wanted.span);
        self.visit(&all, &mut |row| {
            if is_summed_up(&row) {
                summed_up.push(row);
            }
            ControlFlow::Continue(())
        })?;
        let sums = its.sum_up(&summed_up, summing.step).into_iter().map(Part::Sum);
        let _ = sums.into_iter().try_for_each(&mut *visit);
        self.visit(wanted, &mut |row| match is_summed_up(&row) {
            true => ControlFlow::Continue(()),
            false => visit(Part::Row(row)),
        })?;
        Ok(Span { from: wanted.span.from, until: summing.whole.until })
    }

    fn since(&self, _: &str) -> u64 {
        self.since
    }

    fn find(&self, table: &str, name: &str) -> Result<Option<Row>, UnreadableRows> {
        let mut found: Option<Row> = None;
        let tables = tables();
        let its = tables.iter().find(|its| its.name == table).unwrap();
        self.each(&Wanted::all(table, Span { from: 0, until: u64::MAX }), &mut |row| {
            let is_later = |found: &Row| its.end(&row) > its.end(found);
            if its.is_called(&row, name) && found.as_ref().is_none_or(is_later) {
                found = Some(row);
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn here(&self) -> &dyn Rows {
        self
    }

    fn inherited_until(&self) -> u64 {
        if self.is_damaged { u64::MAX } else { 0 }
    }

    fn held(&self, table: &str) -> Held {
        let tables = tables();
        let rows = self.rows.lock().unwrap();
        let its = rows.iter().filter(|(at, _)| tables[*at].name == table);
        let ends = its.map(|(at, row)| tables[*at].end(row));
        Held { since: ends.clone().min(), rows: ends.count() as u64, octets: 7, memory: 5, elsewhere: 0 }
    }
}

/// A row with what is looked at alone.
fn only(table: &Table, wanted: &Wanted<'_>, row: &Row) -> Row {
    let is_wanted = |name| wanted.columns.as_ref().is_none_or(|names| names.contains(&name));
    let values = table.columns.iter().zip(&row.values);
    let value = |(column, value): (&Column, &Value)| {
        if is_wanted(column.name) { value.clone() } else { Value::None }
    };
    Row { values: values.map(value).collect() }
}

/// A collector that holds ended records for so long.
pub(super) struct Collector {
    pub(super) fixture: Fixture,
    source: SourceId,
    pub(super) ended: Ended,
    pub(super) kept: Arc<Kept>,
}

impl Collector {
    pub(super) fn new(retention_seconds: u64, kept: Kept) -> Self {
        Self::with(retention_seconds, kept, None)
    }

    fn with(retention_seconds: u64, kept: Kept, most_rows: Option<usize>) -> Self {
        let mut options = StoreOptions::default();
        options.retention_micros = retention_seconds * SECOND;
        let mut store = Store::new(options);
        let now = Timestamp::from_micros(EPOCH);
        let source = store.source_seen("gv_ZW:0", SourceType::Router, now);
        apply(&mut store, source, &service("shop", 0, 0), now);
        apply(&mut store, source, &ends_of_a_service(), now);
        let kept = Arc::new(kept);
        let rows: Arc<dyn Rows> = kept.clone();
        let mut options = ApiOptions::default();
        (options.rows, options.most_rows) = (Some(rows), most_rows);
        Self { fixture: Fixture::with_options(store, options), source, ended: Ended::replacing(), kept }
    }

    pub(super) fn report(&mut self, updates: &[UpdateBuf], second: u64) {
        self.report_alone(updates, second);
        let rows = self.take(Due::Settled);
        self.kept.rows.lock().unwrap().extend(rows);
    }

    /// The same, and nobody takes what ended.
    pub(super) fn report_alone(&mut self, updates: &[UpdateBuf], second: u64) {
        let now = Timestamp::from_micros(EPOCH + second * SECOND);
        let mut store = self.fixture.publisher.write();
        apply(&mut store, self.source, updates, now);
        while store.advance(now) {}
        drop(store);
        self.fixture.publisher.publish();
    }

    /// What has ended, in as many parts as it comes.
    pub(super) fn take(&mut self, due: Due) -> Vec<(usize, Row)> {
        let Self { fixture, ended, .. } = self;
        iter::from_fn(|| Some(fixture.api.take_ended(ended, due)).filter(|rows| !rows.is_empty()))
            .flatten()
            .collect()
    }

    /// Not what it says of itself.
    fn ask(&self, query: &str) -> String {
        let answer = self.fixture.get(&format!("/api/v2alpha1/{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        answer.text().to_owned()
    }
}

/// When it starts, how long it lasts and how long after that its end is reported, in seconds; whether the server failed;
/// how many octets.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) start: u64,
    pub(super) lasts: u64,
    pub(super) late: u64,
    pub(super) has_error: bool,
    pub(super) octets: u64,
    pub(super) has_request: bool,
}

/// How long all of it takes.
const LENGTH: u64 = 200;

fn any_flow() -> impl Strategy<Value = Flow> {
    (0..LENGTH - 20, 1..60_u64, 0..40_u64, any::<bool>(), 0..9_u64, any::<bool>()).prop_map(
        |(start, lasts, late, has_error, octets, has_request)| Flow {
            start,
            lasts,
            late,
            has_error,
            octets,
            has_request,
        },
    )
}

pub(super) fn updates(flows: &[Flow], second: u64) -> Vec<UpdateBuf> {
    let mut updates = Vec::new();
    for (id, flow) in (10..).step_by(2).zip(flows) {
        let (connection, request) = (format!("gv_ZW:{id}"), format!("gv_ZW:{}", id + 1));
        let at = |second: u64| EPOCH + second * SECOND;
        if flow.start == second {
            updates.push(
                UpdateBuf::new(RecordKind::BiflowTport, connection.clone())
                    .with(Attribute::StartTime, at(flow.start))
                    .with(Attribute::Parent, "gv_ZW:1")
                    .with(Attribute::SourceHost, format!("10.0.1.{}", flow.octets % 3))
                    .with(Attribute::Connector, "gv_ZW:2")
                    .with(Attribute::Octets, flow.octets),
            );
            if flow.has_request {
                updates.push(
                    UpdateBuf::new(RecordKind::BiflowApp, request.clone())
                        .with(Attribute::StartTime, at(flow.start))
                        .with(Attribute::Parent, connection.as_str())
                        .with(Attribute::Method, "GET"),
                );
            }
        }
        if flow.start + flow.lasts + flow.late == second {
            let end = at(flow.start + flow.lasts);
            if flow.has_request {
                updates.push(
                    UpdateBuf::new(RecordKind::BiflowApp, request)
                        .with(Attribute::EndTime, end)
                        .with(Attribute::Result, if flow.has_error { "503" } else { "200" }),
                );
            }
            let mut update =
                UpdateBuf::new(RecordKind::BiflowTport, connection).with(Attribute::EndTime, end);
            if flow.has_error {
                update = update.with(Attribute::ErrorConnectorSide, "connection refused");
            }
            updates.push(update);
        }
    }
    updates
}

fn any_query() -> impl Strategy<Value = String> {
    let list =
        prop_oneof![Just("connections"), Just("applicationflows"), Just("services/shop@gv/connections"),];
    let option = prop_oneof![
        Just("sortBy=endTime.desc"),
        Just("sortBy=startTime.asc"),
        Just("sortBy=octetCount.desc"),
        Just("sortBy=sourceProcessName.asc"),
        Just("groupBy=sourceHost&aggregate=count,sum(octetCount),p95(duration)"),
        Just("groupBy=sourceProcessName&aggregate=count,max(duration)"),
        Just(
            "groupBy=routingKey,protocol&aggregate=count,sum(octetCount),min(latency),max(octetReverseCount)"
        ),
        Just("aggregate=count,sum(duration)"),
        Just("groupBy=routingKey,sourceProcessName&step=1m&aggregate=count,sum(octetCount),max(duration)"),
        Just("step=2m"),
        Just("step=50s&groupBy=sourceHost&aggregate=p95(duration)&sortBy=time.desc"),
    ];
    let filter = prop_oneof![
        Just("connectorError=*".to_owned()),
        Just("connectorError!=*".to_owned()),
        Just("state=terminated".to_owned()),
        Just("octetCount=3".to_owned()),
        Just("destSiteName=west".to_owned()),
        Just("sourceProcessName|octetCount=3".to_owned()),
        Just("sourceProcessName|destProcessName!=p".to_owned()),
        Just("search=SHOP".to_owned()),
        Just("search!=1".to_owned()),
        Just("timeRangeOperation=within".to_owned()),
        (0..LENGTH).prop_map(|second| format!("timeRangeEnd={}", EPOCH + second * SECOND)),
        (0..20_usize).prop_map(|limit| format!("limit={limit}")),
        (0..20_usize).prop_map(|offset| format!("offset={offset}")),
        Just("fields=key,octetCount,duration,traceRouters".to_owned()),
    ];
    (list, option::of(option), vec(filter, 0..3), 0..LENGTH).prop_map(|(list, option, filters, from)| {
        let mut query = format!("{list}?timeRangeStart={}", EPOCH + from * SECOND);
        query.extend(option.map(|option| format!("&{option}")));
        query.extend(filters.iter().map(|filter| format!("&{filter}")));
        query
    })
}

/// Whether a query can be asked of a list: some parameters make no sense together, or not of each.
fn makes_sense(query: &str) -> bool {
    let given = |name: &str| query.matches(&format!("{name}=")).count();
    let is_once = ["limit", "offset", "state", "timeRangeEnd", "timeRangeOperation", "fields"];
    let is_of_requests = query.starts_with("application");
    let is_of_connections = ["connectorError", "sourceHost", "latency"];
    let ends_before_it_starts = {
        let micros = |name: &str| {
            let (_, after) = query.split_once(&format!("{name}="))?;
            after.split('&').next()?.parse::<u64>().ok()
        };
        matches!((micros("timeRangeStart"), micros("timeRangeEnd")), (Some(from), Some(until)) if until < from)
    };
    let is_repeated = is_once.iter().any(|name| given(name) > 1);
    let has_not = is_of_requests && is_of_connections.iter().any(|name| query.contains(name));
    let is_of_groups = given("groupBy") + given("aggregate") + given("step") > 0;
    let is_of_items_and_groups =
        is_of_groups && given("fields") > 0 || given("step") > 0 && given("timeRangeOperation") > 0;
    !(is_repeated || has_not || is_of_items_and_groups || ends_before_it_starts)
}

/// A collector that holds all that happened, and one that has to look for most of it in its history.
fn all_and_few(flows: &[Flow]) -> [Collector; 2] {
    let mut both = [10_000, 15].map(|retention| Collector::new(retention, Kept::default()));
    for second in 0..=LENGTH {
        let updates = updates(flows, second);
        both.iter_mut().for_each(|collector| collector.report(&updates, second));
    }
    both
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn answers_are_those_of_a_collector_that_holds_all(
        flows in vec(any_flow(), 0..40),
        queries in vec(any_query().prop_filter("it makes no sense", |query| makes_sense(query)), 1..24),
    ) {
        let [all, few] = all_and_few(&flows);
        for query in queries {
            let query = query.replace("services/shop@gv", &format!("services/{}", service_id(&all)));
            prop_assert_eq!(few.ask(&query), all.ask(&query), "{}", query);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_a_map_of_the_past_shows_of_traffic_is_that_of_a_collector_that_holds_all(
        flows in vec(any_flow(), 1..30),
        moments in vec(0..LENGTH, 1..6),
    ) {
        let [all, few] = all_and_few(&flows);
        for moment in moments {
            let edges = |collector: &Collector| {
                let path = format!("/api/v1/map?level=process&time={}", EPOCH + moment * SECOND);
                let map = collector.fixture.get(&path).json();
                (map["edges"].clone(), map["note"].clone())
            };
            let (few, all) = (edges(&few), edges(&all));
            prop_assert_eq!(&few, &all, "{}", moment);
            let is_there = |flow: &Flow| flow.start < moment && moment < flow.start + flow.lasts && flow.octets > 0;
            prop_assert!(few.0 != serde_json::json!([]) || !flows.iter().any(is_there));
        }
    }
}

#[test]
fn a_map_of_what_is_not_held_any_more_has_rates_and_errors_of_then() {
    let mut collector = Collector::new(15, Kept::default());
    let flows = [
        Flow { start: 20, lasts: 20, late: 0, has_error: false, octets: 600, has_request: true },
        Flow { start: 25, lasts: 5, late: 0, has_error: true, octets: 0, has_request: false },
    ];
    for second in 0..=LENGTH {
        collector.report(&updates(&flows, second), second);
    }
    let ask = |second: u64| {
        let path = format!("/api/v1/map?level=process&time={}", EPOCH + second * SECOND);
        collector.fixture.get(&path)
    };
    let edge = |second: u64| {
        let map = ask(second).json();
        assert_eq!(map["edges"].as_array().unwrap().len(), 1, "{map}");
        assert_eq!(map["areas"][0]["name"], "west", "{map}");
        map["edges"][0].clone()
    };
    let (half, after) = (edge(30), edge(45));
    assert_eq!(half["octetRate"]["10s"], 30.0, "{half}");
    assert_eq!(half["octetRate"]["1m"], 5.0, "half of it in 10 of 60 seconds: {half}");
    assert_eq!((&half["units"], &half["errors"]), (&2.into(), &1.into()), "{half}");
    assert_eq!(after["octetRate"]["10s"], 15.0, "{after}");
    assert_eq!(after["octetRate"]["1m"], 10.0, "{after}");
    assert_eq!(
        (&after["units"], &after["errors"]),
        (&2.into(), &1.into()),
        "a request, and a failure: {after}"
    );
    assert_eq!(
        ask(30).json()["note"],
        "worked out from the connections and requests of then, as if each carried its octets evenly: what had none and is not \
         there any more is not known"
    );
    assert_eq!(ask(19).json()["edges"], serde_json::json!([]));
    assert_eq!(ask(30).header("etag"), None, "rows come and go without a revision of the network");
    for form in ["svg", "dot", "mermaid"] {
        let path = format!("/api/v1/map?level=process&format={form}&time={}", EPOCH + 30 * SECOND);
        assert!(collector.fixture.get(&path).text().contains("catalog"), "{form}");
    }
    let damaged = Collector::new(15, Kept { is_damaged: true, ..Kept::default() });
    let answer = damaged.fixture.get(&format!("/api/v1/map?time={}", EPOCH - SECOND));
    assert_eq!(answer.status, http::StatusCode::INTERNAL_SERVER_ERROR, "{}", answer.text());
    assert!(answer.text().contains("7.parquet"), "{}", answer.text());
}

fn service_id(collector: &Collector) -> String {
    let services = collector.fixture.get("/api/v2alpha1/services").json();
    services["results"][0]["identity"].as_str().unwrap().to_owned()
}

pub(super) fn ended(start: u64) -> Flow {
    Flow { start, lasts: 5, late: 0, has_error: false, octets: 1, has_request: true }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pages_after_one_another_have_each_item_once_while_more_come(
        flows in vec(any_flow(), 1..40),
        limit in 1..7_usize,
        order in prop::sample::select(vec!["", "&sortBy=startTime.asc", "&sortBy=startTime.desc", "&sortBy=sourceHost.asc"]),
        form in prop::sample::select(vec!["application/json", "application/x-ndjson"]),
        from in prop::sample::select(vec![0, EPOCH]),
    ) {
        let mut collector = Collector::new(15, Kept::default());
        let half = LENGTH / 2;
        let keys = |collector: &Collector, query: &str| -> Vec<String> {
            let path = format!("/api/v2alpha1/connections?timeRangeStart={from}{order}{query}");
            keys_of(&collector.fixture.ask(request_with(&path, &[("accept", form)])))
        };
        (0..=half).for_each(|second| collector.report(&updates(&flows, second), second));
        let before = keys(&collector, "");
        let (mut pages, mut last, mut second) = (Vec::new(), String::new(), half);
        loop {
            let page = keys(&collector, &format!("&limit={limit}&after={}", last.replace('@', "%40")));
            let Some(next) = page.last() else { break };
            last.clone_from(next);
            pages.extend(page);
            // More come while they are read, and others are evicted.
            for _ in 0..20 {
                second += 1;
                collector.report(&updates(&flows, second), second);
            }
        }
        let distinct: std::collections::BTreeSet<_> = pages.iter().collect();
        prop_assert_eq!(distinct.len(), pages.len(), "one is there twice: {:?}", pages);
        let after = keys(&collector, "");
        // What was there before is there, in the order in which it is in the end.
        let expected: Vec<_> = after.iter().filter(|key| pages.contains(key)).collect();
        prop_assert_eq!(pages.iter().collect::<Vec<_>>(), expected);
        prop_assert!(before.iter().all(|key| pages.contains(key)), "{:?} of {:?}", pages, before);
    }
}

/// The keys of the items of a list, in JSON or in lines of it.
fn keys_of(list: &Answer) -> Vec<String> {
    assert_eq!(list.status, 200, "{}", list.text());
    let key = |item: &serde_json::Value| item["key"].as_str().unwrap().to_owned();
    if list.header("content-type") == Some("application/json") {
        return list.json()["results"].as_array().unwrap().iter().map(key).collect();
    }
    list.text().lines().map(|line| key(&serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn of_pages_in_the_order_of_time_that_are_not_counted_no_more_is_read_than_they_take() {
    let mut collector = Collector::with(15, Kept::default(), Some(4));
    let flows: Vec<_> = (0..45).map(|at| ended(4 * at)).collect();
    for second in 0..=LENGTH {
        collector.report(&updates(&flows, second), second);
    }
    let get = |form: &str, order: &str, after: &str| {
        let path = format!("/api/v2alpha1/connections?timeRangeStart=0&limit=4&sortBy={order}&after={after}");
        collector.kept.given.store(0, Ordering::Relaxed);
        let page = keys_of(&collector.fixture.ask(request_with(&path, &[("accept", form)])));
        (page, collector.kept.given.load(Ordering::Relaxed))
    };
    let (mut after, mut all) = (String::new(), Vec::new());
    for page in 0..12 {
        let (lines, given) = get("application/x-ndjson", "startTime.asc", &after);
        let (counted, of_all) = get("application/json", "startTime.asc", &after);
        assert_eq!(lines, counted, "{after}");
        assert!(of_all >= 40, "{of_all}");
        // What starts in a minute, and the last item itself.
        assert!(given <= 17 || page == 11, "{given} after {after}");
        after = lines.last().cloned().unwrap_or_default().replace('@', "%40");
        all.extend(lines);
    }
    assert_eq!(all.len(), 45);
}

/// faults 28: a router is silent until then, and goes on; the connection ends much later.
#[test]
fn what_ends_again_as_its_router_came_back_is_there_once() {
    for back in [40, 70] {
        let mut collector = Collector::new(15, Kept::default());
        let flow = Flow { start: 10, lasts: 90, late: 0, has_error: false, octets: 3, has_request: false };
        for second in 0..=130 {
            let now = Timestamp::from_micros(EPOCH + second * SECOND);
            if second == 30 {
                collector.fixture.publisher.write().source_lost(collector.source, now, now);
            }
            if second == back {
                let mut store = collector.fixture.publisher.write();
                collector.source = store.source_seen("gv_ZW:0", SourceType::Router, now);
                drop(store);
                let again = updates(std::slice::from_ref(&flow), flow.start);
                collector.report(&again, second);
            } else {
                let is_heard = !(30..back).contains(&second);
                let updates =
                    if is_heard { updates(std::slice::from_ref(&flow), second) } else { Vec::new() };
                collector.report(&updates, second);
            }
        }
        let keys: Vec<_> = {
            let rows = collector.kept.rows.lock().unwrap();
            rows.iter().map(|(at, row)| tables()[*at].key(row).to_owned()).collect()
        };
        assert_eq!(keys.len(), 2, "an end was presumed, and came: {keys:?}");
        assert_eq!(keys[0], keys[1]);
        let end = EPOCH + 100 * SECOND;
        let list = collector.fixture.get("/api/v2alpha1/connections?timeRangeStart=0").json();
        assert_eq!((&list["count"], &list["results"][0]["endTime"]), (&1.into(), &end.into()), "{list}");
        let groups =
            "/api/v2alpha1/connections?timeRangeStart=0&groupBy=routingKey&aggregate=count,sum(octetCount)";
        let groups = collector.fixture.get(groups).json();
        assert_eq!(groups["results"][0]["count"], 1, "{groups}");
        let one = collector.fixture.get(&format!("/api/v2alpha1/connections/{}", keys[0])).json();
        assert_eq!(one["results"]["endTime"], end, "{one}");
    }
}

#[test]
fn a_page_after_nothing_that_is_kept_is_refused() {
    let mut collector = Collector::new(15, Kept::default());
    (0..30).for_each(|second| collector.report(&updates(&[ended(1)], second), second));
    for (query, error) in [
        (
            "connections?after=nobody",
            "`after` is `nobody`, but must be the `key` of an item that is still kept, or empty for the first page",
        ),
        ("connections?after=&groupBy=protocol", "`after` is for pages of items"),
        ("connections?after=&watch=1", "`after` is for pages of items"),
        ("sites?after=", "`after` is for lists of connections and requests"),
    ] {
        let answer = collector.fixture.get(&format!("/api/v2alpha1/{query}"));
        assert_eq!(answer.status, http::StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.json()["message"], error, "{query}");
    }
}

#[test]
fn a_tag_of_a_list_that_looks_back_holds_for_no_time() {
    let mut collector = Collector::new(15, Kept::default());
    for second in 0..60 {
        collector.report(&updates(&[ended(1)], second), second);
    }
    let path = "/api/v2alpha1/connections?timeRangeStart=-58s";
    let first = collector.fixture.get(path);
    assert_eq!(first.json()["count"], 1, "{}", first.text());
    let tag = first.header("etag").unwrap().to_owned();
    // Nothing is reported, and the row leaves the window.
    collector.report(&[], 70);
    let again = collector.fixture.ask(request_with(path, &[("if-none-match", &tag)]));
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["count"], 0, "{}", again.text());
}

/// faults 36
#[test]
fn steps_tell_apart_when_things_ended_and_have_nothing_that_is_open() {
    let mut collector = Collector::new(15, Kept::default());
    let flows: Vec<_> = [(1, 50, 3), (2, 57, 4), (3, 58, 2), (70, 5, 1), (90, 40, 5), (190, 60, 8)]
        .map(|(start, lasts, octets)| Flow { octets, lasts, ..ended(start) })
        .into();
    for second in 0..=LENGTH {
        collector.report(&updates(&flows, second), second);
    }
    let minute = |number: u64| (EPOCH / (60 * SECOND) + number) * 60 * SECOND;
    let all = format!("connections?timeRangeStart={EPOCH}");
    let rows = |query: &str| {
        serde_json::from_str::<serde_json::Value>(&collector.ask(query)).unwrap()["results"].clone()
    };
    let ends: Vec<_> = flows.iter().map(|flow| EPOCH + (flow.start + flow.lasts) * SECOND).collect();
    let plain = |from: u64, until: u64, step: u64| {
        let mut steps: std::collections::BTreeMap<u64, (u64, u64)> = std::collections::BTreeMap::new();
        for (flow, end) in flows.iter().zip(&ends) {
            if (from..=until).contains(end) && *end <= EPOCH + LENGTH * SECOND {
                let (count, octets) = steps.entry(end / step * step).or_default();
                (*count, *octets) = (*count + 1, *octets + flow.octets);
            }
        }
        let row = |(time, (count, octets))| serde_json::json!({ "time": time, "count": count, "sum(octetCount)": octets });
        serde_json::Value::Array(steps.into_iter().map(row).collect())
    };
    for step in [1, 7, 60, 120, 3600] {
        let expected = plain(EPOCH, u64::MAX, step * SECOND);
        assert_eq!(rows(&format!("{all}&step={step}s&aggregate=count,sum(octetCount)")), expected);
    }
    let until = minute(2);
    assert_eq!(
        rows(&format!("{all}&timeRangeEnd={until}&step=1m&aggregate=count,sum(octetCount)")),
        plain(EPOCH, until, 60 * SECOND)
    );
    assert_eq!(rows("connections?timeRangeStart=-1s&step=1m"), serde_json::json!([]));
    for (query, expected) in [
        ("step=90", "`step` is `90`, but must be a time of whole seconds, as in 1m, 1h or 1d"),
        ("step=1500ms", "`step` is `1500ms`, but must be a time of whole seconds, as in 1m, 1h or 1d"),
        ("step=0s", "`step` is `0s`, but must be a time of whole seconds, as in 1m, 1h or 1d"),
        (
            "step=1m&timeRangeOperation=within",
            "`timeRangeOperation` is not for steps, which are of what ended in the range",
        ),
        ("step=1m&fields=key", "`fields` is for items; what groups show, groupBy and aggregate say"),
    ] {
        let refused = collector.fixture.get(&format!("/api/v2alpha1/connections?{query}"));
        assert_eq!(refused.status, http::StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(refused.json()["message"], expected, "{query}");
    }
    let sites = collector.fixture.get("/api/v2alpha1/sites?step=1m");
    assert_eq!(sites.json()["message"], "`step` is for lists of connections and requests");
}

#[test]
fn an_answer_that_does_not_fit_in_memory_is_refused_and_its_pages_are_not() {
    let mut collector = Collector::with(15, Kept::default(), Some(4));
    let flows: Vec<_> = (0..30).map(|at| Flow { octets: at, ..ended(at) }).collect();
    for second in 0..=100 {
        collector.report(&updates(&flows, second), second);
    }
    let hint = "ask for a page of them, by limit and after, or for a shorter time";
    let all = "timeRangeStart=0";
    for (query, what) in [
        ("connections?", "connections"),
        ("applicationflows?sortBy=startTime.desc&", "requests"),
        ("connections?limit=5&", "connections"),
        ("connections?limit=3&offset=2&", "connections"),
        ("connections?after=&", "connections"),
        ("connections?step=1s&", "groups"),
        ("connections?groupBy=octetCount&", "groups, or numbers that percentiles are taken of,"),
    ] {
        let refused = collector.fixture.get(&format!("/api/v2alpha1/{query}{all}"));
        assert_eq!(refused.status, http::StatusCode::BAD_REQUEST, "{query}");
        let expected = format!(
            "there are more than 4 {what} that are not held any more in this answer, and they do not fit in memory: {hint}"
        );
        assert_eq!(refused.json()["message"], expected, "{query}");
    }
    let fits = [
        "limit=4&",
        "limit=2&offset=2&sortBy=octetCount.desc&",
        "after=&limit=4&",
        "limit=0&",
        "octetCount=7&",
        "groupBy=routingKey&aggregate=p95(octetCount)&",
        "step=1m&",
    ];
    for query in fits {
        let answer = collector.fixture.get(&format!("/api/v2alpha1/connections?{query}{all}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    }
    let page = collector.fixture.get(&format!("/api/v2alpha1/connections?limit=4&{all}")).json();
    assert_eq!((&page["count"], &page["timeRangeCount"]), (&4.into(), &30.into()));
}

#[test]
fn an_answer_that_reaches_back_to_what_was_removed_says_from_when_on_it_has_all() {
    let since = EPOCH + 40 * SECOND;
    let mut collector = Collector::new(15, Kept { since, ..Kept::default() });
    for second in 0..=LENGTH {
        collector.report(&updates(&[ended(50)], second), second);
    }
    for (form, query) in [
        ("application/json", ""),
        ("application/json", "&groupBy=routingKey&aggregate=p95(duration)"),
        ("application/json", "&after="),
        ("text/csv", ""),
        ("application/x-ndjson", "&limit=1"),
    ] {
        let get = |from: u64| {
            let path = format!("/api/v2alpha1/connections?timeRangeStart={from}{query}");
            collector.fixture.ask(request_with(&path, &[("accept", form)]))
        };
        let (short, whole) = (get(since - 1), get(since));
        assert_eq!(short.header("vanflow-answered-from"), Some(&*since.to_string()), "{form} {query}");
        assert_eq!(whole.header("vanflow-answered-from"), None, "{form} {query}");
        assert_eq!(short.header("vanflow-answered-until"), None, "{form} {query}");
        if form == "application/json" {
            assert_eq!(short.json()["answeredFrom"], since);
            assert_eq!(whole.json().get("answeredFrom"), None);
        }
    }
}

#[test]
fn a_history_that_cannot_be_read_is_an_error_and_no_short_answer() {
    let mut collector = Collector::new(15, Kept { is_damaged: true, ..Kept::default() });
    collector.report(&updates(&[ended(1)], 1), 1);
    let one = collector.fixture.get("/api/v2alpha1/connections/nobody");
    assert_eq!(
        (one.status, one.text().contains("7.parquet")),
        (http::StatusCode::INTERNAL_SERVER_ERROR, true),
        "{}",
        one.text()
    );
    let lately = collector.fixture.get("/api/v2alpha1/connections?state=active");
    assert_eq!(lately.status, 200, "nothing that is over is asked for");
    let answer = collector.fixture.get(&format!("/api/v2alpha1/connections?timeRangeStart={EPOCH}"));
    assert_eq!(answer.status, 500);
    assert_eq!(
        answer.text(),
        "{\"code\":\"ErrInternal\",\"message\":\"a part of the history cannot be read: connections/7.parquet: it is \
         torn\"}\n"
    );
}

#[test]
fn a_start_that_is_reported_after_the_end_makes_no_second_row() {
    let end = |start: Option<u64>| {
        let update = UpdateBuf::new(RecordKind::BiflowTport, "gv_ZW:77")
            .with(Attribute::Parent, "gv_ZW:1")
            .with(Attribute::Connector, "gv_ZW:2")
            .with(Attribute::EndTime, EPOCH + 3 * SECOND);
        start.map_or(update.clone(), |start| update.with(Attribute::StartTime, start))
    };
    for at_once in [true, false] {
        let mut collector = Collector::new(100, Kept::default());
        collector.report(&[end(None)], 3);
        if !at_once {
            collector.report(&[], 4);
        }
        collector.report(&[end(Some(EPOCH))], 5);
        collector.report(&[], 6);
        collector.report(&[], 7);
        let rows = collector.kept.rows.lock().unwrap();
        let key = tables()[0].key(&rows[0].1).to_owned();
        let start = if at_once { EPOCH } else { 0 };
        assert_eq!((rows.len(), key), (1, format!("gv_ZW:77@{start}")));
        assert_eq!(collector.ended.missed(), 0);
    }
}

#[test]
fn what_is_not_held_any_more_is_found_by_its_identity_or_key() {
    let mut collector = Collector::new(15, Kept::default());
    for second in 0..6 {
        collector.report(&updates(&[ended(1)], second), second);
    }
    let id = collector.fixture.get("/api/v2alpha1/connections").json()["results"][0]["identity"].clone();
    let path = |name: &str| format!("/api/v2alpha1/connections/{name}");
    let held = collector.fixture.get(&path(id.as_str().unwrap())).json();
    collector.report(&[], 60);
    let list = collector.fixture.get("/api/v2alpha1/connections?timeRangeStart=0").json();
    assert_eq!(list["count"], 1, "{list}");
    let key = list["results"][0]["key"].as_str().unwrap().to_owned();
    for name in [id.as_str().unwrap(), &key] {
        let past = collector.fixture.get(&path(name));
        assert_eq!(past.json(), held, "{}", past.text());
    }
    let request = collector.fixture.get("/api/v2alpha1/applicationflows?timeRangeStart=0").json();
    let request = request["results"][0]["key"].as_str().unwrap().to_owned();
    let found = collector.fixture.get(&format!("/api/v2alpha1/applicationflows/{request}"));
    assert_eq!(found.json()["results"]["key"], request);
    for other in [path("nobody"), path(&request), "/api/v2alpha1/sites/nobody".to_owned()] {
        assert_eq!(collector.fixture.get(&other).status, 404, "{other}");
    }
}

#[test]
fn the_verdict_and_the_metrics_say_what_is_kept() {
    let mut collector = Collector::new(15, Kept::default());
    for second in 0..60 {
        collector.report(&updates(&[ended(1)], second), second);
    }
    let verdict = collector.fixture.get("/api/v1/verdict").json();
    let list = collector.fixture.get("/api/v2alpha1/connections?timeRangeStart=0").json();
    let since = &list["results"][0]["endTime"];
    let kept = |kind: &str| serde_json::json!({ "kind": kind, "rows": 1, "octets": 7, "since": since });
    let events = serde_json::json!({ "kind": "events", "rows": 0, "octets": 7 });
    assert_eq!(verdict["ended"], serde_json::json!([kept("connections"), kept("requests"), events]));
    let metrics = collector.fixture.get("/metrics").text().to_owned();
    for line in [
        "vanflow_collector_ended_rows{kind=\"requests\"} 1",
        "vanflow_collector_ended_bytes{kind=\"connections\"} 7",
        "vanflow_collector_ended_memory_bytes{kind=\"connections\"} 5",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let without = Fixture::with_options(Store::new(StoreOptions::default()), ApiOptions::default());
    assert_eq!(without.get("/api/v1/verdict").json().get("ended"), None);
    assert!(!without.get("/metrics").text().contains("vanflow_collector_ended_"));
}
