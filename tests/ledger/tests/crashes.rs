//! Processes that are killed at any moment, and a database that goes away under load: nothing that
//! was acknowledged is lost, and nothing is paid twice.
//!
//! `LEDGER_CRASH_KILLS` says how often, for each database.

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
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use kazawallet_ledger::{Decision, LinkIds, OrderState, PayoutState, Processing};
use kazawallet_ledger_tests::postgres::{Postgres, Stop};
use kazawallet_ledger_tests::{Job, Order};
use kazawallet_simulator::Decimal;
use serde_json::Value;
use support::child::Child;
use support::random::{Random, count};
use support::{Database, FAR_TOO_LONG, TestShop, in_time, until};
use tokio::sync::mpsc;

/// What a child is given to do before it is killed: more than it can.
const STEPS: usize = 40;
const AT_ONCE: usize = 3;
/// A child is killed within this time, which it needs for a good part of its work.
const LONGEST_LIFE: Duration = Duration::from_millis(250);
/// So that one who waits for a dead sender's payout need not wait for long.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What the children said, over all their lives.
#[derive(Default)]
struct Said {
    links: BTreeMap<String, BTreeSet<String>>,
    paid_without_link: BTreeSet<String>,
    links_asked_for: usize,
    /// By order id.
    received: BTreeMap<String, BTreeSet<String>>,
    receipts: usize,
    spooled: usize,
    /// Whether a link's own id was delivered, which proves the ids: before that no id is known.
    ids_are_proven: bool,
    /// What was to be delivered by an id that is no link's. A process that was killed may have stored it
    /// without a word.
    unknown_ids: Vec<Order>,
    handled: BTreeMap<String, usize>,
    /// Each state that was told, by reference.
    payouts: BTreeMap<String, BTreeSet<String>>,
    payouts_asked_for: usize,
    errors: Vec<String>,
}

impl Said {
    fn note(&mut self, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["link", reference, id] => {
                self.links.entry(reference.to_owned()).or_default().insert(id.to_owned());
            }
            ["received", id, decision, _] => {
                self.receipts += 1;
                self.spooled += usize::from(decision == "spooled");
                self.received.entry(id.to_owned()).or_default().insert(decision.to_owned());
            }
            ["handled", id] => *self.handled.entry(id.to_owned()).or_default() += 1,
            ["payout", reference, state] => {
                self.payouts.entry(reference.to_owned()).or_default().insert(state.to_owned());
            }
            // The provider had made a link before the process died, and it was paid.
            ["error", reference, "ledger_state", "not_sent"] if reference.starts_with("order-") => {
                self.paid_without_link.insert(reference.to_owned());
            }
            ["error", ..] => self.errors.push(line.to_owned()),
            ["ready" | "finished"] => {}
            _ => panic!("{line}"),
        }
    }

    /// Lets a link's own id be delivered from now on, if that is due, and if an order was paid before: a
    /// slow machine may have come to nothing until now.
    fn may_prove_ids(&mut self, due: bool) {
        let paid = |(id, decisions): (&String, &BTreeSet<String>)| {
            id.starts_with("unproven-") && decisions.contains("paid")
        };
        self.ids_are_proven = self.ids_are_proven || (due && self.received.iter().any(paid));
    }

    /// Every link that the provider has made, known to the ledger or not.
    fn orders(shop: &TestShop) -> Vec<Order> {
        let links = shop.sim.links().into_iter();
        links.map(|link| Order { reference: link.reference.unwrap(), link_id: link.id }).collect()
    }

    /// One of each in turn.
    fn next_job(&mut self, turn: usize, shop: &TestShop, random: &mut Random) -> Job {
        match turn % 4 {
            0 => self.next_links(),
            1 => self.next_deliveries(shop, random),
            2 => Job::Process(effects(shop)),
            _ => self.next_payouts(),
        }
    }

    fn next_links(&mut self) -> Job {
        let unknown = (0..self.links_asked_for)
            .map(|number| format!("order-{number}"))
            .filter(|one| !self.links.contains_key(one) && !self.paid_without_link.contains(one));
        let mut references: Vec<_> = unknown.take(STEPS / 2).collect();
        while references.len() < STEPS {
            references.push(format!("order-{}", self.links_asked_for));
            self.links_asked_for += 1;
        }
        Job::Links(references)
    }

    /// Each order's payment by an id that is no link's, and once the ids are proven by its link's.
    fn next_deliveries(&mut self, shop: &TestShop, random: &mut Random) -> Job {
        let mut orders = Self::orders(shop);
        for order in &mut orders {
            if !self.ids_are_proven {
                order.link_id = format!("unproven-{}", order.reference);
            } else if random.one_in(8) {
                order.link_id = format!("unknown-{}", order.reference);
            }
        }
        let (mut known, mut new): (Vec<_>, Vec<_>) =
            orders.into_iter().partition(|order| self.received.contains_key(&order.link_id));
        random.shuffle(&mut known);
        random.shuffle(&mut new);
        new.truncate(STEPS * 3 / 4);
        known.truncate(STEPS - new.len());
        new.append(&mut known);
        random.shuffle(&mut new);
        let is_unknown = |order: &&Order| order.link_id.starts_with("un");
        self.unknown_ids.extend(new.iter().filter(is_unknown).cloned());
        Job::Receive(new)
    }

    fn next_payouts(&mut self) -> Job {
        let unknown = (0..self.payouts_asked_for)
            .map(|number| format!("payout-{number}"))
            .filter(|reference| !self.payouts.contains_key(reference));
        // Those that may be on their way come first: it is they that could be paid twice.
        let mut references: Vec<_> = unknown.take(2).collect();
        while references.len() < STEPS {
            references.push(format!("payout-{}", self.payouts_asked_for));
            self.payouts_asked_for += 1;
        }
        Job::PayOut(references)
    }
}

async fn shop_for_crashes(mut shop: TestShop) -> TestShop {
    shop.shop.timeout = TIMEOUT;
    fs::create_dir(effects(&shop)).unwrap();
    shop
}

fn effects(shop: &TestShop) -> std::path::PathBuf {
    shop.folder().join("effects")
}

/// Lets everything come to its end.
async fn finish(shop: &mut TestShop, said: &mut Said) {
    shop.shop.timeout = FAR_TOO_LONG;
    let references = (0..said.links_asked_for).map(|number| format!("order-{number}"));
    let links = Job::Links(references.collect());
    let payouts = (0..said.payouts_asked_for).map(|number| format!("payout-{number}"));
    let payouts = Job::PayOut(payouts.collect());
    let errors_before = said.errors.len();
    for line in to_the_end(shop, &links).await {
        said.note(&line);
    }
    assert_eq!(said.errors.len(), errors_before, "{:?}", said.errors.last());
    let deliveries = [said.unknown_ids.as_slice(), &Said::orders(shop)].concat();
    for line in to_the_end(shop, &Job::Receive(deliveries)).await {
        said.note(&line);
    }
    assert_eq!(said.errors.len(), errors_before, "{:?}", said.errors.last());
    for line in to_the_end(shop, &payouts).await {
        said.note(&line);
    }

    let mut worker = Child::start(&shop.shop, &Job::Process(effects(shop)), 8);
    worker.ready().await;
    worker.tell("go").await;
    let ledger = shop.ledger().await;
    let left = async || {
        let summary = ledger.summary().await.unwrap();
        summary.processing[&Processing::Waiting] + summary.spooled
    };
    let mut before = left().await;
    while before > 0 {
        // However many there are: each is waited for.
        until(async || left().await < before).await;
        before = left().await;
    }
    worker.tell("stop").await;
    for line in worker.finished().await {
        said.note(&line);
    }
}

async fn to_the_end(shop: &TestShop, job: &Job) -> Vec<String> {
    let mut child = Child::start(&shop.shop, job, 16);
    child.ready().await;
    child.tell("go").await;
    child.finished().await
}

/// Holds what is there against what was said.
async fn hold(shop: &TestShop, said: &Said, what: &str) {
    let ledger = shop.ledger().await;
    assert!(shop.sim.requests().len() < 10_000, "the simulator has forgotten the first requests");

    for (reference, ids) in &said.links {
        let order = ledger.order(reference).await.unwrap().unwrap();
        let acknowledged: Vec<_> = ids.iter().cloned().map(Some).collect();
        assert_eq!(acknowledged, [order.link_id], "{reference} was given two links, or another");
    }

    for reference in &said.paid_without_link {
        let order = ledger.order(reference).await.unwrap().unwrap();
        assert_eq!(order.state, OrderState::Paid);
    }

    let mut lost = 0;
    let mut paid = BTreeSet::new();
    for (id, decisions) in &said.received {
        let decided = decisions.iter().filter(|decision| *decision != "spooled").count();
        assert!(decided <= 1, "{id} was decided anew: {decisions:?}");
        match ledger.payment(id).await.unwrap() {
            Some(payment) if payment.is_paid() => {
                assert_eq!(payment.processing, Some(Processing::Done), "{id}");
                paid.insert(id.clone());
            }
            // Of an order that was given a second link after a crash, the first was paid as well.
            Some(payment) => assert!(
                [Decision::Mismatch, Decision::Overpaid].contains(&payment.decision),
                "{payment:?}"
            ),
            None => lost += 1,
        }
    }
    assert_eq!(lost, 0, "deliveries that were acknowledged are not there");
    assert_eq!(paid.len(), said.links_asked_for, "one payment for each order");
    let effects: BTreeSet<_> = fs::read_dir(effects(shop))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(effects, paid, "each paid order's effect is there, and no other");

    let mut requests = BTreeMap::<String, usize>::new();
    for request in shop.requests("/wallet/createWithdrawalRequest") {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        *requests.entry(body["note"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let paid_twice = requests.values().filter(|times| **times > 1).count();
    let spent = Decimal::from(100_000) - shop.sim.balance("USD");
    assert_eq!(paid_twice, 0);
    assert_eq!(spent, Decimal::from(requests.len()), "the balance, at 1 USD a payout");
    let mut unknown = 0;
    for number in 0..said.payouts_asked_for {
        let reference = format!("payout-{number}");
        let state = ledger.payout(&reference).await.unwrap().unwrap().state;
        let sent = requests.contains_key(&reference);
        match state {
            PayoutState::Paid => assert!(sent, "{reference} was never sent"),
            PayoutState::Unknown => unknown += 1,
            state => panic!("{reference} is {state}"),
        }
        let told = said.payouts.get(&reference);
        assert!(told.is_none_or(|told| told.iter().eq(["paid"])), "{told:?}");
        assert!(told.is_none() || state == PayoutState::Paid, "{reference} was told to be paid");
    }
    let by_unknown_ids = paid.iter().filter(|id| id.starts_with("unproven-")).count();
    assert!(by_unknown_ids > 0, "no order was paid while the ids were unproven");
    assert_eq!(ledger.summary().await.unwrap().link_ids, LinkIds::Proven);
    println!(
        "{what}: {} receipts for {} deliveries acknowledged ({} by the spool), lost: {lost}; {} \
         orders, {by_unknown_ids} paid by an unknown id; {} handled, {} of them more than once; {} payouts sent, paid twice: {paid_twice}, \
         left unknown: {unknown}",
        said.receipts,
        said.received.len(),
        said.spooled,
        said.links_asked_for,
        said.handled.len(),
        said.handled.values().filter(|times| **times > 1).count(),
        requests.len(),
    );
}

async fn killed_at_random(database: Database) {
    let kills = count("LEDGER_CRASH_KILLS", 24);
    let mut random = Random::seeded(&format!("kills on {database:?}"));
    let mut shop = shop_for_crashes(TestShop::on(database).await).await;
    let mut said = Said::default();
    let mut at_work = 0;
    let mut kill = 0;
    while kill < kills || !said.ids_are_proven {
        said.may_prove_ids(kill > kills / 3);
        let job = said.next_job(kill, &shop, &mut random);
        let child = Child::start(&shop.shop, &job, AT_ONCE);
        let lines = child.killed_after(random.up_to(LONGEST_LIFE), random.one_in(4)).await;
        at_work += usize::from(lines.last().is_some_and(|last| last != "finished"));
        for line in &lines {
            said.note(line);
        }
        kill += 1;
    }
    finish(&mut shop, &mut said).await;
    let what = format!("{kill} kills on {database:?}, {at_work} of them in the middle of the work");
    hold(&shop, &said, &what).await;
}

/// One child of each kind at work all the time, on a server that crashes and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_under_load() {
    let crashes = (count("LEDGER_CRASH_KILLS", 24) / 20).max(4);
    let mut random = Random::seeded("crashes of PostgreSQL");
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let server = Arc::new(server.unwrap_or_else(|error| panic!("{error}")));
    let mut shop = shop_for_crashes(TestShop::on_server(&server).await).await;
    let mut said = Said::default();
    let (sender, mut lines) = mpsc::unbounded_channel();
    let mut crashed = 0;
    let mut workers = [const { None }; 4];
    let mut receipts_at_crash = 0;
    let mut is_up = true;
    while crashed < crashes || !is_up {
        said.may_prove_ids(crashed > crashes / 2);
        for (kind, worker) in workers.iter_mut().enumerate() {
            if worker.is_none() {
                let job = said.next_job(kind, &shop, &mut random);
                let mut child = Child::start(&shop.shop, &job, AT_ONCE);
                child.tell("go").await;
                let sender = sender.clone();
                *worker = Some(tokio::spawn(async move {
                    while let Some(line) = child.says_at_last().await {
                        sender.send((kind, Some(line))).unwrap();
                    }
                    sender.send((kind, None)).unwrap();
                }));
            }
        }
        match in_time(lines.recv()).await.unwrap() {
            (kind, None) => workers[kind] = None,
            (_, Some(line)) => said.note(&line),
        }
        // Something was received in each of the two states, before it is changed.
        if said.receipts > receipts_at_crash + 20 && (is_up || said.spooled > 0) {
            let (server, was_up) = (server.clone(), is_up);
            tokio::task::spawn_blocking(move || {
                if was_up { server.stop(Stop::Immediate) } else { server.start_again() }
            })
            .await
            .unwrap()
            .unwrap();
            crashed += usize::from(is_up);
            is_up = !is_up;
            receipts_at_crash = said.receipts;
        }
    }
    for worker in workers.into_iter().flatten() {
        worker.abort();
    }
    while let Ok((_, line)) = lines.try_recv() {
        said.note(&line.unwrap_or_else(|| "finished".to_owned()));
    }
    let refused: Vec<_> = said
        .errors
        .iter()
        .filter(|line| !line.contains(" order-") && !line.contains(" payout-"))
        .collect();
    assert!(refused.is_empty(), "deliveries were refused: {refused:?}");
    finish(&mut shop, &mut said).await;
    hold(&shop, &said, &format!("{crashed} crashes of PostgreSQL")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_on_sqlite() {
    killed_at_random(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_on_postgres() {
    killed_at_random(Database::Postgres).await;
}
