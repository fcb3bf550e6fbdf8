//! The programs of the README and of the guides are those in `src/bin`, and do what is said of them.

#![allow(clippy::unwrap_used)]

use std::process::Stdio;

use kazawallet::{CreatePaymentLink, Webhook};
use kazawallet_ledger::{Decision, Ledger, PayoutState};
use kazawallet_simulator::{DeliveryOutcome, Fault, Simulator, Trigger};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const README: &str = include_str!("../../../README.md");
const LEDGER: &str = include_str!("../../../docs/ledger.md");
const LEDGER_README: &str = include_str!("../../../ledger/README.md");

/// The README's Rust programs, in order.
const README_PROGRAMS: [(&str, &str); 6] = [
    ("first_call", include_str!("../src/bin/first_call.rs")),
    ("create_link", include_str!("../src/bin/create_link.rs")),
    ("receive_webhook", include_str!("../src/bin/receive_webhook.rs")),
    ("pay_out", include_str!("../src/bin/pay_out.rs")),
    ("balances", include_str!("../src/bin/balances.rs")),
    ("simulator", include_str!("../src/bin/simulator.rs")),
];

/// Those of the guide to the ledger.
const LEDGER_PROGRAMS: [(&str, &str); 4] = [
    ("ledger_order", include_str!("../src/bin/ledger_order.rs")),
    ("ledger_webhook", include_str!("../src/bin/ledger_webhook.rs")),
    ("ledger_cron", include_str!("../src/bin/ledger_cron.rs")),
    ("ledger_payout", include_str!("../src/bin/ledger_payout.rs")),
];

#[test]
fn the_documents_show_these_programs() {
    for (document, programs) in [
        (README, &README_PROGRAMS[..]),
        (LEDGER, &LEDGER_PROGRAMS[..]),
        (LEDGER_README, &LEDGER_PROGRAMS[..1]),
    ] {
        let shown = blocks(document, "rust");
        assert_eq!(shown.len(), programs.len(), "a Rust block has no program here");
        for ((name, program), shown) in programs.iter().zip(shown) {
            assert_eq!(&shown, program, "the document's block differs from src/bin/{name}.rs");
        }
    }
}

fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    document
        .split(&format!("```{language}"))
        .skip(1)
        .map(|rest| rest.split_once('\n').unwrap().1.split("```").next().unwrap())
        .collect()
}

#[tokio::test]
async fn the_first_call_makes_a_link() {
    let sim = Simulator::start().await.unwrap();
    let said = output(env!("CARGO_BIN_EXE_first_call"), &sim).await;
    let link = &sim.links()[0];
    assert!(said.contains(&link.id), "{said}");
    assert_eq!(link.reference.as_deref(), Some("order-42"));
}

#[tokio::test]
async fn a_link_is_made_and_a_wrong_key_is_told() {
    let build = || Simulator::builder().merchant_email("shop@example.com");
    let sim = build().api_key("sim_your_api_key").start().await.unwrap();
    assert!(output(env!("CARGO_BIN_EXE_create_link"), &sim).await.contains(&sim.links()[0].id));

    let sim = build().start().await.unwrap();
    assert!(output(env!("CARGO_BIN_EXE_create_link"), &sim).await.starts_with("wrong key"));
}

#[tokio::test]
async fn the_webhook_is_received_and_held_against_the_order() {
    let sim = Simulator::start().await.unwrap();
    let mut shop = spawn(env!("CARGO_BIN_EXE_receive_webhook"), &sim);
    let mut lines = BufReader::new(shop.stdout.take().unwrap()).lines();
    let listening = lines.next_line().await.unwrap().unwrap();
    let url = listening.strip_prefix("listening on ").unwrap();
    sim.set_webhook_url(Some(url)).unwrap();

    let link = |amount: &str| {
        let link = CreatePaymentLink::new(amount.parse().unwrap(), "USD");
        let client = sim.client();
        async move { client.payment_links().create(link.reference("order-42")).await.unwrap() }
    };
    let answered = |outcome: &DeliveryOutcome| {
        matches!(outcome, DeliveryOutcome::Answered { status: 200, .. })
    };

    let right = link("10.50").await;
    assert!(answered(&sim.pay(&right).await.unwrap()[0].outcome));
    let said = lines.next_line().await.unwrap().unwrap();
    assert_eq!(said, format!("order-42 is paid by {}", right.id.unwrap()));

    let wrong = link("1.00").await;
    assert!(answered(&sim.pay(&wrong).await.unwrap()[0].outcome));
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("keep it, and look into it"));
}

#[tokio::test]
async fn a_payout_is_made_once() {
    let sim = Simulator::start().await.unwrap();
    let before = sim.balance("SYP");
    let said = output(env!("CARGO_BIN_EXE_pay_out"), &sim).await;
    assert_eq!(said.trim(), r#"the provider answered Some("approved")"#);
    assert_eq!(before - sim.balance("SYP"), "500000".parse().unwrap());

    sim.fault(Fault::CloseAfterActing).unwrap();
    let said = output(env!("CARGO_BIN_EXE_pay_out"), &sim).await;
    assert!(said.starts_with("look into it"), "{said}");
    assert_eq!(before - sim.balance("SYP"), "1000000".parse().unwrap());
}

#[tokio::test]
async fn balances_are_listed_and_a_card_is_made() {
    let sim = Simulator::builder().balance("USD", "12.50").start().await.unwrap();
    let said = output(env!("CARGO_BIN_EXE_balances"), &sim).await;
    assert!(said.lines().any(|line| line == "12.50 USD"), "{said}");
    assert!(said.contains("cardId"), "{said}");
}

#[tokio::test]
async fn the_simulator_is_used_in_a_test() {
    let sim = Simulator::start().await.unwrap();
    assert_eq!(output(env!("CARGO_BIN_EXE_simulator"), &sim).await, "");
}

#[tokio::test]
async fn an_order_of_the_ledger_has_one_link() {
    let (sim, shop) = (Simulator::start().await.unwrap(), Shop::new());
    let first = shop.output(env!("CARGO_BIN_EXE_ledger_order"), &sim).await;
    let again = shop.output(env!("CARGO_BIN_EXE_ledger_order"), &sim).await;
    let [link] = sim.links().try_into().unwrap();
    assert!(first.contains(&link.id), "{first}");
    assert_eq!(first, again);
}

#[tokio::test]
async fn the_ledgers_webhook_tells_the_handler_and_cron() {
    let (sim, shop) = (Simulator::start().await.unwrap(), Shop::new());
    let mut server = shop.spawn(env!("CARGO_BIN_EXE_ledger_webhook"), &sim);
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let listening = lines.next_line().await.unwrap().unwrap();
    sim.set_webhook_url(Some(listening.strip_prefix("listening on ").unwrap())).unwrap();

    // Another process of the shop.
    let ledger = Ledger::open(&shop.url).client(sim.client()).await.unwrap();
    let order =
        |reference| CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference(reference);
    let link = ledger.create_payment_link(order("order-42")).await.unwrap();
    let order_id = link.id.unwrap();
    let deliver = |signer: Webhook| {
        let trigger = Trigger::to(sim.webhook_url().unwrap(), "10.50".parse().unwrap());
        let trigger = trigger.reference("order-42").order_id(&order_id);
        async move { trigger.send(&signer).await.unwrap().outcome }
    };
    let forged = deliver(Webhook::new("sim_key", "sim_secret").unwrap()).await;
    assert!(matches!(forged, DeliveryOutcome::Answered { status: 401, .. }), "{forged}");
    let genuine = deliver(sim.webhook()).await;
    assert!(matches!(genuine, DeliveryOutcome::Answered { status: 200, .. }), "{genuine}");
    let said = lines.next_line().await.unwrap().unwrap();
    assert_eq!(said, format!("order-42 is paid by {order_id}"));

    let link = ledger.create_payment_link(order("order-43")).await.unwrap();
    sim.time_out(&link.url).await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "the link of order-43 timed out");

    // Without a worker, a cron job has what is due, once.
    server.kill().await.unwrap();
    let link = ledger.create_payment_link(order("order-44")).await.unwrap();
    let delivery = &sim.pay(&link.url).await.unwrap()[0];
    assert_eq!(ledger.receive(&delivery.body).await.unwrap().decision, Decision::Paid);
    let cron = env!("CARGO_BIN_EXE_ledger_cron");
    assert_eq!(shop.output(cron, &sim).await, format!("{} paid: true\n", link.id.unwrap()));
    assert_eq!(shop.output(cron, &sim).await, "");
    ledger.close().await;
}

#[tokio::test]
async fn the_ledger_pays_out_once() {
    let (sim, shop) = (Simulator::start().await.unwrap(), Shop::new());
    let before = sim.balance("SYP");
    sim.fault(Fault::CloseAfterActing).unwrap();
    for _ in 0..2 {
        let said = shop.output(env!("CARGO_BIN_EXE_ledger_payout"), &sim).await;
        assert!(said.starts_with("a person must look in the wallet: "), "{said}");
    }
    assert_eq!(before - sim.balance("SYP"), "500000".parse().unwrap());

    let (sim, shop) = (Simulator::start().await.unwrap(), Shop::new());
    for _ in 0..2 {
        let said = shop.output(env!("CARGO_BIN_EXE_ledger_payout"), &sim).await;
        assert_eq!(said, format!("{}\n", PayoutState::Paid));
    }
    assert_eq!(before - sim.balance("SYP"), "500000".parse().unwrap());
}

#[tokio::test]
async fn the_guides_queries_fit_the_tables() {
    let shop = Shop::new();
    Ledger::open(&shop.url).await.unwrap().close().await;
    let tables = rusqlite::Connection::open(shop.file()).unwrap();
    let [queries] = blocks(LEDGER, "sql").try_into().unwrap();
    let statements: Vec<&str> = queries.split(';').filter(|text| !text.trim().is_empty()).collect();
    assert_eq!(statements.len(), 5);
    for statement in statements {
        tables.prepare(statement).unwrap();
    }
}

/// A shop that has a ledger.
struct Shop {
    folder: TempDir,
    url: String,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("kazawallet.db").to_str().unwrap());
        Self { folder, url }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("kazawallet.db")
    }

    fn spawn(&self, program: &str, sim: &Simulator) -> Child {
        command(program, sim).env("KAZAWALLET_LEDGER", &self.url).spawn().unwrap()
    }

    async fn output(&self, program: &str, sim: &Simulator) -> String {
        said_by(program, self.spawn(program, sim)).await
    }
}

fn spawn(program: &str, sim: &Simulator) -> Child {
    command(program, sim).spawn().unwrap()
}

async fn output(program: &str, sim: &Simulator) -> String {
    said_by(program, spawn(program, sim)).await
}

fn command(program: &str, sim: &Simulator) -> Command {
    let mut command = Command::new(program);
    command
        .env("KAZAWALLET_API_KEY", sim.api_key())
        .env("KAZAWALLET_API_SECRET", sim.api_secret())
        .env("KAZAWALLET_MERCHANT_EMAIL", sim.merchant_email())
        .env("KAZAWALLET_BASE_URL", sim.url())
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn said_by(program: &str, child: Child) -> String {
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
