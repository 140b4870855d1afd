mod random;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Response, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use insta::assert_snapshot;
use tempfile::TempDir;
use tokio::{net::TcpListener, time::interval};
use vanflow_history::rows::{Column, ColumnKind, Condition, Is, Span, Summed, Sums, Value, Wanted};

use super::{outbox::Counts, *};

const AT: u64 = 1_795_662_840_123_456;

fn place(cluster: Option<&str>) -> Place {
    Place {
        database: "van".to_owned(),
        cluster: cluster.map(str::to_owned),
        keep: Some(Duration::from_secs(90 * 24 * 60 * 60)),
    }
}

/// A table with a column of each kind.
fn things() -> Table {
    let columns = [
        ("atSea", ColumnKind::Truth),
        ("endTime", ColumnKind::Instant),
        ("identity", ColumnKind::Text),
        ("key", ColumnKind::Text),
        ("octetCount", ColumnKind::Number),
        ("protocol", ColumnKind::Text),
        ("routingKey", ColumnKind::Text),
        ("sourceHost", ColumnKind::Text),
        ("startTime", ColumnKind::Instant),
        ("traceSites", ColumnKind::Texts),
        ("network", ColumnKind::Text),
    ];
    Table {
        name: "things",
        columns: columns.map(|(name, kind)| Column { name, kind }).to_vec(),
        key: 3,
        identity: 2,
        end: 1,
        order: vec![6],
        sums: Sums {
            keys: vec![6, 5],
            numbers: vec![Summed { column: 4, known: Some(0) }, Summed { column: 1, known: None }],
            start: Some(8),
            replaces: None,
        },
    }
}

fn made(place: &Place) -> String {
    tables::made(place, &things()).join(";\n\n")
}

#[test]
fn tables_are_made_by_these_statements() {
    assert_snapshot!("tables", made(&place(None)));
    assert_snapshot!("tables_in_a_cluster", made(&place(Some("three"))));
    let readers = [None, Some("three")].map(|cluster| tables::reader(&place(cluster), "reader").join(";\n"));
    assert_eq!(
        readers.join("\n"),
        "CREATE USER IF NOT EXISTS `reader` SETTINGS readonly = 1;\n\
         GRANT SELECT ON `van`.* TO `reader`\n\
         CREATE USER IF NOT EXISTS `reader` ON CLUSTER `three` SETTINGS readonly = 1;\n\
         GRANT ON CLUSTER `three` SELECT ON `van`.* TO `reader`"
    );
}

#[test]
fn without_a_time_to_keep_them_rows_stay() {
    let place = Place { keep: None, ..place(None) };
    assert!(!made(&place).contains("TTL"), "{}", made(&place));
}

/// A row as there are in the ClickHouse.
fn row(table: &Table, key: &str) -> Row {
    let value = |name: &str| match name {
        "key" | "identity" => Value::Text(key.into()),
        "endTime" => Value::Number(AT),
        _ => Value::None,
    };
    Row { values: table.columns.iter().map(|column| value(column.name)).collect() }
}

fn requests() -> Table {
    tables::extended(&history_tables()[1])
}

#[test]
fn what_is_in_the_outbox_is_there_after_a_restart_and_what_is_too_much_goes_oldest_first_and_is_counted() {
    // faults 37
    let folder = TempDir::new().unwrap();
    let table = requests();
    let outbox = Outbox::open(folder.path(), u64::MAX).unwrap();
    for number in 0..5 {
        let rows: Vec<_> = (0..=number).map(|row_of| row(&table, &format!("{number}:{row_of}@7"))).collect();
        outbox.put(&table, &rows, AT + number).unwrap();
    }
    let before = outbox.waiting();
    assert_eq!(before.iter().map(|batch| batch.rows).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(outbox.counts(), Counts { sent: 0, lost: 0, waiting: 15 });
    outbox.sent(&before[1]).unwrap();
    outbox.sent(&before[1]).unwrap();
    assert_eq!(outbox.counts(), Counts { sent: 2, lost: 0, waiting: 13 });

    // Of another process: what it had not finished is nothing, what is none of ours is left alone.
    fs::write(folder.path().join("01-requests-9-aa.unfinished"), "torn").unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let most: u64 = before[2..].iter().map(|batch| batch.octets).sum();
    let outbox = Outbox::open(folder.path(), most).unwrap();
    assert_eq!(outbox.waiting(), [&before[..1], &before[2..]].concat());
    assert!(folder.path().join("notes.txt").exists());
    outbox.put(&table, &[row(&table, "last@7")], AT + 9).unwrap();
    let rows: Vec<_> = outbox.waiting().iter().map(|batch| batch.rows).collect();
    assert_eq!(rows, [4, 5, 1]);
    assert_eq!(outbox.counts(), Counts { sent: 0, lost: 4, waiting: 10 });
    assert_eq!(outbox.read(&before[0]).unwrap(), None);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}

/// A server that takes what it is asked, in that many ways.
#[derive(Clone, Default)]
struct Played(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What it answers, where that is not what it was asked for: so many times.
    failing: Vec<StatusCode>,
    statements: Vec<String>,
    /// The batches that came, by their tokens, and how often.
    batches: BTreeMap<String, usize>,
    credentials: BTreeSet<(String, String)>,
}

impl Played {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        assert!(parts.headers.contains_key("content-length"), "a ClickHouse refuses it");
        let body = body.collect().await.unwrap().to_bytes();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let given: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let header = |name| parts.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let mut state = self.0.lock().unwrap();
        state.credentials.insert((header("x-clickhouse-user"), header("x-clickhouse-key")));
        let statement = given["query"].clone();
        if let Some(token) = given.get("insert_deduplication_token") {
            assert_eq!(&body[..4], b"PAR1");
            assert!(statement.ends_with(") FORMAT Parquet"), "{statement}");
            *state.batches.entry(token.clone()).or_default() += 1;
        }
        let status = state.failing.pop().unwrap_or(StatusCode::OK);
        if status.is_success() {
            state.statements.push(statement);
        }
        let mut response =
            Response::new(Full::new(Bytes::from_static(b"Code: 1. DB::Exception: so it is\nmore")));
        *response.status_mut() = status;
        response
    }

    async fn listen(&self, address: SocketAddr) -> (SocketAddr, CancellationToken) {
        // Who listened there before may not have left yet.
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let address = listener.local_addr().unwrap();
        let (played, ends) = (self.clone(), CancellationToken::new());
        let end = ends.clone();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    () = end.cancelled() => return,
                };
                let played = played.clone();
                let service = service_fn(move |request| {
                    let played = played.clone();
                    async move { Ok::<_, Infallible>(played.answer(request).await) }
                });
                let serving = http1::Builder::new().serve_connection(TokioIo::new(accepted), service);
                let end = end.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = serving => {}
                        () = end.cancelled() => {}
                    }
                });
            }
        });
        (address, ends)
    }
}

fn sender(folder: &TempDir, address: SocketAddr) -> Exporter {
    Exporter::open(settings(folder, format!("http://{address}")), Arc::default()).unwrap()
}

fn settings(folder: &TempDir, url: String) -> config::ClickHouse {
    fs::write(folder.path().join("password"), "open sesame\n").unwrap();
    config::ClickHouse {
        url,
        database: "van".to_owned(),
        user: Some("writer".to_owned()),
        password_file: Some(folder.path().join("password")),
        reader: None,
        reader_password_file: None,
        ca: None,
        cluster: None,
        keep: None,
        outbox: folder.path().join("outbox"),
        outbox_octets: u64::MAX,
        network: Some("van".to_owned()),
        observer: None,
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let mut pace = interval(Duration::from_millis(10));
    timeout(Duration::from_secs(60), async {
        while !is_so() {
            pace.tick().await;
        }
    })
    .await
    .expect("it becomes so");
}

#[tokio::test]
async fn what_a_server_does_not_take_waits_and_is_sent_under_its_name_until_it_is_taken() {
    // faults 37
    let folder = TempDir::new().unwrap();
    let played = Played::default();
    // Nobody is there.
    let (address, ends) = played.listen("127.0.0.1:0".parse().unwrap()).await;
    ends.cancel();
    let Exporter { sender, packer, .. } = sender(&folder, address);
    let (outbox, is_filled) = (packer.outbox, packer.is_filled);
    let table = requests();
    for number in 0..3 {
        outbox.put(&table, &[row(&table, &format!("a:{number}@7"))], AT + number).unwrap();
    }
    let names: Vec<_> = outbox.waiting().into_iter().map(|batch| batch.name).collect();
    let packed = CancellationToken::new();
    let sending = tokio::spawn(sender.send(packed.clone()));

    // It comes, is busy, does not take a batch, and then takes all.
    played.0.lock().unwrap().failing = vec![StatusCode::BAD_REQUEST, StatusCode::SERVICE_UNAVAILABLE];
    let (_, ends) = played.listen(address).await;
    until(|| outbox.counts().sent == 3).await;
    {
        let state = played.0.lock().unwrap();
        assert_eq!(state.batches.keys().cloned().collect::<Vec<_>>(), names);
        assert_eq!(
            state.credentials.iter().cloned().collect::<Vec<_>>(),
            [("writer".to_owned(), "open sesame".to_owned())]
        );
        let first = state.statements.iter().position(|text| text.starts_with("INSERT")).unwrap();
        assert!(
            state.statements[..first]
                .iter()
                .any(|text| text.starts_with("CREATE TABLE IF NOT EXISTS `van`.`requests`"))
        );
    }

    // It refuses one of two: that stays, and is sent again.
    played.0.lock().unwrap().failing = vec![StatusCode::BAD_REQUEST];
    for number in 3..5 {
        outbox.put(&table, &[row(&table, &format!("a:{number}@7"))], AT + number).unwrap();
    }
    let refused = outbox.waiting()[0].name.clone();
    is_filled.notify_one();
    until(|| outbox.counts().sent == 5).await;
    assert_eq!(played.0.lock().unwrap().batches[&refused], 2);

    // It goes, and the collector leaves: the rest is there for the next.
    ends.cancel();
    outbox.put(&table, &[row(&table, "a:9@7")], AT + 9).unwrap();
    is_filled.notify_one();
    packed.cancel();
    sending.await.unwrap();
    let left = Outbox::open(&folder.path().join("outbox"), u64::MAX).unwrap().waiting();
    assert_eq!(left.iter().map(|batch| batch.rows).collect::<Vec<_>>(), [1]);
}

#[test]
fn rows_are_packed_by_table_with_whose_they_are() {
    let folder = TempDir::new().unwrap();
    let mut packer = sender(&folder, "127.0.0.1:9".parse().unwrap()).packer;
    let plain = history_tables();
    packer.waiting =
        (0..7).map(|number| (number % 2, row(&plain[number % 2], &format!("a:{number}@7")))).collect();
    packer.pack(AT).unwrap();
    assert!(packer.waiting.is_empty());
    let waiting: Vec<_> =
        packer.outbox.waiting().into_iter().map(|batch| (batch.table, batch.rows)).collect();
    assert_eq!(waiting, [("connections".to_owned(), 4), ("requests".to_owned(), 3)]);
}

fn whose() -> Whose {
    Whose { network: "van".to_owned(), observer: "west".to_owned() }
}

#[test]
fn questions_are_names_of_columns_and_parameters_and_nothing_else() {
    let odd = "it's \\ {p0:String}\t\"`\n";
    let wanted = Wanted::all("things", Span { from: AT, until: u64::MAX })
        .of_columns(vec!["routingKey"])
        .with(Condition { column: "routingKey", is: Is::OneOf(vec!["a".into(), odd.into()]) })
        .with(Condition { column: "protocol", is: Is::Beginning(vec!["t".into()]) })
        .with(Condition { column: "octetCount", is: Is::Within(7, u64::MAX) })
        .with(Condition { column: "startTime", is: Is::Within(0, AT) })
        .with(Condition { column: "later", is: Is::Within(0, 9) });
    let listed = reading::listing(&place(None), &things(), &whose(), &wanted).unwrap();
    assert_snapshot!("listing", listed.text);
    let values: Vec<_> = listed.parameters.iter().map(|(_, value)| &**value).collect();
    assert_eq!(
        values,
        [
            "van",
            "west",
            "1795662840123456",
            "10413791999999999",
            "a",
            "it's \\\\ {p0:String}\\t\"`\\n",
            "t",
            "7",
            "18446744073709551615",
            "0",
            "1795662840123456",
        ]
    );
    let found = reading::finding(&place(None), &things(), &whose(), odd);
    assert_snapshot!("finding", found.text);
    assert_eq!(found.parameters.last().unwrap().1, "it's \\\\ {p0:String}\\t\"`\\n");

    // A column that the table has not has no text.
    let nothing = wanted.with(Condition { column: "later", is: Is::OneOf(vec!["x".into()]) });
    assert_eq!(reading::listing(&place(None), &things(), &whose(), &nothing), None);
}
