//! Proxies: which calls go through one, and what one that fails gets to see.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kazawallet::{Client, CreatePaymentLink, ErrorKind, Outcome};
use kazawallet_simulator::Simulator;
use support::certificates::{self, Authority, BOTH};
use support::child::{self, Errand};
use support::http::{content, take_request};
use support::merchant::{self, Endpoint, everything_shown, private_values_in};
use support::server::Server;
use support::{FAR_TOO_LONG, in_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A reserved name: nothing real can be reached under it.
const FAR_AWAY: &str = "https://pay.example.test/wallet";
const FAR_HOST: &str = "pay.example.test";
const PROXY_PASSWORD: &str = "hunter2-of-the-proxy";
const PROXY_VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// How a proxy treats those who come to it.
#[derive(Clone, Copy, Debug)]
enum Manners {
    /// Answers CONNECT with this status.
    Refuse(u16),
    /// Reads the request and closes.
    Close,
    /// Closes before it has read anything.
    CloseAtOnce,
    /// Never answers.
    Hang,
    /// Answers with what is no HTTP.
    Babble,
    /// Opens the tunnel, and closes it in the middle of the TLS handshake.
    CloseTunnel,
    /// Opens the tunnel to this server, whatever was asked for.
    Forward(SocketAddr),
}

#[derive(Clone, Debug, Default)]
struct Seen {
    connections: usize,
    ended: usize,
    /// Every byte that came from the client's side.
    bytes: Vec<u8>,
    /// The requests to the proxy itself.
    requests: Vec<support::http::Request>,
}

struct Proxy {
    address: SocketAddr,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Proxy {
    async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (note, seen) = watch::channel(Seen::default());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                note.send_modify(|seen| seen.connections += 1);
                let note = note.clone();
                tokio::spawn(async move {
                    // An error is a client that has gone.
                    let _ = serve(stream, manners, &note).await;
                    note.send_modify(|seen| seen.ended += 1);
                });
            }
        });
        Self { address, seen, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn url_with_password(&self) -> String {
        format!("http://someone:{PROXY_PASSWORD}@{}", self.address)
    }

    /// What it saw, once every connection has come to its end.
    async fn seen(&self) -> Seen {
        let over = |seen: &Seen| seen.ended == seen.connections;
        in_time(self.seen.clone().wait_for(over)).await.unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    manners: Manners,
    note: &watch::Sender<Seen>,
) -> io::Result<()> {
    if matches!(manners, Manners::CloseAtOnce) {
        return Ok(());
    }
    let mut unread = Vec::new();
    let request = loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        note.send_modify(|seen| seen.bytes.extend_from_slice(&bytes[..read]));
        unread.extend_from_slice(&bytes[..read]);
        if let Some(request) = take_request(&mut unread) {
            break request;
        }
    };
    note.send_modify(|seen| seen.requests.push(request));
    match manners {
        Manners::Close | Manners::CloseAtOnce => return Ok(()),
        Manners::Hang => {}
        Manners::Babble => stream.write_all(b"what do you want?\r\n\r\n").await?,
        Manners::Refuse(status) => {
            let answer = format!(
                "HTTP/1.1 {status} No\r\nproxy-authenticate: Basic realm=\"x\"\r\n\
                 content-length: 2\r\n\r\nno"
            );
            stream.write_all(answer.as_bytes()).await?;
        }
        Manners::CloseTunnel => {
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
            let mut hello = [0; 4096];
            let read = stream.read(&mut hello).await?;
            note.send_modify(|seen| seen.bytes.extend_from_slice(&hello[..read]));
            return Ok(());
        }
        Manners::Forward(to) => {
            let mut server = TcpStream::connect(to).await?;
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
            let (mut from_client, mut to_client) = stream.split();
            let (mut from_server, mut to_server) = server.split();
            let there = async {
                let mut bytes = [0; 4096];
                loop {
                    let read = from_client.read(&mut bytes).await?;
                    if read == 0 {
                        return to_server.shutdown().await;
                    }
                    note.send_modify(|seen| seen.bytes.extend_from_slice(&bytes[..read]));
                    to_server.write_all(&bytes[..read]).await?;
                }
            };
            let back = tokio::io::copy(&mut from_server, &mut to_client);
            tokio::try_join!(there, back)?;
            return Ok(());
        }
    }
    // Whatever the client still says is listened to, until it goes.
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        note.send_modify(|seen| seen.bytes.extend_from_slice(&bytes[..read]));
    }
}

/// Neither in clear nor in base64.
fn assert_nothing_given_away(bytes: &[u8], to: &str) {
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(private_values_in(&text), [""; 0], "{to} saw {text}");
    for value in merchant::PRIVATE {
        assert!(!text.contains(&BASE64.encode(value)), "{to} saw {text}");
    }
    assert!(!text.to_lowercase().contains("x-api"), "{to} saw {text}");
}

fn assert_password_not_shown(shown: &str) {
    assert!(!shown.contains(PROXY_PASSWORD), "{shown}");
    let header = BASE64.encode(format!("someone:{PROXY_PASSWORD}"));
    assert!(!shown.contains(&header), "{shown}");
}

#[tokio::test]
async fn a_call_to_this_machine_ignores_the_systems_proxy_and_the_option() {
    let server = Server::plain(content).await;
    let authority = Authority::new();
    let secure = Server::tls(authority.certify("localhost").server(BOTH), content).await;
    let proxy = Proxy::start(Manners::Refuse(502)).await;
    let proxy_url = proxy.url();
    let environment = PROXY_VARIABLES.map(|name| (name, &*proxy_url));

    let mut calls = 0;
    for (base_url, option) in [
        (format!("http://{}", server.address), None),
        (format!("http://localhost:{}", server.address.port()), None),
        (format!("http://LOCALHOST:{}/wallet", server.address.port()), Some(&proxy_url)),
        (format!("http://[::ffff:127.0.0.1]:{}", server.address.port()), Some(&proxy_url)),
        (format!("https://localhost:{}", secure.address.port()), None),
        (format!("https://localhost:{}", secure.address.port()), Some(&proxy_url)),
    ] {
        for payout in [false, true] {
            let errand = Errand {
                base_url: base_url.clone(),
                payout,
                proxy: option.cloned(),
                root_certificates: Some(authority.pem().to_owned()),
                ..Default::default()
            };
            let report = child::send(&errand, &environment).await;
            assert_eq!(report.code, None, "{base_url}: {}", report.shown);
            calls += 1;
        }
    }
    assert_eq!(server.seen().requests.len() + secure.seen().requests.len(), calls);
    assert_eq!(proxy.seen().await.connections, 0);
}

#[tokio::test]
async fn a_call_elsewhere_goes_through_the_systems_proxy() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let proxy = Proxy::start(Manners::Refuse(502)).await;
        for payout in [false, true] {
            let errand = Errand { base_url: FAR_AWAY.to_owned(), payout, ..Default::default() };
            let report = child::send(&errand, &[(variable, &proxy.url_with_password())]).await;
            assert_eq!(report.code.as_deref(), Some("connection"), "{variable}: {}", report.shown);
            assert_eq!(report.outcome.as_deref(), Some("not_sent"), "{variable}");
            assert_password_not_shown(&report.shown);
            assert_eq!(private_values_in(&report.shown), [""; 0], "{}", report.shown);
        }
        let seen = proxy.seen().await;
        assert_eq!(seen.requests.len(), 2, "{variable}");
        for request in &seen.requests {
            assert_eq!(request.method, "CONNECT", "{variable}");
            assert_eq!(request.path, format!("{FAR_HOST}:443"), "{variable}");
            let login = format!("Basic {}", BASE64.encode(format!("someone:{PROXY_PASSWORD}")));
            assert_eq!(request.header("proxy-authorization"), Some(&*login), "{variable}");
        }
        assert_nothing_given_away(&seen.bytes, variable);
    }
}

#[tokio::test]
async fn the_option_stands_in_place_of_the_systems_proxy() {
    let (system, option) =
        (Proxy::start(Manners::Refuse(502)).await, Proxy::start(Manners::Refuse(502)).await);
    let system_url = system.url();
    let mut environment = PROXY_VARIABLES.map(|name| (name, &*system_url)).to_vec();
    environment.push(("NO_PROXY", "other.example"));
    let errand =
        Errand { base_url: FAR_AWAY.to_owned(), proxy: Some(option.url()), ..Default::default() };
    let report = child::send(&errand, &environment).await;
    assert_eq!(report.code.as_deref(), Some("connection"), "{}", report.shown);
    assert_eq!(system.seen().await.connections, 0);
    assert_eq!(option.seen().await.requests.len(), 1);
}

#[tokio::test]
async fn a_proxy_that_works_sees_where_to_and_nothing_else() {
    let authority = Authority::new();
    let provider = Server::tls(authority.certify(FAR_HOST).server(BOTH), content).await;
    let proxy = Proxy::start(Manners::Forward(provider.address)).await;
    let client = merchant::builder(FAR_AWAY)
        .proxy(proxy.url_with_password())
        .root_certificates(authority.pem())
        .build()
        .unwrap();
    for endpoint in Endpoint::ALL {
        endpoint.call(&client).await.unwrap();
    }
    drop(client);
    let seen = proxy.seen().await;
    assert!(seen.requests.iter().all(|request| request.method == "CONNECT"));
    assert_nothing_given_away(&seen.bytes, "a proxy that works");

    let received = provider.seen().requests;
    assert_eq!(received.len(), Endpoint::ALL.len());
    for (_, request) in received {
        assert_eq!(request.header("x-api-key"), Some(merchant::KEY));
        assert_eq!(request.header("proxy-authorization"), None, "the provider is not the proxy");
    }
}

/// As in another container. It is its own proxy, since no test asks for its name.
#[tokio::test]
async fn a_simulator_elsewhere_gives_links_to_itself() {
    let sim = Simulator::builder().allow_host("simulator.test").start().await.unwrap();
    let client = Client::builder(sim.api_key())
        .merchant_email(sim.merchant_email())
        .base_url("http://simulator.test/wallet")
        .proxy(format!("http://{}", sim.address()))
        .build()
        .unwrap();
    let order = CreatePaymentLink::new("10.50".parse().unwrap(), "USD");
    let link = client.payment_links().create(order).await.unwrap();
    assert!(link.url.starts_with("http://simulator.test/pay/"), "{}", link.url);
}

#[tokio::test]
async fn a_proxy_that_pretends_to_be_the_provider_is_refused() {
    let impostor = Server::tls(certificates::self_signed(FAR_HOST).server(BOTH), content).await;
    let proxy = Proxy::start(Manners::Forward(impostor.address)).await;
    let client = merchant::builder(FAR_AWAY).proxy(proxy.url()).max_retries(0).build().unwrap();
    for endpoint in Endpoint::ALL {
        let error = endpoint.call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{endpoint:?}: {error}");
        assert_eq!(error.outcome(), Some(Outcome::NotSent), "{endpoint:?}: {error}");
        assert!(error.message().contains("certificate is not trusted"), "{endpoint:?}: {error}");
    }
    assert_nothing_given_away(&proxy.seen().await.bytes, "an impostor's proxy");
    let calls = Endpoint::ALL.len();
    let seen = impostor.wait_for(|seen| seen.ended == calls).await;
    assert_eq!((seen.handshakes, seen.bytes.len()), (0, 0));
}

/// Every kind of call through proxies that fail in these ways.
async fn assert_failing_proxies_learn_nothing(manners: &[Manners], kind: ErrorKind) {
    let mut calls = tokio::task::JoinSet::new();
    for manners in manners {
        for endpoint in Endpoint::ALL {
            calls.spawn(assert_failing_proxy_learns_nothing(*manners, endpoint, kind));
        }
    }
    // Panics where one of them did.
    calls.join_all().await;
}

async fn assert_failing_proxy_learns_nothing(
    manners: Manners,
    endpoint: Endpoint,
    kind: ErrorKind,
) {
    let proxy = Proxy::start(manners).await;
    let mut builder = merchant::builder(FAR_AWAY)
        .proxy(proxy.url_with_password())
        .timeout(FAR_TOO_LONG)
        .max_retries(1);
    if matches!(manners, Manners::Hang) {
        builder = builder.connect_timeout(Duration::from_millis(300));
    }
    let client = builder.build().unwrap();
    let error = endpoint.call(&client).await.unwrap_err();
    let case = format!("{manners:?}, {endpoint:?}: {error}");
    assert_eq!(error.kind(), kind, "{case}");
    assert_eq!(error.outcome(), Some(Outcome::NotSent), "{case}");
    assert_password_not_shown(&everything_shown(&error));
    assert_password_not_shown(&format!("{client:?} {client:#?}"));
    assert_eq!(private_values_in(&everything_shown(&error)), [""; 0], "{case}");

    let seen = proxy.seen().await;
    assert_eq!(seen.connections, 2, "one try, and one more: {case}");
    assert!(seen.requests.iter().all(|request| request.method == "CONNECT"), "{case}");
    assert_nothing_given_away(&seen.bytes, &case);
}

#[tokio::test]
async fn a_proxy_that_refuses_learns_nothing() {
    let refusals = [403, 407, 502].map(Manners::Refuse);
    assert_failing_proxies_learn_nothing(&refusals, ErrorKind::Connection).await;
}

#[tokio::test]
async fn a_proxy_that_breaks_off_learns_nothing() {
    let breaks = [Manners::Close, Manners::CloseAtOnce, Manners::CloseTunnel, Manners::Babble];
    assert_failing_proxies_learn_nothing(&breaks, ErrorKind::Connection).await;
}

#[tokio::test]
async fn a_proxy_that_hangs_learns_nothing() {
    assert_failing_proxies_learn_nothing(&[Manners::Hang], ErrorKind::Timeout).await;
}

#[tokio::test]
async fn a_proxy_that_is_not_there_means_that_nothing_was_sent() {
    // Taken, so that nobody else gets it, but nothing listens on it.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap();
    for scheme in ["http", "socks5h"] {
        let url = format!("{scheme}://someone:{PROXY_PASSWORD}@{port}");
        let client = merchant::builder(FAR_AWAY).proxy(url).max_retries(0).build().unwrap();
        for endpoint in Endpoint::ALL {
            let error = endpoint.call(&client).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connection, "{endpoint:?}: {error}");
            assert_eq!(error.outcome(), Some(Outcome::NotSent), "{endpoint:?}: {error}");
            assert_password_not_shown(&everything_shown(&error));
        }
    }
}

#[test]
fn a_proxy_url_that_cannot_be_used_is_a_configuration_error() {
    for url in [
        "".to_owned(),
        " ".to_owned(),
        "http://".to_owned(),
        format!("http://someone:{PROXY_PASSWORD}@proxy.example:notaport"),
        format!("http://someone:{PROXY_PASSWORD}@[::1"),
        format!("someone:{PROXY_PASSWORD}@proxy.example:8080"),
        "proxy.example:8080".to_owned(),
        "socks5://".to_owned(),
        format!("ftp://someone:{PROXY_PASSWORD}@proxy.example"),
        format!("file:///{PROXY_PASSWORD}"),
        format!("mailto:someone@{PROXY_PASSWORD}"),
        format!("socks9://someone:{PROXY_PASSWORD}@proxy.example"),
    ] {
        for base_url in [FAR_AWAY, "http://127.0.0.1:1"] {
            let built = merchant::builder(base_url).proxy(&*url).build();
            let error = built.map(drop).expect_err(&url);
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}: {error}");
            assert_eq!(error.outcome(), Some(Outcome::NotSent), "{url}: {error}");
            assert!(error.message().contains("proxy"), "{url}: {error}");
            assert_password_not_shown(&everything_shown(&error));
        }
    }
}

#[test]
fn a_builder_does_not_show_its_proxy() {
    let url = format!("http://someone:{PROXY_PASSWORD}@127.0.0.1:9");
    let builder = merchant::builder(FAR_AWAY).proxy(url);
    assert_password_not_shown(&format!("{builder:?} {builder:#?}"));
    let client = builder.build().unwrap();
    assert_password_not_shown(&format!("{client:?} {client:#?}"));
}

/// A SOCKS5 proxy that takes a user name and a password, notes what it is asked for, and forwards.
async fn socks_proxy(
    forward_to: SocketAddr,
) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, asking) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(socks_handshake(stream, forward_to, asked.clone()));
        }
    });
    (address, asking)
}

async fn socks_handshake(
    mut stream: TcpStream,
    forward_to: SocketAddr,
    asked: tokio::sync::mpsc::UnboundedSender<Vec<u8>>,
) -> io::Result<()> {
    // The version, and the ways in which the client can show who it is (RFC 1928).
    assert_eq!(stream.read_u8().await?, 5);
    let mut ways = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut ways).await?;
    assert!(ways.contains(&2), "by password: {ways:?}");
    stream.write_all(&[5, 2]).await?;
    // The user name and the password (RFC 1929).
    assert_eq!(stream.read_u8().await?, 1);
    for expected in ["someone", PROXY_PASSWORD] {
        let mut text = vec![0; stream.read_u8().await?.into()];
        stream.read_exact(&mut text).await?;
        assert_eq!(text, expected.as_bytes());
    }
    stream.write_all(&[1, 0]).await?;
    // CONNECT to an address (1: IPv4, 3: a name) and a port.
    let mut request = vec![0; 4];
    stream.read_exact(&mut request).await?;
    let length = match request[3] {
        1 => 4,
        3 => usize::from(stream.read_u8().await?),
        other => panic!("an address of type {other}"),
    };
    let mut address = vec![0; length + 2];
    stream.read_exact(&mut address).await?;
    request.extend_from_slice(&address);
    asked.send(request).unwrap();
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
    let mut server = TcpStream::connect(forward_to).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut server).await.map(drop)
}

#[tokio::test]
async fn a_socks5_proxy_is_asked_for_the_provider_and_gets_no_more() {
    // From the block of addresses that are for documentation alone.
    const FAR_ADDRESS: [u8; 4] = [192, 0, 2, 1];
    let authority = Authority::new();
    for (scheme, host, asked_for) in [
        ("socks5h", FAR_HOST, [&[5, 1, 0, 3][..], FAR_HOST.as_bytes(), &[1, 187]].concat()),
        ("socks5", "192.0.2.1", [&[5, 1, 0, 1][..], &FAR_ADDRESS, &[1, 187]].concat()),
    ] {
        let provider = Server::tls(authority.certify(host).server(BOTH), content).await;
        let (proxy, mut asking) = socks_proxy(provider.address).await;
        let client = merchant::builder(&format!("https://{host}/wallet"))
            .proxy(format!("{scheme}://someone:{PROXY_PASSWORD}@{proxy}"))
            .root_certificates(authority.pem())
            .max_retries(0)
            .build()
            .unwrap();
        Endpoint::Withdrawals.call(&client).await.unwrap();
        assert_eq!(in_time(asking.recv()).await.unwrap(), asked_for, "{scheme}");
        assert_eq!(provider.seen().requests.len(), 1, "{scheme}");
    }
}
