//! Servers that this asks, over HTTP.

use std::{
    error, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem, pem::PemObject},
};
use thiserror::Error;

use crate::http::Failure;

/// How long it may take to be connected.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What connects to servers.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// Connections to servers, for requests with such bodies.
pub(crate) type Client<B = Full<Bytes>> = legacy::Client<Connector, B>;

/// A server, for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    /// What it is.
    pub(crate) what: &'static str,
    /// The option that says whom it is trusted by.
    pub(crate) option: &'static str,
}

/// Why a server cannot be asked, whatever it is asked.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// A file that should hold the authorities to trust.
    #[error("cannot read {option} {path}: {error}")]
    Unreadable {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A file that holds something else.
    #[error("{option} {path} holds no certificate in PEM: {error}")]
    NotPem {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: pem::Error,
    },
    /// A certificate that nothing can be trusted by, or none at all on this machine.
    #[error("cannot trust an https {what} by {authorities}: {error}")]
    NoAuthority {
        /// What the server is.
        what: &'static str,
        /// Where the authorities are from.
        authorities: String,
        /// What is wrong with them.
        #[source]
        error: Failure,
    },
}

/// Connects to the server at that URL when it is asked something, and trusts it by the authorities in a file, or by those that
/// this machine trusts.
pub(crate) fn client<B: Body + Send>(
    server: Named,
    url: &str,
    ca: Option<&Path>,
) -> Result<Client<B>, OutboundError>
where
    B::Data: Send,
{
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_WITHIN));
    tcp.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(trust(server, url, ca)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(legacy::Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector))
}

/// Who is trusted to be the server.
fn trust(server: Named, url: &str, ca: Option<&Path>) -> Result<ClientConfig, OutboundError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need");
    let of_machine = || "what this machine trusts".to_owned();
    let builder = match ca {
        Some(path) => builder.with_root_certificates(authorities(server, path)?),
        None if url.starts_with("https:") => builder.with_native_roots().map_err(|error| {
            OutboundError::NoAuthority { what: server.what, authorities: of_machine(), error: error.into() }
        })?,
        // It never comes to TLS.
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

fn authorities(server: Named, path: &Path) -> Result<RootCertStore, OutboundError> {
    let octets = fs::read(path).map_err(|error| OutboundError::Unreadable {
        option: server.option,
        path: path.to_owned(),
        error,
    })?;
    let mut roots = RootCertStore::empty();
    let not_pem = |error| OutboundError::NotPem { option: server.option, path: path.to_owned(), error };
    for certificate in CertificateDer::pem_slice_iter(&octets) {
        roots.add(certificate.map_err(not_pem)?).map_err(|error| OutboundError::NoAuthority {
            what: server.what,
            authorities: path.display().to_string(),
            error: error.into(),
        })?;
    }
    if roots.is_empty() { Err(not_pem(pem::Error::NoItemsFound)) } else { Ok(roots) }
}

/// An error and what it comes from, the first cause last.
pub(crate) fn reasons(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let reason = error.to_string();
        // Some repeat what they come from.
        if !text.ends_with(&reason) {
            text.extend([": ", &reason]);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_reported_once() {
        #[derive(Debug, Error)]
        #[error("outside")]
        struct Outside(#[source] Inside);
        #[derive(Debug, Error)]
        #[error("inside")]
        struct Inside;
        assert_eq!(reasons(&Outside(Inside)), "outside: inside");
    }
}
