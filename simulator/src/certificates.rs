//! Certificates for one run of a server: a root, and a server certificate that it has signed.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a server certificate is to say.
pub(crate) struct Wanted<'a> {
    /// The common name.
    pub(crate) server: &'a str,
    /// The host names and addresses that it is for.
    pub(crate) hosts: Vec<String>,
    /// Whether its time is over already.
    pub(crate) expired: bool,
}

/// What has been made. The root's own key is gone: nothing else will ever be signed by it.
pub(crate) struct Made {
    pub(crate) acceptor: TlsAcceptor,
    /// The root's PEM, for a client to trust.
    pub(crate) root: String,
}

/// Why there is no certificate.
#[derive(Debug)]
pub(crate) struct NotMade(String);

impl fmt::Display for NotMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn make(wanted: Wanted<'_>) -> Result<Made, NotMade> {
    let now = SystemTime::now();

    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, format!("{}, root", wanted.server));
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.not_before = (now - 30 * DAY).into();
    root.not_after = (now + 400 * DAY).into();
    let root_key = KeyPair::generate().map_err(not_made)?;
    let root_certificate = root.self_signed(&root_key).map_err(not_made)?;
    let issuer = Issuer::new(root, root_key);

    let mut server = CertificateParams::new(wanted.hosts).map_err(not_made)?;
    server.distinguished_name.push(DnType::CommonName, wanted.server);
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.not_before = (now - 20 * DAY).into();
    server.not_after = if wanted.expired { now - 10 * DAY } else { now + 365 * DAY }.into();
    let server_key = KeyPair::generate().map_err(not_made)?;
    let server_certificate = server.signed_by(&server_key, &issuer).map_err(not_made)?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(not_made)?
        .with_no_client_auth()
        .with_single_cert(vec![server_certificate.der().clone()], key)
        .map_err(not_made)?;

    Ok(Made { acceptor: TlsAcceptor::from(Arc::new(config)), root: root_certificate.pem() })
}

fn not_made(error: impl fmt::Display) -> NotMade {
    NotMade(error.to_string())
}
