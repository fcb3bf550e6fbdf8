//! Eight processes at once on one ledger: each thing is decided, paid and made once.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use kazawallet_ledger::{Decision, LinkIds, PayoutState};
use kazawallet_ledger_tests::{Job, Order};
use support::child::Child;
use support::{Database, TestShop};

const PROCESSES: usize = 8;
const DELIVERIES: usize = 5000;
/// Of the payments, so many have an order that they pay.
const ORDERS: usize = 200;
const PAYOUTS: usize = 200;
const LINKS: usize = 280;
/// Of the orders, so many are paid by an id that is no link's before the ids are proven, and so many
/// others are said to be paid by one afterwards.
const BY_UNKNOWN_IDS: usize = 40;

/// Starts eight processes, lets them begin at the same moment, and gives what each said.
async fn at_once(
    shop: &TestShop,
    jobs: [Job; PROCESSES],
    steps_at_once: usize,
) -> Vec<Vec<String>> {
    let mut children: Vec<_> =
        jobs.iter().map(|job| Child::start(&shop.shop, job, steps_at_once)).collect();
    for child in &mut children {
        child.ready().await;
    }
    for child in &mut children {
        child.tell("go").await;
    }
    join_all(children.into_iter().map(Child::finished)).await
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Has all eight processes receive payments, of the orders from this one on, whose ids are no link's.
/// Gives how many payments were decided how.
async fn by_unknown_ids(shop: &TestShop, from: usize) -> BTreeMap<String, usize> {
    let payments: Vec<_> = (from..from + BY_UNKNOWN_IDS)
        .map(|number| Order {
            reference: format!("order-{number}"),
            link_id: format!("unknown-{number}"),
        })
        .collect();
    let said = at_once(shop, std::array::from_fn(|_| Job::Receive(payments.clone())), 4).await;
    let mut decisions = BTreeMap::<String, BTreeSet<String>>::new();
    for line in said.iter().flatten() {
        let ["received", id, decision, _] = words(line)[..] else { panic!("{line}") };
        decisions.entry(id.to_owned()).or_default().insert(decision.to_owned());
    }
    let mut counts = BTreeMap::new();
    for (id, decision) in decisions {
        assert_eq!(decision.len(), 1, "{id} was decided in two ways: {decision:?}");
        *counts.entry(decision.into_iter().collect()).or_default() += 1;
    }
    counts
}

async fn eight_processes(database: Database) {
    // They all come to one empty database: its tables are made once, too.
    let shop = TestShop::on(database).await;
    let references: Vec<_> = (0..LINKS).map(|number| format!("order-{number}")).collect();
    let said = at_once(&shop, std::array::from_fn(|_| Job::Links(references.clone())), 4).await;
    let mut links: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in said.iter().flatten() {
        let ["link", reference, id] = words(line)[..] else { panic!("{line}") };
        links.entry(reference.to_owned()).or_default().insert(id.to_owned());
    }
    assert_eq!(links.len(), LINKS);
    assert!(links.values().all(|ids| ids.len() == 1), "{links:?}");
    assert_eq!(shop.links_asked_for(), LINKS);

    // The ids are not proven yet: what fits its order pays it.
    let first_unknown = by_unknown_ids(&shop, ORDERS).await;
    assert_eq!(first_unknown, [("paid".to_owned(), BY_UNKNOWN_IDS)].into());

    // Each payment is delivered twice, to two processes that have it at about the same time.
    let payments: Vec<_> = (0..DELIVERIES / 2)
        .map(|number| match links.get(&format!("order-{number}")).filter(|_| number < ORDERS) {
            Some(ids) => Order {
                reference: format!("order-{number}"),
                link_id: ids.first().unwrap().clone(),
            },
            None => Order { reference: format!("none-{number}"), link_id: format!("pl-{number}") },
        })
        .collect();
    let share = |process: usize| {
        let deliveries = (0..DELIVERIES).filter(|delivery| delivery % PROCESSES == process);
        Job::Receive(deliveries.map(|delivery| payments[delivery / 2].clone()).collect())
    };
    let said = at_once(&shop, std::array::from_fn(share), 8).await;
    let mut first = BTreeMap::<String, usize>::new();
    let mut again = 0;
    for line in said.iter().flatten() {
        match words(line)[..] {
            ["received", id, _, "first"] => *first.entry(id.to_owned()).or_default() += 1,
            ["received", _, _, "again"] => again += 1,
            _ => panic!("{line}"),
        }
    }
    assert_eq!(first.values().sum::<usize>() + again, DELIVERIES);
    let decided_twice = first.values().filter(|times| **times != 1).count();
    assert_eq!(decided_twice, 0);
    assert_eq!(first.len(), DELIVERIES / 2);
    // Now they are.
    let second_unknown = by_unknown_ids(&shop, ORDERS + BY_UNKNOWN_IDS).await;
    assert_eq!(second_unknown, [("mismatch".to_owned(), BY_UNKNOWN_IDS)].into());
    let ledger = shop.ledger().await;
    let summary = ledger.summary().await.unwrap();
    assert_eq!(summary.link_ids, LinkIds::Proven);
    assert_eq!(summary.payments[&Decision::Mismatch], BY_UNKNOWN_IDS as u64);
    assert_eq!(summary.payments[&Decision::Paid], (ORDERS + BY_UNKNOWN_IDS) as u64);
    assert_eq!(summary.payments[&Decision::NoOrder], (DELIVERIES / 2 - ORDERS) as u64);
    assert_eq!((summary.conflicts, summary.spooled), (0, 0));

    let before = shop.sim.balance("USD");
    let references: Vec<_> = (0..PAYOUTS).map(|number| format!("payout-{number}")).collect();
    let said = at_once(&shop, std::array::from_fn(|_| Job::PayOut(references.clone())), 4).await;
    for (process, lines) in said.iter().enumerate() {
        let paid: BTreeSet<_> = lines.iter().map(String::as_str).collect();
        let all: Vec<_> = references.iter().map(|one| format!("payout {one} paid")).collect();
        assert_eq!(paid, all.iter().map(String::as_str).collect(), "process {process}");
    }
    let asked = shop.payouts_asked_for();
    let spent = before - shop.sim.balance("USD");
    assert_eq!(asked, PAYOUTS);
    assert_eq!(
        spent,
        (Job::PAYOUT.parse::<kazawallet_simulator::Decimal>().unwrap())
            * kazawallet_simulator::Decimal::from(PAYOUTS)
    );
    assert_eq!(ledger.summary().await.unwrap().payouts[&PayoutState::Paid], PAYOUTS as u64);

    println!(
        "eight processes on {database:?}: {DELIVERIES} deliveries of {} payments, decided twice: \
         {decided_twice}; {PAYOUTS} payouts asked for by all, sent: {asked}; {LINKS} links asked \
         for by all, made: {}",
        DELIVERIES / 2,
        shop.links_asked_for(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    eight_processes(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    eight_processes(Database::Postgres).await;
}
