//! A certificate authority of a test's own, and the TLS of receivers that it vouches for.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ALL_VERSIONS, ServerConfig, SupportedProtocolVersion};

/// Vouches for names.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, for those who trust it.
    pub pem: String,
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }
}

/// A certificate and its key, as files hold them.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate, in PEM.
    pub pem: String,
    /// Its private key, in PEM.
    pub key: String,
}

impl Authority {
    /// A certificate for these names (or addresses).
    pub fn certificate(&self, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &self.issuer).expect("a certificate");
        Certificate { pem: certificate.pem(), key: key.serialize_pem() }
    }

    /// The TLS of a server of these names (or addresses), in every version that is any good.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.server_of(names, ALL_VERSIONS)
    }

    /// The same in these versions only.
    pub fn server_of(&self, names: &[&str], versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &self.issuer).expect("a certificate");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private);
        Arc::new(config.expect("a certificate with its key"))
    }
}
