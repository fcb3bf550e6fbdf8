//! Payouts: a reference is never sent twice.

use std::time::{Duration, SystemTime};

use kazawallet::{CreateWithdrawal, ErrorKind, Outcome, PaymentMethod};
use kazawallet_ledger::{Ledger, Payout, PayoutState, Resolution};
use kazawallet_ledger_tests::Job;
use kazawallet_simulator::{Decimal, Fault};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::on_both_databases;
use crate::support::child::Child;
use crate::support::{
    Database, NOTE, RECIPIENT, TestShop, code, in_time, payout, refusal, until, until_time,
};

async fn recorded(ledger: &Ledger, reference: &str) -> Payout {
    ledger.payout(reference).await.unwrap().unwrap()
}

async fn state(ledger: &Ledger, reference: &str) -> PayoutState {
    recorded(ledger, reference).await.state
}

fn spent(shop: &TestShop) -> Decimal {
    Decimal::from(100_000) - shop.sim.balance("USD")
}

/// Payouts that nobody can write, though they can be read.
enum Lock {
    Sqlite(rusqlite::Connection),
    Postgres(tokio_postgres::Client),
}

impl Lock {
    async fn of(shop: &TestShop) -> Self {
        match shop.database {
            Database::Sqlite => {
                let other = rusqlite::Connection::open(shop.file()).unwrap();
                other.execute_batch("BEGIN IMMEDIATE").unwrap();
                Self::Sqlite(other)
            }
            Database::Postgres => {
                let other = connected(shop).await;
                let lock = "BEGIN; LOCK TABLE kazawallet_payouts IN EXCLUSIVE MODE";
                other.batch_execute(lock).await.unwrap();
                Self::Postgres(other)
            }
        }
    }

    async fn release(self) {
        match self {
            Self::Sqlite(other) => other.execute_batch("COMMIT").unwrap(),
            Self::Postgres(other) => other.batch_execute("COMMIT").await.unwrap(),
        }
    }
}

async fn one_waits_for_a_lock(shop: &TestShop) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until(async || crate::count(shop, waiting).await == 1).await;
}

async fn connected(shop: &TestShop) -> tokio_postgres::Client {
    let connected = tokio_postgres::connect(&shop.shop.ledger, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_people_the_second_sees_what_the_first_said() {
    let mut shop = TestShop::on(Database::Postgres).await;
    shop.shop.clock_margin = Duration::ZERO;
    let ledger = shop.ledger().await;
    shop.sim.fault(Fault::CloseAfterActing).unwrap();
    let unknown = ledger.withdraw("payout-1", payout()).timeout(Duration::from_millis(500)).await;
    assert_eq!(code(unknown), "outcome_unknown");
    until_time(recorded(&ledger, "payout-1").await.deadline.unwrap()).await;

    // The first has said it, and is about to be confirmed.
    let first = connected(&shop).await;
    let says = "BEGIN; UPDATE kazawallet_payouts SET state = 'paid', sender = NULL";
    first.batch_execute(says).await.unwrap();
    let second = {
        let ledger = ledger.clone();
        tokio::spawn(
            async move { ledger.resolve("payout-1", Resolution::NotPaid, "Samer", None).await },
        )
    };
    one_waits_for_a_lock(&shop).await;
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(code(in_time(second).await.unwrap()), "ledger_state");
    assert_eq!(state(&ledger, "payout-1").await, PayoutState::Paid);
    assert_eq!(ledger.decisions(10).await.unwrap().len(), 0);
}

on_both_databases! {
    async fn a_reference_is_paid_once(shop: TestShop) {
        let ledger = shop.ledger().await;
        assert!(ledger.payout("payout-1").await.unwrap().is_none());
        let paid = ledger.withdraw("payout-1", payout()).await.unwrap();
        assert_eq!((paid.state, paid.status.as_deref()), (PayoutState::Paid, Some("approved")));
        assert_eq!((paid.amount.as_str(), paid.currency.as_str()), (Job::PAYOUT, "USD"));
        assert_eq!((paid.reference.as_str(), paid.payment_method.as_str()), ("payout-1", "38"));
        assert!(paid.message.is_some());
        let details = paid.details.as_deref().unwrap();
        assert!(details.contains(RECIPIENT) && details.contains(NOTE), "for the person who looks");
        assert!(paid.deadline.unwrap() > paid.created_at);

        let other = shop.ledger().await;
        for again in [
            payout(),
            CreateWithdrawal::new("1.00".parse().unwrap(), "usd", PaymentMethod::sy_cash("+963 933 123 456")).note(NOTE),
        ] {
            let again = other.withdraw("payout-1", again).await.unwrap();
            assert_eq!((again.state, again.created_at), (PayoutState::Paid, paid.created_at));
        }
        assert_eq!((shop.payouts_asked_for(), spent(&shop)), (1, Decimal::ONE));
        other.withdraw("payout-2", payout()).await.unwrap();
        assert_eq!(spent(&shop), Decimal::TWO);
        assert!(ledger.unresolved(10).await.unwrap().is_empty());
        assert_eq!(ledger.summary().await.unwrap().payouts[&PayoutState::Paid], 2);
    }

    async fn other_terms_are_refused(shop: TestShop) {
        let ledger = shop.ledger().await;
        ledger.withdraw("payout-1", payout()).await.unwrap();
        let to = |phone: &str| PaymentMethod::sy_cash(phone);
        let new = |amount: &str, currency: &str, method| CreateWithdrawal::new(amount.parse().unwrap(), currency, method);
        for other in [
            new("2", "USD", to(RECIPIENT)).note(NOTE),
            new("1", "SYP", to(RECIPIENT)).note(NOTE),
            new("1", "USD", to("0933123457")).note(NOTE),
            new("1", "USD", PaymentMethod::custom("118", [("phone", RECIPIENT)])).note(NOTE),
            new("1", "USD", to(RECIPIENT)).note("another note"),
            new("1", "USD", to(RECIPIENT)),
        ] {
            let refused = refusal(ledger.withdraw("payout-1", other).await);
            assert_eq!(refused, ("validation", Some("reference".to_owned())));
        }
        assert_eq!(shop.payouts_asked_for(), 1);
    }

    async fn what_is_surely_wrong_is_not_recorded(shop: TestShop) {
        let ledger = shop.ledger().await;
        let too_long = "r".repeat(1025);
        for reference in ["", " ", "a\0b", &too_long] {
            let refused = refusal(ledger.withdraw(reference, payout()).await);
            assert_eq!(refused, ("validation", Some("reference".to_owned())), "{reference:?}");
        }
        let refused = CreateWithdrawal::new("1".parse().unwrap(), "USD", PaymentMethod::sy_cash("123"));
        assert_eq!(code(ledger.withdraw("payout-1", refused).await), "validation");
        let refused = ledger.withdraw("payout-1", payout()).timeout(Duration::ZERO).await;
        assert_eq!(code(refused), "validation");
        assert!(ledger.payout("payout-1").await.unwrap().is_none());
        assert!(ledger.payout("a\0b").await.unwrap().is_none());
        let no_client = Ledger::open(&shop.shop.ledger).no_spool().webhook(shop.webhook.clone()).await.unwrap();
        assert_eq!(code(no_client.withdraw("payout-1", payout()).await), "configuration");
        assert_eq!(shop.payouts_asked_for(), 0);
        // It can be put right under the same reference.
        ledger.withdraw("payout-1", payout()).await.unwrap();
    }

    async fn a_refusal_is_final(shop: TestShop) {
        let ledger = shop.ledger().await;
        for (number, (fault, kind, status, key)) in [
            (Some(Fault::AnswerStatus(403)), ErrorKind::PermissionDenied, Some(403), None),
            (Some(Fault::AnswerStatus(401)), ErrorKind::Authentication, Some(401), None),
            (Some(Fault::AnswerStatus(400)), ErrorKind::Api, Some(400), None),
            (Some(Fault::ErrorInside200), ErrorKind::Api, Some(400), None),
            // More than there is.
            (None, ErrorKind::Api, Some(400), None::<&str>),
        ].into_iter().enumerate() {
            let reference = format!("payout-{number}");
            let terms = || match fault {
                Some(_) => payout(),
                None => CreateWithdrawal::new("9999999".parse().unwrap(), "USD", PaymentMethod::sy_cash(RECIPIENT)),
            };
            if let Some(fault) = fault {
                shop.sim.fault(fault).unwrap();
            }
            let first = ledger.withdraw(&reference, terms()).await.unwrap_err();
            let again = shop.ledger().await.withdraw(&reference, terms()).await.unwrap_err();
            for refused in [&first, &again] {
                assert_eq!((refused.kind(), refused.outcome()), (kind, Some(Outcome::Rejected)), "{refused:?}");
                assert_eq!((refused.status(), refused.key()), (status, key), "{refused:?}");
                assert_eq!(refused.message(), first.message());
            }
            let record = recorded(&ledger, &reference).await;
            assert_eq!(record.state, PayoutState::Rejected);
            assert!(record.message.is_some());
            assert_eq!(shop.payouts_asked_for(), number + 1);
            let resolved = ledger.resolve(&reference, Resolution::Paid, "Rima", None).await;
            assert_eq!(code(resolved), "ledger_state");
        }
        assert!(ledger.unresolved(10).await.unwrap().is_empty());
        assert_eq!(spent(&shop), Decimal::ZERO);
    }

    async fn an_unknown_outcome_stays_unknown_until_a_person_has_looked(shop: TestShop) {
        let ledger = shop.ledger().await;
        let faults = [
            Fault::CloseAfterActing, Fault::CloseBeforeActing, Fault::HalfBody, Fault::HtmlAnswer,
            Fault::AnswerStatus(500), Fault::AnswerLate(Duration::from_secs(600)),
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            let reference = format!("payout-{number}");
            shop.sim.fault(fault).unwrap();
            let call = || ledger.withdraw(&reference, payout()).timeout(Duration::from_secs(3)).into_future();
            for _ in 0..2 {
                let unknown = in_time(call()).await.unwrap_err();
                assert_eq!((unknown.code(), unknown.outcome()), ("outcome_unknown", Some(Outcome::Unknown)), "{fault}");
            }
            assert_eq!(state(&ledger, &reference).await, PayoutState::Unknown);
            assert_eq!(shop.payouts_asked_for(), number + 1, "{fault}");
        }
        let unresolved = ledger.unresolved(100).await.unwrap();
        assert!(unresolved.is_sorted_by_key(|payout| payout.created_at), "oldest first");
        assert_eq!(unresolved.len(), faults.len());
        assert!(unresolved.iter().all(|payout| payout.state == PayoutState::Unknown));
        assert_eq!(ledger.unresolved(2).await.unwrap().len(), 2);
        assert_eq!(ledger.summary().await.unwrap().payouts[&PayoutState::Unknown], 6);

        // The last one's time is not over, with the margin.
        let last = unresolved.last().unwrap();
        let safe = last.deadline.unwrap() + shop.shop.clock_margin;
        if SystemTime::now() + Duration::from_millis(500) < safe {
            let early = ledger.resolve(&last.reference, Resolution::NotPaid, "Rima", None).await;
            assert_eq!(code(early), "ledger_state");
        }
        until_time(safe).await;
        for by in ["", "  ", "a\0b"] {
            let refused = ledger.resolve("payout-0", Resolution::Paid, by, None).await;
            assert_eq!(refusal(refused), ("validation", Some("by".to_owned())));
        }
        assert_eq!(code(ledger.resolve("payout-9", Resolution::Paid, "Rima", None).await), "ledger_not_found");
        let paid = ledger.resolve("payout-0", Resolution::Paid, "Rima", Some("seen")).await.unwrap();
        assert_eq!(paid.state, PayoutState::Paid);
        let not_paid = ledger.resolve("payout-1", Resolution::NotPaid, "Samer", None).await.unwrap();
        assert_eq!(not_paid.state, PayoutState::NotPaid);
        for (reference, resolution) in [("payout-0", Resolution::NotPaid), ("payout-1", Resolution::Paid), ("payout-1", Resolution::NotPaid)] {
            assert_eq!(code(ledger.resolve(reference, resolution, "Rima", None).await), "ledger_state");
        }
        assert_eq!(ledger.withdraw("payout-0", payout()).await.unwrap().state, PayoutState::Paid);
        assert_eq!(code(ledger.withdraw("payout-1", payout()).await), "ledger_state");
        assert_eq!(shop.payouts_asked_for(), faults.len(), "nothing was sent again");

        let decisions = ledger.decisions(10).await.unwrap();
        let told: Vec<_> = decisions.iter()
            .map(|one| (one.action.as_str(), one.subject.as_str(), one.decision.as_str(), one.by.as_str(), one.note.as_deref()))
            .collect();
        assert_eq!(told, [
            ("resolve", "payout-1", "not_paid", "Samer", None),
            ("resolve", "payout-0", "paid", "Rima", Some("seen")),
        ]);
        // Paying again takes a new reference.
        assert_eq!(ledger.withdraw("payout-1b", payout()).await.unwrap().state, PayoutState::Paid);
    }

    async fn what_never_left_is_sent_the_next_time(shop: TestShop) {
        let mut shop = shop;
        let provider = shop.shop.provider.clone();
        // A port that nobody listens on, and that nobody else is given.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        shop.shop.provider = format!("http://{}/wallet", socket.local_addr().unwrap());
        shop.shop.timeout = Duration::from_millis(1500);
        let ledger = shop.ledger().await;
        let refused = in_time(ledger.withdraw("payout-1", payout()).into_future()).await.unwrap_err();
        assert_eq!(refused.outcome(), Some(Outcome::NotSent), "{refused:?}");
        assert!([ErrorKind::Connection, ErrorKind::Timeout].contains(&refused.kind()));
        assert_eq!(state(&ledger, "payout-1").await, PayoutState::NotSent);
        assert!(ledger.unresolved(10).await.unwrap().is_empty());
        assert_eq!(code(ledger.resolve("payout-1", Resolution::Paid, "Rima", None).await), "ledger_state");

        shop.shop.provider = provider;
        let ledger = shop.ledger().await;
        let other = CreateWithdrawal::new("2".parse().unwrap(), "USD", PaymentMethod::sy_cash(RECIPIENT));
        let other = refusal(ledger.withdraw("payout-1", other).await);
        assert_eq!(other, ("validation", Some("reference".to_owned())));
        assert_eq!(ledger.withdraw("payout-1", payout()).await.unwrap().state, PayoutState::Paid);
        assert_eq!((shop.payouts_asked_for(), spent(&shop)), (1, Decimal::ONE));
    }

    async fn what_was_recorded_after_its_deadline_never_leaves(shop: TestShop) {
        let ledger = shop.ledger().await;
        let lock = Lock::of(&shop).await;
        let late = ledger.withdraw("payout-1", payout()).timeout(Duration::from_millis(1));
        let late = tokio::spawn(late.into_future());
        // Longer than others wait for its answer.
        until_time(SystemTime::now() + Duration::from_secs(4)).await;
        lock.release().await;
        let refused = in_time(late).await.unwrap().unwrap_err();
        assert_eq!(refused.outcome(), Some(Outcome::NotSent), "{refused:?}");
        assert_eq!(state(&ledger, "payout-1").await, PayoutState::NotSent);
        assert_eq!(shop.payouts_asked_for(), 0);
        assert_eq!(ledger.withdraw("payout-1", payout()).await.unwrap().state, PayoutState::Paid);
    }

    async fn many_at_once_send_once(shop: TestShop) {
        shop.sim.fault(Fault::AnswerLate(Duration::from_millis(300))).unwrap();
        let ledgers = [shop.ledger().await, shop.ledger().await];
        let mut calls = JoinSet::new();
        for number in 0..16 {
            let ledger = ledgers[number % 2].clone();
            calls.spawn(async move { ledger.withdraw("payout-1", payout()).await });
        }
        // One asks for something else meanwhile.
        until(async || shop.payouts_asked_for() == 1).await;
        let other = CreateWithdrawal::new("2".parse().unwrap(), "USD", PaymentMethod::sy_cash(RECIPIENT));
        assert_eq!(code(ledgers[0].withdraw("payout-1", other).await), "validation");
        assert_eq!(state(&ledgers[1], "payout-1").await, PayoutState::Sending);
        for result in in_time(calls.join_all()).await {
            assert_eq!(result.unwrap().state, PayoutState::Paid);
        }
        assert_eq!((shop.payouts_asked_for(), spent(&shop)), (1, Decimal::ONE));
    }

    async fn a_payout_whose_process_died_is_unknown(shop: TestShop) {
        let mut shop = shop;
        shop.shop.timeout = Duration::from_secs(4);
        shop.sim.fault(Fault::AnswerLate(Duration::from_secs(600))).unwrap();
        let mut child = Child::start(&shop.shop, &Job::PayOut(vec!["payout-1".to_owned()]), 1);
        child.ready().await;
        child.tell("go").await;
        until(async || shop.payouts_asked_for() == 1).await;
        assert_eq!(child.kill().await, [""; 0]);

        let ledger = shop.ledger().await;
        let record = recorded(&ledger, "payout-1").await;
        assert_eq!(record.state, PayoutState::Sending);
        let deadline = record.deadline.unwrap();
        if SystemTime::now() + Duration::from_millis(500) < deadline {
            assert_eq!(code(ledger.resolve("payout-1", Resolution::NotPaid, "Rima", None).await), "ledger_state");
            assert!(ledger.unresolved(10).await.unwrap().is_empty());
        }
        let terms = CreateWithdrawal::new(Job::PAYOUT.parse().unwrap(), "USD", PaymentMethod::sy_cash(RECIPIENT))
            .note("payout-1");
        let unknown = in_time(ledger.withdraw("payout-1", terms.clone()).into_future()).await;
        assert_eq!(code(unknown), "outcome_unknown");
        assert_eq!(ledger.unresolved(10).await.unwrap().len(), 1);
        until_time(deadline + shop.shop.clock_margin + Duration::from_millis(10)).await;
        ledger.resolve("payout-1", Resolution::Paid, "Rima", None).await.unwrap();
        assert_eq!(ledger.withdraw("payout-1", terms).await.unwrap().state, PayoutState::Paid);
        assert_eq!((shop.payouts_asked_for(), spent(&shop)), (1, Decimal::ONE));
    }

    async fn a_dead_senders_payout_is_resolved_without_being_asked_for_again(shop: TestShop) {
        let mut shop = shop;
        shop.shop.timeout = Duration::from_secs(3);
        shop.shop.clock_margin = Duration::ZERO;
        shop.sim.fault(Fault::CloseBeforeActing).unwrap();
        let mut child = Child::start(&shop.shop, &Job::PayOut(vec!["payout-1".to_owned()]), 1);
        child.ready().await;
        shop.sim.clear_faults();
        shop.sim.fault(Fault::AnswerLate(Duration::from_secs(600))).unwrap();
        child.tell("go").await;
        until(async || shop.payouts_asked_for() == 1).await;
        child.kill().await;
        let ledger = shop.ledger().await;
        let deadline = recorded(&ledger, "payout-1").await.deadline.unwrap();
        until_time(deadline + Duration::from_millis(10)).await;
        // The list shows it as what it is, though nobody has written that down.
        until(async || !ledger.unresolved(10).await.unwrap().is_empty()).await;
        assert_eq!(ledger.unresolved(10).await.unwrap()[0].state, PayoutState::Unknown);
        let resolved = ledger.resolve("payout-1", Resolution::NotPaid, "Rima", None).await.unwrap();
        assert_eq!(resolved.state, PayoutState::NotPaid);
        assert!(ledger.unresolved(10).await.unwrap().is_empty());
    }

    async fn a_caller_who_gives_up_stops_nothing(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.sim.fault(Fault::AnswerLate(Duration::from_millis(300))).unwrap();
        let call = tokio::spawn(ledger.withdraw("payout-1", payout()).into_future());
        until(async || shop.payouts_asked_for() == 1).await;
        call.abort();
        until(async || state(&ledger, "payout-1").await == PayoutState::Paid).await;
        ledger.withdraw("payout-1", payout()).await.unwrap();
        assert_eq!((shop.payouts_asked_for(), spent(&shop)), (1, Decimal::ONE));
    }

    async fn a_busy_provider_is_asked_again_within_the_time(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.sim.fault(Fault::AnswerStatus(429)).unwrap();
        assert_eq!(ledger.withdraw("payout-1", payout()).await.unwrap().state, PayoutState::Paid);
        assert_eq!((shop.payouts_asked_for(), spent(&shop)), (2, Decimal::ONE));
        // Where it stays busy nothing has happened, and that is the end of this reference.
        shop.sim.fault_until_cleared(Fault::AnswerStatus(429)).unwrap();
        let busy = in_time(ledger.withdraw("payout-2", payout()).into_future()).await.unwrap_err();
        shop.sim.clear_faults();
        assert_eq!((busy.code(), busy.outcome()), ("rate_limit", Some(Outcome::Rejected)));
        assert_eq!(state(&ledger, "payout-2").await, PayoutState::Rejected);
        assert_eq!(code(ledger.withdraw("payout-2", payout()).await), "rate_limit");
        assert_eq!(spent(&shop), Decimal::ONE);
    }
}

/// The sender has its answer, and cannot record it; meanwhile another process, and a person, wait.
mod an_answer_that_cannot_be_recorded {
    use super::*;
    use crate::support::proxy::Proxy;
    use kazawallet_ledger_tests::postgres::Postgres;

    /// A shop, its ledger by way of a proxy, and the same ledger as another machine has it.
    async fn cut_off() -> (TestShop, Proxy, Ledger, Ledger) {
        let server = tokio::task::spawn_blocking(Postgres::shared).await.unwrap().unwrap();
        let mut shop = TestShop::on(Database::Postgres).await;
        shop.shop.clock_margin = Duration::ZERO;
        let other = shop.ledger().await;
        let proxy = Proxy::to(server.port()).await;
        let direct = shop.shop.ledger.clone();
        shop.shop.ledger = proxy.in_place_of(server, &direct);
        let sender = shop.ledger().await;
        shop.shop.ledger = direct;
        (shop, proxy, sender, other)
    }

    /// Sends a payout; its answer comes when the database is gone.
    async fn sent(
        shop: &TestShop,
        proxy: &Proxy,
        sender: &Ledger,
    ) -> tokio::task::JoinHandle<Result<Payout, kazawallet::Error>> {
        shop.sim.fault(Fault::AnswerLate(Duration::from_millis(300))).unwrap();
        let call = sender.withdraw("payout-1", payout()).timeout(Duration::from_secs(3));
        let call = tokio::spawn(call.into_future());
        until(async || shop.payouts_asked_for() == 1).await;
        proxy.cut();
        call
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn is_recorded_once_the_database_is_back() {
        let (shop, proxy, sender, other) = cut_off().await;
        let call = sent(&shop, &proxy, &sender).await;
        let unknown = in_time(other.withdraw("payout-1", payout()).into_future()).await;
        assert_eq!(code(unknown), "outcome_unknown");
        assert_eq!(state(&other, "payout-1").await, PayoutState::Unknown);
        proxy.open();
        assert_eq!(in_time(call).await.unwrap().unwrap().state, PayoutState::Paid);
        assert_eq!(state(&other, "payout-1").await, PayoutState::Paid);
        assert!(other.unresolved(10).await.unwrap().is_empty());
        assert_eq!(shop.payouts_asked_for(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn to_the_intent_that_is_lost_leaves_the_payout_to_be_sent() {
        let (shop, proxy, sender, other) = cut_off().await;
        // Its statements are known to the server from here on.
        sender.withdraw("payout-0", payout()).await.unwrap();
        let lock = Lock::of(&shop).await;
        let lost = tokio::spawn(sender.withdraw("payout-1", payout()).into_future());
        one_waits_for_a_lock(&shop).await;
        proxy.lose_answers();
        lock.release().await;
        let lost = in_time(lost).await.unwrap().unwrap_err();
        assert_eq!((lost.code(), lost.outcome()), ("ledger_unavailable", Some(Outcome::NotSent)));
        // The server is not done when the first of its answers is lost.
        let state_of = async || Some(other.payout("payout-1").await.unwrap()?.state);
        until(async || state_of().await == Some(PayoutState::Sending)).await;
        proxy.open();
        until(async || state(&other, "payout-1").await == PayoutState::NotSent).await;
        assert_eq!(other.withdraw("payout-1", payout()).await.unwrap().state, PayoutState::Paid);
        assert_eq!(shop.payouts_asked_for(), 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn does_not_undo_what_a_person_said() {
        let (shop, proxy, sender, other) = cut_off().await;
        let call = sent(&shop, &proxy, &sender).await;
        let deadline = recorded(&other, "payout-1").await.deadline.unwrap();
        until_time(deadline + Duration::from_millis(5)).await;
        other.resolve("payout-1", Resolution::NotPaid, "Rima", None).await.unwrap();
        proxy.open();
        // The sender knows better, and must not be told that nothing was paid.
        let told = in_time(call).await.unwrap().unwrap_err();
        assert_eq!(told.outcome(), Some(Outcome::Unknown), "{told:?}");
        assert_eq!(state(&other, "payout-1").await, PayoutState::NotPaid);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn is_unknown_where_it_never_can_be() {
        let (shop, proxy, sender, other) = cut_off().await;
        let call = sent(&shop, &proxy, &sender).await;
        let told = in_time(call).await.unwrap().unwrap_err();
        assert_eq!((told.code(), told.outcome()), ("ledger_unavailable", Some(Outcome::Unknown)));
        let unknown = in_time(other.withdraw("payout-1", payout()).into_future()).await;
        assert_eq!(code(unknown), "outcome_unknown");
        assert_eq!(shop.payouts_asked_for(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_a_link_is_asked_for_again() {
        let (shop, proxy, sender, other) = cut_off().await;
        shop.sim.fault(Fault::AnswerLate(Duration::from_millis(300))).unwrap();
        let call = sender.create_payment_link(crate::support::order("order-1"));
        let call = tokio::spawn(call.timeout(Duration::from_secs(3)).into_future());
        until(async || shop.links_asked_for() == 1).await;
        proxy.cut();
        assert_eq!(code(in_time(call).await.unwrap()), "ledger_unavailable");
        let again = other.create_payment_link(crate::support::order("order-1"));
        let link = in_time(again.into_future()).await.unwrap();
        assert_eq!(shop.links_asked_for(), 2);
        assert_eq!(link.id.as_deref(), Some(shop.sim.links()[1].id.as_str()));
    }
}
