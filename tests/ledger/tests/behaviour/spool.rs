//! Where deliveries go while the database cannot be reached.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use kazawallet::Outcome;
use kazawallet_ledger::{Decision, Ledger, OpenLedger, OrderState};
use kazawallet_ledger_tests::postgres::{Postgres, Stop};
use kazawallet_ledger_tests::{Delivery, Job};
use tokio::task::JoinSet;

use crate::support::proxy::Proxy;
use crate::support::{Database, TestShop, code, in_time, order, payout, until};

/// A server of the test's own, and a shop on it.
async fn own_server() -> (Arc<Postgres>, TestShop) {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let server = Arc::new(server.unwrap_or_else(|error| panic!("{error}")));
    let shop = TestShop::on_server(&server).await;
    (server, shop)
}

async fn stop(server: &Arc<Postgres>) {
    let server = server.clone();
    tokio::task::spawn_blocking(move || server.stop(Stop::Immediate)).await.unwrap().unwrap();
}

async fn start(server: &Arc<Postgres>) {
    let server = server.clone();
    tokio::task::spawn_blocking(move || server.start_again()).await.unwrap().unwrap();
}

async fn receive(shop: &TestShop, ledger: &Ledger, delivery: &Delivery) -> Decision {
    let receipt = in_time(ledger.receive(shop.body(delivery))).await.unwrap();
    assert!(!receipt.duplicate || receipt.decision != Decision::Spooled);
    assert_eq!(receipt.event.order_id(), delivery.order_id);
    receipt.decision
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

async fn drained(ledger: &Ledger) {
    until(async || ledger.summary().await.is_ok_and(|summary| summary.spooled == 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_the_server_is_down_is_decided_later() {
    let (server, shop) = own_server().await;
    let ledger = shop.ledger().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(shop.order(&ledger, &format!("order-{number}")).await);
    }
    stop(&server).await;
    let begun = SystemTime::now();
    for (number, id) in ids.iter().enumerate() {
        let delivery = Delivery::paid(id, Job::PRICE, &format!("order-{number}"));
        assert_eq!(receive(&shop, &ledger, &delivery).await, Decision::Spooled);
        // Not once more for a second delivery, nor lost by it.
        assert_eq!(receive(&shop, &ledger, &delivery).await, Decision::Spooled);
    }
    let ended = SystemTime::now();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&shop.spool()), 0o700);
    for file in files(&shop.spool()) {
        assert_eq!(mode(&shop.spool().join(&file)), 0o600, "{file}");
    }
    // What is no delivery goes nowhere.
    let forged = Delivery::paid("pl_forged", Job::PRICE, "order-1").body_with_secret("AAAA");
    assert_eq!(code(in_time(ledger.receive(forged)).await), "signature_verification");
    assert_eq!(code(ledger.receive("{}").await), "webhook_payload");
    // Everything else needs the database, and sends nothing without it.
    assert_eq!(code(in_time(ledger.order("order-1")).await), "ledger_unavailable");
    assert_eq!(
        code(in_time(ledger.create_payment_link(order("order-9")).into_future()).await),
        "ledger_unavailable"
    );
    let unpaid = in_time(ledger.withdraw("payout-1", payout()).into_future()).await.unwrap_err();
    assert_eq!((unpaid.code(), unpaid.outcome()), ("ledger_unavailable", Some(Outcome::NotSent)));
    assert_eq!((shop.links_asked_for(), shop.payouts_asked_for()), (5, 0));

    start(&server).await;
    drained(&ledger).await;
    for (number, id) in ids.iter().enumerate() {
        let payment = ledger.payment(id).await.unwrap().unwrap();
        assert_eq!(payment.decision, Decision::Paid);
        // Times are kept to the millisecond.
        let a_moment = std::time::Duration::from_millis(1);
        assert!(
            payment.received_at + a_moment >= begun && payment.received_at <= ended,
            "when it came"
        );
        let order = ledger.order(&format!("order-{number}")).await.unwrap().unwrap();
        assert_eq!(order.state, OrderState::Paid);
    }
    assert_eq!(ledger.summary().await.unwrap().conflicts, 0);
    assert_eq!(files(&shop.spool()), [""; 0]);
    let next = Delivery::paid("pl_next", Job::PRICE, "nowhere");
    assert_eq!(receive(&shop, &ledger, &next).await, Decision::NoOrder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_opens_while_the_server_is_down_and_the_next_one_takes_over() {
    let (server, shop) = own_server().await;
    let ledger = shop.ledger().await;
    let id = shop.order(&ledger, "order-1").await;
    ledger.close().await;
    stop(&server).await;
    let without = Ledger::open(&shop.shop.ledger).client(shop.shop.client().unwrap()).no_spool();
    let refused = in_time(without.into_future()).await.unwrap_err();
    assert_eq!((refused.code(), refused.outcome()), ("ledger_unavailable", Some(Outcome::NotSent)));

    let ledger = shop.ledger().await;
    let delivery = Delivery::paid(&id, Job::PRICE, "order-1");
    assert_eq!(receive(&shop, &ledger, &delivery).await, Decision::Spooled);
    ledger.close().await;
    drop(ledger);
    assert_eq!(files(&shop.spool()).len(), 1);
    start(&server).await;
    // What opening gives has taken it over already.
    let ledger = shop.ledger().await;
    assert_eq!(files(&shop.spool()), [""; 0]);
    assert_eq!(ledger.payment(&id).await.unwrap().unwrap().decision, Decision::Paid);
    let receipt = ledger.receive(shop.body(&delivery)).await.unwrap();
    assert_eq!((receipt.decision, receipt.duplicate), (Decision::Paid, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_found_when_the_database_has_another_url() {
    let (server, shop) = own_server().await;
    let parent = shop.folder();
    let at = |url: String| {
        let variables =
            [("KAZAWALLET_LEDGER", url), ("KAZAWALLET_SPOOL", parent.display().to_string())];
        let lookup = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.clone())
        };
        let opening = OpenLedger::default().env_defaults_from(lookup);
        in_time(opening.client(shop.shop.client().unwrap()).into_future())
    };
    // A standby that takes over has another address.
    let proxy = Proxy::to(server.port()).await;
    let first = proxy.in_place_of(&server, &shop.shop.ledger);
    let ledger = at(first).await.unwrap();
    let id = shop.order(&ledger, "order-1").await;
    proxy.cut();
    let delivery = Delivery::paid(&id, Job::PRICE, "order-1");
    assert_eq!(receive(&shop, &ledger, &delivery).await, Decision::Spooled);
    ledger.close().await;
    drop(ledger);

    // Another shop's ledger beside it leaves it alone.
    let other = at(server.new_database().await.unwrap()).await.unwrap();
    assert!(other.payment(&id).await.unwrap().is_none());
    assert_eq!(other.summary().await.unwrap().spooled, 0);
    let ledger = at(shop.shop.ledger.clone()).await.unwrap();
    assert_eq!(ledger.payment(&id).await.unwrap().unwrap().decision, Decision::Paid);
    assert_eq!(ledger.summary().await.unwrap().spooled, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_delivery_in_many_forms_does_not_fill_the_disk() {
    let (shop, ledger, id, other) = locked_file().await;
    let bound = 20;
    for refs in [0..bound, bound..3 * bound] {
        let mut captured = JoinSet::new();
        for number in refs {
            // Not the order's own ref: as long as no payment has proven the ids of links, the first delivery
            // of a ref may settle its order.
            let edited = Delivery::paid("pl_captured", Job::PRICE, &format!("other-{number}"));
            let (ledger, body) = (ledger.clone(), shop.body(&edited));
            captured.spawn(async move { ledger.receive(body).await.unwrap().decision });
        }
        let decisions = in_time(captured.join_all()).await;
        assert!(decisions.iter().all(|decision| *decision == Decision::Spooled));
        assert_eq!(files(&shop.spool()).len(), bound);
    }
    let genuine = Delivery::paid(&id, Job::PRICE, "order-1");
    assert_eq!(receive(&shop, &ledger, &genuine).await, Decision::Spooled);
    other.execute_batch("COMMIT").unwrap();
    drained(&ledger).await;
    assert!(ledger.payment(&id).await.unwrap().unwrap().is_paid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_delivery_of_an_order_id_decides_also_through_the_spool() {
    let (server, shop) = own_server().await;
    let ledger = shop.ledger().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(shop.order(&ledger, &format!("order-{number}")).await);
    }
    stop(&server).await;
    for (number, id) in ids.iter().enumerate() {
        let paid = Delivery::paid(id, Job::PRICE, &format!("order-{number}"));
        let timed_out = paid.clone().status("timed_out");
        for delivery in if number % 2 == 0 { [&paid, &timed_out] } else { [&timed_out, &paid] } {
            assert_eq!(receive(&shop, &ledger, delivery).await, Decision::Spooled);
        }
    }
    start(&server).await;
    drained(&ledger).await;
    for (number, id) in ids.iter().enumerate() {
        let first = if number % 2 == 0 { Decision::Paid } else { Decision::TimedOut };
        assert_eq!(ledger.payment(id).await.unwrap().unwrap().decision, first, "{number}");
    }
    assert_eq!(ledger.summary().await.unwrap().conflicts, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_half_written_is_ignored() {
    let (server, shop) = own_server().await;
    let ledger = shop.ledger().await;
    let id = shop.order(&ledger, "order-1").await;
    stop(&server).await;
    let delivery = Delivery::paid(&id, Job::PRICE, "order-1");
    assert_eq!(receive(&shop, &ledger, &delivery).await, Decision::Spooled);
    ledger.close().await;
    drop(ledger);
    // As a process leaves it that is killed while it writes; and what does not belong there.
    let whole = files(&shop.spool()).pop().unwrap();
    let half = shop.spool().join(&whole).with_extension("part");
    fs::write(&half, &shop.body(&delivery)[..40]).unwrap();
    fs::write(shop.spool().join("README"), "not a delivery").unwrap();
    fs::create_dir(shop.spool().join("a folder.delivery")).unwrap();
    start(&server).await;
    let ledger = shop.ledger().await;
    assert_eq!(ledger.summary().await.unwrap().spooled, 0);
    assert!(ledger.payment(&id).await.unwrap().unwrap().is_paid());
    assert_eq!(ledger.summary().await.unwrap().payments.values().sum::<u64>(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_or_is_cut_off_keeps_no_provider_waiting() {
    let server = tokio::task::spawn_blocking(Postgres::shared).await.unwrap().unwrap();
    let mut shop = TestShop::on(Database::Postgres).await.with_spool();
    let proxy = Proxy::to(server.port()).await;
    let direct = shop.ledger().await;
    shop.shop.ledger = proxy.in_place_of(server, &shop.shop.ledger);
    let ledger = shop.ledger().await;
    let ids = [shop.order(&ledger, "order-0").await, shop.order(&ledger, "order-1").await];
    let delivery =
        |number: usize| Delivery::paid(&ids[number], Job::PRICE, &format!("order-{number}"));

    proxy.fall_silent();
    assert_eq!(receive(&shop, &ledger, &delivery(0)).await, Decision::Spooled);
    proxy.open();
    drained(&ledger).await;
    proxy.cut();
    assert_eq!(receive(&shop, &ledger, &delivery(1)).await, Decision::Spooled);
    proxy.open();
    drained(&ledger).await;
    for id in &ids {
        assert!(direct.payment(id).await.unwrap().unwrap().is_paid());
    }
    assert_eq!(ledger.summary().await.unwrap().conflicts, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_ended_are_made_anew() {
    let server = tokio::task::spawn_blocking(Postgres::shared).await.unwrap().unwrap();
    let shop = TestShop::on(Database::Postgres).await;
    let ledger = shop.ledger().await;
    for number in 0..5 {
        shop.paid_order(&ledger, &format!("order-{number}")).await;
        let name = shop.shop.ledger.rsplit('/').next().unwrap();
        let end = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        server.run(&end).await.unwrap();
        // The ledger learns of it before long, and then nobody notices.
        until(async || ledger.order("order-0").await.is_ok()).await;
    }
    assert_eq!(ledger.summary().await.unwrap().payments[&Decision::Paid], 5);
}

/// As on a platform that freezes a process between its requests.
#[tokio::test]
async fn a_delivery_after_a_freeze_in_which_all_connections_ended_is_stored() {
    let server = tokio::task::spawn_blocking(Postgres::shared).await.unwrap().unwrap();
    let shop = TestShop::on(Database::Postgres).await;
    let ledger = shop.ledger().await;
    let id = shop.order(&ledger, "order-1").await;
    // Several connections.
    futures_util::future::join_all((0..8).map(|_| ledger.order("order-1"))).await;
    let name = shop.shop.ledger.rsplit('/').next().unwrap().to_owned();
    let url = server.url("postgres");
    // This thread is the runtime's only one, so that nobody sees the connections end.
    std::thread::spawn(move || end_sessions(&url, &name)).join().unwrap();
    let delivery = Delivery::paid(&id, Job::PRICE, "order-1");
    assert_eq!(receive(&shop, &ledger, &delivery).await, Decision::Paid);
}

#[tokio::main(flavor = "current_thread")]
async fn end_sessions(url: &str, database: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sessions = "from pg_stat_activity where datname = $1";
    let end = format!("select pg_terminate_backend(pid) {sessions}");
    assert!(client.query(&end, &[&database]).await.unwrap().len() > 1);
    let left = format!("select pid {sessions}");
    while !client.query(&left, &[&database]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

/// A shop with an order, whose file somebody else writes to, and the ledger with a spool.
async fn locked_file() -> (TestShop, Ledger, String, rusqlite::Connection) {
    let shop = TestShop::on(Database::Sqlite).await.with_spool();
    let ledger = shop.ledger().await;
    let id = shop.order(&ledger, "order-1").await;
    let other = rusqlite::Connection::open(shop.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    (shop, ledger, id, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_program_locks_is_waited_for_or_the_spool_is() {
    let (shop, ledger, id, other) = locked_file().await;
    let delivery = Delivery::paid(&id, Job::PRICE, "order-1");
    assert_eq!(receive(&shop, &ledger, &delivery).await, Decision::Spooled);
    other.execute_batch("COMMIT").unwrap();
    drained(&ledger).await;
    assert!(ledger.payment(&id).await.unwrap().unwrap().is_paid());
    assert_eq!(ledger.summary().await.unwrap().conflicts, 0);
}

#[tokio::test]
async fn sqlite_has_no_spool_unless_it_is_given_one() {
    let shop = TestShop::on(Database::Sqlite).await;
    let opening = Ledger::open(&shop.shop.ledger).client(shop.shop.client().unwrap());
    let ledger = opening.await.unwrap();
    assert!(format!("{ledger:?}").contains("has_spool: false"), "{ledger:?}");
}

#[tokio::test]
async fn a_spool_that_cannot_be_used_is_found_out_when_the_ledger_is_opened() {
    let shop = TestShop::on(Database::Sqlite).await;
    let file = shop.folder().join("a file");
    fs::write(&file, "").unwrap();
    let opening = Ledger::open(&shop.shop.ledger).client(shop.shop.client().unwrap());
    for spool in [file.clone(), file.join("spool")] {
        let refused = opening.clone().spool(spool).await;
        assert_eq!(code(refused), "configuration");
    }
}
