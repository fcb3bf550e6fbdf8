//! axum's routes, served for a shop, and asked over sockets.

#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use axum::routing::MethodRouter;
use axum::{Router, serve};
use kazawallet::{CreatePaymentLink, PaymentEvent, Webhook};
use kazawallet_ledger::{Ledger, OpenLedger, Payment};
use kazawallet_simulator::Simulator;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::support::in_time;

pub const PATH: &str = "/webhooks/kazawallet";

// ---------------------------------------------------------------- HTTP by hand

pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub fn request(method: &str, headers: &[(&str, &str)], chunked: bool, body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {PATH} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
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

pub fn post(body: &[u8]) -> Vec<u8> {
    request("POST", &[("content-type", "application/json")], false, body)
}

/// Sends bytes and reads the answer.
pub async fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses what it has not read may close while more is being written.
    let _ = stream.write_all(request).await;
    in_time(read_answer(&mut stream)).await.unwrap()
}

pub async fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
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
pub struct Handler {
    handled: watch::Sender<Vec<String>>,
    refuses: Arc<BTreeSet<String>>,
}

impl Handler {
    /// It fails for these orders.
    pub fn refusing(refuses: BTreeSet<String>) -> Self {
        Self { refuses: Arc::new(refuses), ..Self::default() }
    }

    pub fn handle(&self, reference: Option<&str>) -> Result<(), &'static str> {
        let reference = reference.unwrap_or_default();
        if self.refuses.contains(reference) {
            return Err("the shop's printer is out of paper");
        }
        self.handled.send_modify(|handled| handled.push(reference.to_owned()));
        Ok(())
    }

    pub fn of_event(self) -> impl Fn(PaymentEvent) -> std::future::Ready<Result<(), &'static str>> {
        move |event| std::future::ready(self.handle(event.reference()))
    }

    pub fn of_payment(self) -> impl Fn(Payment) -> std::future::Ready<Result<(), &'static str>> {
        move |payment| std::future::ready(self.handle(payment.reference.as_deref()))
    }

    /// Waits until this was handled.
    pub async fn wait_for(&self, reference: &str) {
        let mut handled = self.handled.subscribe();
        in_time(handled.wait_for(|all| all.iter().any(|one| one == reference))).await.unwrap();
    }

    pub fn handled(&self) -> Vec<String> {
        self.handled.borrow().clone()
    }
}

/// An application that runs.
pub struct Running {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Serves the route. `run` is given the server, and runs it.
    pub async fn start<R, F>(route: MethodRouter, run: R) -> Self
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

    pub async fn alone(route: MethodRouter) -> Self {
        Self::start(route, |server| server).await
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        in_time(self.ended).await.unwrap().unwrap();
    }
}

pub type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A ledger's route, with a worker that comes and goes with the server.
pub async fn with_worker(ledger: &Ledger, handler: &Handler) -> Running {
    let worker = ledger.process(handler.clone().of_payment());
    Running::start(ledger_route(ledger), |server| worker.while_serving(server)).await
}

pub fn webhook_route(webhook: Webhook, handler: &Handler) -> MethodRouter {
    kazawallet::axum::webhook_route(webhook, handler.clone().of_event())
}

pub fn ledger_route(ledger: &Ledger) -> MethodRouter {
    kazawallet_ledger::axum::webhook_route(ledger.clone())
}

/// A simulator's account, and the file of a ledger.
pub struct Account {
    pub sim: Simulator,
    folder: TempDir,
}

impl Account {
    pub async fn new() -> Self {
        Self { sim: Simulator::start().await.unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn opening(&self) -> OpenLedger {
        let url = format!("sqlite://{}", self.file("kazawallet.db").display());
        Ledger::open(url).client(self.sim.client())
    }

    pub async fn open_ledger(&self) -> Ledger {
        self.opening().await.unwrap()
    }

    /// The body that tells that an order's link was paid. The order is made where there is none.
    pub async fn paid(&self, ledger: &Ledger, reference: &str) -> Vec<u8> {
        let order = CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference(reference);
        let link = ledger.create_payment_link(order).await.unwrap();
        delivery(&self.sim.webhook(), &link.id.unwrap(), reference)
    }
}

pub fn delivery(webhook: &Webhook, order_id: &str, reference: &str) -> Vec<u8> {
    let secret = webhook.sign(&"10.50".parse().unwrap(), order_id);
    serde_json::to_vec(&serde_json::json!({
        "order_id": order_id, "amount": "10.50", "currency": "USD", "ref": reference,
        "status": "fulfilled", "secret": secret,
    }))
    .unwrap()
}

pub fn some_webhook() -> Webhook {
    Webhook::new("sim_a_key", "sim_a_secret").unwrap()
}
