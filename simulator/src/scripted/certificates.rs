//! Certificates for one run of a scripted server: a root and a server certificate that it has signed.

use std::net::Ipv4Addr;
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

use super::{ScriptedError, TlsCertificate};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Made {
    pub(super) acceptor: TlsAcceptor,
    pub(super) root_to_trust: Option<String>,
}

pub(super) fn make(kind: TlsCertificate) -> Result<Made, ScriptedError> {
    let now = SystemTime::now();

    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "Kazawallet scripted server, root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.not_before = (now - 30 * DAY).into();
    root.not_after = (now + 30 * DAY).into();
    let root_key = KeyPair::generate().map_err(not_made)?;
    let root_certificate = root.self_signed(&root_key).map_err(not_made)?;
    let issuer = Issuer::new(root, root_key);

    let host = match kind {
        TlsCertificate::WrongName => "somewhere-else.test".to_owned(),
        _ => Ipv4Addr::LOCALHOST.to_string(),
    };
    let mut server = CertificateParams::new(vec![host]).map_err(not_made)?;
    server.distinguished_name.push(DnType::CommonName, "Kazawallet scripted server");
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.not_before = (now - 20 * DAY).into();
    server.not_after = match kind {
        TlsCertificate::Expired => (now - 10 * DAY).into(),
        _ => (now + 20 * DAY).into(),
    };
    let server_key = KeyPair::generate().map_err(not_made)?;
    let server_certificate = server.signed_by(&server_key, &issuer).map_err(not_made)?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(not_made)?
        .with_no_client_auth()
        .with_single_cert(vec![server_certificate.der().clone()], key)
        .map_err(not_made)?;

    Ok(Made {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        root_to_trust: (kind != TlsCertificate::UnknownRoot).then(|| root_certificate.pem()),
    })
}

fn not_made(error: impl std::fmt::Display) -> ScriptedError {
    ScriptedError::Certificate(error.to_string())
}
