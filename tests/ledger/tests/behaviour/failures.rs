//! What cannot be done: a documented error, and no state in between.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kazawallet::Outcome;
use kazawallet_ledger::{Decision, Ledger};
use kazawallet_ledger_tests::{Delivery, Job, Order, Shop};
use tokio::process::Command;

use crate::on_both_databases;
use crate::support::child::Child;
use crate::support::{Database, TestShop, code, in_time, order, payout, sqlite_url};

/// The program that works for a shop, as a user whom permissions bind: root may write what it likes.
fn bound_by_permissions() -> Command {
    let program = env!("CARGO_BIN_EXE_work_for_shop");
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", program]);
        return command;
    }
    Command::new(program)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The code of the error that such a user's delivery meets, at the latest.
async fn refused_to_a_bound_user(shop: &Shop) -> String {
    let order = Order { reference: "nowhere".to_owned(), link_id: "pl_bound".to_owned() };
    let job = Job::Receive(vec![order]);
    let mut child = Child::start_through(bound_by_permissions(), shop, &job, 1);
    child.tell("go").await;
    let said = child.rest().await;
    let refused = said.iter().find_map(|line| line.strip_prefix("error ")).unwrap_or("nothing");
    refused.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_read_only() {
    let shop = TestShop::on(Database::Sqlite).await;
    let ledger = shop.ledger().await;
    shop.paid_order(&ledger, "order-1").await;
    ledger.close().await;
    set_mode(&shop.file(), 0o444);
    assert_eq!(refused_to_a_bound_user(&shop.shop).await, "ledger_read_only");
    set_mode(&shop.file(), 0o600);
    assert!(shop.ledger().await.order("order-1").await.unwrap().unwrap().paid_by.is_some());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_read_only() {
    let shop = TestShop::on(Database::Sqlite).await;
    set_mode(&shop.folder(), 0o555);
    let said = refused_to_a_bound_user(&shop.shop).await;
    set_mode(&shop.folder(), 0o700);
    assert_eq!(said, "ledger_read_only");
    assert!(!shop.file().exists());
    // Nor can the files beside it be made.
    shop.ledger().await.close().await;
    set_mode(&shop.folder(), 0o555);
    let said = refused_to_a_bound_user(&shop.shop).await;
    set_mode(&shop.folder(), 0o700);
    assert_eq!(said, "ledger_read_only");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_not_made() {
    let shop = TestShop::on(Database::Sqlite).await;
    let missing = shop.folder().join("missing");
    let refused = Ledger::open(sqlite_url(&missing.join("ledger.db"))).await.unwrap_err();
    assert_eq!((refused.code(), refused.outcome()), ("ledger_unavailable", Some(Outcome::NotSent)));
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_file_of_another_kind_is_damaged() {
    let shop = TestShop::on(Database::Sqlite).await;
    let text = "These are the accounts of last year. ".repeat(1000);
    fs::write(shop.file(), &text).unwrap();
    assert_eq!(code(shop.opening().await), "ledger_damaged");
    assert_eq!(fs::read_to_string(shop.file()).unwrap(), text, "it was left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_damaged_is_found_out() {
    let shop = TestShop::on(Database::Sqlite).await;
    let ledger = shop.ledger().await;
    for number in 0..50 {
        shop.paid_order(&ledger, &format!("order-{number}")).await;
    }
    ledger.close().await;
    drop(ledger);
    let mut bytes = fs::read(shop.file()).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(shop.file(), bytes).unwrap();
    let refused = match shop.opening().await {
        Err(refused) => refused,
        Ok(ledger) => ledger.summary().await.unwrap_err(),
    };
    assert_eq!(refused.code(), "ledger_damaged");
}

/// A disk on which a file cannot grow any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let shop = TestShop::on(Database::Sqlite).await;
    let ledger = shop.ledger().await;
    shop.paid_order(&ledger, "order-1").await;
    ledger.close().await;
    drop(ledger);
    // In blocks of 512 or of 1024 bytes; without the signal, so that writing fails instead.
    let mut limited = Command::new("sh");
    let limit = "ulimit -f 2000; trap '' XFSZ; exec \"$0\" \"$@\"";
    limited.args(["-c", limit, env!("CARGO_BIN_EXE_work_for_shop")]);
    let orders: Vec<_> = (0..1000)
        .map(|number| Order { reference: "nowhere".to_owned(), link_id: format!("pl_{number}") })
        .collect();
    let mut child = Child::start_through(limited, &shop.shop, &Job::Receive(orders), 1);
    child.ready().await;
    child.tell("go").await;
    let said = child.finished().await;
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    for line in &said {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["received", id, "no_order", "first"] => acknowledged.push(id),
            ["error", id, "ledger_full", "not_sent"] => refused.push(id),
            _ => panic!("{line}"),
        }
    }
    assert!(
        acknowledged.len() > 10 && refused.len() > 10,
        "{} and {}",
        acknowledged.len(),
        refused.len()
    );

    let ledger = shop.ledger().await;
    for id in &acknowledged {
        assert!(ledger.payment(id).await.unwrap().is_some(), "{id}");
    }
    for id in &refused {
        assert!(ledger.payment(id).await.unwrap().is_none(), "{id}");
    }
    let check = "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'";
    assert_eq!(crate::count(&shop, check).await, 0);
    // Once there is room it goes on.
    let delivery = shop.body(&Delivery::paid(refused[0], Job::PRICE, "nowhere"));
    assert_eq!(ledger.receive(delivery).await.unwrap().decision, Decision::NoOrder);
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_told_without_its_password() {
    let shop = TestShop::on(Database::Postgres).await;
    let here = shop.shop.ledger.replace("postgres://postgres@", "postgres://postgres:SeSaMe@");
    let no_database = here.rsplit_once('/').unwrap().0.to_owned() + "/no_such_database";
    for url in [
        "",
        "SeSaMe",
        "mysql://root:SeSaMe@127.0.0.1/shop",
        "sqlite:",
        "sqlite://:memory:",
        "sqlite::memory:",
        "sqlite:///tmp/x.db?mode=SeSaMe",
        "postgres://",
        "postgres:///shop",
        "postgres://u:SeSaMe@127.0.0.1:notaport/shop",
        "postgres://u:SeSaMe@127.0.0.1/shop?sslmode=perhaps",
        "postgres://u:SeSaMe@127.0.0.1/shop?no_such_option=1",
        "postgres://u:SeSaMe@127.0.0.1/shop?sslmode=require&sslrootcert=/no/such/file",
        // To another machine, in plain text: nobody is asked.
        "postgres://u:SeSaMe@db.example.invalid/shop?sslmode=disable",
        "postgres://u:SeSaMe@db.example.invalid/shop?sslmode=prefer",
        "postgres://u:SeSaMe@db.example.invalid/shop?sslmode=allow",
        "postgresql://u:SeSaMe@192.0.2.1/shop?sslmode=disable",
        "postgres://u:SeSaMe@localhost/shop?hostaddr=192.0.2.1&sslmode=disable",
        &no_database,
    ] {
        let refused = in_time(Ledger::open(url).no_spool().into_future()).await;
        let refused = refused.err().unwrap_or_else(|| panic!("{url} was opened"));
        assert_eq!(refused.code(), "configuration", "{url}: {refused}");
        assert!(!format!("{refused} {refused:?}").contains("SeSaMe"), "{refused:?}");
    }
    let opening = Ledger::open(&here);
    assert!(!format!("{opening:?}").contains("SeSaMe"));
}

#[tokio::test]
async fn the_url_may_come_from_the_environment() {
    let shop = TestShop::on(Database::Sqlite).await;
    let url = shop.shop.ledger.clone();
    let lookup = |name: &str| (name == "KAZAWALLET_LEDGER").then(|| url.clone());
    let opening = || kazawallet_ledger::OpenLedger::default().no_spool();
    opening().env_defaults_from(lookup).await.unwrap();
    assert!(shop.file().exists());
    let nothing = |_: &str| Some(String::new());
    assert_eq!(code(opening().env_defaults_from(nothing).await), "configuration");
}

on_both_databases! {
    async fn a_closed_ledger_says_so(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        in_time(ledger.close()).await;
        in_time(ledger.close()).await;
        let body = shop.body(&Delivery::paid(&id, Job::PRICE, "order-1"));
        assert_eq!(code(ledger.receive(&body).await), "ledger_unavailable");
        assert_eq!(code(ledger.order("order-1").await), "ledger_unavailable");
        assert_eq!(code(ledger.create_payment_link(order("order-2")).await), "ledger_unavailable");
        assert_eq!(code(ledger.withdraw("payout-1", payout()).await), "ledger_unavailable");
        assert_eq!(code(ledger.summary().await), "ledger_unavailable");
        assert_eq!((shop.links_asked_for(), shop.payouts_asked_for()), (1, 0));
        assert_eq!(shop.ledger().await.receive(&body).await.unwrap().decision, Decision::Paid);
    }

    async fn what_is_under_way_comes_to_its_end_when_the_ledger_is_closed(shop: TestShop) {
        let ledger = shop.ledger().await;
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..50 {
            let body = shop.body(&Delivery::paid(&format!("pl_{number}"), Job::PRICE, "nowhere"));
            let ledger = ledger.clone();
            calls.spawn(async move { (number, ledger.receive(body).await) });
        }
        tokio::task::yield_now().await;
        in_time(ledger.close()).await;
        let results = in_time(calls.join_all()).await;
        let ledger = shop.ledger().await;
        for (number, result) in results {
            let is_there = ledger.payment(&format!("pl_{number}")).await.unwrap().is_some();
            match result {
                Ok(_) => assert!(is_there, "{number}"),
                Err(refused) => {
                    assert_eq!(refused.code(), "ledger_unavailable");
                    assert!(!is_there, "{number}");
                }
            }
        }
    }

    async fn a_role_without_rights_is_refused(shop: TestShop) {
        // SQLite has no roles.
        if shop.database == Database::Postgres {
            shop.ledger().await.close().await;
            let (host, database) = shop.shop.ledger.split_once('@').unwrap().1.split_once('/').unwrap();
            let role = format!("reader_of_{database}");
            crate::migrations::run_sql(&shop, &format!("CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")).await;
            let url = format!("postgres://{role}@{host}/{database}");
            let ledger = Ledger::open(url).client(shop.shop.client().unwrap()).no_spool().await.unwrap();
            assert_eq!(code(ledger.create_payment_link(order("order-1")).await), "ledger_read_only");
            assert_eq!(shop.links_asked_for(), 0);
        }
    }
}
