//! What a ledger, its workers and its receivers tell: each heard once, with its level and its code.

use std::sync::Arc;
use std::time::Duration;

use kazawallet::{
    Arrived, CallWatch, Report, ReportLevel, Webhook, WebhookAnswer, since_the_start,
};
use kazawallet_ledger::{Decision, Ledger, Listener, Payment, Processing, Receiver};
use kazawallet_ledger_tests::postgres::{Postgres, Stop};
use kazawallet_ledger_tests::{Delivery, Job};
use tokio::sync::watch;

use crate::on_both_databases;
use crate::support::{TestShop, in_time, until};

/// What was told.
#[derive(Default)]
struct Heard {
    reports: watch::Sender<Vec<Report>>,
    calls: watch::Sender<Vec<String>>,
}

impl Listener for Heard {
    fn told(&self, report: Report) {
        self.reports.send_modify(|reports| reports.push(report));
    }

    fn called(&self, call: &CallWatch) {
        let said = format!("{} {}", call.endpoint(), call.outcome().unwrap_or_default());
        self.calls.send_modify(|calls| calls.push(said));
    }
}

impl Heard {
    fn codes(&self) -> Vec<(ReportLevel, &'static str)> {
        self.reports.borrow().iter().map(|report| (report.level, report.code)).collect()
    }

    async fn wait_for(&self, code: &str) -> Report {
        let mut reports = self.reports.subscribe();
        let told = |reports: &Vec<Report>| reports.iter().any(|report| report.code == code);
        let reports = in_time(reports.wait_for(told)).await.unwrap();
        reports.iter().find(|report| report.code == code).unwrap().clone()
    }
}

async fn opened(shop: &TestShop) -> (Ledger, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let ledger = shop.opening().listener(heard.clone(), "shop ledger").await.unwrap();
    (ledger, heard)
}

const SOON: Duration = Duration::from_millis(20);

on_both_databases! {
    async fn a_failed_handler_is_told_and_its_message_is_not(shop: TestShop) {
        let (ledger, heard) = opened(&shop).await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let worker = ledger.process(|_: Payment| async {
            Err(std::io::Error::other("the card of a person"))
        }).max_tries(2).first_pause(SOON).poll_interval(SOON).start();
        until(async || heard.codes().len() == 2).await;
        in_time(worker.stop()).await;
        let reports = heard.reports.borrow().clone();
        let levels: Vec<_> = reports.iter().map(|report| (report.level, report.code)).collect();
        let failed = "handler_failed";
        assert_eq!(levels, [(ReportLevel::Warning, failed), (ReportLevel::Error, failed)]);
        for report in &reports {
            assert_eq!(report.payment.as_deref(), Some(id.as_str()));
            assert!(report.text.contains("failed with Error for the payment"), "{}", report.text);
            assert!(!report.text.contains("card"), "{}", report.text);
        }
        assert!(reports[1].text.contains("parked (see `shop ledger`)"), "{}", reports[1].text);
        let payment = ledger.payment(&id).await.unwrap().unwrap();
        assert_eq!(payment.processing, Some(Processing::Parked));
        assert_eq!(payment.last_error.as_deref(), Some("Error: the card of a person"));
    }

    async fn a_handler_that_never_returns_has_its_payment_given_back(shop: TestShop) {
        let (ledger, heard) = opened(&shop).await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let begun = Arc::new(watch::Sender::new(false));
        let begins = begun.clone();
        let worker = ledger.process(move |_: Payment| {
            begins.send_replace(true);
            std::future::pending::<Result<(), std::io::Error>>()
        }).first_pause(SOON).start();
        in_time(begun.subscribe().wait_for(|begun| *begun)).await.unwrap();
        assert!(!in_time(worker.stop_within(Duration::from_millis(1200))).await);
        let warning = |code| (ReportLevel::Warning, code);
        assert_eq!(heard.codes(), [warning("stop_waits"), warning("handler_broken_off")]);
        let waits = heard.reports.borrow()[0].clone();
        assert_eq!(waits.payment.as_deref(), Some(id.as_str()));
        // That was a try, and the payment comes again.
        let payment = ledger.payment(&id).await.unwrap().unwrap();
        assert_eq!((payment.processing, payment.tries), (Some(Processing::Waiting), 1));
        let last_error = payment.last_error.as_deref();
        assert_eq!(last_error, Some("the handler was broken off before it ended"));
        let again = in_time(ledger.claims().poll_interval(SOON).next()).await.unwrap();
        assert_eq!((again.payment().order_id.as_str(), again.payment().tries), (id.as_str(), 2));
    }

    async fn a_stop_in_time_tells_nothing(shop: TestShop) {
        let (ledger, heard) = opened(&shop).await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let worker = ledger.process(|_: Payment| async { Ok::<_, std::io::Error>(()) }).start();
        until(async || {
            ledger.payment(&id).await.unwrap().unwrap().processing == Some(Processing::Done)
        }).await;
        assert!(in_time(worker.stop_within(Duration::from_secs(60))).await);
        assert_eq!(heard.codes(), []);
    }

    async fn a_receiver_tells_what_waits_for_a_person_and_what_broke_off(shop: TestShop) {
        let (ledger, heard) = opened(&shop).await;
        let receiver = Receiver::new(ledger.clone());
        receiver.start().await.unwrap();
        let body = shop.body(&Delivery::paid("pl_x", Job::PRICE, "no-such-order"));
        let first = receiver.receive(&body).await;
        assert_eq!(first.answer, WebhookAnswer::RECEIVED);
        let report = first.report.unwrap();
        assert_eq!((report.level, report.code), (ReportLevel::Warning, "waits_for_person"));
        let text = "the payment pl_x is stored and waits for a person: no_order (see `shop ledger`)";
        assert_eq!(report.text, text);
        assert_eq!(receiver.receive(&body).await.report, None);
        let cut = Arrived::BrokeOff { got: Some(10), of: Some(20) };
        let refused = || receiver.route().delivery(cut, since_the_start()).unwrap_err();
        let broke_off = refused().report.unwrap();
        assert_eq!((broke_off.level, broke_off.code), (ReportLevel::Info, "body_broke_off"));
        assert_eq!(refused().report, None, "it is told once a minute");
        assert_eq!(heard.codes(), []);
    }

    async fn what_a_forgotten_rotation_refused_is_received_when_a_receiver_starts(shop: TestShop) {
        let (ledger, heard) = opened(&shop).await;
        shop.order(&ledger, "order-1").await;
        let id = ledger.order("order-1").await.unwrap().unwrap().link_id.unwrap();
        let body = shop.body(&Delivery::paid(&id, Job::PRICE, "order-1"));
        let other = Webhook::new("another key", "another secret").unwrap();
        let forgetful = shop.opening().webhook(other).await.unwrap();
        assert!(forgetful.receive(&body).await.is_err());
        Receiver::new(ledger.clone()).start().await.unwrap();
        assert_eq!(heard.codes(), [(ReportLevel::Info, "reverified")]);
        assert_eq!(ledger.payment(&id).await.unwrap().unwrap().decision, Decision::Paid);
    }

    async fn the_ledgers_own_calls_are_heard(shop: TestShop) {
        let (ledger, heard) = opened(&shop).await;
        shop.order(&ledger, "order-1").await;
        shop.order(&ledger, "order-1").await;
        ledger.withdraw("payout-1", crate::support::payout()).await.unwrap();
        assert_eq!(heard.calls.borrow().len(), 2);
        assert!(heard.calls.borrow().iter().all(|call| call.ends_with(" ok")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_told_and_so_is_a_rotation_that_keeps_the_spool_full() {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let server = Arc::new(server.unwrap_or_else(|error| panic!("{error}")));
    let shop = TestShop::on_server(&server).await;
    let (ledger, heard) = opened(&shop).await;
    let id = shop.order(&ledger, "order-1").await;
    let stopping = server.clone();
    tokio::task::spawn_blocking(move || stopping.stop(Stop::Immediate)).await.unwrap().unwrap();
    let body = shop.body(&Delivery::paid(&id, Job::PRICE, "order-1"));
    // One line for all of them: it says why.
    for _ in 0..3 {
        assert_eq!(ledger.receive(&body).await.unwrap().decision, Decision::Spooled);
    }
    // Nor do the attempts to take them over say the same again.
    assert_eq!(heard.codes(), [(ReportLevel::Warning, "spooled")]);
    let text = heard.wait_for("spooled").await.text;
    assert!(text.contains("PostgreSQL server cannot be reached"), "{text}");
    ledger.close().await;
    drop(ledger);

    let starting = server.clone();
    tokio::task::spawn_blocking(move || starting.start_again()).await.unwrap().unwrap();
    let heard = Arc::new(Heard::default());
    let rotated = Webhook::new("the new key", "the new secret").unwrap();
    let rotated = shop.opening().webhook(rotated).listener(heard.clone(), "shop ledger").await;
    let report = heard.wait_for("spool_of_another_key").await;
    assert_eq!(report.level, ReportLevel::Warning);
    assert!(report.text.contains("previous key"), "{}", report.text);
    assert_eq!(rotated.unwrap().summary().await.unwrap().spooled, 3);
}
