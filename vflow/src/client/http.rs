//! A collector, asked over HTTP or HTTPS.

use std::{error::Error as _, fs, path::Path, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Uri,
    header::{AUTHORIZATION, USER_AGENT},
};
use http_body_util::{BodyExt, Empty};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::time::timeout;

use super::{Answer, Failure};
use crate::{args::Connection, error::Error, question::Question};

/// How long it may take to be connected.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long a collector may take to begin its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A collector, and connections to it.
pub(super) struct Server {
    client: legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// Without a slash at its end, and without who asks.
    url: String,
    authorization: Option<HeaderValue>,
}

impl Server {
    /// The one that was named. Nothing is sent to it yet.
    pub(super) fn new(connection: &Connection) -> Result<Self, Error> {
        let url = connection.server.trim_end_matches('/');
        let wrong = |why: &str| {
            Error::usage(format!(
                "--server is `{url}`, which {why}: it has to be as in http://127.0.0.1:8010"
            ))
        };
        let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        let is_https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("has neither http:// nor https:// before it")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if uri.query().is_some() {
            return Err(wrong("has a query"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("names a user, which is for --user to say"));
        }
        if connection.ca.is_some() && !is_https {
            return Err(wrong("is not https, and --ca is of no use"));
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_WITHIN));
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(trust(connection.ca.as_deref(), is_https)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client =
            legacy::Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { client, url: url.to_owned(), authorization: authorization(connection)? })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn ask(&self, question: &Question, headers: HeaderMap) -> Result<Answer, Error> {
        let unreachable = |reason: String| Error::Unreachable { server: self.url.clone(), reason };
        let target = format!("{}/{}", self.url, question.target());
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = target.parse().map_err(|error| unreachable(format!("{target}: {error}")))?;
        *request.headers_mut() = headers;
        let agent = HeaderValue::from_static(concat!("vflow/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, agent);
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let response = match timeout(ANSWER_WITHIN, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(unreachable(first_cause(&error))),
            Err(_) => return Err(unreachable(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))),
        };
        let (head, body) = response.into_parts();
        Ok(Answer { status: head.status, body: body.map_err(Failure::from).boxed_unsync() })
    }
}

/// Who asks, as a header says it.
fn authorization(connection: &Connection) -> Result<Option<HeaderValue>, Error> {
    let text = match (&connection.user, &connection.token_file) {
        (Some(user), _) if !user.contains(':') => {
            return Err(Error::usage(
                "--user has to be NAME:PASSWORD; in VFLOW_USER nobody sees it in a list of processes",
            ));
        }
        (Some(user), _) => format!("Basic {}", BASE64_STANDARD.encode(user)),
        (None, Some(path)) => {
            let token = fs::read_to_string(path).map_err(|error| Error::File {
                verb: "read",
                path: path.clone(),
                reason: error.to_string(),
            })?;
            format!("Bearer {}", token.trim())
        }
        (None, None) => return Ok(None),
    };
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Error::usage("the token or password has characters that no header can have"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn trust(ca: Option<&Path>, is_https: bool) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::usage(format!("cannot use TLS: {error}")))?;
    let builder = match ca {
        Some(path) => builder.with_root_certificates(authorities(path)?),
        None if is_https => builder.with_native_roots().map_err(|error| {
            Error::usage(format!(
                "this machine trusts no certificate authority ({error}): --ca FILE names one"
            ))
        })?,
        // It never comes to TLS.
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let failed = |reason: String| Error::File { verb: "read", path: path.to_owned(), reason };
    let octets = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&octets) {
        let certificate = certificate.map_err(|error| failed(format!("no certificate in PEM: {error}")))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("no certificate in PEM".to_owned())) } else { Ok(roots) }
}

/// What an error comes from, in the words of who noticed it first.
fn first_cause(error: &legacy::Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text
}
