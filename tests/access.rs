//! Collectors that ask who may look, over HTTP.

use std::{fs, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1, http::response::Parts};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{interval, timeout},
};

use crate::support::{Collector, PATIENCE};

/// ann, whose password is `correct horse`.
const ANN: &str = "ann:$2y$04$6iOx4S19.qyngEBDoPVU4.fNSRhT/k5Y.8E35u5rdTm7hnEzcszTK\n";

/// ci, whose token is `correct-horse`.
const CI: &str = "ci:9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163\n";

/// `ann:correct horse`, in Base64.
const BASIC: &str = "Basic YW5uOmNvcnJlY3QgaG9yc2U=";

async fn send(collector: &Collector, request: Request<Full<Bytes>>) -> (Parts, String) {
    let stream = TcpStream::connect(collector.address()).await.expect("it listens");
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.expect("it speaks HTTP");
    tokio::spawn(connection);
    let answering = async {
        let (parts, body) = client.send_request(request).await.expect("it answers").into_parts();
        (parts, body.collect().await.expect("a whole answer").to_bytes())
    };
    let (parts, body) = timeout(PATIENCE, answering).await.expect("it answers in time");
    (parts, String::from_utf8_lossy(&body).into_owned())
}

async fn get(collector: &Collector, path: &str, header: Option<(&str, &str)>) -> (u16, String) {
    let mut request = Request::get(path).header("host", "localhost");
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let (parts, body) = send(collector, request.body(Full::default()).expect("a request")).await;
    (parts.status.as_u16(), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_answers_whom_its_files_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let (users, tokens) = (directory.path().join("users"), directory.path().join("tokens"));
    fs::write(&users, ANN).expect("writes");
    fs::write(&tokens, CI).expect("writes");
    let (users, tokens) = (format!("htpasswd={}", users.display()), format!("tokens={}", tokens.display()));
    let options = ["--demo", "--auth", &users, "--auth", &tokens, "--metrics-listen", "127.0.0.1:0"];
    let collector = Collector::start(options).await;
    assert_eq!(get(&collector, "/healthz", None).await.0, 200);
    assert_eq!(get(&collector, "/api/v1/verdict", None).await.0, 401);
    assert_eq!(get(&collector, "/metrics", None).await.0, 401);
    assert_eq!(get(&collector, "/api/v1/verdict", Some(("authorization", BASIC))).await.0, 200);
    assert_eq!(get(&collector, "/metrics", Some(("authorization", "Bearer correct-horse"))).await.0, 200);
    let metrics = TcpStream::connect(collector.metrics_address()).await.expect("it listens");
    let (parts, _) = crate::support::ask(metrics, "/metrics").await;
    assert_eq!(parts.status, 200, "its own listener asks nobody");

    let form = "user=ann&password=correct+horse";
    let request = Request::post("/login").header("host", "localhost");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.into());
    let (parts, _) = send(&collector, request.expect("a request")).await;
    assert_eq!(parts.status, 204);
    let cookie = parts.headers["set-cookie"].to_str().expect("text").split(';').next().expect("a cookie");
    let (status, body) = get(&collector, "/api/v2alpha1/user", Some(("cookie", cookie))).await;
    assert_eq!((status, body.as_str()), (200, "{\"username\":\"ann\",\"authType\":\"session\"}\n"));

    // Who is removed is let in no more, as soon as the file was looked at.
    fs::write(directory.path().join("users"), ANN.replace("ann:", "bert:")).expect("writes");
    let waiting = async {
        let mut pace = interval(Duration::from_millis(100));
        while get(&collector, "/view/", Some(("cookie", cookie))).await.0 == 200 {
            pace.tick().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the file is looked at");
    assert_eq!(get(&collector, "/api/v1/verdict", Some(("authorization", BASIC))).await.0, 401);
    collector.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_asks_nobody_says_so_on_its_page() {
    let local = Collector::start(["--demo"]).await;
    assert_eq!(get(&local, "/api/v2alpha1/user", None).await, (204, String::new()));
    local.leave().await;
    let open = Collector::start(["--demo", "--insecure-no-auth"]).await;
    let (status, body) = get(&open, "/api/v2alpha1/user", None).await;
    assert_eq!((status, body.as_str()), (200, "{\"username\":\"\",\"authType\":\"none\"}\n"));
    open.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_a_line_of_the_access_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let (users, file) = (directory.path().join("users"), directory.path().join("access"));
    fs::write(&users, ANN).expect("writes");
    let (users, log) = (format!("htpasswd={}", users.display()), file.display().to_string());
    let options = ["--demo", "--auth", &users, "--access-log", &log, "--access-log-format", "json"];
    let collector = Collector::start(options).await;
    let path = "/api/v1/verdict?nothing=1&token=sesame";
    let (status, _) = get(&collector, path, None).await;
    let (_, body) = get(&collector, "/openapi.json", Some(("authorization", BASIC))).await;
    let wrong = "Basic YW5uOnNlc2FtZQ==";
    assert_eq!((status, get(&collector, "/", Some(("authorization", wrong))).await.0), (401, 401));
    collector.leave().await;
    let text = fs::read_to_string(&file).expect("it was written before all ended");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [unknown, known, refused] = lines.as_slice() else { panic!("{text}") };
    assert_eq!((&unknown["path"], &unknown["status"]), (&"/api/v1/verdict".into(), &401.into()));
    assert_eq!(
        (&unknown["query"], &unknown["user"]),
        (&"nothing=1&token=***".into(), &serde_json::Value::Null)
    );
    assert_eq!(
        (&known["user"], &known["octets"], &known["whole"]),
        (&"ann".into(), &body.len().into(), &true.into())
    );
    assert_eq!((&known["client"], &refused["user"]), (&"127.0.0.1".into(), &serde_json::Value::Null));
    assert!(!text.contains("sesame") && !text.contains("YW5u"), "{text}");
}
