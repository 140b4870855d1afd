//! A collector, asked over HTTP or HTTPS.

use std::{error::Error as _, fs, net::IpAddr, path::Path, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE, USER_AGENT},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
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
use crate::{
    args::Connection,
    call::secret_in,
    error::Error,
    question::Question,
    session::{Session, Sessions},
};

/// How long it may take to be connected.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long a collector may take to begin its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A collector, and connections to it.
pub(crate) struct Server {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Without a slash at its end, and without who asks.
    url: String,
    authorization: Option<HeaderValue>,
    /// That of whoever has logged in.
    cookie: Option<HeaderValue>,
    is_https: bool,
    host: String,
}

/// What became of a form.
pub(crate) struct Posted {
    pub(crate) status: StatusCode,
    pub(crate) cookies: Vec<String>,
    /// What the answer says, if it is a refusal.
    pub(crate) message: Option<String>,
}

impl Server {
    /// The one that was named. Nothing is sent to it yet.
    pub(crate) fn new(connection: &Connection) -> Result<Self, Error> {
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
        let authorization = authorization(connection)?;
        // Who names somebody means them, and nobody who logged in before.
        let cookie = match authorization {
            Some(_) => None,
            None => Sessions::read(connection).ok().and_then(|sessions| cookie(sessions.of(url)?)),
        };
        let host = authority.host().to_owned();
        Ok(Self { client, url: url.to_owned(), authorization, cookie, is_https, host })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether others than this machine can read along.
    pub(crate) fn is_overheard(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_local = self.host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        !self.is_https && !is_local
    }

    /// Posts a form.
    pub(crate) async fn post(&self, path: &str, form: String) -> Result<Posted, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(cookie) = &self.cookie {
            headers.insert(COOKIE, cookie.clone());
        }
        let (head, body) = self.send(Method::POST, path, headers, form.into()).await?.into_parts();
        let cookies = head.headers.get_all(SET_COOKIE).into_iter();
        let cookies = cookies.filter_map(|cookie| Some(cookie.to_str().ok()?.to_owned())).collect();
        let body = Limited::new(body, 64 << 10).collect().await.map(|body| body.to_bytes());
        Ok(Posted { status: head.status, cookies, message: super::reason(&body.unwrap_or_default()) })
    }

    pub(super) async fn ask(&self, question: &Question, headers: HeaderMap) -> Result<Answer, Error> {
        let mut headers = headers;
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(cookie) = &self.cookie {
            headers.insert(COOKIE, cookie.clone());
        }
        let response = self.send(Method::GET, &question.target(), headers, Bytes::new()).await?;
        let (head, body) = response.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.map_err(Failure::from).boxed_unsync(),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let unreachable = |reason: String| Error::Unreachable { server: self.url.clone(), reason };
        let target = format!("{}/{path}", self.url);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().map_err(|error| unreachable(format!("{target}: {error}")))?;
        *request.headers_mut() = headers;
        let agent = HeaderValue::from_static(concat!("vflow/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, agent);
        match timeout(ANSWER_WITHIN, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(unreachable(first_cause(&error))),
            Err(_) => Err(unreachable(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))),
        }
    }
}

fn cookie(session: &Session) -> Option<HeaderValue> {
    let mut cookie = HeaderValue::try_from(&session.cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

/// Who asks, as a header says it.
fn authorization(connection: &Connection) -> Result<Option<HeaderValue>, Error> {
    let text = match (&connection.user, &connection.token_file) {
        (Some(user), _) => {
            let user = match (&connection.password_file, user.contains(':')) {
                (Some(path), false) => format!("{user}:{}", secret_in(path)?),
                (_, true) => user.clone(),
                (None, false) => {
                    return Err(Error::usage(
                        "--user has to be NAME:PASSWORD, or NAME with --password-file; in VFLOW_USER nobody sees it in a list of \
                         processes",
                    ));
                }
            };
            format!("Basic {}", BASE64_STANDARD.encode(user))
        }
        (None, Some(path)) => format!("Bearer {}", secret_in(path)?.trim()),
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
