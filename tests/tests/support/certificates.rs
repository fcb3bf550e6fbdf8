//! Certificates that are made for one test.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

pub const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];
pub const ONLY_TLS_12: &[&SupportedProtocolVersion] = &[&TLS12];
pub const ONLY_TLS_13: &[&SupportedProtocolVersion] = &[&TLS13];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A root that nobody knows until they are told.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = valid_now(CertificateParams::default());
        params.distinguished_name.push(DnType::CommonName, "A root made for one test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn certify(&self, host: &str) -> Identity {
        self.sign(valid_now(for_host(host)))
    }

    pub fn certify_until_yesterday(&self, host: &str) -> Identity {
        let mut params = valid_now(for_host(host));
        params.not_after = (SystemTime::now() - DAY).into();
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }
}

/// A certificate that nobody vouches for but itself.
pub fn self_signed(host: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity { certificate: valid_now(for_host(host)).self_signed(&key).unwrap(), key }
}

fn for_host(host: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "A server made for one test");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn valid_now(mut params: CertificateParams) -> CertificateParams {
    let now = SystemTime::now();
    params.not_before = (now - 30 * DAY).into();
    params.not_after = (now + 30 * DAY).into();
    params
}

/// What a server shows, and the key to it.
pub struct Identity {
    certificate: Certificate,
    key: KeyPair,
}

impl Identity {
    pub fn server(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .unwrap()
    }
}
