//! The README's programs are the programs in `src/bin`, and do what the README says.

#![allow(clippy::unwrap_used)]

use std::process::Stdio;

use kazawallet_simulator::{DeliveryOutcome, Simulator};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const README: &str = include_str!("../../../README.md");

/// The README's Rust programs, in order.
const PROGRAMS: [(&str, &str); 6] = [
    ("first_call", include_str!("../src/bin/first_call.rs")),
    ("create_link", include_str!("../src/bin/create_link.rs")),
    ("receive_webhook", include_str!("../src/bin/receive_webhook.rs")),
    ("pay_out", include_str!("../src/bin/pay_out.rs")),
    ("balances", include_str!("../src/bin/balances.rs")),
    ("simulator", include_str!("../src/bin/simulator.rs")),
];

#[test]
fn the_readme_shows_these_programs() {
    let shown: Vec<&str> = README
        .split("```rust")
        .skip(1)
        .map(|rest| rest.split_once('\n').unwrap().1.split("```").next().unwrap())
        .collect();
    assert_eq!(shown.len(), PROGRAMS.len(), "a Rust block of the README has no program here");
    for ((name, program), shown) in PROGRAMS.into_iter().zip(shown) {
        assert_eq!(shown, program, "the README's block differs from src/bin/{name}.rs");
    }
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
        let link = kazawallet::CreatePaymentLink::new(amount.parse().unwrap(), "USD");
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

    sim.fault(kazawallet_simulator::Fault::CloseAfterActing).unwrap();
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

fn spawn(program: &str, sim: &Simulator) -> Child {
    Command::new(program)
        .env("KAZAWALLET_API_KEY", sim.api_key())
        .env("KAZAWALLET_API_SECRET", sim.api_secret())
        .env("KAZAWALLET_MERCHANT_EMAIL", sim.merchant_email())
        .env("KAZAWALLET_BASE_URL", sim.url())
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn output(program: &str, sim: &Simulator) -> String {
    let output = spawn(program, sim).wait_with_output().await.unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
