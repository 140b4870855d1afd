//! `ensure-secret`: makes the secret that the collector, or a proxy before it, asks for credentials by, once.
//!
//! It is for a job in a cluster, which runs before the collector, and takes the place of the network observer's command of
//! that name (`cmd/network-observer/internal/cmd` of Skupper): same arguments, same secrets. One request to the API of
//! Kubernetes is all that it takes.

use std::{env, fs, io, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};
use bytes::Bytes;
use clap::ValueEnum;
use http::{
    Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rand::Rng;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::timeout;

/// How long the API of Kubernetes may take.
const WITHIN: Duration = Duration::from_secs(30);

/// How much of an answer is read, in octets.
const LONGEST_ANSWER: usize = 64 << 10;

/// Makes a secret of Kubernetes with random credentials in it, unless there is one of that name. For a job in a cluster:
/// the account that it runs as has to be allowed to create secrets.
#[derive(Clone, Debug, clap::Args)]
pub struct EnsureSecret {
    /// What is in the secret.
    #[arg(long, env = "ENSURE_SECRET_FORMAT", value_name = "FORMAT")]
    pub format: SecretFormat,

    /// The namespace of the secret. By default that of the account that the job runs as.
    #[arg(long, env = "NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// The directory with what the job's account is known by: token, ca.crt and namespace.
    #[arg(long, env = "VANFLOW_SERVICE_ACCOUNT", value_name = "DIR")]
    #[arg(default_value = "/var/run/secrets/kubernetes.io/serviceaccount")]
    pub service_account: PathBuf,

    /// The name of the secret.
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// What is in a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SecretFormat {
    /// htpasswd: a file of users for --auth htpasswd=FILE, with a user skupper and a password in plain text
    #[value(name = "htpasswd")]
    Htpasswd,
    /// secret: what OpenShift's oauth-proxy signs the cookies of its sessions with
    #[value(name = "oauth2-proxy-session-cookie")]
    SessionCookie,
}

/// What became of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was made.
    Created,
    /// There was one of that name.
    Exists,
}

/// Why there is no secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnsureSecretError {
    /// This is no pod of a cluster.
    #[error(
        "{0} is not set: ensure-secret runs in a pod of a cluster, where KUBERNETES_SERVICE_HOST and \
         KUBERNETES_SERVICE_PORT say where the API of Kubernetes is"
    )]
    NoCluster(&'static str),
    /// The pod has no account.
    #[error(
        "cannot read {}: {error}; the pod needs a service account whose token is mounted, or --service-account DIR",
        path.display()
    )]
    NoAccount {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The authority of the API, or where it is, makes no sense.
    #[error("cannot speak with the API of Kubernetes at {server}: {why}")]
    Unreachable {
        /// The server.
        server: String,
        /// Why.
        why: String,
    },
    /// The API does not allow or understand it.
    #[error(
        "the API of Kubernetes did not create secret {name} in namespace {namespace}: {status}: {message}{advice}"
    )]
    Refused {
        /// The secret.
        name: String,
        /// Its namespace.
        namespace: String,
        /// The status of the answer.
        status: StatusCode,
        /// What the API says about it.
        message: String,
        /// What to do.
        advice: &'static str,
    },
}

impl SecretFormat {
    /// The key in the secret, and a new value.
    fn content(self) -> (&'static str, String) {
        match self {
            Self::Htpasswd => {
                let random: [u8; 16] = random();
                ("htpasswd", format!("skupper:{{PLAIN}}{}", STANDARD_NO_PAD.encode(random)))
            }
            Self::SessionCookie => {
                let random: [u8; 32] = random();
                ("secret", URL_SAFE.encode(random))
            }
        }
    }
}

/// Octets that nobody can guess.
fn random<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    rand::rng().fill_bytes(&mut octets);
    octets
}

/// What is to become of the secret, and in which namespace.
pub type Ensuring<'a> =
    Pin<Box<dyn Future<Output = Result<(Ensured, String), EnsureSecretError>> + Send + 'a>>;

impl EnsureSecret {
    /// Has the API of Kubernetes make the secret; answers what became of it and in which namespace.
    ///
    /// # Errors
    ///
    /// Where there is no secret of that name afterwards, as far as this knows.
    ///
    /// The future is boxed for the reason that [`run`](crate::run)'s is.
    pub fn run(&self) -> Ensuring<'_> {
        Box::pin(self.ask())
    }

    async fn ask(&self) -> Result<(Ensured, String), EnsureSecretError> {
        let read = |file: &str| {
            let path = self.service_account.join(file);
            fs::read(&path).map_err(|error| EnsureSecretError::NoAccount { path, error })
        };
        let variable = |name: &'static str| {
            env::var(name).ok().filter(|value| !value.is_empty()).ok_or(EnsureSecretError::NoCluster(name))
        };
        let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
        let server = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let token = String::from_utf8_lossy(&read("token")?).trim().to_owned();
        let authority = read("ca.crt")?;
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None => String::from_utf8_lossy(&read("namespace")?).trim().to_owned(),
        };
        let unreachable = |why: String| EnsureSecretError::Unreachable { server: server.clone(), why };
        let (key, value) = self.format.content();
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": self.name },
            "type": "Opaque",
            "data": { key: STANDARD.encode(value) },
        });
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("https://{server}/api/v1/namespaces/{namespace}/secrets"))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(Full::new(Bytes::from(secret.to_string())))
            .map_err(|error| unreachable(error.to_string()))?;
        let tls = trust(&authority).map_err(|why| {
            unreachable(format!("{}: {why}", self.service_account.join("ca.crt").display()))
        })?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let asking = async {
            let answer = client.request(request).await.map_err(|error| unreachable(causes(&error)))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
            Ok((status, body.map(http_body_util::Collected::to_bytes).unwrap_or_default()))
        };
        let (status, body) = timeout(WITHIN, asking).await.unwrap_or_else(|_| {
            Err(unreachable(format!("it did not answer within {} s", WITHIN.as_secs())))
        })?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let reason = answer["reason"].as_str().unwrap_or_default();
        match status {
            StatusCode::CREATED | StatusCode::OK => Ok((Ensured::Created, namespace)),
            StatusCode::CONFLICT if reason == "AlreadyExists" => Ok((Ensured::Exists, namespace)),
            status => Err(EnsureSecretError::Refused {
                name: self.name.clone(),
                namespace,
                status,
                message: answer["message"].as_str().unwrap_or("it does not say why").to_owned(),
                advice: match status {
                    StatusCode::FORBIDDEN => "; the account of the job needs a Role that may create secrets",
                    StatusCode::UNAUTHORIZED => {
                        "; the token of the account is not that of this cluster, or too old"
                    }
                    _ => "",
                },
            }),
        }
    }
}

/// TLS with servers that an authority in that PEM has certified.
fn trust(authority: &[u8]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        let certificate = certificate.map_err(|error| format!("no certificate in PEM: {error}"))?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

/// An error with what it comes from: the outer ones say little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn secrets_have_what_skuppers_chart_expects_and_nobody_guesses() {
        let mut seen = HashSet::new();
        for _ in 0..20 {
            let (key, value) = SecretFormat::Htpasswd.content();
            let password = value.strip_prefix("skupper:{PLAIN}").expect("a user with a password");
            assert_eq!(
                (key, STANDARD_NO_PAD.decode(password).map(|octets| octets.len())),
                ("htpasswd", Ok(16))
            );
            assert_eq!(password.len(), 22);
            let (key, cookie) = SecretFormat::SessionCookie.content();
            assert_eq!((key, URL_SAFE.decode(&cookie).map(|octets| octets.len())), ("secret", Ok(32)));
            assert!(seen.insert(password.to_owned()) && seen.insert(cookie));
        }
    }
}
