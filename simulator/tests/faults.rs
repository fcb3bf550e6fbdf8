//! Each fault, as a client or a webhook receiver meets it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use kazawallet::CreatePaymentLink;
use kazawallet_simulator::{Decimal, DeliveryOutcome, Fault, Simulator};
use serde_json::{Value, json};
use support::{Message, Receiver, call, create_link, link_body, payout_body, try_call};

const LINK: &str = "/wallet/createPaymentLink";
const PAYOUT: &str = "/wallet/createWithdrawalRequest";

/// Makes one payout with the fault armed; returns what came back and how much was paid out.
async fn payout_with(fault: Fault) -> (std::io::Result<Message>, Decimal, Option<u16>) {
    let sim = Simulator::start().await.unwrap();
    sim.fault(fault).unwrap();
    let before = sim.balance("SYP");
    let answer = try_call(&sim, PAYOUT, &payout_body(&sim)).await;
    let paid_out = before - sim.balance("SYP");
    let requests = sim.requests();
    assert_eq!((requests.len(), requests[0].fault), (1, Some(fault)));
    // It was armed once: the next request is answered as usual.
    assert_eq!(call(&sim, PAYOUT, &payout_body(&sim)).await.status(), 200);
    (answer, paid_out, requests[0].status)
}

#[tokio::test]
async fn answer_late_acts_at_once_and_answers_after_the_time() {
    let sim = Simulator::start().await.unwrap();
    let delay = Duration::from_millis(150);
    sim.fault(Fault::AnswerLate(delay)).unwrap();
    let begun = Instant::now();
    let answer = call(&sim, PAYOUT, &payout_body(&sim)).await;
    assert!(begun.elapsed() >= delay);
    assert_eq!((answer.status(), sim.balance("SYP")), (200, Decimal::from(9_500_000)));
}

#[tokio::test]
async fn close_before_acting_cuts_the_connection_and_moves_nothing() {
    let (answer, paid_out, status) = payout_with(Fault::CloseBeforeActing).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!((paid_out, status), (Decimal::ZERO, None));
}

#[tokio::test]
async fn close_after_acting_cuts_the_connection_and_has_paid() {
    let (answer, paid_out, status) = payout_with(Fault::CloseAfterActing).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!((paid_out, status), (Decimal::from(500_000), None));
}

#[tokio::test]
async fn half_body_cuts_the_connection_in_the_middle_and_has_paid() {
    let (answer, paid_out, status) = payout_with(Fault::HalfBody).await;
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    // What did arrive is the first half of the answer, and no JSON.
    let half = error.to_string();
    assert!(half.starts_with("{\"success\":true,"), "{half}");
    assert!(serde_json::from_str::<Value>(&half).is_err());
    assert_eq!((paid_out, status), (Decimal::from(500_000), Some(200)));
}

#[tokio::test]
async fn answer_status_answers_an_error_in_json_and_does_nothing() {
    for wanted in [400, 401, 403, 404, 408, 429, 500, 502, 503, 504, 599] {
        let (answer, paid_out, status) = payout_with(Fault::AnswerStatus(wanted)).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status(), status, paid_out), (wanted, Some(wanted), Decimal::ZERO));
        assert_eq!(answer.json()["error"]["status"], json!(wanted));
    }
    let sim = Simulator::start().await.unwrap();
    assert!(sim.fault(Fault::AnswerStatus(200)).is_err());
}

#[tokio::test]
async fn html_answer_is_a_proxys_502_page() {
    let (answer, paid_out, _) = payout_with(Fault::HtmlAnswer).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status(), paid_out), (502, Decimal::ZERO));
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert!(answer.body.starts_with("<html>"));
}

#[tokio::test]
async fn error_inside_200_is_an_error_all_the_same() {
    let (answer, paid_out, _) = payout_with(Fault::ErrorInside200).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status(), paid_out), (200, Decimal::ZERO));
    assert_eq!(answer.json()["data"], Value::Null);
    assert_eq!(answer.json()["error"]["status"], 400);
}

#[tokio::test]
async fn order_id_answer_waits_for_a_new_link_and_names_its_id_order_id() {
    let sim = Simulator::start().await.unwrap();
    sim.fault(Fault::OrderIdAnswer).unwrap();
    assert_eq!(call(&sim, PAYOUT, &payout_body(&sim)).await.status(), 200);
    let answers = [
        call(&sim, LINK, &link_body(&sim)).await.body,
        call(&sim, LINK, &link_body(&sim)).await.body,
    ];
    for ((link, name), answer) in sim.links().iter().zip(["order_id", "id"]).zip(answers) {
        let url = format!("http://{}/pay/{}", sim.address(), link.id);
        let wanted = format!("{{\"success\":true,\"{name}\":\"{}\",\"url\":\"{url}\"}}", link.id);
        assert_eq!(answer, wanted);
    }
    let faults: Vec<_> = sim.requests().iter().map(|request| request.fault).collect();
    assert_eq!(faults, [None, Some(Fault::OrderIdAnswer), None]);
    // The SDK reads either.
    sim.fault(Fault::OrderIdAnswer).unwrap();
    let new = CreatePaymentLink::new("10.50".parse().unwrap(), "USD");
    let link = sim.client().payment_links().create(new).await.unwrap();
    assert_eq!(link.id, sim.links().last().map(|link| link.id.clone()));
}

#[tokio::test]
async fn a_fault_lasts_as_long_as_it_was_armed_for() {
    let sim = Simulator::builder().fault(Fault::AnswerStatus(418)).start().await.unwrap();
    sim.fault_times(Fault::AnswerStatus(500), 2).unwrap();
    sim.fault_until_cleared(Fault::AnswerStatus(503)).unwrap();
    // A fault of deliveries waits for a delivery, and does not stand in the line of requests.
    sim.fault(Fault::NeverDelivered).unwrap();
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(call(&sim, PAYOUT, &payout_body(&sim)).await.status());
    }
    assert_eq!(seen, [418, 500, 500, 503, 503, 503]);
    sim.clear_faults();
    assert_eq!(call(&sim, PAYOUT, &payout_body(&sim)).await.status(), 200);
}

/// Pays one link with the fault armed, and returns what the receiver got.
async fn delivery_with(fault: Fault) -> (Simulator, Vec<Message>) {
    let mut receiver = Receiver::start(200).await;
    let sim = Simulator::builder().webhook_url(&receiver.url).start().await.unwrap();
    sim.fault(fault).unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    let deliveries = sim.pay(&path).await.unwrap();
    let sent = deliveries.iter().filter(|delivery| delivery.answered() == Some(200));
    let mut received = Vec::new();
    for delivery in sent {
        let message = receiver.next().await;
        assert_eq!(message.body, delivery.body);
        received.push(message);
    }
    assert_eq!(receiver.rest(), 0);
    assert!(deliveries.iter().all(|delivery| delivery.fault == Some(fault)));
    (sim, received)
}

#[tokio::test]
async fn amount_as_number_still_verifies_and_loses_the_zeros_at_its_end() {
    let (sim, received) = delivery_with(Fault::AmountAsNumber).await;
    assert!(received[0].body.contains("\"amount\":10.5,"), "{}", received[0].body);
    assert_eq!(sim.webhook().verify(&received[0].body).unwrap().amount().as_str(), "10.5");
}

#[tokio::test]
async fn the_text_that_a_link_was_made_with_is_signed_whatever_number_is_delivered() {
    let sim = Simulator::start().await.unwrap();
    for (given, number, verifies) in [
        ("10.500", "10.5", true),
        ("10.00000000", "10", true),
        ("0.50", "0.5", true),
        // Why the SDK makes no link over these: nobody can tell what was signed.
        ("0010.50", "10.5", false),
        ("10.500000000", "10.5", false),
    ] {
        sim.fault(Fault::AmountAsNumber).unwrap();
        let mut body = link_body(&sim);
        body["amount"] = json!(given);
        let path = create_link(&sim, &body).await;
        let delivery = &sim.pay(&path).await.unwrap()[0];
        assert!(delivery.body.contains(&format!("\"amount\":{number},")), "{}", delivery.body);
        let event = sim.webhook().verify(&delivery.body);
        assert_eq!(
            event.map(|event| event.amount().as_str() == number).ok(),
            verifies.then_some(true)
        );
    }
}

#[tokio::test]
async fn a_form_encoded_delivery_still_verifies() {
    let (sim, received) = delivery_with(Fault::FormEncoded).await;
    let kind = received[0].header("content-type");
    assert_eq!(kind, Some("application/x-www-form-urlencoded"));
    let event = sim.webhook().verify(&received[0].body).unwrap();
    assert_eq!((event.amount().as_str(), event.reference()), ("10.50", Some("order-42")));
}

#[tokio::test]
async fn a_changed_status_still_verifies() {
    let (sim, received) = delivery_with(Fault::StatusChanged).await;
    let event = sim.webhook().verify(&received[0].body).unwrap();
    assert_eq!(event.status().as_str(), "timed_out");
    // The attack: what was not paid says that it was.
    sim.fault(Fault::StatusChanged).unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    let delivery = &sim.time_out(&path).await.unwrap()[0];
    assert!(sim.webhook().verify(&delivery.body).unwrap().is_fulfilled());
    assert_eq!(sim.balance("USD"), "1010.50".parse().unwrap());
}

#[tokio::test]
async fn a_changed_currency_still_verifies() {
    let (sim, received) = delivery_with(Fault::CurrencyChanged).await;
    assert_eq!(sim.webhook().verify(&received[0].body).unwrap().currency(), Some("SYP"));
}

#[tokio::test]
async fn delivered_twice_is_the_same_body_twice() {
    let (sim, received) = delivery_with(Fault::DeliveredTwice).await;
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(sim.balance("USD"), "1010.50".parse().unwrap());
}

#[tokio::test]
async fn never_delivered_is_paid_and_kept_but_not_sent() {
    let (sim, received) = delivery_with(Fault::NeverDelivered).await;
    assert!(received.is_empty());
    assert_eq!(sim.balance("USD"), "1010.50".parse().unwrap());
    let deliveries = sim.deliveries();
    assert!(matches!(deliveries[0].outcome, DeliveryOutcome::NotSent { .. }));
    assert!(sim.webhook().verify(&deliveries[0].body).unwrap().is_fulfilled());
}
