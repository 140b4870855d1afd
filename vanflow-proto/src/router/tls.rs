//! Certificates from files.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use super::config::{ConfigError, TlsFiles};

/// What the files held when they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents([Option<Vec<u8>>; 3]);

impl TlsFiles {
    /// The configuration of TLS as the files have it now, and what is in them.
    pub(super) fn load(&self) -> Result<(Arc<ClientConfig>, Contents), ConfigError> {
        let contents = self.contents()?;
        let Contents([ca, certificate, key]) = &contents;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigError::Tls(error.to_string()))?;
        let builder = match (&self.ca, ca) {
            _ if self.insecure => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            }
            (Some(path), Some(pem)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, pem)? {
                    roots.add(certificate).map_err(|error| {
                        ConfigError::Tls(format!(
                            "{} has a certificate that cannot be used: {error}",
                            path.display()
                        ))
                    })?;
                }
                builder.with_root_certificates(roots)
            }
            _ => {
                return Err(ConfigError::Tls(
                    "TLS needs the certificate of the authority that signed the router's, and no file with it is given"
                        .into(),
                ));
            }
        };
        let config = match (&self.certificate, certificate, &self.key, key) {
            (Some(certificate_path), Some(certificate), Some(key_path), Some(key)) => {
                let chain = certificates(certificate_path, certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
                    ConfigError::Tls(format!("{} has no private key in PEM form in it", key_path.display()))
                })?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    ConfigError::Tls(format!(
                        "the certificate in {} and the key in {} do not go together: {error}",
                        certificate_path.display(),
                        key_path.display()
                    ))
                })?
            }
            (Some(path), ..) => {
                return Err(ConfigError::Tls(format!(
                    "a client certificate, {}, is given without its key",
                    path.display()
                )));
            }
            (None, _, Some(path), _) => {
                return Err(ConfigError::Tls(format!(
                    "a key, {}, is given without its certificate",
                    path.display()
                )));
            }
            (None, _, None, _) => builder.with_no_client_auth(),
        };
        Ok((Arc::new(config), contents))
    }

    /// What is in the files now.
    pub(super) fn contents(&self) -> Result<Contents, ConfigError> {
        let read = |path: &Option<PathBuf>| match path {
            Some(path) => {
                fs::read(path).map(Some).map_err(|why| ConfigError::Read { path: path.clone(), why })
            }
            None => Ok(None),
        };
        Ok(Contents([read(&self.ca)?, read(&self.certificate)?, read(&self.key)?]))
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(ConfigError::Tls(format!("{} has no certificate in PEM form in it", path.display()))),
    }
}

/// Takes anybody for the router.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
