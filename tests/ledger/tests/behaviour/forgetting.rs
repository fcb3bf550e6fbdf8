//! Erasing people's data, and keeping what stops a payment from repeating.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kazawallet::{CreateWithdrawal, PaymentMethod};
use kazawallet_ledger::{Decision, PayoutState, Processing, Settlement};
use kazawallet_ledger_tests::{Delivery, Job};
use kazawallet_simulator::Fault;

use crate::on_both_databases;
use crate::support::{Database, TestShop, code, order, payout, refusal, until};

/// Everything that may be a person's.
const PRIVATE: [&str; 4] = ["Samira Haddad", "0933777888", "wages of May", "told her on Monday"];

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(1)
}

fn private_payout() -> CreateWithdrawal {
    let method = PaymentMethod::haram_under_3m(PRIVATE[0], PRIVATE[1], "Homs");
    CreateWithdrawal::new("5000".parse().unwrap(), "SYP", method).note(PRIVATE[2])
}

on_both_databases! {
    async fn what_is_settled_is_erased_and_nothing_repeats(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let delivery = Delivery::paid(&id, Job::PRICE, "order-1").with("name", PRIVATE[0]);
        ledger.receive(shop.body(&delivery)).await.unwrap();
        let conflict = delivery.clone().status("timed_out").with("phone", PRIVATE[1]);
        ledger.receive(shop.body(&conflict)).await.unwrap();
        ledger.mark_processed(&id).await.unwrap();
        ledger.receive(shop.body(&Delivery::paid("pl_1", Job::PRICE, "nowhere").with("name", PRIVATE[0]))).await.unwrap();
        ledger.settle("pl_1", Settlement::Dismissed, None, "Rima", Some(PRIVATE[3])).await.unwrap();
        let forged = Delivery::paid("pl_2", Job::PRICE, "nowhere").with("name", PRIVATE[0]);
        ledger.receive(forged.body_with_secret("AAAA")).await.unwrap_err();
        ledger.withdraw("payout-1", private_payout()).await.unwrap();
        shop.sim.fault(Fault::AnswerStatus(403)).unwrap();
        ledger.withdraw("payout-2", private_payout()).await.unwrap_err();
        let worker = ledger.process(|_| async { Err(PRIVATE[0]) }).start();
        worker.stop().await;

        assert_eq!(ledger.forget(UNIX_EPOCH).await.unwrap(), 0, "nothing is that old");
        assert!(ledger.payment(&id).await.unwrap().unwrap().body.is_some());
        assert!(ledger.forget(later()).await.unwrap() >= 6);
        assert_eq!(ledger.forget(later()).await.unwrap(), 0, "there is nothing left to erase");

        let payment = ledger.payment(&id).await.unwrap().unwrap();
        assert_eq!((payment.body, payment.decision), (None, Decision::Paid));
        assert_eq!((payment.reference.as_deref(), payment.processing), (Some("order-1"), Some(Processing::Done)));
        assert!(ledger.payment("pl_1").await.unwrap().unwrap().body.is_none());
        for reference in ["payout-1", "payout-2"] {
            let payout = ledger.payout(reference).await.unwrap().unwrap();
            assert_eq!((payout.details, payout.message), (None, None));
        }
        let decisions = ledger.decisions(10).await.unwrap();
        assert_eq!((decisions[0].note.as_deref(), decisions[0].by.as_str()), (None, "Rima"));
        assert_eq!(ledger.summary().await.unwrap().quarantined, 0);
        assert_eq!(ledger.conflicts(10).await.unwrap().len(), 1);

        // Nothing of it can happen once more.
        let again = ledger.receive(shop.body(&delivery)).await.unwrap();
        assert_eq!((again.decision, again.duplicate), (Decision::Paid, true));
        let again = ledger.receive(shop.body(&conflict)).await.unwrap();
        assert_eq!((again.decision, again.duplicate), (Decision::Conflict, true));
        assert!(ledger.pending(10).await.unwrap().is_empty());
        assert_eq!(ledger.create_payment_link(order("order-1")).await.unwrap().id, Some(id));
        assert_eq!(ledger.withdraw("payout-1", private_payout()).await.unwrap().state, PayoutState::Paid);
        assert_eq!(code(ledger.withdraw("payout-2", private_payout()).await), "permission_denied");
        let other = private_payout().note("wages of June");
        let refused = refusal(ledger.withdraw("payout-1", other).await);
        assert_eq!(refused, ("validation", Some("reference".to_owned())));
        assert_eq!((shop.links_asked_for(), shop.payouts_asked_for()), (1, 2));
    }

    async fn what_is_not_settled_is_kept(shop: TestShop) {
        let ledger = shop.ledger().await;
        let waiting = shop.paid_order(&ledger, "order-1").await;
        let other = shop.order(&ledger, "order-2").await;
        ledger.receive(shop.body(&Delivery::paid(&other, "1", "order-2"))).await.unwrap();
        shop.sim.fault(Fault::CloseAfterActing).unwrap();
        ledger.withdraw("payout-1", payout()).await.unwrap_err();
        let parked = shop.paid_order(&ledger, "order-3").await;
        let failing = parked.clone();
        let worker = ledger.process(move |payment| {
            let fails = payment.order_id == failing;
            async move { if fails { Err("an error") } else { std::future::pending().await } }
        }).max_tries(1);
        // The other payment is held meanwhile, by a loop of its own.
        let held = ledger.pending(1).await.unwrap();
        assert_eq!(held[0].order_id, waiting);
        let worker = worker.start();
        until(async || ledger.summary().await.unwrap().processing[&Processing::Parked] == 1).await;
        worker.stop().await;
        assert_eq!(ledger.forget(later()).await.unwrap(), 0);
        for id in [&waiting, &other, &parked] {
            assert!(ledger.payment(id).await.unwrap().unwrap().body.is_some(), "a person or a handler needs it");
        }
        assert!(ledger.payout("payout-1").await.unwrap().unwrap().details.is_some());
    }

    async fn nothing_of_it_is_left_on_the_disk(shop: TestShop) {
        let ledger = shop.ledger().await;
        for number in 0..30 {
            let reference = format!("order-{number}");
            let id = shop.order(&ledger, &reference).await;
            // Of all sizes: on its page, and beyond it.
            let padding = "x".repeat(number * 300);
            let delivery = Delivery::paid(&id, Job::PRICE, &reference).with("name", PRIVATE[0]).with("padding", &padding);
            ledger.receive(shop.body(&delivery.with("phone", PRIVATE[1]))).await.unwrap();
            ledger.mark_processed(&id).await.unwrap();
            ledger.withdraw(format!("payout-{number}"), private_payout()).await.unwrap();
        }
        ledger.receive(shop.body(&Delivery::paid("pl_1", Job::PRICE, "nowhere"))).await.unwrap();
        ledger.settle("pl_1", Settlement::Dismissed, None, "Rima", Some(PRIVATE[3])).await.unwrap();
        ledger.forget(later()).await.unwrap();
        let texts = "SELECT COUNT(*) FROM kazawallet_payments WHERE body IS NOT NULL";
        assert_eq!(crate::count(&shop, texts).await, 0);
        let texts = "SELECT COUNT(*) FROM kazawallet_payouts WHERE details IS NOT NULL OR message IS NOT NULL";
        assert_eq!(crate::count(&shop, texts).await, 0);
        ledger.close().await;
        if shop.database == Database::Postgres {
            return;
        }
        // What is erased is overwritten, but for what the splitting of a page has left in its gaps.
        rusqlite::Connection::open(shop.file()).unwrap().execute_batch("VACUUM").unwrap();
        for file in fs::read_dir(shop.folder()).unwrap() {
            let file = file.unwrap().path();
            if !file.is_file() { continue; }
            let bytes = fs::read(&file).unwrap();
            for private in PRIVATE {
                let found = bytes.windows(private.len()).filter(|part| *part == private.as_bytes()).count();
                assert_eq!(found, 0, "{private} is still in {}", file.display());
            }
        }
    }
}
