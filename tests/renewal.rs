//! A certificate that is renewed on disk.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use hyper::StatusCode;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    net::TcpStream,
    time::{interval, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Collector, PATIENCE, ask, capture};

/// Writes a new certificate and its key over those that are there.
fn issue(certificate: &Path, key: &Path) -> CertificateDer<'static> {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(key, issued.signing_key.serialize_pem()).expect("it can be written");
    fs::write(certificate, issued.cert.pem()).expect("it can be written");
    issued.cert.der().clone()
}

/// A connection to whoever has that certificate and no other; `None` if somebody else answers.
async fn connect(address: SocketAddr, trusted: &CertificateDer<'static>) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

#[tokio::test]
async fn the_api_takes_up_a_renewed_certificate_while_it_runs() {
    // faults 21
    let directory = tempfile::tempdir().expect("a directory");
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    let first = issue(&certificate, &key);
    let replayed = capture("router-3.5.jsonl");
    let [replayed, tls_cert, tls_key] =
        [&replayed, &certificate, &key].map(|path| path.to_str().expect("UTF-8"));
    let arguments = ["--replay", replayed, "--speed", "max", "--tls-cert", tls_cert, "--tls-key", tls_key];
    let collector = Collector::start(arguments).await;
    let early = connect(collector.address(), &first).await.expect("it shows the first certificate");

    let second = issue(&certificate, &key);
    let renewed = async {
        let mut pace = interval(Duration::from_millis(200));
        loop {
            pace.tick().await;
            if let Some(stream) = connect(collector.address(), &second).await {
                return stream;
            }
        }
    };
    let late = timeout(PATIENCE, renewed).await.expect("it shows the second certificate in time");
    assert!(connect(collector.address(), &first).await.is_none(), "the first is not shown any more");
    // A connection that was there goes on.
    for stream in [early, late] {
        assert_eq!(ask(stream, "/api/v1alpha1/routers").await.0.status, StatusCode::OK);
    }
    collector.leave().await;
}
