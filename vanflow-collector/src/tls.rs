//! The certificate that the API shows, renewed on disk and taken up without a restart.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use thiserror::Error;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

/// How often the files are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Files that hold no certificate or no key to it.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A file that holds something else than it should.
    #[error("{path} holds no {what} in PEM: {error}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        error: pem::Error,
    },
    /// Authorities that clients cannot be checked with.
    #[error("{} cannot be used to check certificates of clients: {why}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A certificate and a key that do not belong together, or that TLS has no use for.
    #[error("{certificate} and {key} cannot be used together: {error}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        #[source]
        error: rustls::Error,
    },
}

/// A certificate and its key, as they are on disk now; and whose certificates clients can show.
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<PathBuf>,
    current: Mutex<Current>,
}

/// What the files held: the certificate, its key, and the authorities of clients.
#[derive(PartialEq, Eq)]
struct Seen {
    certificate: Vec<u8>,
    key: Vec<u8>,
    clients: Option<Vec<u8>>,
}

struct Current {
    /// What the files held when they were last looked at, whether or not that was any good.
    seen: Seen,
    /// What was last good.
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// Reads all of the files. Clients can show certificates of the authorities in `clients`.
    pub(crate) fn load(certificate: &Path, key: &Path, clients: Option<&Path>) -> Result<Self, TlsError> {
        let seen = see(certificate, key, clients)?;
        let config = config(certificate, key, clients, &seen)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            clients: clients.map(Path::to_owned),
            current: Mutex::new(Current { seen, config }),
        })
    }

    /// What accepts a connection with the certificate of this moment.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.lock().unwrap_or_else(PoisonError::into_inner).config.clone())
    }

    /// Looks at the files. Answers whether they hold something new and good; what is not good leaves the
    /// certificate of before in use.
    pub(crate) fn renew(&self) -> Result<bool, TlsError> {
        let seen = see(&self.certificate, &self.key, self.clients.as_deref())?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.seen == seen {
            return Ok(false);
        }
        let config = config(&self.certificate, &self.key, self.clients.as_deref(), &seen);
        current.seen = seen;
        current.config = config?;
        Ok(true)
    }

    /// Looks at the files every [`LOOK_EVERY`] and whenever that is sent, for ever.
    pub(crate) async fn keep_renewing(self: Arc<Self>, mut at_once: Option<watch::Receiver<()>>) {
        let mut readable = true;
        loop {
            due(LOOK_EVERY, at_once.as_mut()).await;
            let this = self.clone();
            // Files on a network can take their time.
            let Ok(renewed) = tokio::task::spawn_blocking(move || this.renew()).await else { return };
            match renewed {
                Ok(true) => info!("took up the renewed certificate in {}", self.certificate.display()),
                Ok(false) => {}
                // What is wrong with new files is reported once; that they cannot be read, once until they can.
                Err(error @ TlsError::Unreadable { .. }) => {
                    if readable {
                        warn!("{error}; the API goes on with the certificate of before");
                    }
                    readable = false;
                    continue;
                }
                Err(error) => warn!("{error}; the API goes on with the certificate of before"),
            }
            readable = true;
        }
    }
}

/// Waits for so long, or until that is sent.
pub(crate) async fn due(time: Duration, at_once: Option<&mut watch::Receiver<()>>) {
    let asked = async {
        let Some(at_once) = at_once else { return std::future::pending().await };
        if at_once.changed().await.is_err() {
            std::future::pending().await
        }
    };
    // Whichever is first.
    let _ = tokio::time::timeout(time, asked).await;
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), error })
}

fn see(certificate: &Path, key: &Path, clients: Option<&Path>) -> Result<Seen, TlsError> {
    Ok(Seen { certificate: read(certificate)?, key: read(key)?, clients: clients.map(read).transpose()? })
}

/// The certificates in a file, of which there is one at least.
fn certificates(path: &Path, octets: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(octets)
        .collect::<Result<_, _>>()
        .and_then(|chain: Vec<_>| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(not_pem(path, "certificate"))
}

fn not_pem(path: &Path, what: &'static str) -> impl FnOnce(pem::Error) -> TlsError {
    let path = path.to_owned();
    move |error| TlsError::NotPem { path, what, error }
}

fn config(
    certificate: &Path,
    key: &Path,
    clients: Option<&Path>,
    seen: &Seen,
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate, &seen.certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&seen.key).map_err(not_pem(key, "private key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match (clients, &seen.clients) {
        (Some(path), Some(octets)) => verifier(path, octets, &provider)?,
        _ => WebPkiClientVerifier::no_client_auth(),
    };
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_client_cert_verifier(verifier).with_single_cert(chain, private));
    match config {
        Ok(mut config) => {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Ok(Arc::new(config))
        }
        Err(error) => {
            Err(TlsError::Unusable { certificate: certificate.to_owned(), key: key.to_owned(), error })
        }
    }
}

/// What checks the certificates of clients, who need not have one.
fn verifier(
    path: &Path,
    octets: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |why: String| TlsError::Authorities { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for authority in certificates(path, octets)? {
        roots.add(authority).map_err(|error| unusable(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, pki_types::ServerName};
    use tempfile::TempDir;
    use tokio_rustls::TlsConnector;

    use super::*;

    struct Files {
        directory: TempDir,
    }

    impl Files {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().expect("a directory") }
        }

        fn certificate(&self) -> PathBuf {
            self.directory.path().join("tls.crt")
        }

        fn key(&self) -> PathBuf {
            self.directory.path().join("tls.key")
        }

        /// Writes a new certificate for localhost, which is returned, and its key.
        fn issue(&self) -> CertificateDer<'static> {
            let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
            fs::write(self.certificate(), issued.cert.pem()).expect("writes");
            fs::write(self.key(), issued.signing_key.serialize_pem()).expect("writes");
            issued.cert.der().clone()
        }

        fn load(&self) -> Result<Certificate, TlsError> {
            Certificate::load(&self.certificate(), &self.key(), None)
        }
    }

    /// The certificate that a client is shown, which trusts `trusted`.
    async fn shown(certificate: &Certificate, trusted: &CertificateDer<'static>) -> CertificateDer<'static> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(client));
        let (server, client) =
            tokio::join!(certificate.acceptor().accept(far), connector.connect(name, near));
        server.expect("accepts");
        let client = client.expect("trusts what it is shown");
        client.get_ref().1.peer_certificates().expect("a certificate")[0].clone()
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_shown_to_the_next_client() {
        // faults 21
        let files = Files::new();
        let first = files.issue();
        let certificate = files.load().expect("loads");
        assert_eq!(shown(&certificate, &first).await, first);
        assert!(!certificate.renew().expect("reads"), "nothing is new");

        let second = files.issue();
        assert!(certificate.renew().expect("reads"), "it was renewed");
        assert_eq!(shown(&certificate, &second).await, second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewed_certificate_is_taken_up_at_once_where_that_is_asked_for() {
        // faults 21
        let files = Files::new();
        files.issue();
        let certificate = Arc::new(files.load().expect("loads"));
        let first = Arc::clone(&certificate.current.lock().expect("no panic").config);
        let (reload, reloaded) = watch::channel(());
        let begun = tokio::time::Instant::now();
        let renewing = tokio::spawn(certificate.clone().keep_renewing(Some(reloaded)));
        let second = files.issue();
        reload.send_replace(());
        let current = || Arc::clone(&certificate.current.lock().expect("no panic").config);
        while Arc::ptr_eq(&first, &current()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(shown(&certificate, &second).await, second);
        assert!(begun.elapsed() < LOOK_EVERY, "nobody waited for the usual look");
        renewing.abort();
    }

    #[tokio::test]
    async fn a_renewal_that_is_no_good_leaves_the_certificate_of_before() {
        // faults 21
        let files = Files::new();
        let first = files.issue();
        let certificate = files.load().expect("loads");
        fs::write(files.certificate(), "half a certif").expect("writes");
        let error = certificate.renew().expect_err("it is no certificate").to_string();
        assert!(error.contains("tls.crt holds no certificate in PEM"), "{error}");
        assert!(!certificate.renew().expect("nothing new"), "it is reported once");
        assert_eq!(shown(&certificate, &first).await, first);

        fs::remove_file(files.key()).expect("removes");
        assert!(certificate.renew().expect_err("it is gone").to_string().contains("tls.key: No such file"));
        assert_eq!(shown(&certificate, &first).await, first);

        let second = files.issue();
        assert!(certificate.renew().expect("reads"));
        assert_eq!(shown(&certificate, &second).await, second);
    }

    #[test]
    fn files_that_do_not_belong_together_are_named() {
        let files = Files::new();
        files.issue();
        let key = fs::read(files.key()).expect("reads");
        files.issue();
        fs::write(files.key(), key).expect("writes");
        let error = files.load().map(drop).expect_err("the key is another's").to_string();
        assert!(error.contains("tls.crt and ") && error.contains("cannot be used together"), "{error}");
    }
}
