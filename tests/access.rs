//! Collectors that ask who may look, over HTTP.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1, http::response::Parts};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{interval, sleep, timeout},
};
use tokio_rustls::TlsConnector;

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

/// Asks on behalf of ann at that address, as a proxy does, from an address of this machine.
async fn ask_as_proxy(
    collector: &Collector,
    from: &str,
    client: &str,
    path: &str,
) -> (http1::SendRequest<Full<Bytes>>, hyper::Response<hyper::body::Incoming>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(from.parse().expect("an address"), 0)).expect("it is of this machine");
    let stream = socket.connect(collector.address()).await.expect("it listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("it speaks HTTP");
    tokio::spawn(connection);
    // What the client sent of that stands before what the proxy adds.
    let request = Request::get(path)
        .header("host", "localhost")
        .header("x-forwarded-user", "ann")
        .header("x-forwarded-for", format!("203.0.113.1, {client}"));
    let asking = sender.send_request(request.body(Full::default()).expect("a request"));
    let response = timeout(PATIENCE, asking).await.expect("it answers in time").expect("it answers");
    (sender, response)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_a_proxy_are_known_and_bounded_each_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("access");
    let log = log.to_str().expect("UTF-8");
    let options = ["--demo", "--auth", "proxy=127.0.0.1", "--connections", "16", "--client-connections", "2"];
    let more = ["--access-log", log, "--access-log-format", "json", "--metrics-listen", "127.0.0.1:0"];
    let collector = Collector::start(options.into_iter().chain(more)).await;
    let text = async |response: hyper::Response<hyper::body::Incoming>| {
        let status = response.status().as_u16();
        let body = timeout(PATIENCE, response.into_body().collect())
            .await
            .expect("in time")
            .expect("a whole answer");
        (status, String::from_utf8_lossy(&body.to_bytes()).into_owned())
    };
    let proxied = async |client: &str| {
        let (_open, response) = ask_as_proxy(&collector, "127.0.0.1", client, "/api/v2alpha1/user").await;
        text(response).await
    };

    let unknown =
        "{\"error\":\"this collector has to know who asks: come by the proxy that is in front of it\"}\n";
    assert_eq!(get(&collector, "/api/v2alpha1/user", None).await, (403, unknown.to_owned()));
    let (_open, response) = ask_as_proxy(&collector, "127.0.0.2", "192.0.2.7", "/api/v2alpha1/user").await;
    assert_eq!(text(response).await, (403, unknown.to_owned()), "anybody can say who they are");
    let known = (200, "{\"username\":\"ann\",\"authType\":\"proxy\"}\n".to_owned());
    assert_eq!(proxied("192.0.2.7").await, known);

    // The proxy has more connections than a client may, and one client of it not more than that.
    let stream = "/api/v1/stream?verdict=v1%2Fverdict";
    let mut open = Vec::new();
    for client in ["192.0.2.7", "192.0.2.7", "192.0.2.8", "192.0.2.9"] {
        let (sender, response) = ask_as_proxy(&collector, "127.0.0.1", client, stream).await;
        assert_eq!(response.status(), 200, "{client}");
        open.push((sender, response));
    }
    let refused =
        "{\"error\":\"too many requests of this client at a time: ask again when some are answered\"}\n";
    assert_eq!(proxied("192.0.2.7").await, (503, refused.to_owned()));
    assert_eq!(proxied("192.0.2.8").await, known, "it has only one");
    let metrics = TcpStream::connect(collector.metrics_address()).await.expect("it listens");
    let (_, metrics) = crate::support::ask(metrics, "/metrics").await;
    let metrics = timeout(PATIENCE, metrics.collect()).await.expect("in time").expect("a whole answer");
    let metrics = String::from_utf8_lossy(&metrics.to_bytes()).into_owned();
    assert!(
        metrics.contains("\nvanflow_collector_http_turned_away_total{reason=\"requests\"} 1\n"),
        "{metrics}"
    );
    if cfg!(target_os = "linux") {
        let resident = metrics.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        let resident: f64 = resident.and_then(|octets| octets.parse().ok()).expect("Linux says what it is");
        assert!(resident > f64::from(1 << 20), "{resident}");
    }
    open.clear();
    let waiting = async {
        let mut pace = interval(Duration::from_millis(100));
        while proxied("192.0.2.7").await.0 == 503 {
            pace.tick().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("what is over does not count");
    collector.leave().await;
    let log = fs::read_to_string(log).expect("it was written before all ended");
    let of =
        |client: &str| log.lines().filter(|line| line.contains(&format!("\"client\":\"{client}\""))).count();
    assert!(
        of("192.0.2.7") > 3 && of("192.0.2.8") == 2 && of("192.0.2.9") == 1 && of("127.0.0.2") == 1,
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_or_not_let_in_is_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let (users, tokens) = (directory.path().join("users"), directory.path().join("tokens"));
    fs::write(&users, ANN).expect("writes");
    fs::write(&tokens, CI).expect("writes");
    let (users, tokens) = (format!("htpasswd={}", users.display()), format!("tokens={}", tokens.display()));
    let options = ["--demo", "--auth", &users, "--auth", &tokens, "--watches", "1"];
    let collector = Collector::start(options).await;
    let show =
        async |header: &str| get(&collector, "/api/v1/verdict", Some(("authorization", header))).await.0;
    // Wrong passwords of somebody who is known and of somebody who is not, and tokens, until none is looked at any more.
    for header in ["Basic YW5uOnNlc2FtZQ==", "Basic Ym9iOnNlc2FtZQ==", "Bearer sesame"] {
        assert_eq!(show(header).await, 401, "{header}");
    }
    for _ in 3..10 {
        assert_eq!(show("Bearer sesame").await, 401);
    }
    assert_eq!(show("Bearer sesame").await, 429);
    let bearer = "Bearer correct-horse";
    let stream = Request::get("/api/v1/stream?verdict=v1%2Fverdict").header("host", "localhost");
    let stream = stream.header("authorization", bearer).body(Full::<Bytes>::default()).expect("a request");
    let connected = TcpStream::connect(collector.address()).await.expect("it listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(connected)).await.expect("it speaks HTTP");
    tokio::spawn(connection);
    let held = sender.send_request(stream).await.expect("it answers");
    assert_eq!(held.status(), 200);
    let second = get(&collector, "/api/v1/stream?map=v1%2Fmap", Some(("authorization", bearer))).await;
    assert_eq!(second.0, 503);
    let (status, metrics) = get(&collector, "/metrics", Some(("authorization", bearer))).await;
    assert_eq!(status, 200, "{metrics}");
    for (metric, reason, count) in [
        ("failed_log_ins", "password", 1),
        ("failed_log_ins", "user", 1),
        ("failed_log_ins", "token", 8),
        ("http_turned_away", "attempts", 1),
        ("http_turned_away", "watches", 1),
        ("http_turned_away", "connections", 0),
    ] {
        let line = format!("\nvanflow_collector_{metric}_total{{reason=\"{reason}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
    drop(held);
    collector.leave().await;

    // Where nobody is asked who they are, names are looked at.
    let open = Collector::start(["--demo"]).await;
    let foreign = Request::get("/").header("host", "evil.example").body(Full::default()).expect("a request");
    assert_eq!(send(&open, foreign).await.0.status, 421);
    let (_, metrics) = get(&open, "/metrics", None).await;
    let line = "\nvanflow_collector_http_turned_away_total{reason=\"host\"} 1\n";
    assert!(metrics.contains(line), "{line} is not in {metrics}");
    open.leave().await;
}

/// An authority, and what it issues.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for that name, and its key.
    fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }
}

/// What a collector answers to whoever shows that certificate; nothing where it does not let them connect.
async fn user_with(
    collector: &Collector,
    trusted: &Authority,
    shown: Option<&(Certificate, KeyPair)>,
) -> Option<(u16, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem.as_bytes()).expect("PEM")).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
            config.with_client_auth_cert(vec![certificate.der().clone()], key).expect("they fit")
        }
    };
    let stream = TcpStream::connect(collector.address()).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request =
        Request::get("/api/v2alpha1/user").header("host", "localhost").body(Full::<Bytes>::default());
    let response = timeout(PATIENCE, client.send_request(request.expect("a request"))).await;
    let (parts, body) = response.expect("it answers in time").ok()?.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    Some((parts.status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_right_authority_says_who_asks() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("writes");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (authority, other) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.issue("localhost");
    let (certificate, key) = (file("tls.crt", &certificate.pem()), file("tls.key", &key.serialize_pem()));
    let clients = file("clients.crt", &authority.pem);
    let collector = Collector::start([
        "--demo",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--tls-client-ca",
        &clients,
        "--auth",
        "certificate",
    ])
    .await;
    let ann = authority.issue("Ann Other");
    assert_eq!(
        user_with(&collector, &authority, Some(&ann)).await,
        Some((200, "{\"username\":\"Ann Other\",\"authType\":\"certificate\"}\n".to_owned()))
    );
    let nobody = user_with(&collector, &authority, None).await;
    assert_eq!(
        nobody,
        Some((
            403,
            "{\"error\":\"this collector has to know who asks: show a certificate that its authority issued\"}\n".to_owned()
        ))
    );
    let mallory = other.issue("Ann Other");
    assert_eq!(user_with(&collector, &authority, Some(&mallory)).await, None, "they do not get to ask");
    collector.leave().await;
}

/// What the command line says, and its exit code.
async fn vflow(line: &str) -> (String, String, u8) {
    let surroundings = vflow::Surroundings {
        zone: vflow::Zone::Utc,
        width: None,
        out_is_terminal: false,
        err_is_terminal: false,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let words = line.split(' ').map(Into::into);
    let code = vflow::run(words, &surroundings, &mut out, &mut err).await;
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("text");
    (text(out), text(err), code)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_logs_in_and_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("writes");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (users, tokens) = (file("users", ANN), file("tokens", CI));
    let (right, wrong, token) =
        (file("right", "correct horse\n"), file("wrong", "x"), file("token", "correct-horse\n"));
    let (users, tokens) = (format!("htpasswd={users}"), format!("tokens={tokens}"));
    let collector = Collector::start(["--demo", "--auth", &users, "--auth", &tokens]).await;
    collector.ready().await;
    let url = format!("http://{}", collector.address());
    let state = directory.path().join("state");
    let with = format!("--server {url} --state {}", state.display());
    let asked = format!("vflow sites -o ndjson {with}");

    let (_, said, code) = vflow(&asked).await;
    let expected =
        "refuses to answer (HTTP 401): log in by `vflow login`, or name yourself by --user or --token-file";
    assert_eq!((said, code), (format!("error: {url} {expected}\n"), 2));
    let (_, said, code) = vflow(&format!("vflow login --user ann --password-file {wrong} {with}")).await;
    let expected = format!("error: not logged in to {url} (HTTP 401): The name or the password is wrong.\n");
    assert_eq!((said, code), (expected, 2));
    let (_, said, code) = vflow(&format!("vflow login --user ann --password-file {right} {with}")).await;
    assert_eq!((said, code), (format!("logged in to {url} as ann, for 12 h\n"), 0));
    let held = fs::read_to_string(state.join("sessions.json")).expect("it is kept");
    assert!(!held.contains("correct"), "{held}");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("sessions.json"))), (0o700, 0o600));
    // Sources are discovered one after the other: it can be ready before it knows every site.
    let all = async {
        while vflow(&asked).await.0.lines().count() < 3 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, all).await.expect("the sites are answered");
    assert_eq!(vflow(&asked).await.2, 0);

    let (_, said, code) = vflow(&format!("vflow logout {with}")).await;
    assert_eq!((said, code), (format!("logged out of {url}\n"), 0));
    assert_eq!(vflow(&asked).await.2, 2);
    let (_, said, code) = vflow(&format!("vflow logout {with}")).await;
    assert_eq!((said, code), (format!("there is no session of {url}\n"), 0));

    // The same without a session, and a session with a token.
    assert_eq!(vflow(&format!("{asked} --user ann --password-file {right}")).await.2, 0);
    assert_eq!(vflow(&format!("{asked} --token-file {token}")).await.2, 0);
    let (_, said, code) = vflow(&format!("vflow login --token-file {token} {with}")).await;
    assert_eq!((said, code), (format!("logged in to {url}, for 12 h\n"), 0));
    assert_eq!(vflow(&asked).await.2, 0);
    collector.leave().await;

    let open = Collector::start(["--demo"]).await;
    let url = format!("http://{}", open.address());
    let line =
        format!("vflow login --user ann --password-file {right} --server {url} --state {}", state.display());
    let (_, said, code) = vflow(&line).await;
    assert_eq!(code, 2);
    assert!(
        said.ends_with("there is nothing to log in to: it asks nobody who they are, or not so\n"),
        "{said}"
    );
    open.leave().await;
}
