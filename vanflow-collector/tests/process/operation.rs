//! The collector as it is operated: a file with its options, a check of them, a supervisor that waits for it, a job that
//! makes its secret.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixDatagram,
    process::Command,
    sync::{Arc, mpsc},
    thread,
};

use crate::support::{Process, command, get, identity, output};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

#[test]
fn options_come_from_the_command_line_then_the_environment_then_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("collector.toml");
    fs::write(&file, "listen = \"127.0.0.1:1\"\ndemo = true\nlog = \"warn\"\nretention = \"soon\"\n")
        .expect("it can be written");
    let config = file.to_str().expect("UTF-8");
    let (code, said) = output(&["--config", config]);
    assert_eq!(code, Some(2));
    assert!(
        said.starts_with(&format!(
            "error: {config}:4: invalid value 'soon' for '--retention <TIME>': expected a time with its unit, such as 90s, 15m \
             or 2h\n"
        )),
        "{said}"
    );
    fs::write(&file, "listen = \"127.0.0.1:1\"\ndemo = true\nlog = \"warn\"\n").expect("it can be written");
    let mut started = command(&["--log", "info"]);
    started.env("VANFLOW_CONFIG", config).env("VANFLOW_LISTEN", "127.0.0.1:0");
    let mut process = Process::of(started);
    let address = process.address();
    assert_ne!(address.port(), 1);
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
}

/// What a check answers: the exit code, and what it says to whom.
fn checked(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(&[arguments, &["--check"]].concat()).output().expect("it starts");
    let text = |octets| String::from_utf8(octets).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_check_reads_every_file_and_starts_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (certificate, key) = identity("localhost");
    fs::write(path("tls.crt"), &certificate).expect("it can be written");
    fs::write(path("tls.key"), &key).expect("it can be written");
    let (tls_cert, tls_key, state) = (path("tls.crt"), path("tls.key"), path("new/state"));
    let good = ["--demo", "--tls-cert", &tls_cert, "--tls-key", &tls_key, "--state", &state];
    assert_eq!(
        checked(&good),
        (
            Some(0),
            "the options make sense together, and the files that they name can be read\n".to_owned(),
            String::new()
        )
    );
    assert!(!directory.path().join("new").exists(), "a check makes nothing");

    let (below_a_file, no_console) = (path("tls.crt/state"), path("console"));
    let bad = [
        "--router",
        "amqps://r",
        "--ca",
        "/no/such/ca",
        "--tls-cert",
        &tls_cert,
        "--tls-key",
        &tls_cert,
        "--auth",
        "htpasswd=/no/such/users",
        "--auth",
        "tokens=/dev/zero",
        "--state",
        &below_a_file,
        "--console",
        &no_console,
        "--capture",
        &tls_key,
    ];
    let (code, told, said) = checked(&bad);
    assert_eq!((code, &*told), (Some(2), ""));
    let lines: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    let expected = [
        "cannot attach to a router: cannot read /no/such/ca: No such file or directory (os error 2)"
            .to_owned(),
        format!("cannot serve HTTPS: {tls_cert} holds no private key in PEM: "),
        "--auth htpasswd=/no/such/users: No such file or directory (os error 2)".to_owned(),
        "--auth tokens=/dev/zero: it is no file".to_owned(),
        format!("{no_console}/index.html"),
        format!("--state {below_a_file}: {tls_cert} is no directory"),
        format!("--capture {tls_key} is there already; it must be a new file"),
    ];
    assert_eq!(lines.len(), expected.len(), "{said}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.contains(expected), "{line}\nis not\n{expected}");
    }
}

#[test]
fn a_supervisor_is_told_when_it_answers_that_it_lives_and_that_it_leaves() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let mut started = command(&["--demo", "--listen", "127.0.0.1:0"]);
    started.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut process = Process::of(started);
    let mut octets = [0; 256];
    let mut told = || {
        let length = socket.recv(&mut octets).expect("it is told");
        String::from_utf8(octets[..length].to_vec()).expect("UTF-8")
    };
    assert_eq!(told(), "READY=1\nSTATUS=Answering requests\n");
    // It answers by the time that it says so.
    let address = process.address();
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(told(), "WATCHDOG=1\n");
    assert_eq!(told(), "WATCHDOG=1\n");
    process.signal("-TERM");
    let last = std::iter::repeat_with(told).find(|said| said != "WATCHDOG=1\n");
    assert_eq!(last.as_deref(), Some("STOPPING=1\nSTATUS=Leaving\n"));
    assert_eq!(process.ended().0, Some(0));
}

/// An API of Kubernetes that answers so whatever is asked, once; and what it was asked.
pub struct Kubernetes {
    pub port: u16,
    pub authority: String,
    pub asked: mpsc::Receiver<String>,
}

pub fn kubernetes(status: &str, body: &str) -> Kubernetes {
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (certificate, key) = identity("127.0.0.1");
    let chain =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it has one").port();
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody asks");
        let connection = ServerConnection::new(Arc::new(config)).expect("it makes sense");
        let mut stream = StreamOwned::new(connection, stream);
        let mut request = Vec::new();
        let mut octets = [0; 4096];
        // The body is JSON whose only brackets that count are those around it.
        while !request.ends_with(b"}}") {
            match stream.read(&mut octets) {
                Ok(read) if read > 0 => request.extend_from_slice(&octets[..read]),
                // Whoever does not trust this server asks nothing.
                _ => return,
            }
        }
        stream.write_all(answer.as_bytes()).expect("it is taken");
        stream.flush().expect("it is taken");
        sender.send(String::from_utf8(request).expect("UTF-8")).expect("the test waits");
    });
    Kubernetes { port, authority: certificate, asked }
}

/// What a job with the account of a pod says: the exit code, and what to whom.
pub fn job(port: u16, authority: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let account = tempfile::tempdir().expect("a directory");
    for (name, text) in [("token", "a-token\n"), ("ca.crt", authority), ("namespace", "west")] {
        fs::write(account.path().join(name), text).expect("it can be written");
    }
    let mut job: Command = command(&[&["ensure-secret"], arguments].concat());
    job.env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .env("KUBERNETES_SERVICE_PORT", port.to_string())
        .env("VANFLOW_SERVICE_ACCOUNT", account.path());
    let output = job.output().expect("it starts");
    let text = |octets| String::from_utf8(octets).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_job_makes_the_secret_that_the_chart_names() {
    let kubernetes = kubernetes("201 Created", "{}");
    let (code, told, said) =
        job(kubernetes.port, &kubernetes.authority, &["-format=htpasswd", "skupper-observer-auth"]);
    assert_eq!(
        (code, &*told, &*said),
        (Some(0), "made secret skupper-observer-auth in namespace west\n", "")
    );
    let asked = kubernetes.asked.recv().expect("it was asked");
    let (head, body) = asked.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("POST /api/v1/namespaces/west/secrets HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer a-token\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let secret: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&secret["apiVersion"], &secret["kind"]), (&"v1".into(), &"Secret".into()));
    assert_eq!(secret["metadata"]["name"], "skupper-observer-auth");
    // `skupper:{PLAIN}` and 22 characters, in base64.
    let htpasswd = secret["data"]["htpasswd"].as_str().expect("a text");
    assert!(htpasswd.starts_with("c2t1cHBlcjp7UExBSU59") && htpasswd.len() == 52, "{htpasswd}");
    assert!(!told.contains(htpasswd) && !said.contains(htpasswd), "credentials are in no log");
}

#[test]
fn the_secret_of_an_oauth_proxy_has_the_key_that_it_reads() {
    let kubernetes = kubernetes("201 Created", "{}");
    let arguments = ["-namespace", "east", "--format", "oauth2-proxy-session-cookie", "session"];
    let (code, told, said) = job(kubernetes.port, &kubernetes.authority, &arguments);
    assert_eq!((code, &*told, &*said), (Some(0), "made secret session in namespace east\n", ""));
    let asked = kubernetes.asked.recv().expect("it was asked");
    assert!(asked.starts_with("POST /api/v1/namespaces/east/secrets HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\"data\":{\"secret\":\""), "{asked}");
}

#[test]
fn a_secret_that_is_there_stays_as_it_is() {
    let kubernetes =
        kubernetes("409 Conflict", r#"{"kind": "Status", "reason": "AlreadyExists", "code": 409}"#);
    let outcome = job(kubernetes.port, &kubernetes.authority, &["-format=htpasswd", "auth"]);
    assert_eq!(outcome, (Some(0), "there is a secret auth in namespace west\n".to_owned(), String::new()));
}

#[test]
fn a_job_that_may_not_make_secrets_is_said_what_it_lacks() {
    let forbidden = kubernetes(
        "403 Forbidden",
        r#"{"kind": "Status", "reason": "Forbidden", "message": "secrets is forbidden: User \"a\""}"#,
    );
    assert_eq!(
        job(forbidden.port, &forbidden.authority, &["-format=htpasswd", "auth"]),
        (
            Some(1),
            String::new(),
            "error: the API of Kubernetes did not create secret auth in namespace west: 403 Forbidden: secrets is forbidden: \
             User \"a\"; the account of the job needs a Role that may create secrets\n"
                .to_owned()
        )
    );
    let (stranger, _) = identity("127.0.0.1");
    let kubernetes = kubernetes("201 Created", "{}");
    let (code, told, said) = job(kubernetes.port, &stranger, &["-format=htpasswd", "auth"]);
    assert_eq!((code, &*told), (Some(1), ""));
    assert!(
        said.starts_with(&format!(
            "error: cannot speak with the API of Kubernetes at 127.0.0.1:{}: ",
            kubernetes.port
        )) && said.contains("certificate"),
        "{said}"
    );
    assert!(kubernetes.asked.recv().is_err(), "a server that is not trusted sees no token");
    let outside = command(&["ensure-secret", "--format", "htpasswd", "auth"]).output().expect("it starts");
    assert_eq!(
        String::from_utf8_lossy(&outside.stderr),
        "error: KUBERNETES_SERVICE_HOST is not set: ensure-secret runs in a pod of a cluster, where KUBERNETES_SERVICE_HOST \
         and KUBERNETES_SERVICE_PORT say where the API of Kubernetes is\n"
    );
}

#[test]
fn help_begins_with_what_most_need() {
    let help = command(&["--help"]).output().expect("it starts");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let headings: Vec<_> =
        help.lines().filter(|line| line.ends_with(':') && !line.starts_with(' ')).collect();
    insta::assert_snapshot!("help-headings", headings.join("\n"));
    let (_, first) = help.split_once("\nOptions:\n").expect("there is such a heading");
    let (first, _) = first.split_once("\n\nWhere records come from:").expect("others follow");
    insta::assert_snapshot!("help-first", first);
    let options: Vec<_> = first.lines().filter(|line| line.trim_start().starts_with("--")).collect();
    assert_eq!(options.len(), 10, "more does not come first: {options:#?}");
}
