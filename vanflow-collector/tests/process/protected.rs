//! From nothing to a protected collector, as `deploy.yaml` has it, with all but the cluster: the job makes the secret, the
//! collector attaches to a router that wants a certificate, and shows what it knows to whoever has the password.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use vanflow_collector::demo::{self, Demo, DemoOptions};
use vanflow_proto::{Timestamp, source::ExchangeOptions};

use crate::{
    manifest,
    operation::{job, kubernetes},
    support::{Process, command, free_port, identity},
};

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("PEM")
}

fn trust(pem: &str) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(pem));
    roots.into()
}

/// A router of an emulated network that wants to see a certificate, and shows one.
struct SecuredRouter {
    runtime: tokio::runtime::Runtime,
    demo: Demo,
    ca: String,
    client: (String, String),
}

impl SecuredRouter {
    fn start() -> Self {
        let (server, server_key) = identity_for(&["localhost", "127.0.0.1"]);
        let client = identity("skupper-router-local");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(trust(&client.0), provider.clone()).build();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_client_cert_verifier(verifier.expect("an authority"))
            .with_single_cert(
                certificates(&server),
                PrivateKeyDer::from_pem_slice(server_key.as_bytes()).expect("PEM"),
            )
            .expect("they belong together");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("it can be had");
        let demo = runtime.block_on(async {
            let begun = tokio::time::Instant::now();
            let clock = move || {
                let elapsed = u64::try_from(begun.elapsed().as_micros()).expect("not so long");
                Timestamp::from_micros(1_795_390_000_000_000 + elapsed)
            };
            let exchange = ExchangeOptions { tls: Some(Arc::new(config)), ..ExchangeOptions::default() };
            demo::start_on(exchange, DemoOptions::default(), clock).await.expect("it listens")
        });
        Self { runtime, demo, ca: server, client }
    }

    fn port(&self) -> u16 {
        self.demo.exchange().address().port()
    }

    /// Writes what a client needs, as Skupper names it.
    fn write_secret(&self, directory: &Path) {
        fs::create_dir_all(directory).expect("it can be made");
        for (name, text) in [("ca.crt", &self.ca), ("tls.crt", &self.client.0), ("tls.key", &self.client.1)] {
            fs::write(directory.join(name), text).expect("it can be written");
        }
    }
}

fn identity_for(names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let issued = rcgen::generate_simple_self_signed(names).expect("a certificate");
    (issued.cert.pem(), issued.signing_key.serialize_pem())
}

/// What is answered over TLS to a request with that header.
fn get_secured(port: u16, authority: &str, path: &str, header: &str) -> String {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(trust(authority))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("it makes sense");
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).expect("it listens");
    let mut stream = StreamOwned::new(connection, stream);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n")
        .expect("it is taken");
    let mut answer = String::new();
    // Whoever closes does not always say so first.
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// The variables of the collector in `deploy.yaml`.
fn environment() -> Vec<(String, String)> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy.yaml");
    let found = manifest::environment(&fs::read_to_string(manifest).expect("it is there"));
    assert!(found.len() > 10, "{found:?}");
    found
}

#[test]
fn the_manifest_comes_up_protected_at_a_router_that_wants_a_certificate() {
    let router = SecuredRouter::start();
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);

    // What the job and Skupper's controller make, mounted where the manifest has it.
    let cluster = kubernetes("201 Created", "{}");
    let (code, _, said) =
        job(cluster.port, &cluster.authority, &["--format=htpasswd", "skupper-collector-auth"]);
    assert_eq!((code, &*said), (Some(0), ""));
    let asked = cluster.asked.recv().expect("it was asked");
    let (_, body) = asked.split_once("\r\n\r\n").expect("a body");
    let secret: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let users = STANDARD.decode(secret["data"]["htpasswd"].as_str().expect("a text")).expect("base64");
    let password = String::from_utf8(users.clone()).expect("UTF-8").replace("{PLAIN}", "");
    fs::create_dir(path("httpusers")).expect("it can be made");
    fs::write(path("httpusers/htpasswd"), users).expect("it can be written");
    router.write_secret(&path("messaging"));
    let (certificate, key) = identity("localhost");
    fs::create_dir(path("certificates")).expect("it can be made");
    fs::write(path("certificates/tls.crt"), &certificate).expect("it can be written");
    fs::write(path("certificates/tls.key"), key).expect("it can be written");
    fs::create_dir(path("kept")).expect("it can be made");

    let mounts = [
        ("/etc/messaging", "messaging"),
        ("/etc/certificates", "certificates"),
        ("/etc/httpusers", "httpusers"),
        ("/var/lib/vanflow-collector", "kept"),
    ];
    let (api, metrics) = (free_port(), free_port());
    let mut start = command(&[]);
    for (name, mut value) in environment() {
        for (mounted, here) in mounts {
            value = value.replace(mounted, path(here).to_str().expect("UTF-8"));
        }
        value = match &*value {
            ":8010" => format!(":{api}"),
            ":9000" => format!(":{metrics}"),
            "amqps://skupper-router-local:5671" => format!("amqps://localhost:{}", router.port()),
            _ => value,
        };
        start.env(name, value);
    }
    // What history is kept with is not in every build.
    if cfg!(not(feature = "archive")) {
        start.env_remove("VANFLOW_HISTORY_DIR").env_remove("VANFLOW_HISTORY_KEEP_SIZE");
    }
    let access_log = path("access");
    start.stdout(fs::File::create(&access_log).expect("it can be made"));
    let mut process = Process::of(start);
    process.says("attached to the router");
    process.says("the first site is known");

    let ask = |path, header: &str| get_secured(api, &certificate, path, header);
    let anybody = ask("/api/v1alpha1/sites", "");
    assert!(anybody.starts_with("HTTP/1.1 401 "), "{anybody}");
    let wrong = format!("authorization: Basic {}\r\n", STANDARD.encode("skupper:guess"));
    assert!(ask("/api/v1alpha1/sites", &wrong).starts_with("HTTP/1.1 401 "));
    let right = format!("authorization: Basic {}\r\n", STANDARD.encode(&password));
    let sites = ask("/api/v1alpha1/sites", &right);
    assert!(sites.starts_with("HTTP/1.1 200 ") && sites.contains("\"rtype\":\"SITE\""), "{sites}");
    let user = ask("/api/v2alpha1/user", &right);
    assert!(user.contains("\"username\":\"skupper\""), "{user}");
    // The probes of the manifest know no password.
    let probe = |path| crate::support::get(([127, 0, 0, 1], metrics).into(), path);
    assert!(probe("/healthz").starts_with("HTTP/1.1 200 "));
    process.signal("-TERM");
    let (code, said) = process.ended();
    assert_eq!(code, Some(0));
    let who = fs::read_to_string(access_log).expect("UTF-8");
    let who: Vec<_> = who.lines().map(|line| line.split(' ').nth(2).unwrap_or_default()).collect();
    assert_eq!(who, ["-", "-", "skupper", "skupper"], "who looked is known, and probes are nobody");
    assert!(!said.contains(password.trim_start_matches("skupper:")), "a password is in no log");
    assert!(path("kept/state/records.vanflow").exists(), "what is known is on the volume");
    router.runtime.block_on(router.demo.shut_down());
}

#[test]
fn a_namespace_of_skupper_on_this_machine_is_found_and_attached_to() {
    let router = SecuredRouter::start();
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path().join("namespaces/west/runtime");
    router.write_secret(&home.join("certs/skupper-local-client"));
    fs::create_dir(home.join("resources")).expect("it can be made");
    let resource = format!(
        "apiVersion: skupper.io/v2alpha1\nkind: RouterAccess\nmetadata:\n  name: skupper-local\nspec:\n  bindHost: \
         127.0.0.1\n  roles:\n  - name: normal\n    port: {}\n  tlsCredentials: skupper-local-server\n",
        router.port()
    );
    fs::write(home.join("resources/RouterAccess-skupper-local.yaml"), resource).expect("it can be written");
    let start = |namespace: &str| {
        let mut start = command(&["--connect-skupper", namespace, "--listen", "127.0.0.1:0"]);
        start.env("SKUPPER_OUTPUT_PATH", directory.path());
        start
    };
    let mut process = Process::of(start("west"));
    process.says("attached to the router");
    process.says("the first site is known");

    let other = start("east").output().expect("it starts");
    assert_eq!(other.status.code(), Some(1));
    let said = String::from_utf8(other.stderr).expect("UTF-8");
    assert!(
        said.ends_with("`skupper system start -n east` starts it; there are west\n")
            && said.contains("error: there is no running namespace east of Skupper: cannot read "),
        "{said}"
    );
    router.runtime.block_on(router.demo.shut_down());
}

#[test]
fn beyond_loopback_without_tls_a_start_warns_of_what_can_be_read_on_the_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("it can be written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (certificate, key) = identity("localhost");
    let (certificate, key) = (write("tls.crt", &certificate), write("tls.key", &key));
    let users = format!("htpasswd={}", write("htpasswd", "skupper:{PLAIN}secret\n"));
    let warned = |options: &[&str]| {
        let mut process = Process::start(&[&["--demo"], options].concat());
        let said = process.says_all_to("answering on");
        said.lines().find_map(|line| line.split_once("listening at ")).map(|(_, warning)| warning.to_owned())
    };
    let mends =
        "can be read on the way; --tls-cert and --tls-key encrypt it, or a proxy in front of the collector";
    let open = warned(&["--listen", ":0", "--insecure-no-auth"]).expect("it warns");
    assert_eq!(open, format!(":0 without TLS: what is shown {mends}"));
    let named = warned(&["--listen", "0.0.0.0:0", "--auth", &users]).expect("it warns");
    assert_eq!(named, format!("0.0.0.0:0 without TLS: passwords, and what is shown, {mends}"));
    let encrypted = ["--listen", ":0", "--auth", &users, "--tls-cert", &certificate, "--tls-key", &key];
    assert_eq!(warned(&encrypted), None);
    assert_eq!(warned(&["--listen", "127.0.0.1:0", "--auth", &users]), None);
}
