//! Every decision is kept.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use kazawallet::Outcome;
use kazawallet_ledger::{Decision, PayoutState, Processing};
use kazawallet_ledger_tests::Delivery;
use serde_json::{Value, json};

use crate::former::{Former, asked_for, on_every_fixture, text};
use crate::support::{code, refusal};
use crate::told::{self, withdrawal};

/// What is asked for at once.
const AT_ONCE: usize = 16;

/// All of these are in what is told now, whatever else is.
#[track_caller]
fn tells_as_before(now: &Value, before: &Value) {
    match (now, before) {
        (Value::Object(now), Value::Object(before)) => {
            for (name, before) in before {
                tells_as_before(now.get(name).unwrap_or(&Value::Null), before);
            }
        }
        (Value::Array(now), Value::Array(before)) if now.len() == before.len() => {
            now.iter().zip(before).for_each(|(now, before)| tells_as_before(now, before));
        }
        _ => assert_eq!(now, before),
    }
}

fn order_ids(payments: &[Value], which: impl Fn(&Value) -> bool) -> BTreeSet<&str> {
    payments
        .iter()
        .filter(|payment| which(payment))
        .map(|payment| text(&payment["order_id"]))
        .collect()
}

on_every_fixture! {
    async fn every_record_is_told_as_before(former: Former) {
        let ledger = former.ledger().await;
        let now = told::everything(&ledger, &former.names()).await.unwrap();
        for kind in ["orders", "payments", "payouts", "conflicts", "decisions", "overdue",
            "unsettled", "parked", "unresolved", "summary"]
        {
            tells_as_before(&now[kind], &former.told[kind]);
        }
        // Nothing is in the fixture that was not told, and there is something of everything.
        let count = |kind: &str| -> u64 {
            let counts = former.told["summary"][kind].as_object().unwrap();
            assert!(counts.values().all(|count| *count != 0), "{kind}: {counts:?}");
            counts.values().map(|count| count.as_u64().unwrap()).sum()
        };
        for kind in ["orders", "payments", "payouts"] {
            assert_eq!(count(kind), former.all(kind).len() as u64, "{kind}");
        }
        assert!(former.all("decisions").len() > 100 && former.all("conflicts").len() > 100);
    }

    async fn what_was_received_before_is_a_duplicate(former: Former) {
        let ledger = former.ledger().await;
        let settled: BTreeSet<_> =
            former.all("decisions").iter().map(|decision| text(&decision["subject"])).collect();
        let delivery = |said: &Value| Delivery {
            reference: said["ref"].as_str().map(str::to_owned),
            ..Delivery::paid(text(said.get("order_id").unwrap()), text(&said["amount"]), "")
                .status(text(&said["status"]))
                .currency(said["currency"].as_str())
        };
        let mut again: Vec<(Vec<u8>, &str, &Value)> = Vec::new();
        for payment in former.all("payments") {
            let body = match payment["body"].as_str() {
                Some(body) => body.as_bytes().to_vec(),
                // Of what a person settled, the ref may be the person's.
                None if settled.contains(text(&payment["order_id"])) => continue,
                None => delivery(payment).body(&former.webhook).unwrap(),
            };
            again.push((body, text(&payment["decision"]), &payment["problem"]));
        }
        for conflict in former.all("conflicts") {
            let body = delivery(conflict).body(&former.webhook).unwrap();
            again.push((body, "conflict", &conflict["problem"]));
        }
        // Each fifth is enough: there are some of every kind.
        let received = stream::iter(again.into_iter().step_by(5)).map(|(body, decision, problem)| {
            let ledger = ledger.clone();
            async move {
                let receipt = ledger.receive(&body).await.unwrap();
                let seen = (receipt.decision.as_str(), receipt.duplicate, receipt.problem.as_deref());
                assert_eq!(seen, (decision, true, problem.as_str()), "{}", str::from_utf8(&body).unwrap());
            }
        });
        let received = received.buffer_unordered(AT_ONCE).count().await;
        assert!(received > 500, "{received}");
        let now = told::summary(&ledger.summary().await.unwrap());
        tells_as_before(&now, &former.told["summary"]);
    }

    async fn the_payment_of_an_open_order_pays_it(former: Former) {
        let ledger = former.ledger().await;
        let open: Vec<_> = former.all("orders").iter()
            .filter(|order| order["state"] == "open" && order["link_id"].is_string())
            .collect();
        let paid = |order: &Value, id: &str| {
            let delivery = Delivery::paid(id, text(&order["amount"]), text(&order["ref"]));
            delivery.currency(order["currency"].as_str()).body(&former.webhook).unwrap()
        };
        // What an order's own link brings, unless it was decided already.
        let known = order_ids(former.all("payments"), |_| true);
        let mut unpaid = open.iter().filter(|order| !known.contains(text(&order["link_id"])));
        for order in unpaid.by_ref().take(10) {
            let receipt = ledger.receive(paid(order, text(&order["link_id"]))).await.unwrap();
            assert_eq!((receipt.decision, receipt.duplicate), (Decision::Paid, false), "{order}");
        }
        // And another order's link does not.
        let (order, other) = (unpaid.next().unwrap(), unpaid.next().unwrap());
        let receipt = ledger.receive(paid(order, text(&other["link_id"]))).await.unwrap();
        assert_eq!((receipt.decision, receipt.problem.as_deref()), (Decision::Mismatch, Some("ref")));
        // Nor does an id that is no link's: the ones of that version's links have been proven.
        let receipt = ledger.receive(paid(order, "no link's")).await.unwrap();
        assert_eq!((receipt.decision, receipt.problem.as_deref()), (Decision::Mismatch, Some("order_id")));
    }

    async fn an_order_keeps_its_link_and_its_terms(former: Former) {
        let ledger = former.ledger().await;
        let lasting = |order: &&Value| {
            order["url"].is_string() && (order["state"] == "open" || order["state"] == "paid")
        };
        let orders: Vec<_> = former.all("orders").iter().filter(lasting).collect();
        stream::iter(&orders).for_each_concurrent(AT_ONCE, async |order| {
            let link = ledger.create_payment_link(asked_for(order)).await.unwrap();
            let seen = json!([link.url, link.id, link.state.as_str(), link.reference]);
            assert_eq!(seen, json!([order["url"], order["link_id"], order["state"], order["ref"]]));
        }).await;
        for order in orders.iter().step_by(200) {
            let amount = Value::from("12345");
            let dearer = Value::Object([("amount", &amount), ("currency", &order["currency"]), ("ref", &order["ref"])]
                .map(|(name, value)| (name.to_owned(), value.clone())).into_iter().collect());
            let refused = refusal(ledger.create_payment_link(asked_for(&dearer)).await);
            assert_eq!(refused, ("validation", Some("amount".to_owned())));
        }
        assert_eq!(former.provider.asked().len(), 0);
        assert!(orders.len() > 1000);

        // Where there is no link that can be paid, there is one now: the process that was making it is gone.
        for state in ["creating", "timed_out"] {
            let of_state = former.all("orders").iter().rev().filter(|order| order["state"] == state);
            for order in of_state.take(12) {
                let before = former.provider.asked().len();
                let link = ledger.create_payment_link(asked_for(order)).await.unwrap();
                assert_eq!(link.state.as_str(), "open", "{order}");
                assert!(link.id.is_some() && json!(link.url) != order["url"], "{order}");
                assert_eq!(former.provider.asked().len(), before + 1);
            }
        }
    }

    async fn a_payout_keeps_its_terms_and_is_not_sent_again(former: Former) {
        let ledger = former.ledger().await;
        let payouts = || former.all("payouts").iter().zip(former.all("asked"));
        // Also those whose note and fields were erased: the digest of the terms holds them.
        assert!(payouts().any(|(payout, _)| payout["details"].is_null()));
        for (number, (payout, asked)) in payouts().enumerate() {
            let other = |field: &str, value: Value| {
                let mut other = asked.clone();
                other[field] = value;
                ledger.withdraw(text(&payout["reference"]), withdrawal(&other))
            };
            let refused = match number % 5 {
                0 => other("amount", json!("12345")),
                1 => other("note", json!("another note")),
                2 => other("method", json!(["custom", "41", [["another", "field"]]])),
                3 => other("method", json!(["custom", "42", []])),
                _ => other("currency", json!("TRY")),
            };
            assert_eq!(refusal(refused.await), ("validation", Some("reference".to_owned())), "{payout}");
        }
        let never_sent = payouts().filter(|(payout, _)| payout["state"] == "not_sent").count();
        stream::iter(payouts()).for_each_concurrent(AT_ONCE, async |(payout, asked)| {
            let state = text(&payout["state"]);
            if state == "sending" {
                return; // It would be waited for.
            }
            let again = ledger.withdraw(text(&payout["reference"]), withdrawal(asked)).await;
            match (state, &again) {
                ("paid", Ok(paid)) => {
                    assert_eq!(paid.state, PayoutState::Paid);
                    assert_eq!(json!(paid.message), payout["message"]);
                }
                ("not_sent", Ok(paid)) => assert_eq!(paid.state, PayoutState::Paid),
                ("rejected", Err(error)) => {
                    assert_eq!(error.outcome(), Some(Outcome::Rejected), "{payout}");
                    assert_ne!(error.code(), "ledger_state");
                }
                ("not_paid", Err(error)) => assert_eq!(error.code(), "ledger_state"),
                ("unknown", Err(error)) => assert_eq!(error.code(), "outcome_unknown"),
                _ => panic!("{payout}: {again:?}"),
            }
        }).await;
        let sent = former.provider.asked().len();
        assert!(sent > 0);
        assert_eq!(sent, never_sent, "what had not left is sent, once, and nothing else");
    }

    async fn what_waits_is_handed_over_and_what_is_parked_can_be_tried_again(former: Former) {
        let ledger = former.ledger().await;
        let waiting = order_ids(former.all("payments"), |payment| payment["processing"] == "waiting");
        let parked = order_ids(former.all("payments"), |payment| payment["processing"] == "parked");
        let tries = |order_id: &str| {
            let told = former.all("payments").iter().find(|payment| payment["order_id"] == order_id);
            told.unwrap()["tries"].as_u64().unwrap()
        };
        let handed = ledger.pending(u32::MAX).await.unwrap();
        let names: BTreeSet<_> = handed.iter().map(|payment| payment.order_id.as_str()).collect();
        assert_eq!(names, waiting);
        for payment in handed.iter().take(200) {
            assert_eq!(u64::from(payment.tries), tries(&payment.order_id) + 1);
        }
        ledger.mark_processed(&handed[0].order_id).await.unwrap();
        let done = ledger.payment(&handed[0].order_id).await.unwrap().unwrap();
        assert_eq!(done.processing, Some(Processing::Done));

        for order_id in &parked {
            let payment = ledger.retry(order_id, "Samer", None).await.unwrap();
            assert_eq!(payment.processing, Some(Processing::Waiting));
        }
        let handed = ledger.pending(u32::MAX).await.unwrap();
        let names: BTreeSet<_> = handed.iter().map(|payment| payment.order_id.as_str()).collect();
        assert_eq!(names, parked, "the others are held");
        assert_eq!(code(ledger.retry(&handed[0].order_id, "Samer", None).await), "ledger_state");
        let decisions = ledger.decisions(u32::MAX).await.unwrap();
        assert_eq!(decisions.len(), former.all("decisions").len() + parked.len());
    }
}
