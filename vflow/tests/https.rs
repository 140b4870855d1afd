//! A collector behind TLS.

use std::{io::Write, sync::Arc};

use tempfile::NamedTempFile;
use tokio_rustls::rustls::{ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer};
use vflow::{NOT_REACHABLE, RIGHT, WRONG_USE};

use crate::{
    server::{Reply, serve_by},
    support::{PIPE, typed},
};

/// A server for `localhost`, and the file of the certificate that it is trusted by.
fn certified() -> (ServerConfig, NamedTempFile) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(issued.cert.pem().as_bytes()).expect("it is written");
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocols")
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .expect("they belong together");
    (config, file)
}

#[tokio::test]
async fn a_collector_behind_tls_is_trusted_by_the_authorities_that_are_named() {
    let (config, ca) = certified();
    let (url, _) = serve_by(Some(config), |_| Reply::ok("{\"complete\":true}")).await;
    let outcome =
        typed(&format!("status -o ndjson --server {url} --ca {}", ca.path().display()), &PIPE).await;
    assert_eq!((outcome.out.as_str(), outcome.code), ("{\"complete\":true}\n", RIGHT), "{}", outcome.err);
}

#[tokio::test]
async fn a_collector_that_another_authority_vouches_for_is_not_asked() {
    let (config, _) = certified();
    let (_, another) = certified();
    let (url, asked) = serve_by(Some(config), |_| Reply::ok("{\"complete\":true}")).await;
    let outcome = typed(&format!("status --server {url} --ca {}", another.path().display()), &PIPE).await;
    let expected = format!("error: cannot reach the collector at {url}: invalid peer certificate: ");
    assert!(outcome.err.starts_with(&expected), "{}", outcome.err);
    assert_eq!((outcome.out.as_str(), outcome.code), ("", NOT_REACHABLE));
    assert!(asked.lock().expect("nobody panicked").is_empty());
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_named() {
    let empty = NamedTempFile::new().expect("a file");
    let path = empty.path().display();
    let outcome = typed(&format!("status --server https://localhost:1 --ca {path}"), &PIPE).await;
    assert_eq!(outcome.err, format!("error: cannot read {path}: no certificate in PEM\n"));
    assert_eq!(outcome.code, WRONG_USE);
    let outcome = typed("status --server http://localhost:1 --ca ca.pem", &PIPE).await;
    assert_eq!(
        outcome.err,
        "error: --server is `http://localhost:1`, which is not https, and --ca is of no use: it has to be as in \
         http://127.0.0.1:8010\n"
    );
}
