//! The webhook's route for axum, with a webhook and with a ledger: real servers, asked over sockets.
//!
//! `webhook-routes.json` is run whole but for what an application read before: in axum a request's
//! body goes to one route, so nothing of the application can.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::{Router, serve};
use kazawallet::{CreatePaymentLink, PaymentEvent, Webhook};
use kazawallet_ledger::{Decision, Ledger, Payment};
use kazawallet_simulator::{Dialect, Simulator};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use support::in_time;
use support::traces::Traces;

const PATH: &str = "/webhooks/kazawallet";

// ---------------------------------------------------------------- the table

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "description")]
    _description: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    source: Source,
    method: String,
    body: BodyOf,
    #[serde(default)]
    chunked: bool,
    #[serde(default, deserialize_with = "even_null")]
    content_type: Option<Option<String>>,
    handler: Option<Fails>,
    ledger: Option<Closed>,
    #[serde(default)]
    body_read_before: bool,
    #[serde(default)]
    only_where_possible: bool,
    status: u16,
    answer: Value,
    allow: Option<String>,
    handled: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Source {
    Webhook,
    Ledger,
    Both,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fails {
    Fails,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Closed {
    Closed,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BodyOf {
    spaces: usize,
    text: Option<String>,
    hex: Option<String>,
    signed: Option<BTreeMap<String, String>>,
    encoding: Option<Encoding>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Form,
}

/// Tells what is null from what is not there.
fn even_null<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

impl Case {
    fn is_for(&self, source: Source) -> bool {
        let possible = !(self.body_read_before && self.only_where_possible);
        possible && (self.source == source || self.source == Source::Both)
    }

    /// The ref of an order that the handler refuses.
    fn refused(&self) -> Option<String> {
        self.handler.as_ref()?;
        self.body.signed.as_ref()?.get("ref").cloned()
    }
}

impl BodyOf {
    /// `links` are the ids of the orders' links, where they have some.
    fn bytes(
        &self,
        webhook: &Webhook,
        dialect: Dialect,
        links: &BTreeMap<String, String>,
    ) -> Vec<u8> {
        let mut body = vec![b' '; self.spaces];
        body.extend(self.text.as_deref().unwrap_or_default().as_bytes());
        if let Some(hex) = &self.hex {
            let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
            body.extend(digits.map(|two| u8::from_str_radix(two, 16).unwrap()));
        }
        let Some(mut fields) = self.signed.clone() else { return body };
        if let Some(link) = links.get(&fields["ref"]) {
            fields.insert("order_id".to_owned(), link.clone());
        }
        let secret = webhook.sign(&fields["amount"].parse().unwrap(), &fields["order_id"]);
        fields.insert("secret".to_owned(), secret);
        if dialect == Dialect::Plugin {
            let id = fields.remove("order_id").unwrap();
            fields.insert("id".to_owned(), id);
        }
        match self.encoding {
            None => body.extend(serde_json::to_vec(&fields).unwrap()),
            Some(Encoding::Form) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                body.extend(form.extend_pairs(&fields).finish().into_bytes());
            }
        }
        body
    }
}

fn cases(source: Source) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhook-routes.json");
    let table: Table = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    table.cases.into_iter().filter(|case| case.is_for(source)).collect()
}

// ---------------------------------------------------------------- HTTP by hand

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn request(method: &str, content_type: Option<&str>, chunked: bool, body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {PATH} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n");
    if let Some(content_type) = content_type {
        request += &format!("content-type: {content_type}\r\n");
    }
    if !chunked {
        let head = format!("{request}content-length: {}\r\n\r\n", body.len());
        return [head.as_bytes(), body].concat();
    }
    let mut request = format!("{request}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(1000) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

fn post(body: &[u8]) -> Vec<u8> {
    request("POST", Some("application/json"), false, body)
}

/// Sends bytes and reads the answer.
async fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses what it has not read may close while more is being written.
    let _ = stream.write_all(request).await;
    in_time(read_answer(&mut stream)).await.unwrap()
}

async fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(read[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let length: usize = headers["content-length"].parse().unwrap();
            if read.len() >= end + 4 + length {
                let body = read[end + 4..end + 4 + length].to_vec();
                return Ok(Answer { status, headers, body });
            }
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

// ---------------------------------------------------------------- a shop

/// What the shop's handler does: it writes down what it got, and fails for some.
#[derive(Clone, Default)]
struct Handler {
    handled: watch::Sender<Vec<String>>,
    refuses: Arc<BTreeSet<String>>,
}

impl Handler {
    fn refusing(cases: &[Case]) -> Self {
        Self {
            refuses: Arc::new(cases.iter().filter_map(Case::refused).collect()),
            ..Self::default()
        }
    }

    fn handle(&self, reference: Option<&str>) -> Result<(), &'static str> {
        let reference = reference.unwrap_or_default();
        if self.refuses.contains(reference) {
            return Err("the shop's printer is out of paper");
        }
        self.handled.send_modify(|handled| handled.push(reference.to_owned()));
        Ok(())
    }

    fn of_event(self) -> impl Fn(PaymentEvent) -> std::future::Ready<Result<(), &'static str>> {
        move |event| std::future::ready(self.handle(event.reference()))
    }

    fn of_payment(self) -> impl Fn(Payment) -> std::future::Ready<Result<(), &'static str>> {
        move |payment| std::future::ready(self.handle(payment.reference.as_deref()))
    }

    /// Waits until this was handled.
    async fn wait_for(&self, reference: &str) {
        let mut handled = self.handled.subscribe();
        in_time(handled.wait_for(|all| all.iter().any(|one| one == reference))).await.unwrap();
    }

    fn handled(&self) -> Vec<String> {
        self.handled.borrow().clone()
    }
}

/// An application that runs.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Serves the route. `run` is given the server, and runs it.
    async fn start<R, F>(route: MethodRouter, run: R) -> Self
    where
        R: FnOnce(Serving) -> F,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = serve(listener, Router::new().route(PATH, route));
        let server = server.with_graceful_shutdown(async { stopped.await.unwrap_or_default() });
        let ended = tokio::spawn(run(Box::pin(async { server.await })));
        Self { address, stop, ended }
    }

    async fn alone(route: MethodRouter) -> Self {
        Self::start(route, |server| server).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        in_time(self.ended).await.unwrap().unwrap();
    }
}

type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

fn webhook_route(webhook: Webhook, handler: &Handler) -> MethodRouter {
    kazawallet::axum::webhook_route(webhook, handler.clone().of_event())
}

fn ledger_route(ledger: &Ledger) -> MethodRouter {
    kazawallet_ledger::axum::webhook_route(ledger.clone())
}

/// A simulator's account, and the file of a ledger.
struct Account {
    sim: Simulator,
    folder: TempDir,
}

impl Account {
    async fn new() -> Self {
        Self { sim: Simulator::start().await.unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    async fn open_ledger(&self) -> Ledger {
        let file = self.folder.path().join("kazawallet.db");
        Ledger::open(format!("sqlite://{}", file.display()))
            .client(self.sim.client())
            .await
            .unwrap()
    }

    /// The body that tells that an order's link was paid. The order is made where there is none.
    async fn paid(&self, ledger: &Ledger, reference: &str) -> Vec<u8> {
        let order = CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference(reference);
        let link = ledger.create_payment_link(order).await.unwrap();
        delivery(&self.sim.webhook(), &link.id.unwrap(), reference)
    }
}

fn delivery(webhook: &Webhook, order_id: &str, reference: &str) -> Vec<u8> {
    let secret = webhook.sign(&"10.50".parse().unwrap(), order_id);
    serde_json::to_vec(&serde_json::json!({
        "order_id": order_id, "amount": "10.50", "currency": "USD", "ref": reference,
        "status": "fulfilled", "secret": secret,
    }))
    .unwrap()
}

fn some_webhook() -> Webhook {
    Webhook::new("sim_a_key", "sim_a_secret").unwrap()
}

// ---------------------------------------------------------------- the tests

/// Sends a case, and complains where the answer is not as the table says.
async fn ask(case: &Case, address: SocketAddr, body: &[u8]) -> Option<String> {
    let content_type = match &case.content_type {
        None => Some("application/json"),
        Some(given) => given.as_deref(),
    };
    let answer = send(address, &request(&case.method, content_type, case.chunked, body)).await;
    let seen = (
        answer.status,
        answer.json(),
        answer.headers.get("allow").cloned(),
        answer.headers["content-type"].as_str(),
    );
    let wanted = (case.status, case.answer.clone(), case.allow.clone(), "application/json");
    (seen != wanted).then(|| format!("{}: {seen:?}, and not {wanted:?}", case.name))
}

#[tokio::test]
async fn the_table_with_a_webhook() {
    for dialect in [Dialect::Documented, Dialect::Plugin] {
        run_with_a_webhook(dialect).await;
    }
}

async fn run_with_a_webhook(dialect: Dialect) {
    let (webhook, cases) = (some_webhook(), cases(Source::Webhook));
    let handler = Handler::refusing(&cases);
    let shop = Running::alone(webhook_route(webhook.clone(), &handler)).await;

    let mut complaints = Vec::new();
    let mut expected = Vec::new();
    for case in &cases {
        let body = case.body.bytes(&webhook, dialect, &BTreeMap::new());
        complaints.extend(ask(case, shop.address, &body).await);
        expected.extend(case.handled.clone());
        // The handler runs before the answer.
        if handler.handled() != expected {
            complaints.push(format!("{}: {:?} is what was handled", case.name, handler.handled()));
        }
    }
    assert!(complaints.is_empty(), "{dialect}: {}", complaints.join("\n"));
    shop.stop().await;
}

#[tokio::test]
async fn the_table_with_a_ledger() {
    for dialect in [Dialect::Documented, Dialect::Plugin] {
        run_with_a_ledger(dialect).await;
    }
}

async fn run_with_a_ledger(dialect: Dialect) {
    let account = Account::new().await;
    let ledger = account.open_ledger().await;
    let closed = account.open_ledger().await;
    closed.close().await;

    let (webhook, cases) = (account.sim.webhook(), cases(Source::Ledger));
    let mut links = BTreeMap::new();
    for number in 1..=13 {
        let reference = format!("order-{number}");
        let order = CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference(&reference);
        let link = ledger.create_payment_link(order).await.unwrap();
        links.insert(reference, link.id.unwrap());
    }
    let handler = Handler::refusing(&cases);
    let worker = ledger.process(handler.clone().of_payment());
    let shop = Running::start(ledger_route(&ledger), |server| worker.while_serving(server)).await;
    let shut = Running::alone(ledger_route(&closed)).await;

    let mut complaints = Vec::new();
    let mut expected = Vec::new();
    for case in &cases {
        let body = case.body.bytes(&webhook, dialect, &links);
        let address = if case.ledger.is_some() { shut.address } else { shop.address };
        complaints.extend(ask(case, address, &body).await);
        expected.extend(case.handled.clone());
    }
    // What came first is handled first, so that nothing else can come after this one.
    let last = delivery(&webhook, &links["order-13"], "order-13");
    assert_eq!(send(shop.address, &post(&last)).await.status, 200);
    handler.wait_for("order-13").await;
    expected.push("order-13".to_owned());
    assert_eq!(handler.handled(), expected);
    assert!(complaints.is_empty(), "{dialect}: {}", complaints.join("\n"));

    // The one that failed is kept, and so is the one without an order.
    let refused = ledger.payment(&links["order-11"]).await.unwrap().unwrap();
    assert_eq!(refused.last_error.as_deref(), Some("the shop's printer is out of paper"));
    assert_eq!(ledger.summary().await.unwrap().payments[&Decision::NoOrder], 1);
    shop.stop().await;
    shut.stop().await;
    ledger.close().await;
}

#[tokio::test]
async fn what_says_that_it_is_too_long_is_refused_unread() {
    let handler = Handler::default();
    let shop = Running::alone(webhook_route(some_webhook(), &handler)).await;
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: shop\r\ncontent-length: 65537\r\n\r\n");
    let answer = send(shop.address, head.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (413, &br#"{"error":"body_too_large"}"#[..])
    );

    // And one that never ends, once it is too long.
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("10001\r\n{}", " ".repeat(65537));
    assert_eq!(send(shop.address, (head.clone() + &chunk).as_bytes()).await.status, 413);

    // What is no chunk ends the body before its end.
    let answer = send(shop.address, (head + "no chunk\r\n").as_bytes()).await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (400, &br#"{"error":"webhook_payload"}"#[..])
    );
    assert!(handler.handled().is_empty());
    shop.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_fails_alone() {
    let webhook = some_webhook();
    let route = kazawallet::axum::webhook_route(webhook.clone(), |event| async move {
        assert_ne!(event.reference(), Some("order-1"));
        Ok::<(), io::Error>(())
    });
    let shop = Running::alone(route).await;
    let answer = send(shop.address, &post(&delivery(&webhook, "pl_1", "order-1"))).await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (500, &br#"{"error":"not_processed"}"#[..])
    );
    assert_eq!(send(shop.address, &post(&delivery(&webhook, "pl_2", "order-2"))).await.status, 200);
    shop.stop().await;
}

/// Tells that it was dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_stop_the_handler() {
    let (webhook, handler) = (some_webhook(), Handler::default());
    let [began, may_end, dropped] = [(); 3].map(|()| Arc::new(Notify::new()));
    let route = {
        let (handler, began, may_end) = (handler.clone(), began.clone(), may_end.clone());
        kazawallet::axum::webhook_route(webhook.clone(), move |event| {
            let (handler, began, may_end) = (handler.clone(), began.clone(), may_end.clone());
            async move {
                began.notify_one();
                may_end.notified().await;
                handler.handle(event.reference())
            }
        })
    };
    let told = dropped.clone();
    let shop = Running::alone(route.layer(from_fn(move |request: Request, next: Next| {
        let told = Told(told.clone());
        async move {
            let answer = next.run(request).await;
            drop(told);
            answer
        }
    })))
    .await;

    let mut caller = TcpStream::connect(shop.address).await.unwrap();
    caller.write_all(&post(&delivery(&webhook, "pl_1", "order-1"))).await.unwrap();
    in_time(began.notified()).await;
    drop(caller);
    in_time(dropped.notified()).await; // The server gave the request up.
    may_end.notify_one();
    handler.wait_for("order-1").await;
    shop.stop().await;
}

#[tokio::test]
async fn the_log_says_what_went_wrong_and_shows_nobody_anything() {
    let traces = Traces::of_this_process();
    let webhook = Webhook::new("sim_key_of_the_log", "sim_secret_of_the_log").unwrap();
    let route = kazawallet::axum::webhook_route(webhook.clone(), |_| async {
        Err::<(), &str>("no such table: parcels")
    });
    let shop = Running::alone(route).await;
    let genuine = delivery(&webhook, "pl_of_the_log", "ref-of-the-log");
    let answer = send(shop.address, &post(&genuine)).await;
    assert_eq!(answer.json(), serde_json::json!({ "error": "not_processed" }));
    let forged = delivery(&some_webhook(), "pl_of_the_log", "ref-of-the-log");
    assert_eq!(send(shop.address, &post(&forged)).await.status, 401);
    shop.stop().await;

    // And with a ledger, whose worker tells of its handler.
    let account = Account::new().await;
    let ledger = account.open_ledger().await;
    let paid = account.paid(&ledger, "ref-of-the-log").await;
    let worker = ledger.process(|_| async { Err::<(), &str>("no such table: parcels") }).start();
    let receipt = ledger.receive(paid).await.unwrap();
    let tells = |log: &str, what: &str, order_id: &str| {
        log.lines().any(|line| line.contains(what) && line.contains(order_id))
    };
    let order_id = receipt.event.order_id();
    let log =
        traces.wait_for(|traced| tells(&traced.text, "the handler failed", order_id)).await.text;
    worker.stop().await;
    ledger.close().await;

    assert!(tells(&log, "the handler failed", "pl_of_the_log"), "{log}");
    assert!(log.contains("signature_verification"), "{log}");
    let signature = webhook.sign(&"10.50".parse().unwrap(), "pl_of_the_log");
    for private in [
        "sim_key_of_the_log",
        "sim_secret_of_the_log",
        "ref-of-the-log",
        "no such table: parcels",
        &signature,
    ] {
        assert!(!log.contains(private), "{private} is in the log");
    }
}

#[test]
fn it_needs_no_tokio_runtime() {
    use tower_service::Service;

    let (webhook, handler) = (some_webhook(), Handler::default());
    let mut route = webhook_route(webhook.clone(), &handler);
    let request = Request::post(PATH).body(Body::from(delivery(&webhook, "pl_1", "order-1")));
    let answering = std::pin::pin!(route.call(request.unwrap()));
    let Poll::Ready(answer) = answering.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits for something");
    };
    let answer: Response = answer.unwrap_or_else(|never| match never {});
    assert_eq!(answer.status(), 200);
    assert_eq!(handler.handled(), ["order-1"]);
}

#[tokio::test]
async fn the_worker_comes_and_goes_with_the_application() {
    let account = Account::new().await;
    let ledger = account.open_ledger().await;

    // An application without a worker, which then ends.
    let first = account.paid(&ledger, "order-1").await;
    let shop = Running::alone(ledger_route(&ledger)).await;
    assert_eq!(send(shop.address, &post(&first)).await.status, 200);
    shop.stop().await;
    ledger.close().await;

    // The next one handles what that received.
    let ledger = account.open_ledger().await;
    let handler = Handler::default();
    let [began, may_end, served] = [(); 3].map(|()| Arc::new(Notify::new()));
    let worker = {
        let (handler, began, may_end) = (handler.clone(), began.clone(), may_end.clone());
        ledger.process(move |payment: Payment| {
            let (handler, began, may_end) = (handler.clone(), began.clone(), may_end.clone());
            async move {
                if payment.reference.as_deref() == Some("order-2") {
                    began.notify_one();
                    may_end.notified().await;
                }
                handler.handle(payment.reference.as_deref())
            }
        })
    };
    let told = Told(served.clone());
    let shop = Running::start(ledger_route(&ledger), |server| {
        worker.while_serving(async move {
            let _told = told;
            server.await
        })
    })
    .await;
    handler.wait_for("order-1").await;

    // It ends when the handler that runs has ended, and takes no other payment.
    for reference in ["order-2", "order-3"] {
        let body = account.paid(&ledger, reference).await;
        assert_eq!(send(shop.address, &post(&body)).await.status, 200);
    }
    in_time(began.notified()).await;
    let ending = tokio::spawn(shop.stop());
    in_time(served.notified()).await; // Now it waits for the worker.
    may_end.notify_one();
    in_time(ending).await.unwrap();
    assert_eq!(handler.handled(), ["order-1", "order-2"]);
    let [waiting] = ledger.pending(10).await.unwrap().try_into().unwrap();
    assert_eq!((waiting.reference.as_deref(), waiting.tries), (Some("order-3"), 1));
    ledger.close().await;
}

/// 2,000 deliveries, 50 at once, while the handler takes its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_deliveries_while_the_handler_sleeps() {
    const DELIVERIES: u32 = 2_000;
    const AT_ONCE: u32 = 50;

    let account = Arc::new(Account::new().await);
    let ledger = account.open_ledger().await;
    let mut shoppers = JoinSet::new();
    for shopper in 0..AT_ONCE {
        let (account, ledger) = (account.clone(), ledger.clone());
        shoppers.spawn(async move {
            let mut paid = Vec::new();
            for number in (shopper..DELIVERIES).step_by(AT_ONCE as usize) {
                paid.push(account.paid(&ledger, &format!("order-{number}")).await);
            }
            paid
        });
    }
    let paid = shoppers.join_all().await;

    let began = Arc::new(Notify::new());
    let told = began.clone();
    let worker = ledger.process(move |_| {
        told.notify_one();
        async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok::<(), io::Error>(())
        }
    });
    let shop = Running::start(ledger_route(&ledger), |server| worker.while_serving(server)).await;
    let mut couriers = JoinSet::new();
    for bodies in paid {
        let address = shop.address;
        couriers.spawn(async move {
            let mut late = 0;
            for body in bodies {
                let sent = Instant::now();
                assert_eq!(send(address, &post(&body)).await.status, 200);
                late += u32::from(sent.elapsed() > Duration::from_secs(1));
            }
            late
        });
    }
    let late: u32 = couriers.join_all().await.into_iter().sum();
    in_time(began.notified()).await;
    shop.stop().await;
    ledger.close().await;

    // A busy machine that stops for a moment, with fifty under way, must not fail it.
    assert!(late <= DELIVERIES / 10, "{late} of {DELIVERIES} took more than a second");
    let ledger = account.open_ledger().await;
    assert_eq!(ledger.summary().await.unwrap().payments[&Decision::Paid], u64::from(DELIVERIES));
    ledger.close().await;
}
