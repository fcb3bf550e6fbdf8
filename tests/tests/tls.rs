//! TLS for real: whom the client trusts, whom it does not, and that its key goes nowhere else.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::net::TcpListener;

use kazawallet::{Client, ClientBuilder, Error, ErrorKind, Outcome};
use support::certificates::{self, Authority, BOTH, Identity, ONLY_TLS_12, ONLY_TLS_13};
use support::child;
use support::http::{answer, content};
use support::merchant::{self, Endpoint, KEY, everything_shown};
use support::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HERE: &str = "127.0.0.1";

async fn server_with(identity: &Identity) -> Server {
    Server::tls(identity.server(BOTH), content).await
}

fn url_of(server: &Server) -> String {
    format!("https://{}/wallet", server.address)
}

fn once(base_url: &str) -> ClientBuilder {
    merchant::builder(base_url).max_retries(0)
}

/// Makes every kind of call at a server that must not be trusted.
async fn assert_certificate_refused(server: &Server, client: &Client, because: &str) {
    for endpoint in Endpoint::ALL {
        let error = endpoint.call(client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{endpoint:?}: {error}");
        assert_eq!(error.outcome(), Some(Outcome::NotSent), "{endpoint:?}: {error}");
        assert!(error.message().contains("certificate is not trusted"), "{endpoint:?}: {error}");
        assert!(everything_shown(&error).contains(because), "{endpoint:?}: {error}");
    }
    let calls = Endpoint::ALL.len();
    let seen = server.wait_for(|seen| seen.ended == calls).await;
    assert_eq!(seen.connections, calls);
    assert_eq!(seen.handshakes, 0);
    assert!(seen.bytes.is_empty(), "{} bytes of a request were seen", seen.bytes.len());
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let server = server_with(&certificates::self_signed(HERE)).await;
    let client = once(&url_of(&server)).build().unwrap();
    assert_certificate_refused(&server, &client, "UnknownIssuer").await;
}

#[tokio::test]
async fn a_certificate_of_a_root_that_nobody_added_is_refused() {
    let server = server_with(&Authority::new().certify(HERE)).await;
    let another = Authority::new();
    let client = once(&url_of(&server)).root_certificates(another.pem()).build().unwrap();
    assert_certificate_refused(&server, &client, "invalid peer certificate").await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let server = server_with(&authority.certify_until_yesterday(HERE)).await;
    let client = once(&url_of(&server)).root_certificates(authority.pem()).build().unwrap();
    assert_certificate_refused(&server, &client, "expired").await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let server = server_with(&authority.certify("somewhere-else.example")).await;
    let client = once(&url_of(&server)).root_certificates(authority.pem()).build().unwrap();
    assert_certificate_refused(&server, &client, "not valid for name").await;
}

#[tokio::test]
async fn a_certificate_of_an_added_root_is_accepted_with_tls_1_2_and_1_3() {
    for versions in [ONLY_TLS_12, ONLY_TLS_13, BOTH] {
        let authority = Authority::new();
        let server = Server::tls(authority.certify(HERE).server(versions), content).await;
        let client = once(&url_of(&server)).root_certificates(authority.pem()).build().unwrap();
        for endpoint in Endpoint::ALL {
            endpoint.call(&client).await.unwrap();
        }
        let seen = server.seen();
        assert_eq!(seen.requests.len(), Endpoint::ALL.len());
        assert!(seen.requests.iter().all(|(_, request)| request.header("x-api-key") == Some(KEY)));
    }
}

#[tokio::test]
async fn several_added_roots_are_all_trusted() {
    let (first, second) = (Authority::new(), Authority::new());
    let bundle = format!("# ours\n{}\n# theirs\n{}", first.pem(), second.pem());
    for authority in [&first, &second] {
        let server = server_with(&authority.certify(HERE)).await;
        let client = once(&url_of(&server)).root_certificates(&bundle).build().unwrap();
        Endpoint::Wallets.call(&client).await.unwrap();
    }
}

#[test]
fn root_certificates_that_cannot_be_read_are_a_configuration_error() {
    let pem = Authority::new().pem().to_owned();
    let key_alone = pem.replace("CERTIFICATE", "PRIVATE KEY");
    let no_base64 = "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (what, text) in [
        ("no PEM at all", "this is no certificate"),
        ("a file that ends too early", &pem[..pem.len() / 2]),
        ("no base64", no_base64),
        ("base64 of something else", no_certificate),
        ("PEM of something else", &key_alone),
        ("a good certificate and a broken one", &format!("{pem}{no_base64}")),
    ] {
        let built = merchant::builder("https://pay.example.test").root_certificates(text).build();
        let error = built.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{what}: {error}");
        assert_eq!(error.outcome(), Some(Outcome::NotSent), "{what}: {error}");
        assert!(error.message().contains("root certificates"), "{what}: {error}");
    }
}

/// The system's store can be pointed elsewhere on these systems alone.
#[cfg(target_os = "linux")]
mod system_store {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A folder that is removed when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(of: &str) -> Self {
            let name = format!("kazawallet-tls-{of}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, text: &str) -> String {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        }

        fn folder(&self, name: &str) -> String {
            let path = self.0.join(name);
            fs::create_dir_all(&path).unwrap();
            path.to_str().unwrap().to_owned()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn a_root_that_was_added_to_the_system_is_trusted() {
        let authority = Authority::new();
        let server = server_with(&authority.certify(HERE)).await;
        let folder = Folder::new("added");
        let store = folder.file("roots.pem", authority.pem());
        let errand = child::Errand { base_url: url_of(&server), ..Default::default() };

        let trusting = child::send(&errand, &[("SSL_CERT_FILE", &store)]).await;
        assert_eq!(trusting.code, None, "{}", trusting.shown);
        assert_eq!(server.seen().requests.len(), 1);

        let empty = folder.file("empty.pem", "");
        let wary = child::send(&errand, &[("SSL_CERT_FILE", &empty)]).await;
        assert_eq!(wary.code.as_deref(), Some("connection"), "{}", wary.shown);
        assert_eq!(wary.outcome.as_deref(), Some("not_sent"));
        assert_eq!(server.seen().requests.len(), 1);
    }

    #[tokio::test]
    async fn the_client_works_where_the_system_has_no_certificates() {
        let authority = Authority::new();
        let server = server_with(&authority.certify(HERE)).await;
        let folder = Folder::new("none");
        let (file, dir) = (folder.file("empty.pem", ""), folder.folder("empty"));
        let nowhere = folder.0.join("nothing-is-here").to_str().unwrap().to_owned();
        let errand = child::Errand {
            base_url: url_of(&server),
            root_certificates: Some(authority.pem().to_owned()),
            ..Default::default()
        };
        let places = [(&file, &dir), (&nowhere, &dir), (&nowhere, &nowhere)];
        for (number, (file, dir)) in places.into_iter().enumerate() {
            let environment = [("SSL_CERT_FILE", &**file), ("SSL_CERT_DIR", &**dir)];
            let report = child::send(&errand, &environment).await;
            assert!(report.built, "{}", report.shown);
            assert_eq!(report.code, None, "{}", report.shown);
            assert_eq!(server.seen().requests.len(), number + 1);

            // Without an added root there are the built-in ones, which do not vouch for a test.
            let plain = child::Errand { root_certificates: None, ..errand.clone() };
            let report = child::send(&plain, &environment).await;
            assert!(report.built, "{}", report.shown);
            assert_eq!(report.code.as_deref(), Some("connection"), "{}", report.shown);
        }
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let authority = Authority::new();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port();

    for status in [301, 302, 303, 307, 308] {
        for scheme in ["https", "http"] {
            let location = format!("{scheme}://localhost:{port}/wallet/somewhere");
            let redirect = answer(status, &[("location", &location)], "");
            let respond = move |_: &_| redirect.clone();
            let server = Server::tls(authority.certify(HERE).server(BOTH), respond).await;
            let client = once(&url_of(&server)).root_certificates(authority.pem()).build().unwrap();
            for endpoint in Endpoint::ALL {
                let error = endpoint.call(&client).await.unwrap_err();
                let expected = if endpoint.is_payout() {
                    ErrorKind::OutcomeUnknown
                } else {
                    ErrorKind::UnexpectedResponse
                };
                assert_eq!(error.kind(), expected, "{endpoint:?}, {status}: {error}");
                assert_eq!(error.outcome(), Some(Outcome::Unknown), "{endpoint:?}, {status}");
                assert_eq!(error.status(), Some(status), "{endpoint:?}");
            }
            assert_eq!(server.seen().requests.len(), Endpoint::ALL.len());
        }
    }
    // The calls are over: had one been followed, its connection would wait here.
    let connected = elsewhere.accept().map(|(_, from)| from);
    assert_eq!(connected.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_plain_answer_where_tls_was_expected_means_that_nothing_was_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (heard, mut hearing) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            bytes.truncate(read);
            stream.write_all(&answer(400, &[], "speak plainly")).await.unwrap();
            stream.shutdown().await.unwrap();
            // Until the client goes: a close with something unread would be a reset.
            let _ = stream.read_to_end(&mut bytes).await;
            heard.send(bytes).unwrap();
        }
    });
    let client = once(&url).build().unwrap();
    for endpoint in Endpoint::ALL {
        let error: Error = endpoint.call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{endpoint:?}: {error}");
        assert_eq!(error.outcome(), Some(Outcome::NotSent), "{endpoint:?}: {error}");
        let bytes = support::in_time(hearing.recv()).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(merchant::private_values_in(&text), [""; 0], "{endpoint:?}");
    }
}

#[test]
fn plain_http_is_for_this_machine_or_a_simulators_key() {
    let build = |key: &str, url: &str| Client::builder(key).base_url(url).build();
    for url in [
        "http://pay.example.test/wallet",
        "http://192.0.2.1",
        "http://[2001:db8::1]",
        "http://127.0.0.1.example.test",
        "http://localhost.example.test",
        "http://notlocalhost",
        "http://0.0.0.0",
        "HTTP://pay.example.test",
    ] {
        for key in [KEY, "SIM_looks_alike", "x_sim_", "sim"] {
            let error = build(key, url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}: {error}");
            assert_eq!(error.outcome(), Some(Outcome::NotSent), "{url}");
            assert!(error.message().contains("not https"), "{url}: {error}");
        }
        build("sim_0123", url).expect(url);
        // A real secret beside a simulator's key must not travel in clear either.
        let with_secret =
            |secret: &str| Client::builder("sim_0123").api_secret(secret).base_url(url).build();
        with_secret("sim_4567").expect(url);
        let error = with_secret(merchant::SECRET).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{url}: {error}");
    }
    for url in [
        "http://127.0.0.1:8080",
        "http://127.8.8.8",
        "http://localhost:1/wallet",
        "http://LOCALHOST",
        "http://shop.localhost",
        "http://[::1]:8080",
        "http://[::ffff:127.0.0.1]",
        "https://pay.example.test",
    ] {
        build(KEY, url).expect(url);
    }
    for url in ["ftp://127.0.0.1", "file:///etc/passwd", "127.0.0.1:80", "//pay.example.test", ""] {
        for key in [KEY, "sim_0123"] {
            let error = build(key, url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}: {error}");
        }
    }
}
