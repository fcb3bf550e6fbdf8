//! TLS on demand: with the SDK's own client, and with a browser's requests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use kazawallet::{Client, CreatePaymentLink, CreateWithdrawal, ErrorKind, PaymentMethod};
use kazawallet_simulator::{Fault, Simulator};
use support::{Receiver, send, send_on};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

fn new_link() -> CreatePaymentLink {
    CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference("order-42")
}

/// A client that somebody else has built, with what the simulator gives for it.
fn client_at(sim: &Simulator, url: &str, root: &str) -> Client {
    Client::builder(sim.api_key())
        .api_secret(sim.api_secret())
        .merchant_email(sim.merchant_email())
        .base_url(url)
        .root_certificates(root)
        .max_retries(0)
        .build()
        .unwrap()
}

async fn connect(sim: &Simulator) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let pem = sim.root_certificate().unwrap().as_bytes();
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(sim.address()).await.unwrap();
    let name = ServerName::from(sim.address().ip());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn the_sdk_makes_a_link_over_tls_that_is_paid() {
    let mut shop = Receiver::start(200).await;
    let sim = Simulator::builder().tls().webhook_url(&shop.url).start().await.unwrap();
    let origin = format!("https://{}", sim.address());
    assert_eq!(sim.url(), format!("{origin}/wallet"));
    assert!(sim.dashboard_url().starts_with(&format!("{origin}/__simulator/?token=")));
    let root = sim.root_certificate().unwrap();
    assert!(root.starts_with("-----BEGIN CERTIFICATE-----"), "{root}");

    // Its own client trusts it by itself, and one that is told to does.
    for client in [sim.client(), client_at(&sim, &sim.url(), root)] {
        let link = client.payment_links().create(new_link()).await.unwrap();
        assert!(link.url.starts_with(&format!("{origin}/pay/")), "{}", link.url);
        sim.pay(&link).await.unwrap();
        let event = sim.webhook().verify(shop.next().await.body).unwrap();
        assert_eq!(link.id.as_deref(), Some(event.order_id()));
    }
    // It is for the machine's own name, too.
    let by_name = format!("https://localhost:{}/wallet", sim.address().port());
    client_at(&sim, &by_name, root).wallets().list().await.unwrap();
}

#[tokio::test]
async fn whoever_does_not_trust_its_certificate_gets_no_answer() {
    let sim = Simulator::builder().tls().start().await.unwrap();
    let other = Simulator::builder().tls().start().await.unwrap();
    assert_ne!(sim.root_certificate(), other.root_certificate());
    for root in ["", other.root_certificate().unwrap()] {
        let error = client_at(&sim, &sim.url(), root).wallets().list().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
    }
    assert!(send(sim.address(), "GET", "/", &[], "").await.is_err());
    assert!(sim.requests().is_empty());
    assert_eq!(Simulator::start().await.unwrap().root_certificate(), None);
}

#[tokio::test]
async fn faults_cut_its_connections_too() {
    for fault in [Fault::CloseAfterActing, Fault::HalfBody] {
        let sim = Simulator::builder().tls().fault(fault).start().await.unwrap();
        let usdt = PaymentMethod::custom("118", [("address", "T1")]);
        let payout = CreateWithdrawal::new("1".parse().unwrap(), "USD", usdt);
        let error = sim.client().withdrawals().create(payout).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{fault}");
        assert_eq!(sim.balance("USD"), "999".parse().unwrap(), "{fault}");
    }
}

#[tokio::test]
async fn its_pages_take_their_own_forms_and_no_others() {
    let sim = Simulator::builder().tls().start().await.unwrap();
    let host = sim.address().to_string();
    let path = sim.dashboard_url().split_once(&host).unwrap().1.to_owned();
    let opened = send_on(connect(&sim).await, &host, "GET", &path, &[], "").await.unwrap();
    assert!(opened.header("set-cookie").unwrap().ends_with("; Secure"));

    let form = format!("token={}&dialect=plugin", sim.control_token());
    for (origin, status) in [(format!("https://{host}"), 303), (format!("http://{host}"), 403)] {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [kind, ("origin", &*origin)];
        let (stream, path) = (connect(&sim).await, "/__simulator/api/dialect");
        let answer = send_on(stream, &host, "POST", path, &headers, &form).await.unwrap();
        assert_eq!(answer.status(), status, "{origin}");
    }
}
