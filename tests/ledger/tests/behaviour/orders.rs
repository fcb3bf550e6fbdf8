//! Orders and their links.

use std::time::Duration;

use kazawallet::CreatePaymentLink;
use kazawallet_ledger::{Decision, Ledger, OrderState};
use kazawallet_ledger_tests::{Delivery, Job};
use kazawallet_simulator::Fault;
use tokio::task::JoinSet;

use crate::on_both_databases;
use crate::support::child::Child;
use crate::support::{TestShop, code, in_time, order, refusal, until};

fn terms(reference: &str, amount: &str, currency: &str) -> CreatePaymentLink {
    CreatePaymentLink::new(amount.parse().unwrap(), currency).reference(reference)
}

on_both_databases! {
    async fn the_same_ref_gives_the_same_link(shop: TestShop) {
        let ledger = shop.ledger().await;
        assert!(ledger.order("order-1").await.unwrap().is_none());
        let link = ledger.create_payment_link(order("order-1").redirect_url("https://shop.example/"));
        let link = link.await.unwrap();
        assert_eq!((link.reference.as_str(), link.state), ("order-1", OrderState::Open));

        let record = ledger.order("order-1").await.unwrap().unwrap();
        assert_eq!(record.state, OrderState::Open);
        assert_eq!((record.amount.as_str(), record.currency.as_str()), ("10.50", "USD"));
        assert_eq!((&record.url, &record.link_id), (&Some(link.url.clone()), &link.id));
        assert!(record.link_at.unwrap() >= record.created_at);
        assert!(record.paid_by.is_none() && record.paid_at.is_none());

        let reopened = shop.ledger().await;
        for same in [order("order-1"), terms("order-1", "10.5", "usd"), terms("order-1", "10.500", "Usd")] {
            let again = reopened.create_payment_link(same).await.unwrap();
            assert_eq!((&again.url, &again.id), (&link.url, &link.id));
        }
        let other = ledger.create_payment_link(order("order-2")).await.unwrap();
        assert_ne!(other.id, link.id);
        assert_eq!(shop.links_asked_for(), 2);
    }

    async fn other_terms_are_refused(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.order(&ledger, "order-1").await;
        for (other, field) in [
            (terms("order-1", "10.51", "USD"), "amount"),
            (terms("order-1", "10.50", "SYP"), "currency"),
        ] {
            let refused = refusal(ledger.create_payment_link(other).await);
            assert_eq!(refused, ("validation", Some(field.to_owned())));
        }
        assert_eq!(shop.links_asked_for(), 1);
    }

    async fn an_order_needs_a_ref_and_terms_that_can_be(shop: TestShop) {
        let ledger = shop.ledger().await;
        let no_ref = CreatePaymentLink::new("1".parse().unwrap(), "USD");
        for (refused, field) in [
            (no_ref, "ref"),
            (order(" "), "ref"),
            (order("a\0b"), "ref"),
            (order(&"r".repeat(1025)), "ref"),
            (terms("order-1", "10", " "), "currency"),
            (order("order-1").redirect_url("not a URL"), "redirect_url"),
        ] {
            let refused = refusal(ledger.create_payment_link(refused).await);
            assert_eq!(refused, ("validation", Some(field.to_owned())));
        }
        // What was refused is not recorded: it could never be put right.
        assert!(ledger.order("order-1").await.unwrap().is_none());
        assert_eq!(shop.links_asked_for(), 0);
        assert!(ledger.summary().await.unwrap().orders.values().all(|count| *count == 0));
    }

    async fn any_ref_is_kept_as_it_is(shop: TestShop) {
        let ledger = shop.ledger().await;
        let long = "ط".repeat(512);
        for reference in ["'; DROP TABLE kazawallet_orders; --", "طلب 42", "a%_\\b", "Order", "order", "$1", &long] {
            let id = shop.order(&ledger, reference).await;
            let receipt = ledger.receive(shop.body(&Delivery::paid(&id, Job::PRICE, reference))).await;
            assert_eq!(receipt.unwrap().decision, Decision::Paid, "{reference}");
            let record = ledger.order(reference).await.unwrap().unwrap();
            assert_eq!((record.reference.as_str(), record.paid_by), (reference, Some(id)));
        }
        assert!(ledger.order("ORDER").await.unwrap().is_none());
        assert!(ledger.order("a\0b").await.unwrap().is_none());
    }

    async fn many_at_once_make_one_link(shop: TestShop) {
        shop.sim.fault(Fault::AnswerLate(Duration::from_millis(300))).unwrap();
        let ledgers = [shop.ledger().await, shop.ledger().await];
        let mut calls = JoinSet::new();
        for number in 0..16 {
            let ledger = ledgers[number % 2].clone();
            calls.spawn(async move { ledger.create_payment_link(order("order-1")).await });
        }
        let links = in_time(calls.join_all()).await;
        let first = links[0].as_ref().unwrap();
        for link in &links {
            assert_eq!(link.as_ref().unwrap().id, first.id);
        }
        assert_eq!(shop.links_asked_for(), 1);
    }

    async fn the_link_of_a_process_that_was_killed_is_made_by_the_next(shop: TestShop) {
        let mut shop = shop;
        shop.shop.timeout = Duration::from_secs(4);
        shop.sim.fault(Fault::AnswerLate(Duration::from_secs(600))).unwrap();
        let mut child = Child::start(&shop.shop, &Job::Links(vec!["order-1".to_owned()]), 1);
        child.ready().await;
        child.tell("go").await;
        until(async || shop.links_asked_for() == 1).await;
        let ledger = shop.ledger().await;
        let state = ledger.order("order-1").await.unwrap().unwrap().state;
        assert_eq!(state, OrderState::Creating);
        assert_eq!(child.kill().await, [""; 0]);

        // Which of the two the customer pays does not matter; nobody ever saw the first.
        let link = in_time(ledger.create_payment_link(order("order-1")).into_future()).await.unwrap();
        assert_eq!(shop.links_asked_for(), 2);
        assert_eq!(link.id.as_deref(), Some(shop.sim.links()[1].id.as_str()));
    }

    async fn a_caller_who_gives_up_leaves_a_link_behind(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.sim.fault(Fault::AnswerLate(Duration::from_millis(500))).unwrap();
        let call = tokio::spawn(ledger.create_payment_link(order("order-1")).into_future());
        until(async || shop.links_asked_for() == 1).await;
        call.abort();
        let link = in_time(ledger.create_payment_link(order("order-1")).into_future()).await.unwrap();
        assert_eq!(link.state, OrderState::Open);
        assert_eq!(shop.links_asked_for(), 1, "the first call went on to its end");
    }

    async fn a_refusal_leaves_no_link_and_no_lease(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.sim.fault(Fault::AnswerStatus(403)).unwrap();
        let refused = code(ledger.create_payment_link(order("order-1")).await);
        assert_eq!(refused, "permission_denied");
        let state = ledger.order("order-1").await.unwrap().unwrap().state;
        assert_eq!(state, OrderState::Creating);

        shop.sim.fault(Fault::AnswerLate(Duration::from_secs(600))).unwrap();
        let late = ledger.create_payment_link(order("order-1")).timeout(Duration::from_secs(2));
        assert_eq!(code(in_time(late.into_future()).await), "timeout");

        // Well within the lease that a failed call must have given back.
        let next = ledger.create_payment_link(order("order-1")).into_future();
        let next = tokio::time::timeout(Duration::from_secs(20), next).await.unwrap().unwrap();
        assert_eq!(next.state, OrderState::Open);
        assert_eq!(shop.links_asked_for(), 3);
    }

    async fn after_a_link_timed_out_there_is_a_new_one(shop: TestShop) {
        let ledger = shop.ledger().await;
        let first = shop.order(&ledger, "order-1").await;
        let timed_out = Delivery::timed_out(&first, Job::PRICE, "order-1");
        let receipt = ledger.receive(shop.body(&timed_out)).await.unwrap();
        assert_eq!(receipt.decision, Decision::TimedOut);
        assert_eq!(ledger.order("order-1").await.unwrap().unwrap().state, OrderState::TimedOut);

        // Not with other terms, though.
        let other = ledger.create_payment_link(terms("order-1", "9", "USD")).await;
        assert_eq!(refusal(other), ("validation", Some("amount".to_owned())));

        let second = ledger.create_payment_link(order("order-1")).await.unwrap();
        assert_eq!(second.state, OrderState::Open);
        assert_ne!(second.id.as_deref(), Some(first.as_str()));
        let again = ledger.create_payment_link(order("order-1")).await.unwrap();
        assert_eq!(again.id, second.id);
        assert_eq!(shop.links_asked_for(), 2);

        // The first one's delivery, once more, does not close the second.
        assert!(ledger.receive(shop.body(&timed_out)).await.unwrap().duplicate);
        assert_eq!(ledger.order("order-1").await.unwrap().unwrap().state, OrderState::Open);
        let paid = Delivery::paid(second.id.as_deref().unwrap(), Job::PRICE, "order-1");
        assert_eq!(ledger.receive(shop.body(&paid)).await.unwrap().decision, Decision::Paid);
    }

    async fn a_paid_order_keeps_its_link(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let link = ledger.create_payment_link(order("order-1")).await.unwrap();
        assert_eq!((link.state, link.id), (OrderState::Paid, Some(id)));
        assert_eq!(shop.links_asked_for(), 1);
    }

    async fn a_ledger_without_a_client_makes_no_link(shop: TestShop) {
        let opening = Ledger::open(&shop.shop.ledger).webhook(shop.webhook.clone()).spool(shop.spool());
        let ledger = opening.await.unwrap();
        let link = ledger.create_payment_link(order("order-1")).await;
        assert_eq!(code(link), "configuration");
        assert!(ledger.order("order-1").await.unwrap().is_none());
        // It receives, all the same.
        let receipt = ledger.receive(shop.body(&Delivery::paid("pl_1", Job::PRICE, "order-1"))).await;
        assert_eq!(receipt.unwrap().decision, Decision::NoOrder);
    }
}
