//! What is made of deliveries.

use kazawallet_ledger::{Decision, Ledger, OrderState, Payment, Processing, Receipt, Settlement};
use kazawallet_ledger_tests::{Delivery, Job};
use tokio::task::JoinSet;

use crate::on_both_databases;
use crate::support::{TestShop, code, in_time, order, refusal};

async fn receive(shop: &TestShop, ledger: &Ledger, delivery: &Delivery) -> Receipt {
    let receipt = ledger.receive(shop.body(delivery)).await.unwrap();
    let undecided = ["mismatch", "no_order", "overpaid", "conflict"];
    let is_undecided = undecided.contains(&receipt.decision.as_str());
    assert_eq!(receipt.waits_for_person(), is_undecided, "{receipt:?}");
    receipt
}

/// The decision, whether it is a duplicate, and the problem.
fn seen(receipt: &Receipt) -> (Decision, bool, Option<&str>) {
    (receipt.decision, receipt.duplicate, receipt.problem.as_deref())
}

async fn payment(ledger: &Ledger, order_id: &str) -> Payment {
    ledger.payment(order_id).await.unwrap().unwrap()
}

async fn state(ledger: &Ledger, reference: &str) -> OrderState {
    ledger.order(reference).await.unwrap().unwrap().state
}

on_both_databases! {
    async fn what_fits_its_order_pays_it(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let delivery = Delivery::paid(&id, "10.5", "order-1").currency(Some("usd"));
        let body = shop.body(&delivery);
        let receipt = ledger.receive(&body).await.unwrap();
        assert_eq!(seen(&receipt), (Decision::Paid, false, None));
        assert_eq!(receipt.event.order_id(), id);
        assert_eq!(receipt.event.body(), body);

        let order = ledger.order("order-1").await.unwrap().unwrap();
        assert_eq!((order.state, order.paid_by.as_deref()), (OrderState::Paid, Some(id.as_str())));
        assert!(order.paid_at.is_some());
        let payment = payment(&ledger, &id).await;
        assert_eq!(payment.body.as_deref(), Some(body.as_slice()));
        assert_eq!((payment.reference.as_deref(), payment.amount.as_str()), (Some("order-1"), "10.5"));
        assert_eq!((payment.status.as_str(), payment.decision), ("fulfilled", Decision::Paid));
        assert_eq!(payment.currency.as_deref(), Some("USD"));
        assert_eq!((payment.processing, payment.tries), (Some(Processing::Waiting), 0));
        assert!(payment.is_paid());
        assert!(ledger.payment("another").await.unwrap().is_none());
        assert!(ledger.payment("an\0other").await.unwrap().is_none());
    }

    async fn a_second_delivery_changes_nothing(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let delivery = Delivery::paid(&id, Job::PRICE, "order-1");
        // However it is written down.
        for again in [delivery.clone(), delivery.clone().number(), delivery.clone().called_id(),
            delivery.clone().amount("10.5"), delivery.clone().currency(Some("usd")), delivery.clone().with("extra", "new")]
        {
            let receipt = receive(&shop, &shop.ledger().await, &again).await;
            assert_eq!(seen(&receipt), (Decision::Paid, true, None), "{again:?}");
        }
        assert_eq!(ledger.conflicts(10).await.unwrap().len(), 0);
        assert_eq!(ledger.summary().await.unwrap().payments[&Decision::Paid], 1);
    }

    async fn what_the_provider_writes_in_other_ways_is_read(shop: TestShop) {
        let ledger = shop.ledger().await;
        let ids = [shop.order(&ledger, "order-1").await, shop.order(&ledger, "order-2").await];
        for (number, delivery) in [
            Delivery::paid(&ids[0], "10.50", "order-1").called_id().number(),
            Delivery::paid(&ids[1], "10.5", "order-2").number(),
        ].iter().enumerate() {
            let receipt = receive(&shop, &ledger, delivery).await;
            assert_eq!(seen(&receipt), (Decision::Paid, false, None), "{delivery:?}");
            assert_eq!(payment(&ledger, &ids[number]).await.amount.as_str(), delivery.amount);
        }
        // Form fields.
        let id = shop.order(&ledger, "order-3").await;
        let secret = shop.webhook.sign(&Job::PRICE.parse().unwrap(), &id);
        let secret = secret.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let body = format!("order_id={id}&amount=10.50&status=fulfilled&currency=USD&ref=order-3&secret={secret}");
        assert_eq!(ledger.receive(&body).await.unwrap().decision, Decision::Paid);
        assert_eq!(payment(&ledger, &id).await.body.unwrap(), body.into_bytes());
    }

    async fn what_does_not_fit_its_order_waits_for_a_person(shop: TestShop) {
        let ledger = shop.ledger().await;
        let fitting = |id: &str| Delivery::paid(id, Job::PRICE, "order-1");
        let id = shop.order(&ledger, "order-1").await;
        let proof = shop.paid_order(&ledger, "order-2").await;
        ledger.mark_processed(&proof).await.unwrap();
        let mut expected = Vec::new();
        for (delivery, problem) in [
            (fitting("pl_other_id"), "order_id"),
            (fitting("pl_other_id_again").amount("1"), "order_id"),
            (fitting(&id).currency(Some("SYP")), "currency"),
        ] {
            let receipt = receive(&shop, &ledger, &delivery).await;
            assert_eq!(seen(&receipt), (Decision::Mismatch, false, Some(problem)), "{delivery:?}");
            let again = receive(&shop, &ledger, &delivery).await;
            assert_eq!(seen(&again), (Decision::Mismatch, true, Some(problem)), "{delivery:?}");
            expected.push((delivery.order_id, problem.to_owned()));
        }
        // Each of these takes an order of its own.
        for (number, problem) in ["amount", "amount", "currency", "status", "status"].iter().enumerate() {
            let reference = format!("order-of-{number}");
            let id = shop.order(&ledger, &reference).await;
            let delivery = Delivery::paid(&id, Job::PRICE, &reference);
            let delivery = match number {
                0 => delivery.amount("10.49"),
                1 => delivery.amount("0"),
                2 => delivery.currency(None),
                3 => delivery.status("refunded"),
                _ => delivery.status("FULFILLED"),
            };
            let receipt = receive(&shop, &ledger, &delivery).await;
            assert_eq!(seen(&receipt), (Decision::Mismatch, false, Some(*problem)), "{delivery:?}");
            assert_eq!(state(&ledger, &reference).await, OrderState::Open);
            expected.push((id, (*problem).to_owned()));
        }
        let unsettled = ledger.unsettled(100).await.unwrap();
        assert!(unsettled.is_sorted_by_key(|payment| payment.received_at), "oldest first");
        let mut found: Vec<_> = unsettled.iter()
            .map(|payment| (payment.order_id.clone(), payment.problem.clone().unwrap()))
            .collect();
        // What came within one millisecond has no order.
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert!(unsettled.iter().all(|payment| payment.processing.is_none()));
        assert_eq!(ledger.unsettled(2).await.unwrap().len(), 2);
        assert!(ledger.pending(100).await.unwrap().is_empty());
        assert_eq!(state(&ledger, "order-1").await, OrderState::Open);
    }

    async fn a_delivery_without_ref_pays_nothing_by_itself(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let delivery = Delivery::paid(&id, Job::PRICE, "order-1").reference(None);
        let receipt = receive(&shop, &ledger, &delivery).await;
        assert_eq!(seen(&receipt), (Decision::Mismatch, false, Some("ref")));
        assert_eq!(state(&ledger, "order-1").await, OrderState::Open);
        assert_eq!(ledger.unsettled(10).await.unwrap().len(), 1);
        // It names no order, though its link does: a person has to.
        let settled = ledger.settle(&id, Settlement::Paid, None, "Rima", None).await;
        assert_eq!(code(settled), "ledger_state");
        let settled = ledger.settle(&id, Settlement::Paid, Some("order-1"), "Rima", None).await.unwrap();
        assert_eq!((settled.decision, settled.reference.as_deref()), (Decision::Paid, Some("order-1")));
        assert_eq!(state(&ledger, "order-1").await, OrderState::Paid);
    }

    async fn a_captured_delivery_with_an_edited_ref_pays_for_nothing(shop: TestShop) {
        let ledger = shop.ledger().await;
        let a = shop.order(&ledger, "order-a").await;
        let b = shop.order(&ledger, "order-b").await;
        assert_eq!(receive(&shop, &ledger, &Delivery::paid(&a, Job::PRICE, "order-a")).await.decision, Decision::Paid);
        let edited = Delivery::paid(&a, Job::PRICE, "order-b");
        assert_eq!(seen(&receive(&shop, &ledger, &edited).await), (Decision::Conflict, false, Some("ref")));
        assert_eq!(seen(&receive(&shop, &ledger, &edited).await), (Decision::Conflict, true, Some("ref")));
        assert_eq!(state(&ledger, "order-b").await, OrderState::Open);

        // And where the edited one is the first to come.
        let c = shop.order(&ledger, "order-c").await;
        let edited = Delivery::paid(&c, Job::PRICE, "order-b");
        assert_eq!(receive(&shop, &ledger, &edited).await.decision, Decision::Mismatch);
        assert_eq!(state(&ledger, "order-b").await, OrderState::Open);
        let genuine = Delivery::paid(&c, Job::PRICE, "order-c");
        assert_eq!(seen(&receive(&shop, &ledger, &genuine).await), (Decision::Conflict, false, Some("ref")));
        assert_eq!(state(&ledger, "order-c").await, OrderState::Open);
        let settled = ledger.settle(&c, Settlement::Paid, Some("order-c"), "Rima", Some("seen in the wallet")).await;
        assert!(settled.unwrap().is_paid());
        // Its order id has settled an order, and settles no other.
        let settled = ledger.settle(&c, Settlement::Paid, Some("order-b"), "Rima", None).await;
        assert_eq!(code(settled), "ledger_state");
        assert_eq!(receive(&shop, &ledger, &Delivery::paid(&b, Job::PRICE, "order-b")).await.decision, Decision::Paid);
        let paid_by = ["order-a", "order-b", "order-c"].map(|reference| ledger.order(reference));
        for (paid, id) in futures(paid_by).await.into_iter().zip([a, b, c]) {
            assert_eq!(paid.unwrap().unwrap().paid_by, Some(id));
        }
    }

    async fn a_later_delivery_that_says_otherwise_is_a_conflict(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.paid_order(&ledger, "order-1").await;
        let first = Delivery::paid(&id, Job::PRICE, "order-1");
        let others = [
            (first.clone().status("timed_out"), "status"),
            (first.clone().amount("10.49"), "amount"),
            (first.clone().currency(Some("SYP")), "currency"),
            (first.clone().currency(None), "currency"),
            (first.clone().reference(Some("order-2")), "ref"),
            (first.clone().reference(None), "ref"),
        ];
        for (other, problem) in &others {
            let receipt = receive(&shop, &ledger, other).await;
            assert_eq!(seen(&receipt), (Decision::Conflict, false, Some(*problem)), "{other:?}");
            let again = receive(&shop, &ledger, other).await;
            assert_eq!(seen(&again), (Decision::Conflict, true, Some(*problem)), "{other:?}");
        }
        assert_eq!(seen(&receive(&shop, &ledger, &first).await), (Decision::Paid, true, None));
        assert_eq!(state(&ledger, "order-1").await, OrderState::Paid);
        assert_eq!(payment(&ledger, &id).await.decision, Decision::Paid);

        let conflicts = ledger.conflicts(100).await.unwrap();
        let problems: Vec<_> = conflicts.iter().map(|conflict| conflict.problem.as_str()).collect();
        assert_eq!(problems, ["ref", "ref", "currency", "currency", "amount", "status"], "newest first");
        assert!(conflicts.iter().all(|conflict| conflict.order_id == id));
        assert_eq!(conflicts[5].status, "timed_out");
        assert_eq!(conflicts[4].amount.as_str(), "10.49");
        assert_eq!(conflicts[2].currency.as_deref(), None);
        assert_eq!(conflicts[1].reference.as_deref(), Some("order-2"));
        assert_eq!(ledger.conflicts(1).await.unwrap().len(), 1);
        assert_eq!(ledger.summary().await.unwrap().conflicts, 6);
    }

    async fn a_person_decides_where_a_paid_link_was_said_to_have_timed_out(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let timed_out = Delivery::timed_out(&id, Job::PRICE, "order-1");
        assert_eq!(receive(&shop, &ledger, &timed_out).await.decision, Decision::TimedOut);
        // Nothing speaks against it yet.
        let settled = ledger.settle(&id, Settlement::Paid, None, "Rima", None).await;
        assert_eq!(code(settled), "ledger_state");
        let paid = Delivery::paid(&id, Job::PRICE, "order-1");
        assert_eq!(seen(&receive(&shop, &ledger, &paid).await), (Decision::Conflict, false, Some("status")));
        assert_eq!(state(&ledger, "order-1").await, OrderState::TimedOut);
        let settled = ledger.settle(&id, Settlement::Paid, None, "Rima", None).await.unwrap();
        assert_eq!((settled.decision, settled.processing), (Decision::Paid, Some(Processing::Waiting)));
        assert_eq!(state(&ledger, "order-1").await, OrderState::Paid);
    }

    async fn a_link_that_timed_out_may_say_zero(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let receipt = receive(&shop, &ledger, &Delivery::timed_out(&id, "0", "order-1")).await;
        assert_eq!(seen(&receipt), (Decision::TimedOut, false, None));
        assert_eq!(state(&ledger, "order-1").await, OrderState::TimedOut);
        let payment = payment(&ledger, &id).await;
        assert_eq!((payment.amount.as_str(), payment.processing), ("0", Some(Processing::Waiting)));
        assert!(!payment.is_paid());
    }

    async fn another_links_time_out_leaves_the_order_alone(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        shop.paid_order(&ledger, "another").await;
        let receipt = receive(&shop, &ledger, &Delivery::timed_out("pl_old", "0", "order-1")).await;
        assert_eq!(receipt.decision, Decision::TimedOut);
        assert_eq!(payment(&ledger, "pl_old").await.processing, None);
        assert_eq!(state(&ledger, "order-1").await, OrderState::Open);
        receive(&shop, &ledger, &Delivery::paid(&id, Job::PRICE, "order-1")).await;
        // A paid order stays paid.
        receive(&shop, &ledger, &Delivery::timed_out("pl_older", "0", "order-1")).await;
        assert_eq!(state(&ledger, "order-1").await, OrderState::Paid);
        assert_eq!(ledger.pending(10).await.unwrap().len(), 2);
    }

    async fn a_payment_that_comes_before_its_order_finds_it(shop: TestShop) {
        let ledger = shop.ledger().await;
        let delivery = Delivery::paid("pl_early", Job::PRICE, "order-1");
        assert_eq!(seen(&receive(&shop, &ledger, &delivery).await), (Decision::NoOrder, false, None));
        assert_eq!(ledger.unsettled(10).await.unwrap().len(), 1);
        assert!(ledger.pending(10).await.unwrap().is_empty());

        // There is no link to give, and none is made for what is paid.
        let link = ledger.create_payment_link(order("order-1")).await;
        assert_eq!(code(link), "ledger_state");
        assert_eq!(shop.links_asked_for(), 0);
        assert_eq!(payment(&ledger, "pl_early").await.decision, Decision::Paid);
        let record = ledger.order("order-1").await.unwrap().unwrap();
        assert_eq!((record.state, record.paid_by.as_deref()), (OrderState::Paid, Some("pl_early")));
        assert!(ledger.unsettled(10).await.unwrap().is_empty());
        assert_eq!(ledger.pending(10).await.unwrap().len(), 1);
        assert_eq!(seen(&receive(&shop, &ledger, &delivery).await), (Decision::Paid, true, None));

        // Only where it fits.
        let wrong = Delivery::paid("pl_cheap", "1", "order-2");
        assert_eq!(receive(&shop, &ledger, &wrong).await.decision, Decision::NoOrder);
        shop.order(&ledger, "order-2").await;
        assert_eq!(state(&ledger, "order-2").await, OrderState::Open);
        let wrong = payment(&ledger, "pl_cheap").await;
        assert_eq!(wrong.decision, Decision::Mismatch);
        assert!(wrong.problem.is_some());
    }

    async fn an_order_paid_already_is_overpaid(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        shop.paid_order(&ledger, "another").await;
        let other = Delivery::paid("pl_by_hand", Job::PRICE, "order-1");
        assert_eq!(receive(&shop, &ledger, &other).await.decision, Decision::Mismatch);
        ledger.settle("pl_by_hand", Settlement::Paid, None, "Rima", None).await.unwrap();
        let paid = Delivery::paid(&id, Job::PRICE, "order-1");
        assert_eq!(seen(&receive(&shop, &ledger, &paid).await), (Decision::Overpaid, false, None));
        assert_eq!(seen(&receive(&shop, &ledger, &paid).await), (Decision::Overpaid, true, None));
        let order = ledger.order("order-1").await.unwrap().unwrap();
        assert_eq!(order.paid_by.as_deref(), Some("pl_by_hand"));
        // It cannot pay the same order a second time, but another.
        assert_eq!(code(ledger.settle(&id, Settlement::Paid, None, "Rima", None).await), "ledger_state");
        shop.order(&ledger, "order-2").await;
        let settled = ledger.settle(&id, Settlement::Paid, Some("order-2"), "Rima", None).await.unwrap();
        assert_eq!(settled.reference.as_deref(), Some("order-2"));
        assert_eq!(state(&ledger, "order-2").await, OrderState::Paid);
        assert_eq!(ledger.pending(10).await.unwrap().len(), 3);
    }

    async fn a_person_settles_or_dismisses(shop: TestShop) {
        let ledger = shop.ledger().await;
        for id in ["pl_1", "pl_2", "pl_3"] {
            receive(&shop, &ledger, &Delivery::paid(id, Job::PRICE, "nowhere")).await;
        }
        let settle = |id, settlement, reference, by| ledger.settle(id, settlement, reference, by, Some("a note"));
        let too_long = "b".repeat(1025);
        for by in ["", " ", "a\0b", &too_long] {
            let refused = refusal(settle("pl_1", Settlement::Dismissed, None, by).await);
            assert_eq!(refused, ("validation", Some("by".to_owned())));
        }
        assert_eq!(code(settle("pl_9", Settlement::Paid, Some("order-1"), "Rima").await), "ledger_not_found");
        assert_eq!(code(settle("pl_1", Settlement::Paid, None, "Rima").await), "ledger_state");
        assert_eq!(code(settle("pl_1", Settlement::Paid, Some("order-1"), "Rima").await), "ledger_state");
        assert!(ledger.decisions(10).await.unwrap().is_empty());

        let dismissed = settle("pl_1", Settlement::Dismissed, None, "Rima").await.unwrap();
        assert_eq!((dismissed.decision, dismissed.processing), (Decision::Dismissed, None));
        assert_eq!(code(settle("pl_1", Settlement::Dismissed, None, "Rima").await), "ledger_state");
        shop.order(&ledger, "order-1").await;
        settle("pl_2", Settlement::Paid, Some("order-1"), "Rima").await.unwrap();
        assert_eq!(code(settle("pl_2", Settlement::Paid, Some("order-1"), "Rima").await), "ledger_state");
        assert_eq!(code(settle("pl_2", Settlement::Dismissed, None, "Rima").await), "ledger_state");
        assert_eq!(code(settle("pl_3", Settlement::Paid, Some("order-1"), "Rima").await), "ledger_state");
        let again = Delivery::paid("pl_1", Job::PRICE, "nowhere");
        assert_eq!(seen(&receive(&shop, &ledger, &again).await), (Decision::Dismissed, true, None));

        let decisions = ledger.decisions(10).await.unwrap();
        assert_eq!(decisions.len(), 2, "what was refused is no decision");
        let [second, first] = &decisions[..] else { unreachable!() };
        assert!(second.at >= first.at);
        assert_eq!((first.action.as_str(), first.subject.as_str(), first.decision.as_str()), ("settle", "pl_1", "dismissed"));
        assert_eq!((second.subject.as_str(), second.decision.as_str()), ("pl_2", "paid"));
        assert_eq!((second.by.as_str(), second.reference.as_deref()), ("Rima", Some("order-1")));
        assert_eq!(second.note.as_deref(), Some("a note"));
        let unsettled = ledger.unsettled(10).await.unwrap();
        assert_eq!(unsettled.iter().map(|payment| payment.order_id.as_str()).collect::<Vec<_>>(), ["pl_3"]);
    }

    async fn one_payment_of_many_at_once_settles_an_order(shop: TestShop) {
        let ledgers = [shop.ledger().await, shop.ledger().await];
        let mut calls = JoinSet::new();
        for number in 0..20 {
            // Each twice. Nobody knows the order's link yet, so that any id may be its own.
            let delivery = Delivery::paid(&format!("pl_{}", number / 2), Job::PRICE, "order-1");
            let (ledger, body) = (ledgers[number % 2].clone(), shop.body(&delivery));
            calls.spawn(async move { drop(ledger.receive(body).await.unwrap()) });
            if number == 9 {
                let ledger = ledgers[0].clone();
                // Whether it comes to a link depends on who is faster.
                calls.spawn(async move { drop(ledger.create_payment_link(order("order-1")).await) });
            }
        }
        in_time(calls.join_all()).await;
        let summary = ledgers[0].summary().await.unwrap();
        assert_eq!(summary.payments.values().sum::<u64>(), 10);
        assert_eq!(summary.payments.get(&Decision::Paid), Some(&1), "{summary:?}");
        assert_eq!(summary.payments.get(&Decision::NoOrder).copied().unwrap_or_default(), 0, "{summary:?}");
        let order = ledgers[0].order("order-1").await.unwrap().unwrap();
        assert_eq!(order.state, OrderState::Paid);
        assert!(ledgers[1].payment(&order.paid_by.unwrap()).await.unwrap().unwrap().is_paid());
    }

    async fn what_cannot_be_read_changes_nothing(shop: TestShop) {
        let ledger = shop.ledger().await;
        for body in [&b""[..], b"{}", b"not json", b"{\"order_id\":\"x\"}", &[0xff; 10], &vec![b'a'; 70_000]] {
            assert_eq!(code(ledger.receive(body).await), "webhook_payload");
        }
        let summary = ledger.summary().await.unwrap();
        assert_eq!(summary.payments.values().sum::<u64>() + summary.conflicts, 0);
        // A newer version may be able to read it; but for what is longer than any delivery.
        assert_eq!(summary.quarantined, 5);
        assert!(ledger.reverify().await.unwrap().is_empty());
    }
}

async fn futures<T, const N: usize>(all: [impl Future<Output = T>; N]) -> Vec<T> {
    let mut done = Vec::new();
    for one in all {
        done.push(one.await);
    }
    done
}
