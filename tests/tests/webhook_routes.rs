//! `webhook-routes.json` for axum: every case over a real connection, with a webhook and with a ledger,
//! and what is told of it.
//!
//! Three cases are left out. In axum a request's body goes to one route, so nothing of the application can
//! read it before; axum's server hands chunks on; and a route is given nothing but requests.
//!
//! One test alone, since what is told is told to the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/served.rs"]
mod served;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use kazawallet::{CreatePaymentLink, Webhook};
use kazawallet_ledger::{Decision, Ledger, Payment, Processing};
use kazawallet_ledger_tests::postgres::{Postgres, Stop};
use kazawallet_simulator::Dialect;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use served::{
    Account, Answer, Handler, Running, delivery, ledger_route, post, read_answer, request, send,
    some_webhook, webhook_route, with_worker,
};
use support::in_time;
use support::traces::{Told, Traced, Traces};

const BOUNDARY: &str = "----a-boundary-of-the-table";

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
    cut: Option<Cut>,
    #[serde(default, deserialize_with = "even_null")]
    content_type: Option<Option<String>>,
    compressed: Option<Compressed>,
    #[serde(default, deserialize_with = "even_null")]
    content_encoding: Option<Option<String>>,
    handler: Option<Handling>,
    ledger: Option<Closed>,
    receiver: Option<Stopped>,
    database: Option<Away>,
    quarantined: Option<BTreeMap<String, String>>,
    #[serde(default)]
    body_read_before: bool,
    #[serde(default)]
    not_handed_on: bool,
    #[serde(default)]
    no_request: bool,
    #[serde(default)]
    only_where_possible: bool,
    status: u16,
    answer: Value,
    allow: Option<String>,
    told: Vec<Telling>,
    handled: Option<Handled>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Source {
    Webhook,
    Ledger,
    Both,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Cut {
    Closed,
    HalfClosed,
}

#[derive(Clone, Copy, Deserialize)]
enum Compressed {
    #[serde(rename = "gzip")]
    Gzip,
    #[serde(rename = "deflate")]
    Deflate,
    #[serde(rename = "raw deflate")]
    RawDeflate,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Handling {
    Fails,
    NeverReturns,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Closed {
    Closed,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stopped {
    Stopped,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Away {
    Away,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Telling {
    level: String,
    code: String,
    /// The ref of the payment that it is about.
    payment: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Handled {
    One(String),
    Many(Vec<String>),
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

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Form,
    Multipart,
}

/// Tells what is null from what is not there.
fn even_null<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

fn cases(source: Source) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhook-routes.json");
    let table: Table = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    table.cases.into_iter().filter(|case| case.is_for(source)).collect()
}

/// Which receiver a case is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Receiver {
    Usual,
    Closed,
    Stopped,
    Quarantined,
    Away,
    NeverReturns,
}

impl Case {
    fn is_for(&self, source: Source) -> bool {
        let elsewhere = self.body_read_before || self.not_handed_on || self.no_request;
        let possible = !(elsewhere && self.only_where_possible);
        possible && (self.source == source || self.source == Source::Both)
    }

    fn receiver(&self) -> Receiver {
        if self.ledger.is_some() {
            Receiver::Closed
        } else if self.receiver.is_some() {
            Receiver::Stopped
        } else if self.quarantined.is_some() {
            Receiver::Quarantined
        } else if self.database.is_some() {
            Receiver::Away
        } else if self.handler == Some(Handling::NeverReturns) {
            Receiver::NeverReturns
        } else {
            Receiver::Usual
        }
    }

    fn reference(&self) -> Option<&str> {
        self.body.signed.as_ref().map(|fields| fields["ref"].as_str())
    }

    /// What the handler must get.
    fn handled(&self) -> &[String] {
        match &self.handled {
            None => &[],
            Some(Handled::One(one)) => std::slice::from_ref(one),
            Some(Handled::Many(many)) => many,
        }
    }

    /// The bytes of its body, as they are sent.
    fn bytes(&self, webhook: &Webhook, dialect: Dialect, links: &Links) -> Vec<u8> {
        let mut body = vec![b' '; self.body.spaces];
        body.extend(self.body.text.as_deref().unwrap_or_default().as_bytes());
        if let Some(hex) = &self.body.hex {
            let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
            body.extend(digits.map(|two| u8::from_str_radix(two, 16).unwrap()));
        }
        if let Some(fields) = &self.body.signed {
            let fields = signed(fields.clone(), webhook, dialect, links);
            body.extend(encoded(&fields, self.body.encoding));
        }
        match self.compressed {
            None => body,
            Some(Compressed::Gzip) => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&body).unwrap();
                encoder.finish().unwrap()
            }
            Some(Compressed::Deflate) => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&body).unwrap();
                encoder.finish().unwrap()
            }
            Some(Compressed::RawDeflate) => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&body).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn content_type(&self) -> Option<String> {
        match &self.content_type {
            Some(given) => given.clone(),
            None if self.body.encoding == Some(Encoding::Multipart) => {
                Some(format!("multipart/form-data; boundary={BOUNDARY}"))
            }
            None => Some("application/json".to_owned()),
        }
    }

    fn content_encoding(&self) -> Option<&str> {
        match (&self.content_encoding, self.compressed) {
            (Some(given), _) => given.as_deref(),
            (None, None) => None,
            (None, Some(Compressed::Gzip)) => Some("gzip"),
            (None, Some(Compressed::Deflate | Compressed::RawDeflate)) => Some("deflate"),
        }
    }

    /// Sends it. The sender of one that is cut may get no answer.
    async fn send(&self, address: SocketAddr, body: &[u8]) -> Option<Answer> {
        let (content_type, encoding) = (self.content_type(), self.content_encoding());
        let headers = [
            content_type.as_deref().map(|given| ("content-type", given)),
            encoding.map(|given| ("content-encoding", given)),
        ];
        let headers: Vec<_> = headers.into_iter().flatten().collect();
        let request = request(&self.method, &headers, self.chunked, body);
        let Some(cut) = self.cut else { return Some(send(address, &request).await) };
        let mut sender = TcpStream::connect(address).await.unwrap();
        sender.write_all(&request[..request.len() - body.len() / 2]).await.unwrap();
        if cut == Cut::Closed {
            return None;
        }
        sender.shutdown().await.unwrap();
        in_time(read_answer(&mut sender)).await.ok()
    }

    /// Sends it, and complains if the answer is not as the table says.
    async fn ask(&self, address: SocketAddr, body: &[u8]) -> Option<String> {
        let answer = self.send(address, body).await?;
        let seen = (
            answer.status,
            answer.json(),
            answer.headers.get("allow").cloned(),
            answer.headers["content-type"].as_str(),
        );
        let wanted = (self.status, self.answer.clone(), self.allow.clone(), "application/json");
        (seen != wanted).then(|| format!("{}: {seen:?}, and not {wanted:?}", self.name))
    }
}

/// The ids of the orders' links, by the orders' refs.
type Links = BTreeMap<String, String>;

fn signed(
    mut fields: BTreeMap<String, String>,
    webhook: &Webhook,
    dialect: Dialect,
    links: &Links,
) -> BTreeMap<String, String> {
    if let Some(link) = links.get(&fields["ref"]) {
        fields.insert("order_id".to_owned(), link.clone());
    }
    let secret = webhook.sign(&fields["amount"].parse().unwrap(), &fields["order_id"]);
    fields.insert("secret".to_owned(), secret);
    if dialect == Dialect::Plugin {
        let id = fields.remove("order_id").unwrap();
        fields.insert("id".to_owned(), id);
    }
    fields
}

fn encoded(fields: &BTreeMap<String, String>, encoding: Option<Encoding>) -> Vec<u8> {
    match encoding {
        None => serde_json::to_vec(fields).unwrap(),
        Some(Encoding::Form) => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(fields).finish().into_bytes()
        }
        Some(Encoding::Multipart) => {
            let part = |(name, value)| {
                format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                )
            };
            let parts: String = fields.iter().map(part).collect();
            format!("{parts}--{BOUNDARY}--\r\n").into_bytes()
        }
    }
}

// ---------------------------------------------------------------- what is told

/// What the receivers of one run must tell, in the order of the cases.
#[derive(Default)]
struct Expected {
    told: Vec<Told>,
    /// What names no payment is told once a minute by each receiver.
    once: BTreeSet<(Receiver, String)>,
}

impl Expected {
    fn of(&mut self, case: &Case, links: &Links) {
        for Telling { level, code, payment } in &case.told {
            if payment.is_none() && !self.once.insert((case.receiver(), code.clone())) {
                continue;
            }
            let order_id = payment.as_ref().map(|payment| {
                let said = || case.body.signed.as_ref().unwrap()["order_id"].clone();
                links.get(payment).cloned().unwrap_or_else(said)
            });
            let (level, code) = (level.clone(), code.clone());
            self.told.push(Told { level, code, order_id });
        }
    }
}

/// Waits until all was told that must be, and complains if it is something else.
async fn complaint(traces: &Traces, since: usize, expected: Expected) -> Option<String> {
    let mut wanted = expected.told;
    let all = |traced: &Traced| {
        let told: Vec<_> = traced.told.iter().skip(since).collect();
        wanted.iter().all(|one| told.contains(&one))
    };
    let mut told = traces.wait_for(all).await.told.split_off(since);
    // axum's receiver starts in the background: the server may be stopped before it has looked through its
    // quarantine.
    told.retain(|one| one.code != "not_reverified");
    told.sort();
    // A handler that fails is tried again, and told of again.
    told.dedup_by(|one, other| one == other && one.code == "handler_failed");
    wanted.sort();
    (told != wanted).then(|| format!("{told:#?}\nis what was told, and not\n{wanted:#?}"))
}

// ---------------------------------------------------------------- the test

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_is_answered_and_told_as_the_table_says() {
    let traces = Traces::of_this_process();
    for dialect in [Dialect::Documented, Dialect::Plugin] {
        with_a_webhook(traces, dialect).await;
        with_a_ledger(traces, dialect).await;
    }
}

async fn with_a_webhook(traces: &Traces, dialect: Dialect) {
    let (webhook, cases) = (some_webhook(), cases(Source::Webhook));
    let since = traces.so_far().told.len();
    let handler = Handler::refusing(refused(&cases));
    let shop = Running::alone(webhook_route(webhook.clone(), &handler)).await;

    let mut complaints = Vec::new();
    let (mut handled, mut expected) = (Vec::new(), Expected::default());
    for case in &cases {
        assert_eq!(case.receiver(), Receiver::Usual, "{}", case.name);
        let links = Links::new();
        let body = case.bytes(&webhook, dialect, &links);
        complaints.extend(case.ask(shop.address, &body).await);
        handled.extend_from_slice(case.handled());
        let own =
            case.body.signed.iter().map(|said| (said["ref"].clone(), said["order_id"].clone()));
        expected.of(case, &own.collect());
        // The handler runs before the answer.
        if handler.handled() != handled {
            complaints.push(format!("{}: {:?} is what was handled", case.name, handler.handled()));
        }
    }
    complaints.extend(complaint(traces, since, expected).await);
    assert!(complaints.is_empty(), "{dialect}: {}", complaints.join("\n"));
    shop.stop().await;
}

fn refused(cases: &[Case]) -> BTreeSet<String> {
    let fails = |case: &&Case| case.handler == Some(Handling::Fails);
    cases.iter().filter(fails).filter_map(Case::reference).map(str::to_owned).collect()
}

/// An account's ledger with the orders of the table.
struct Shop {
    account: Account,
    ledger: Ledger,
    links: Links,
}

impl Shop {
    async fn of(account: Account, ledger: Ledger) -> Self {
        let mut links = Links::new();
        for number in 1..=24 {
            let reference = format!("order-{number}");
            let order =
                CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference(&reference);
            let link = ledger.create_payment_link(order).await.unwrap();
            links.insert(reference, link.id.unwrap());
        }
        Self { account, ledger, links }
    }

    async fn new() -> Self {
        let account = Account::new().await;
        let ledger = account.open_ledger().await;
        Self::of(account, ledger).await
    }

    fn bytes(&self, case: &Case, dialect: Dialect) -> Vec<u8> {
        case.bytes(&self.account.sim.webhook(), dialect, &self.links)
    }

    async fn payment(&self, case: &Case) -> Payment {
        let id = &self.links[case.reference().unwrap()];
        self.ledger.payment(id).await.unwrap().unwrap()
    }
}

async fn with_a_ledger(traces: &Traces, dialect: Dialect) {
    let mut complaints = usual(traces, dialect).await;
    for case in cases(Source::Ledger) {
        let since = traces.so_far().told.len();
        let links = match case.receiver() {
            Receiver::Usual => continue,
            Receiver::Closed => closed(&case, dialect, &mut complaints).await,
            Receiver::Stopped => stopped(&case, dialect, &mut complaints).await,
            Receiver::Quarantined => quarantined(&case, dialect, &mut complaints).await,
            Receiver::Away => away(&case, dialect, &mut complaints).await,
            Receiver::NeverReturns => never_returns(&case, dialect, &mut complaints).await,
        };
        let mut expected = Expected::default();
        expected.of(&case, &links);
        let wrong = complaint(traces, since, expected).await;
        complaints.extend(wrong.map(|wrong| format!("{}: {wrong}", case.name)));
    }
    assert!(complaints.is_empty(), "{dialect}: {}", complaints.join("\n"));
}

async fn usual(traces: &Traces, dialect: Dialect) -> Vec<String> {
    let shop = Shop::new().await;
    let since = traces.so_far().told.len();
    let cases = cases(Source::Ledger);
    let cases: Vec<_> =
        cases.into_iter().filter(|case| case.receiver() == Receiver::Usual).collect();
    let handler = Handler::refusing(refused(&cases));
    let server = with_worker(&shop.ledger, &handler).await;

    let mut complaints = Vec::new();
    let (mut handled, mut expected) = (Vec::new(), Expected::default());
    for case in &cases {
        complaints.extend(case.ask(server.address, &shop.bytes(case, dialect)).await);
        handled.extend_from_slice(case.handled());
        expected.of(case, &shop.links);
    }
    // What came first is handled first, so that nothing else can come after this one.
    let last = delivery(&shop.account.sim.webhook(), &shop.links["order-13"], "order-13");
    assert_eq!(send(server.address, &post(&last)).await.status, 200);
    handler.wait_for("order-13").await;
    handled.push("order-13".to_owned());
    assert_eq!(handler.handled(), handled);
    complaints.extend(complaint(traces, since, expected).await);

    // The one that failed is kept, and so is the one without an order.
    let refused = shop.ledger.payment(&shop.links["order-11"]).await.unwrap().unwrap();
    assert_eq!(refused.last_error.as_deref(), Some("the shop's printer is out of paper"));
    assert_eq!(shop.ledger.summary().await.unwrap().payments[&Decision::NoOrder], 1);
    server.stop().await;
    shop.ledger.close().await;
    complaints
}

async fn closed(case: &Case, dialect: Dialect, complaints: &mut Vec<String>) -> Links {
    let shop = Shop::new().await;
    let server = Running::alone(ledger_route(&shop.ledger)).await;
    shop.ledger.close().await;
    complaints.extend(case.ask(server.address, &shop.bytes(case, dialect)).await);
    server.stop().await;
    shop.links
}

async fn stopped(case: &Case, dialect: Dialect, complaints: &mut Vec<String>) -> Links {
    let shop = Shop::new().await;
    let handler = Handler::default();
    shop.ledger.process(handler.clone().of_payment()).start().stop().await;
    let server = Running::alone(ledger_route(&shop.ledger)).await;
    complaints.extend(case.ask(server.address, &shop.bytes(case, dialect)).await);
    server.stop().await;
    assert_eq!(shop.payment(case).await.processing, Some(Processing::Waiting));
    assert_eq!(handler.handled(), case.handled());
    shop.ledger.close().await;
    shop.links
}

async fn quarantined(case: &Case, dialect: Dialect, complaints: &mut Vec<String>) -> Links {
    let shop = Shop::new().await;
    let webhook = shop.account.sim.webhook();
    let fields = case.quarantined.clone().unwrap();
    let reference = fields["ref"].clone();
    let body = encoded(&signed(fields, &webhook, dialect, &shop.links), None);
    let forgetful = shop.account.opening().webhook(some_webhook()).await.unwrap();
    assert!(forgetful.receive(body).await.is_err());
    forgetful.close().await;

    let handler = Handler::default();
    let server = with_worker(&shop.ledger, &handler).await;
    handler.wait_for(&reference).await;
    complaints.extend(case.ask(server.address, &shop.bytes(case, dialect)).await);
    handler.wait_for(case.reference().unwrap()).await;
    let (mut handled, mut wanted) = (handler.handled(), case.handled().to_vec());
    handled.sort();
    wanted.sort();
    assert_eq!(handled, wanted);
    server.stop().await;
    shop.ledger.close().await;
    shop.links
}

async fn away(case: &Case, dialect: Dialect, complaints: &mut Vec<String>) -> Links {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let server = Arc::new(server.unwrap_or_else(|error| panic!("{error}")));
    let account = Account::new().await;
    let url = server.new_database().await.unwrap();
    let ledger = Ledger::open(url).client(account.sim.client()).spool(account.file("spool"));
    let shop = Shop::of(account, ledger.await.unwrap()).await;
    // Without a worker, which would tell of the same after a while.
    let running = Running::alone(ledger_route(&shop.ledger)).await;
    let stopping = server.clone();
    tokio::task::spawn_blocking(move || stopping.stop(Stop::Immediate)).await.unwrap().unwrap();
    complaints.extend(case.ask(running.address, &shop.bytes(case, dialect)).await);
    let spooled = fs::read_dir(shop.account.file("spool")).unwrap();
    assert_eq!(spooled.count(), 1);
    running.stop().await;
    shop.ledger.close().await;
    shop.links
}

async fn never_returns(case: &Case, dialect: Dialect, complaints: &mut Vec<String>) -> Links {
    let shop = Shop::new().await;
    let begun = Arc::new(watch::Sender::new(false));
    let begins = begun.clone();
    let worker = shop.ledger.process(move |_: Payment| {
        begins.send_replace(true);
        std::future::pending::<Result<(), std::io::Error>>()
    });
    let worker = worker.first_pause(Duration::from_secs(60)).start();
    let server = Running::alone(ledger_route(&shop.ledger)).await;
    complaints.extend(case.ask(server.address, &shop.bytes(case, dialect)).await);
    in_time(begun.subscribe().wait_for(|begun| *begun)).await.unwrap();
    assert!(!in_time(worker.stop_within(Duration::from_millis(1500))).await);
    let payment = shop.payment(case).await;
    assert_eq!((payment.processing, payment.tries), (Some(Processing::Waiting), 1));
    server.stop().await;
    shop.ledger.close().await;
    shop.links
}
