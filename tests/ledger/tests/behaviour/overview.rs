//! What is missing, and how many there are of everything.

use std::time::Duration;

use kazawallet_ledger::{Decision, OrderState, PayoutState, Processing, Settlement};
use kazawallet_ledger_tests::{Delivery, Job};
use kazawallet_simulator::Fault;

use crate::migrations::run_sql;
use crate::on_both_databases;
use crate::support::{TestShop, order, payout};

on_both_databases! {
    async fn an_empty_ledger_counts_zero_of_each(shop: TestShop) {
        let summary = shop.ledger().await.summary().await.unwrap();
        assert_eq!(summary.orders.len(), OrderState::ALL.len());
        assert_eq!(summary.processing.len(), Processing::ALL.len());
        assert_eq!(summary.payouts.len(), PayoutState::ALL.len());
        // A conflict is no payment, and what is spooled is not known to be one.
        assert_eq!(summary.payments.len(), Decision::ALL.len() - 2);
        let all = summary.orders.values().chain(summary.payments.values()).chain(summary.processing.values());
        assert_eq!(all.chain(summary.payouts.values()).sum::<u64>(), 0);
        assert_eq!((summary.conflicts, summary.quarantined, summary.spooled), (0, 0, 0));
    }

    async fn overdue_orders_have_a_link_and_no_webhook(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.paid_order(&ledger, "paid").await;
        let closed = shop.order(&ledger, "closed").await;
        ledger.receive(shop.body(&Delivery::timed_out(&closed, "0", "closed"))).await.unwrap();
        for reference in ["waits-1", "waits-2"] {
            shop.order(&ledger, reference).await;
        }
        shop.sim.fault(Fault::AnswerStatus(400)).unwrap();
        ledger.create_payment_link(order("no-link")).await.unwrap_err();
        let overdue = ledger.overdue(Duration::ZERO, 100).await.unwrap();
        assert_eq!(overdue.len(), 2, "{overdue:?}");
        assert!(overdue.is_sorted_by_key(|order| order.link_at));
        let references: Vec<_> = overdue.iter().map(|order| order.reference.as_str()).collect();
        assert!(references.contains(&"waits-1") && references.contains(&"waits-2"));
        assert_eq!(ledger.overdue(Duration::ZERO, 1).await.unwrap().len(), 1);
        assert!(ledger.overdue(Duration::from_secs(3600), 100).await.unwrap().is_empty());
        assert!(ledger.overdue(Duration::MAX, 100).await.unwrap().is_empty());
    }

    async fn each_state_is_counted(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.paid_order(&ledger, "paid").await;
        shop.order(&ledger, "open").await;
        let id = shop.order(&ledger, "timed-out").await;
        ledger.receive(shop.body(&Delivery::timed_out(&id, "0", "timed-out"))).await.unwrap();
        shop.sim.fault(Fault::AnswerStatus(400)).unwrap();
        ledger.create_payment_link(order("creating")).await.unwrap_err();
        for delivery in [
            Delivery::paid("pl_none", Job::PRICE, "nowhere"),
            Delivery::paid("pl_dismissed", Job::PRICE, "nowhere"),
            Delivery::paid("pl_mismatch", Job::PRICE, "open"),
            Delivery::paid("pl_none", "1", "nowhere"),
        ] {
            ledger.receive(shop.body(&delivery)).await.unwrap();
        }
        ledger.settle("pl_dismissed", Settlement::Dismissed, None, "Rima", None).await.unwrap();
        ledger.withdraw("paid", payout()).await.unwrap();
        for (reference, fault) in [("rejected", Fault::AnswerStatus(400)), ("unknown", Fault::CloseAfterActing)] {
            shop.sim.fault(fault).unwrap();
            ledger.withdraw(reference, payout()).await.unwrap_err();
        }
        let summary = ledger.summary().await.unwrap();
        // Every one of them was made above.
        assert!(summary.orders.values().all(|count| *count == 1), "{summary:?}");
        for decision in [Decision::Paid, Decision::TimedOut, Decision::Mismatch, Decision::NoOrder, Decision::Dismissed] {
            assert_eq!(summary.payments[&decision], 1, "{decision}");
        }
        assert_eq!(summary.processing[&Processing::Waiting], 2);
        for state in [PayoutState::Paid, PayoutState::Rejected, PayoutState::Unknown] {
            assert_eq!(summary.payouts[&state], 1, "{state}");
        }
        assert_eq!((summary.conflicts, summary.quarantined), (1, 0));
    }

    async fn a_payout_of_a_sender_that_died_is_counted_as_unknown(shop: TestShop) {
        let ledger = shop.ledger().await;
        ledger.withdraw("payout-1", payout()).await.unwrap();
        // As the process left it.
        run_sql(&shop, "UPDATE kazawallet_payouts SET state = 'sending'").await;
        assert_eq!(ledger.summary().await.unwrap().payouts[&PayoutState::Sending], 1);
        run_sql(&shop, "UPDATE kazawallet_payouts SET deadline = '2020-01-01T00:00:00.000Z'").await;
        let payouts = ledger.summary().await.unwrap().payouts;
        assert_eq!((payouts[&PayoutState::Unknown], payouts[&PayoutState::Sending]), (1, 0));
    }

    async fn nothing_private_is_shown_by_debug(shop: TestShop) {
        let ledger = shop.ledger().await;
        let link = ledger.create_payment_link(order("ref-of-samira")).await.unwrap();
        let delivery = Delivery::paid(link.id.as_deref().unwrap(), Job::PRICE, "ref-of-samira").with("name", "Samira");
        let receipt = ledger.receive(shop.body(&delivery)).await.unwrap();
        let other = delivery.clone().currency(Some("SYP"));
        ledger.receive(shop.body(&other)).await.unwrap();
        ledger.receive(shop.body(&Delivery::paid("pl_1", Job::PRICE, "ref-of-samira"))).await.unwrap();
        let settled = ledger.settle("pl_1", Settlement::Dismissed, None, "Rima", Some("told Samira")).await.unwrap();
        let paid = ledger.withdraw("ref-of-samira", payout()).await.unwrap();
        let shown = format!(
            "{ledger:?} {link:?} {receipt:?} {settled:?} {paid:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            ledger.order("ref-of-samira").await.unwrap(),
            ledger.payment(&delivery.order_id).await.unwrap(),
            ledger.conflicts(10).await.unwrap(),
            ledger.decisions(10).await.unwrap(),
            ledger.withdraw("ref-of-samira", payout()),
            ledger.create_payment_link(order("ref-of-samira")),
        );
        for private in ["samira", "Samira", "0933123456", "Rima", &shop.shop.secret] {
            assert!(!shown.contains(private), "{private} in {shown}");
        }
    }
}
