//! Handing payments to the shop's own code.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kazawallet_ledger::{Decision, Ledger, Payment, Processing};
use kazawallet_ledger_tests::{Delivery, Job};
use tokio::sync::{Semaphore, mpsc};

use crate::on_both_databases;
use crate::support::child::Child;
use crate::support::{TestShop, code, in_time, refusal, until};

const SOON: Duration = Duration::from_millis(10);

async fn processing(ledger: &Ledger, order_id: &str) -> Option<Processing> {
    ledger.payment(order_id).await.unwrap().unwrap().processing
}

on_both_databases! {
    async fn each_payment_is_handed_over_and_done(shop: TestShop) {
        let ledger = shop.ledger().await;
        let before = shop.paid_order(&ledger, "order-1").await;
        let (sender, mut handed) = mpsc::unbounded_channel();
        let worker = ledger.process(move |payment: Payment| {
            let sender = sender.clone();
            async move { sender.send(payment) }
        }).start();
        let first = in_time(handed.recv()).await.unwrap();
        assert_eq!((first.order_id.as_str(), first.decision, first.tries), (before.as_str(), Decision::Paid, 1));
        assert!(first.is_paid() && first.body.is_some());

        // What comes while it runs, through this ledger or another one.
        let other = shop.ledger().await;
        let second = shop.paid_order(&ledger, "order-2").await;
        let third = shop.paid_order(&other, "order-3").await;
        let closed = shop.order(&other, "order-4").await;
        other.receive(shop.body(&Delivery::timed_out(&closed, "0", "order-4"))).await.unwrap();
        let mut others = Vec::new();
        for _ in 0..3 {
            let payment = in_time(handed.recv()).await.unwrap();
            assert_eq!(payment.is_paid(), payment.order_id != closed);
            others.push(payment.order_id);
        }
        others.sort();
        let mut expected = vec![second, third, closed];
        expected.sort();
        assert_eq!(others, expected);
        until(async || ledger.summary().await.unwrap().processing[&Processing::Done] == 4).await;
        in_time(worker.stop()).await;
        assert!(handed.try_recv().is_err(), "each once");
        assert_eq!(processing(&ledger, &before).await, Some(Processing::Done));
    }

    async fn what_was_not_decided_is_not_handed_over(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        ledger.mark_processed(&shop.paid_order(&ledger, "another").await).await.unwrap();
        for delivery in [
            Delivery::paid("pl_none", Job::PRICE, "nowhere"),
            Delivery::paid(&id, "1", "order-1"),
            Delivery::timed_out("pl_old", "0", "order-1"),
        ] {
            ledger.receive(shop.body(&delivery)).await.unwrap();
        }
        assert!(ledger.pending(10).await.unwrap().is_empty());
        let processing = ledger.summary().await.unwrap().processing;
        assert_eq!(processing.values().sum::<u64>(), 1, "{processing:?}");
        for refused in ["pl_none", &id, "pl_old"] {
            assert_eq!(code(ledger.mark_processed(refused).await), "ledger_state");
        }
        assert_eq!(code(ledger.mark_processed("pl_unknown").await), "ledger_not_found");
    }

    async fn the_oldest_comes_first(shop: TestShop) {
        let ledger = shop.ledger().await;
        for number in 0..6 {
            shop.paid_order(&ledger, &format!("order-{number}")).await;
        }
        let pending = ledger.pending(3).await.unwrap();
        assert_eq!(pending.len(), 3);
        assert!(pending.is_sorted_by_key(|payment| payment.received_at));
        let (sender, mut handed) = mpsc::unbounded_channel();
        let worker = ledger.process(move |payment: Payment| {
            let sender = sender.clone();
            async move { sender.send(payment) }
        }).start();
        let mut payments = Vec::new();
        for _ in 0..3 {
            payments.push(in_time(handed.recv()).await.unwrap());
        }
        in_time(worker.stop()).await;
        assert!(payments.is_sorted_by_key(|payment| payment.received_at));
        let last = pending.iter().map(|payment| payment.received_at).max();
        assert!(payments.iter().all(|payment| Some(payment.received_at) >= last));
    }

    async fn one_worker_has_a_payment_across_ledgers(shop: TestShop) {
        let ledger = shop.ledger().await;
        for number in 0..30 {
            shop.paid_order(&ledger, &format!("order-{number}")).await;
        }
        let handled = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
        let running = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
        let mut workers = Vec::new();
        for _ in 0..4 {
            let (handled, running) = (handled.clone(), running.clone());
            workers.push(shop.ledger().await.process(move |payment: Payment| {
                let (handled, running) = (handled.clone(), running.clone());
                async move {
                    let others = running.lock().unwrap().insert(payment.order_id.clone(), 1);
                    assert_eq!(others, None, "two workers have it");
                    tokio::task::yield_now().await;
                    running.lock().unwrap().remove(&payment.order_id);
                    *handled.lock().unwrap().entry(payment.order_id).or_default() += 1;
                    Ok::<_, Infallible>(())
                }
            }).poll_interval(SOON).start());
        }
        until(async || ledger.summary().await.unwrap().processing[&Processing::Done] == 30).await;
        for worker in workers {
            in_time(worker.stop()).await;
        }
        let handled = handled.lock().unwrap();
        assert_eq!(handled.len(), 30);
        assert!(handled.values().all(|times| *times == 1), "{handled:?}");
    }

    async fn a_slow_handler_keeps_its_payment(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let goes_on = Arc::new(Semaphore::new(0));
        let begun = Arc::new(AtomicUsize::new(0));
        let mut workers = Vec::new();
        // With a hold that is far shorter than the handler.
        let lease = Duration::from_secs(2);
        for _ in 0..2 {
            let (goes_on, begun) = (goes_on.clone(), begun.clone());
            workers.push(shop.ledger().await.process(move |_| {
                let (goes_on, begun) = (goes_on.clone(), begun.clone());
                async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    goes_on.acquire().await.map(drop)
                }
            }).lease(lease).poll_interval(SOON).start());
        }
        until(async || begun.load(Ordering::SeqCst) > 0).await;
        // Twice as long as it would be held without being renewed.
        tokio::time::sleep(lease * 2).await;
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        assert_eq!(processing(&ledger, &id).await, Some(Processing::Waiting));
        goes_on.add_permits(2);
        until(async || processing(&ledger, &id).await == Some(Processing::Done)).await;
        for worker in workers {
            in_time(worker.stop()).await;
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    async fn what_a_killed_worker_had_comes_again(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let effects = shop.folder().join("effects");
        fs::create_dir(&effects).unwrap();
        // It fails as long as there is something else where its effect should be.
        let claims = ledger.claims().lease(Duration::from_millis(300));
        let claim = in_time(claims.next()).await.unwrap();
        assert_eq!(claim.payment().order_id, id);
        std::mem::forget(claim);
        ledger.close().await;
        let mut child = Child::start(&shop.shop, &Job::Process(effects.clone()), 1);
        child.ready().await;
        child.tell("go").await;
        assert_eq!(child.says().await, Some(format!("handled {id}")));
        child.tell("stop").await;
        child.finished().await;
        let ledger = shop.ledger().await;
        let payment = ledger.payment(&id).await.unwrap().unwrap();
        assert_eq!((payment.processing, payment.tries), (Some(Processing::Done), 2));
    }

    async fn a_failing_handler_is_tried_again_and_then_parked(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let tries = Arc::new(AtomicUsize::new(0));
        let works = Arc::new(AtomicUsize::new(0));
        let (counted, works_now) = (tries.clone(), works.clone());
        let worker = ledger.process(move |payment: Payment| {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let works = works_now.load(Ordering::SeqCst) == 1;
            async move {
                match works {
                    true => Ok(()),
                    false => Err(format!("try {number}, or {}: a\0b {}", payment.tries, "é".repeat(100_000))),
                }
            }
        }).max_tries(3).first_pause(SOON).poll_interval(SOON).start();
        until(async || processing(&ledger, &id).await == Some(Processing::Parked)).await;
        assert_eq!(tries.load(Ordering::SeqCst), 3);
        let parked = ledger.parked(10).await.unwrap();
        let [payment] = &parked[..] else { panic!("{parked:?}") };
        assert_eq!((payment.order_id.as_str(), payment.tries), (id.as_str(), 3));
        let last_error = payment.last_error.as_deref().unwrap();
        assert!(last_error.starts_with("try 3, or 3: a"), "{}", &last_error[..20]);
        assert!(last_error.len() < 5000, "it is capped");
        assert_eq!(ledger.summary().await.unwrap().processing[&Processing::Parked], 1);

        assert_eq!(refusal(ledger.retry(&id, " ", None).await).0, "validation");
        assert_eq!(code(ledger.retry("pl_unknown", "Rima", None).await), "ledger_not_found");
        works.store(1, Ordering::SeqCst);
        let waiting = ledger.retry(&id, "Rima", Some("the mail works again")).await.unwrap();
        assert_eq!((waiting.processing, waiting.tries), (Some(Processing::Waiting), 0));
        until(async || processing(&ledger, &id).await == Some(Processing::Done)).await;
        in_time(worker.stop()).await;
        assert_eq!(tries.load(Ordering::SeqCst), 4);
        assert_eq!(code(ledger.retry(&id, "Rima", None).await), "ledger_state");
        assert!(ledger.parked(10).await.unwrap().is_empty());
        let decisions = ledger.decisions(10).await.unwrap();
        let [decision] = &decisions[..] else { panic!("{decisions:?}") };
        assert_eq!((decision.action.as_str(), decision.subject.as_str()), ("retry", id.as_str()));
        assert_eq!((decision.decision.as_str(), decision.by.as_str()), ("waiting", "Rima"));
        assert_eq!(decision.note.as_deref(), Some("the mail works again"));
    }

    async fn a_handler_that_fails_does_not_hold_up_the_others(shop: TestShop) {
        let ledger = shop.ledger().await;
        let bad = shop.paid_order(&ledger, "order-bad").await;
        let others: Vec<_> = [shop.paid_order(&ledger, "order-1").await, shop.paid_order(&ledger, "order-2").await].into();
        let failing = bad.clone();
        // Whether it gives an error, or panics: in its future, or before there is one.
        let worker = ledger.process(move |payment: Payment| {
            assert!(payment.order_id != failing || payment.tries != 1, "before its future");
            let fails = payment.order_id == failing;
            async move {
                assert!(!fails || payment.tries != 2, "in its future");
                if fails { Err("an error") } else { Ok(()) }
            }
        }).max_tries(3).first_pause(SOON).poll_interval(SOON).start();
        for id in &others {
            until(async || processing(&ledger, id).await == Some(Processing::Done)).await;
        }
        until(async || processing(&ledger, &bad).await == Some(Processing::Parked)).await;
        let last_error = ledger.payment(&bad).await.unwrap().unwrap().last_error;
        assert_eq!(last_error.as_deref(), Some("an error"));
        in_time(worker.stop()).await;
    }

    async fn pauses_grow_between_tries(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let tried = Arc::new(AtomicUsize::new(0));
        let counted = tried.clone();
        // A pause of up to an hour: the second try must not come at once.
        let worker = ledger.process(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Err("not yet") }
        }).first_pause(Duration::from_secs(3600)).poll_interval(SOON).start();
        until(async || ledger.payment(&id).await.unwrap().unwrap().last_error.is_some()).await;
        in_time(worker.stop()).await;
        let payment = ledger.payment(&id).await.unwrap().unwrap();
        assert_eq!((payment.processing, payment.tries), (Some(Processing::Waiting), 1));
        assert_eq!(tried.load(Ordering::SeqCst), 1);
    }

    async fn stopping_waits_for_the_handler_and_takes_no_more(shop: TestShop) {
        let ledger = shop.ledger().await;
        let first = shop.paid_order(&ledger, "order-1").await;
        let second = shop.paid_order(&ledger, "order-2").await;
        let goes_on = Arc::new(Semaphore::new(0));
        let (sender, mut begun) = mpsc::unbounded_channel();
        let permits = goes_on.clone();
        let worker = ledger.process(move |payment: Payment| {
            let (sender, permits) = (sender.clone(), permits.clone());
            async move {
                sender.send(payment.order_id).unwrap();
                permits.acquire().await.map(drop)
            }
        }).start();
        let running = in_time(begun.recv()).await.unwrap();
        let mut stopping = tokio::spawn(worker.stop());
        let waits = tokio::time::timeout(Duration::from_millis(200), &mut stopping).await;
        assert!(waits.is_err(), "the handler has not ended");
        goes_on.add_permits(10);
        in_time(stopping).await.unwrap();
        let other = if running == first { &second } else { &first };
        assert_eq!(processing(&ledger, &running).await, Some(Processing::Done));
        assert_eq!(processing(&ledger, other).await, Some(Processing::Waiting));
        assert!(begun.try_recv().is_err());
    }

    async fn closing_the_ledger_ends_its_workers(shop: TestShop) {
        let ledger = shop.ledger().await;
        let claims = ledger.claims();
        let waiting = tokio::spawn(async move { claims.next().await.is_none() });
        let worker = ledger.process(|_| async { Ok::<_, Infallible>(()) }).start();
        tokio::task::yield_now().await;
        in_time(ledger.close()).await;
        assert!(in_time(waiting).await.unwrap());
        in_time(worker.stop()).await;
        assert_eq!(code(ledger.pending(1).await), "ledger_unavailable");
    }

    async fn a_loop_of_ones_own(shop: TestShop) {
        let ledger = shop.ledger().await;
        let first = shop.paid_order(&ledger, "order-1").await;
        let second = shop.paid_order(&ledger, "order-2").await;
        let pending = ledger.pending(10).await.unwrap();
        assert_eq!(pending.len(), 2);
        assert!(pending.iter().all(|payment| payment.tries == 1));
        // It is held: nobody else gets it.
        assert!(shop.ledger().await.pending(10).await.unwrap().is_empty());
        ledger.mark_processed(&first).await.unwrap();
        ledger.mark_processed(&first).await.unwrap();
        assert_eq!(processing(&ledger, &first).await, Some(Processing::Done));
        assert_eq!(processing(&ledger, &second).await, Some(Processing::Waiting));
        // A claim that is dropped is given back.
        shop.paid_order(&ledger, "order-3").await;
        let claim = in_time(ledger.claims().next()).await.unwrap();
        let third = claim.payment().order_id.clone();
        drop(claim);
        let again = in_time(ledger.claims().poll_interval(SOON).next()).await.unwrap();
        assert_eq!(again.payment().order_id, third);
        assert!(again.done().await.unwrap());
        assert_eq!(processing(&ledger, &third).await, Some(Processing::Done));
        assert!(ledger.pending(0).await.unwrap().is_empty());
    }

    async fn a_hold_that_was_lost_records_nothing(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let slow = in_time(ledger.claims().next()).await.unwrap();
        ledger.mark_processed(&id).await.unwrap();
        assert!(!slow.failed("too late").await.unwrap());
        let payment = ledger.payment(&id).await.unwrap().unwrap();
        assert_eq!((payment.processing, payment.last_error), (Some(Processing::Done), None));
    }

    async fn what_was_dealt_with_before_a_person_settled_it_is_handed_over_again(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        ledger.receive(shop.body(&Delivery::timed_out(&id, Job::PRICE, "order-1"))).await.unwrap();
        // A cron job has it in hand, as one that timed out.
        assert!(!ledger.pending(10).await.unwrap()[0].is_paid());
        let paid = Delivery::paid(&id, Job::PRICE, "order-1");
        assert_eq!(ledger.receive(shop.body(&paid)).await.unwrap().decision, Decision::Conflict);
        ledger.settle(&id, kazawallet_ledger::Settlement::Paid, None, "Rima", None).await.unwrap();
        assert_eq!(code(ledger.mark_processed(&id).await), "ledger_state");
        let pending = ledger.pending(10).await.unwrap();
        assert_eq!((pending.len(), pending[0].is_paid()), (1, true));
        ledger.mark_processed(&id).await.unwrap();
        assert_eq!(processing(&ledger, &id).await, Some(Processing::Done));
    }

    async fn a_payment_that_a_person_settled_is_handed_over(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.order(&ledger, "order-1").await;
        let delivery = Delivery::paid("pl_1", "9", "order-1");
        assert_eq!(ledger.receive(shop.body(&delivery)).await.unwrap().decision, Decision::Mismatch);
        let (sender, mut handed) = mpsc::unbounded_channel();
        let worker = ledger.process(move |payment: Payment| {
            let sender = sender.clone();
            async move { sender.send(payment) }
        }).start();
        ledger.settle("pl_1", kazawallet_ledger::Settlement::Paid, None, "Rima", None).await.unwrap();
        let payment = in_time(handed.recv()).await.unwrap();
        assert_eq!((payment.order_id.as_str(), payment.is_paid()), ("pl_1", true));
        assert_eq!(payment.reference.as_deref(), Some("order-1"));
        in_time(worker.stop()).await;
    }
}
