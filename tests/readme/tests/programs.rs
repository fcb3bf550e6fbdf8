//! The programs of the README and of the guides are those in `src/bin`, and do what is said of them.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kazawallet::{CreatePaymentLink, Webhook};
use kazawallet_ledger::{Decision, Ledger, PayoutState};
use kazawallet_simulator::{DeliveryOutcome, Fault, Simulator, Trigger};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The programs' sources: `src/bin` here, and the test of the guide to testing.
const PROGRAMS: [&str; 2] = ["src/bin", "tests/shop.rs"];
/// Which documents show programs: the files with such names in these folders of the repository.
const DOCUMENTS: [(&str, &str); 3] = [("", "README"), ("docs", ""), ("ledger", "README")];

#[test]
fn the_documents_show_these_programs() {
    let programs: Vec<(PathBuf, String)> =
        PROGRAMS.iter().flat_map(|path| files_in(&here().join(path), "", "rs")).collect();
    let documents = DOCUMENTS
        .iter()
        .flat_map(|(folder, name)| files_in(&repository().join(folder), name, "md"));
    let mut shown = BTreeSet::new();
    for (document, text) in documents {
        for block in blocks(&text, "rust") {
            let same = programs.iter().find(|(_, program)| program == block);
            let (program, _) = same.unwrap_or_else(|| {
                panic!("a block of {} is no program here:\n{block}", document.display())
            });
            shown.insert(program.clone());
        }
    }
    let all: BTreeSet<PathBuf> = programs.into_iter().map(|(path, _)| path).collect();
    assert_eq!(shown, all, "each program is shown somewhere");
}

#[test]
fn each_program_is_run_here() {
    let here_in_full = include_str!("programs.rs");
    for (path, _) in files_in(&here().join("src/bin"), "", "rs") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(here_in_full.contains(&format!("CARGO_BIN_EXE_{name}\"")), "{name} is not");
    }
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn repository() -> PathBuf {
    here().join("../..")
}

/// The files of a folder, or the one file, with such a name and ending, each with its text.
fn files_in(path: &Path, name: &str, ending: &str) -> Vec<(PathBuf, String)> {
    if path.is_file() {
        return vec![(path.to_owned(), std::fs::read_to_string(path).unwrap())];
    }
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let wanted = entries.filter(|entry| {
        let file = entry.file_name().into_string().unwrap();
        file.starts_with(name) && file.ends_with(&format!(".{ending}"))
    });
    let paths = wanted.map(|entry| entry.path());
    paths.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
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
async fn the_route_of_the_guide_hands_a_payment_to_its_handler() {
    let (sim, shop) = (Simulator::start().await.unwrap(), Shop::new());
    let ledger = Ledger::open(&shop.url).client(sim.client()).await.unwrap();
    let order = CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference("order-42");
    let link = ledger.create_payment_link(order).await.unwrap();

    let mut server = shop.spawn(env!("CARGO_BIN_EXE_webhook_route"), &sim);
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let listening = lines.next_line().await.unwrap().unwrap();
    sim.set_webhook_url(Some(listening.strip_prefix("listening on ").unwrap())).unwrap();
    let delivery = &sim.pay(&link.url).await.unwrap()[0];
    assert!(matches!(delivery.outcome, DeliveryOutcome::Answered { status: 200, .. }));
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "order-42 is paid");
    ledger.close().await;
}

#[tokio::test]
async fn a_refund_is_paid_once() {
    let (sim, shop) = (Simulator::start().await.unwrap(), Shop::new());
    let before = sim.balance("SYP");
    let said = shop.output(env!("CARGO_BIN_EXE_refund"), &sim).await;
    assert_eq!(said, "paid\npaid\n");
    assert_eq!(before - sim.balance("SYP"), "50000".parse().unwrap());

    let (sim, shop) = (Simulator::start().await.unwrap(), Shop::new());
    sim.fault(Fault::CloseAfterActing).unwrap();
    let said = shop.output(env!("CARGO_BIN_EXE_refund"), &sim).await;
    assert_eq!(said.lines().count(), 2);
    assert!(said.lines().all(|line| line.starts_with("money may have moved: ")), "{said}");
    assert_eq!(before - sim.balance("SYP"), "50000".parse().unwrap());
}

#[tokio::test]
async fn errors_are_told_by_their_kinds() {
    let sim = Simulator::start().await.unwrap();
    let errors = env!("CARGO_BIN_EXE_errors");
    assert!(output(errors, &sim).await.starts_with("Send the customer to "));
    for (fault, told) in [
        (Fault::AnswerStatus(401), "have somebody woken: "),
        (Fault::AnswerStatus(403), "no link: permission_denied (Some(Rejected)): "),
    ] {
        sim.fault(fault).unwrap();
        let said = output(errors, &sim).await;
        assert!(said.starts_with(told), "{said}");
    }
}

#[tokio::test]
async fn the_wallet_is_held_against_the_ledger() {
    let (sim, shop) = (Simulator::start().await.unwrap(), Shop::new());
    shop.output(env!("CARGO_BIN_EXE_refund"), &sim).await;
    let said = shop.output(env!("CARGO_BIN_EXE_reconcile"), &sim).await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.contains(&"1000.00 USD") && lines.contains(&"1 payouts are paid"), "{said}");
}

#[tokio::test]
async fn the_guides_queries_fit_the_tables() {
    let shop = Shop::new();
    Ledger::open(&shop.url).await.unwrap().close().await;
    let tables = rusqlite::Connection::open(shop.file()).unwrap();
    let guide = std::fs::read_to_string(repository().join("docs/ledger.md")).unwrap();
    let [queries] = blocks(&guide, "sql").try_into().unwrap();
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
