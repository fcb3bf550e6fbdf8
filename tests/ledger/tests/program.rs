//! The ledger's terminal program, run as a person runs it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use kazawallet::Webhook;
use kazawallet_ledger::{Decision, Ledger, OrderState, PayoutState, Processing};
use kazawallet_ledger_tests::{Delivery, Job};
use kazawallet_simulator::Fault;
use serde_json::{Value, json};
use tokio::process::Command;

use support::{Database, NOTE, RECIPIENT, TestShop, in_time, order, payout, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ledger_program");

/// How a run of the program ended.
#[derive(Debug)]
struct Ended {
    status: i32,
    shown: String,
    error: String,
}

impl Ended {
    #[track_caller]
    fn well(self) -> String {
        assert_eq!((self.status, self.error.as_str()), (0, ""), "{self:?}");
        self.shown
    }

    #[track_caller]
    fn badly(self, status: i32) -> String {
        assert_eq!((self.status, self.shown.as_str()), (status, ""), "{self:?}");
        self.error
    }
}

async fn run(shop: &TestShop, arguments: &[&str]) -> Ended {
    run_in(&[("KAZAWALLET_LEDGER", &shop.shop.ledger)], shop, arguments).await
}

async fn run_in(environment: &[(&str, &str)], shop: &TestShop, arguments: &[&str]) -> Ended {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars() {
        if name.starts_with("KAZAWALLET_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .env("KAZAWALLET_SPOOL", shop.spool())
        .envs(environment.iter().copied())
        .kill_on_drop(true);
    let output = in_time(command.output()).await.unwrap();
    Ended {
        status: output.status.code().unwrap(),
        shown: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What it prints for scripts: an object a line.
async fn json(shop: &TestShop, arguments: &[&str]) -> Vec<Value> {
    let shown = run(shop, &[arguments, &["--json"]].concat()).await.well();
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn receive(shop: &TestShop, ledger: &Ledger, delivery: &Delivery) -> Decision {
    ledger.receive(shop.body(delivery)).await.unwrap().decision
}

/// A payout to which no answer came.
async fn unknown_payout(shop: &TestShop, ledger: &Ledger, reference: &str) {
    shop.sim.fault(Fault::CloseAfterActing).unwrap();
    assert_eq!(ledger.withdraw(reference, payout()).await.unwrap_err().code(), "outcome_unknown");
}

/// As if an hour had gone by since the payouts were sent.
async fn let_deadlines_pass(shop: &TestShop) {
    let earlier = "UPDATE kazawallet_payouts SET resolvable_at = '2026-01-01T00:00:00.000Z'";
    match shop.database {
        Database::Sqlite => {
            rusqlite::Connection::open(shop.file()).unwrap().execute_batch(earlier).unwrap();
        }
        Database::Postgres => {
            let url = &shop.shop.ledger;
            let (client, connection) =
                tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(earlier).await.unwrap();
        }
    }
}

on_both_databases! {
    async fn it_counts_and_says_what_waits(shop: TestShop) {
        let ledger = shop.ledger().await;
        assert!(run(&shop, &[]).await.well().ends_with("\nNothing waits for a person.\n"));

        shop.order(&ledger, "order-1").await;
        shop.paid_order(&ledger, "order-2").await;
        let stray = Delivery::paid("stray", "1", "order-3");
        assert_eq!(receive(&shop, &ledger, &stray).await, Decision::NoOrder);
        unknown_payout(&shop, &ledger, "salary-1").await;

        let shown = run(&shop, &["summary"]).await.well();
        assert_eq!(run(&shop, &[]).await.well(), shown);
        for line in [
            "orders       creating 0   open 1   timed_out 0   paid 1",
            "payments     paid 1   timed_out 0   mismatch 0   no_order 1   overpaid 0   dismissed 0",
            "processing   waiting 1   done 0   parked 0",
            "payouts      not_sent 0   sending 0   paid 0   rejected 0   unknown 1   not_paid 0",
            "conflicts    0",
            "Waits for a person:",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "no {line:?} in\n{shown}");
        }
        for waits in [
            format!("  payments that the ledger could not decide: 1 ({PROGRAM} unsettled)\n"),
            format!("  payouts whose outcome is unknown: 1 ({PROGRAM} unresolved)\n"),
        ] {
            assert!(shown.contains(&waits), "{shown}");
        }

        let [summary] = json(&shop, &["summary"]).await.try_into().unwrap();
        let orders = json!({"creating": 0, "open": 1, "timed_out": 0, "paid": 1});
        assert_eq!((&summary["orders"], &summary["conflicts"]), (&orders, &json!(0)));
    }

    async fn a_payment_that_a_later_delivery_contradicts_waits_until_it_is_settled(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let timed_out = Delivery::timed_out(&id, Job::PRICE, "order-1");
        assert_eq!(receive(&shop, &ledger, &timed_out).await, Decision::TimedOut);
        let paid = Delivery::paid(&id, Job::PRICE, "order-1");
        assert_eq!(receive(&shop, &ledger, &paid).await, Decision::Conflict);
        let waits = format!(
            "  payments that timed out, and that another delivery contradicts: 1 ({PROGRAM} conflicts)\n"
        );
        let shown = run(&shop, &["summary"]).await.well();
        assert!(shown.contains(&waits), "{shown}");
        let settle = format!("{PROGRAM} settle ORDER_ID paid --by NAME");
        assert!(run(&shop, &["conflicts"]).await.well().contains(&settle));
        run(&shop, &["settle", &id, "paid", "--by", "Rima"]).await.well();
        assert!(run(&shop, &["summary"]).await.well().ends_with("\nNothing waits for a person.\n"));
    }

    async fn orders_that_are_overdue_are_listed(shop: TestShop) {
        let ledger = shop.ledger().await;
        assert_eq!(run(&shop, &["overdue"]).await.well(), "None.\n");
        let id = shop.order(&ledger, "order-1").await;
        shop.order(&ledger, "order-2").await;
        shop.paid_order(&ledger, "order-3").await;

        // They are a moment old.
        assert_eq!(json(&shop, &["overdue"]).await, Vec::<Value>::new());
        let both = json(&shop, &["overdue", "--older-than", "0s"]).await;
        let refs: Vec<_> = both.iter().map(|order| &order["ref"]).collect();
        assert_eq!(refs, ["order-1", "order-2"]);
        assert_eq!((&both[0]["amount"], &both[0]["paid_by"]), (&json!("10.50"), &Value::Null));

        let one = run(&shop, &["overdue", "--older-than", "0s", "--limit", "1"]).await.well();
        let lines: Vec<&str> = one.lines().collect();
        assert!(lines[0].starts_with("link at "), "{one}");
        // Aligned: the last column begins in both lines at the same place.
        assert_eq!(lines[0].find("ref"), lines[1].find("order-1"), "{one}");
        assert!(lines[1].contains(&id) && lines[1].contains("10.50"), "{one}");
        assert!(one.ends_with("These are the first 1; --limit COUNT lists more.\n"), "{one}");

        let whole = run(&shop, &["order", "order-1"]).await.well();
        assert!(whole.contains("state       open\n") && whole.contains("paid at     -\n"), "{whole}");
        let error = run(&shop, &["order", "order-4"]).await.badly(1);
        assert_eq!(error, format!("{PROGRAM}: no order has this ref\n"));
    }

    async fn a_person_settles_a_payment(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let less = Delivery::paid(&id, "9.99", "order-1");
        assert_eq!(receive(&shop, &ledger, &less).await, Decision::Mismatch);
        receive(&shop, &ledger, &Delivery::paid("stray", "5", "who-knows")).await;

        let shown = run(&shop, &["unsettled"]).await.well();
        assert!(shown.contains("mismatch  amount   9.99    USD"), "{shown}");
        assert!(shown.contains("settle ORDER_ID paid|dismissed --by NAME"), "{shown}");

        // Who decides must be said.
        assert!(run(&shop, &["settle", &id, "paid"]).await.badly(2).contains("--by <NAME>"));
        assert!(run(&shop, &["settle", &id, "paid", "--by", " "]).await.badly(1).contains("`by`"));
        run(&shop, &["settle", &id, "maybe", "--by", "Samira"]).await.badly(2);
        let unknown = run(&shop, &["settle", "nothing", "paid", "--by", "Samira"]).await.badly(1);
        assert!(unknown.contains("no payment"), "{unknown}");

        let settle = ["settle", &id, "paid", "--by", "Samira", "--note", "a fee, \u{1b}[1mbah"];
        let shown = run(&shop, &settle).await.well();
        assert!(shown.contains("decision     paid\n"), "{shown}");
        assert_eq!(ledger.order("order-1").await.unwrap().unwrap().state, OrderState::Paid);
        run(&shop, &settle).await.badly(1);
        run(&shop, &["settle", "stray", "dismissed", "--by", "Omar"]).await.well();
        assert_eq!(run(&shop, &["unsettled"]).await.well(), "None.\n");

        let [omar, samira] = json(&shop, &["decisions"]).await.try_into().unwrap();
        assert_eq!((&omar["by"], &omar["decision"]), (&json!("Omar"), &json!("dismissed")));
        let expected = json!({
            "at": samira["at"], "by": "Samira", "action": "settle", "subject": id,
            "decision": "paid", "ref": "order-1", "note": "a fee, \u{1b}[1mbah",
        });
        assert_eq!(samira, expected);
        let shown = run(&shop, &["decisions"]).await.well();
        assert!(shown.contains(r"a fee, \u{1b}[1mbah"), "{shown}");
    }

    async fn a_payment_of_another_order_is_given_its_ref(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.order(&ledger, "order-1").await;
        receive(&shop, &ledger, &Delivery::paid("stray", "10.50", "typo")).await;
        let settle = ["settle", "stray", "paid", "--ref", "order-1", "--by", "Samira", "--json"];
        let shown = run(&shop, &settle).await.well();
        let payment: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!((&payment["ref"], &payment["decision"]), (&json!("order-1"), &json!("paid")));
        assert_eq!(json(&shop, &["payment", "stray"]).await, [payment]);
    }

    async fn a_person_switches_the_check_of_link_ids_off(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.paid_order(&ledger, "order-1").await;
        let id = shop.order(&ledger, "order-2").await;
        assert_eq!(json(&shop, &["summary"]).await[0]["link_ids"], "proven");
        let edited = Delivery::paid(&id, Job::PRICE, "order-1");
        assert_eq!(receive(&shop, &ledger, &edited).await, Decision::Mismatch);
        let shown = run(&shop, &["unsettled"]).await.well();
        assert!(shown.contains("link ref") && shown.contains("order-2"), "{shown}");
        assert_eq!(json(&shop, &["payment", &id]).await[0]["link_ref"], "order-2");
        assert_eq!(json(&shop, &["payment", &id]).await[0]["link_ids"], "proven");

        let refused = run(&shop, &["link-ids", "ignore"]).await.badly(2);
        assert!(refused.contains("--by"), "{refused}");
        let shown = run(&shop, &["link-ids", "ignore", "--by", "Rima", "--note", "two sequences"]).await;
        assert_eq!(shown.well(), "The ids of links are ignored.\n");
        assert_eq!(json(&shop, &["summary"]).await[0]["link_ids"], "ignored");
        let unknown = Delivery::paid("pl_unknown", Job::PRICE, "order-2");
        assert_eq!(receive(&shop, &ledger, &unknown).await, Decision::Paid);
        let checked = json(&shop, &["link-ids", "check", "--by", "Salma"]).await;
        assert_eq!(checked, [json!({ "link_ids": "proven" })]);
        let kept = &json(&shop, &["decisions"]).await[1];
        assert_eq!((&kept["action"], &kept["by"], &kept["note"]),
            (&json!("link_ids"), &json!("Rima"), &json!("two sequences")));
    }

    async fn a_person_resolves_a_payout(shop: TestShop) {
        let ledger = shop.ledger().await;
        unknown_payout(&shop, &ledger, "salary-1").await;
        unknown_payout(&shop, &ledger, "salary-2").await;

        // Who looks in the wallet needs to know for whom.
        for shown in [run(&shop, &["unresolved"]).await.well(), run(&shop, &["payout", "salary-1"]).await.well()] {
            assert!(shown.contains("reference       salary-1\nstate           unknown\n"), "{shown}");
            assert!(shown.contains(RECIPIENT) && shown.contains(NOTE), "{shown}");
        }
        let listed = json(&shop, &["unresolved"]).await;
        assert_eq!(listed.len(), 2);
        assert!(listed[0]["details"].to_string().contains(RECIPIENT), "{listed:?}");

        let resolve = ["resolve", "salary-1", "not_paid", "--by", "Samira"];
        let early = run(&shop, &resolve).await.badly(1);
        assert!(early.contains("may yet leave"), "{early}");
        let_deadlines_pass(&shop).await;
        let shown = run(&shop, &resolve).await.well();
        assert!(shown.contains("state           not_paid\n"), "{shown}");
        run(&shop, &["resolve", "salary-2", "paid", "--by", "Samira"]).await.well();
        assert_eq!(run(&shop, &["unresolved"]).await.well(), "None.\n");
        let payout = ledger.payout("salary-2").await.unwrap().unwrap();
        assert_eq!(payout.state, PayoutState::Paid);
        let error = run(&shop, &["payout", "salary-3"]).await.badly(1);
        assert!(error.contains("no payout has this reference"), "{error}");
    }

    async fn a_parked_payment_is_retried(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let failing = ledger
            .process(|_| async { Err::<(), _>("the printer\nis on fire") })
            .max_tries(1)
            .start();
        until(async || {
            let payment = ledger.payment(&id).await.unwrap().unwrap();
            payment.processing == Some(Processing::Parked)
        })
        .await;
        failing.stop().await;

        let shown = run(&shop, &["parked"]).await.well();
        assert!(shown.contains(r"order-1  the printer\u{a}is on fire"), "{shown}");
        let retried = run(&shop, &["retry", &id, "--by", "Samira", "--note", "put out"]).await.well();
        assert!(retried.contains("processing   waiting\n"), "{retried}");
        assert_eq!(run(&shop, &["parked"]).await.well(), "None.\n");
        run(&shop, &["retry", &id, "--by", "Samira"]).await.badly(1);
    }

    async fn a_forgotten_rotation_is_made_good(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let new = Webhook::new("sim_new_key", "sim_new_secret").unwrap();
        let body = Delivery::paid(&id, Job::PRICE, "order-1").body(&new).unwrap();
        let refused = ledger.receive(&body).await.unwrap_err();
        assert_eq!(refused.code(), "signature_verification");

        let missing = run(&shop, &["reverify"]).await.badly(1);
        assert!(missing.contains("KAZAWALLET_API_SECRET"), "{missing}");
        let url = ("KAZAWALLET_LEDGER", shop.shop.ledger.as_str());
        let old = [
            url,
            ("KAZAWALLET_API_KEY", shop.shop.key.as_str()),
            ("KAZAWALLET_API_SECRET", shop.shop.secret.as_str()),
        ];
        assert_eq!(run_in(&old, &shop, &["reverify"]).await.well(), "None.\n");
        let both = [
            url,
            ("KAZAWALLET_API_KEY", "sim_newest_key"),
            ("KAZAWALLET_API_SECRET", "sim_newest_secret"),
            ("KAZAWALLET_PREVIOUS_API_KEY", "sim_new_key"),
            ("KAZAWALLET_PREVIOUS_API_SECRET", "sim_new_secret"),
        ];
        let shown = run_in(&both, &shop, &["reverify"]).await.well();
        assert!(shown.contains(&id) && shown.contains("paid"), "{shown}");
        assert_eq!(ledger.order("order-1").await.unwrap().unwrap().state, OrderState::Paid);
    }

    async fn nothing_from_outside_acts_on_the_terminal(shop: TestShop) {
        let ledger = shop.ledger().await;
        let evil = "or\u{1b}]0;title\u{7}\u{9b}2J\r\n\u{202e}der\u{e0041}";
        ledger.create_payment_link(order(evil)).await.unwrap();
        receive(&shop, &ledger, &Delivery::paid("stray", "1", evil).currency(Some("\u{9d}"))).await;
        let shown_as = r"or\u{1b}]0;title\u{7}\u{9b}2J\u{d}\u{a}\u{202e}der\u{e0041}";
        for arguments in [&["unsettled"][..], &["payment", "stray"], &["order", evil]] {
            let shown = run(&shop, arguments).await.well();
            assert!(shown.contains(shown_as), "{shown:?}");
            let lines = shown.chars().filter(|character| *character != '\n');
            assert!(lines.clone().all(|character| !character.is_control()), "{shown:?}");
            assert!(!shown.contains(['\u{202e}', '\u{e0041}']), "{shown:?}");
        }
        let script = run(&shop, &["unsettled", "--json"]).await.well();
        assert_eq!(script.lines().count(), 1);
        assert!(script.trim_end().chars().all(|character| !character.is_control()), "{script:?}");
        let payment: Value = serde_json::from_str(&script).unwrap();
        assert_eq!((&payment["ref"], &payment["currency"]), (&json!(evil), &json!("\u{9d}")));
        // Errors, too.
        let error = run(&shop, &["payment", evil]).await.badly(1);
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }

    async fn conflicts_are_listed_and_data_is_erased(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let contradiction = Delivery::timed_out(&id, Job::PRICE, "order-1");
        assert_eq!(receive(&shop, &ledger, &contradiction).await, Decision::Conflict);
        let [conflict] = json(&shop, &["conflicts"]).await.try_into().unwrap();
        assert_eq!((&conflict["problem"], &conflict["order_id"]), (&json!("status"), &json!(id)));
        ledger.withdraw("salary-1", payout()).await.unwrap();

        for wrong in [&["forget"][..], &["forget", "--before", "yesterday"]] {
            run(&shop, wrong).await.badly(2);
        }
        let nothing = run(&shop, &["forget", "--before", "2026-01-31"]).await.well();
        assert_eq!(nothing, "Erased something of 0 records.\n");
        let erased = json(&shop, &["forget", "--before", "2999-12-31T23:59:59Z"]).await;
        assert!(erased[0]["erased"].as_u64().unwrap() >= 2, "{erased:?}");
        let shown = run(&shop, &["payout", "salary-1"]).await.well();
        assert!(shown.contains("details         -\n"), "{shown}");
    }
}

#[tokio::test]
async fn the_url_comes_from_the_environment_alone() {
    let shop = TestShop::on(Database::Sqlite).await;
    let error = run_in(&[], &shop, &[]).await.badly(1);
    assert!(error.contains("set KAZAWALLET_LEDGER to its URL"), "{error}");
    run_in(&[], &shop, &["summary", "--url", &shop.shop.ledger]).await.badly(2);

    let secret = "postgres://shop:the_password@127.0.0.1:1/shop";
    let error = run_in(&[("KAZAWALLET_LEDGER", secret)], &shop, &["overdue"]).await.badly(1);
    assert!(!error.contains("the_password"), "{error}");
    let error = run_in(&[("KAZAWALLET_LEDGER", "mysql://the_password")], &shop, &[]).await.badly(1);
    assert!(!error.contains("the_password"), "{error}");
}

#[tokio::test]
async fn it_makes_no_ledger() {
    for database in [Database::Sqlite, Database::Postgres] {
        let shop = TestShop::on(database).await;
        for command in ["summary", "overdue"] {
            let error = run(&shop, &[command]).await.badly(1);
            assert!(error.contains("no ledger"), "{error}");
        }
        assert!(!shop.file().exists());
    }
}

#[tokio::test]
async fn its_help_tells_every_command() {
    let shop = TestShop::on(Database::Sqlite).await;
    let help = run_in(&[], &shop, &["--help"]).await.well();
    for command in [
        "summary",
        "overdue",
        "unsettled",
        "unresolved",
        "parked",
        "conflicts",
        "decisions",
        "order",
        "payment",
        "payout",
        "settle",
        "resolve",
        "retry",
        "reverify",
        "forget",
        "--json",
        "KAZAWALLET_LEDGER",
    ] {
        assert!(help.contains(command), "{command} is missing in\n{help}");
    }
}

#[tokio::test]
async fn a_reader_who_has_seen_enough_is_no_failure() {
    let shop = TestShop::on(Database::Sqlite).await;
    let ledger = shop.ledger().await;
    shop.order(&ledger, "order-1").await;
    let mut program = Command::new(PROGRAM)
        .args(["overdue", "--older-than", "0s"])
        .env("KAZAWALLET_LEDGER", &shop.shop.ledger)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    assert!(in_time(program.wait()).await.unwrap().success());
}
