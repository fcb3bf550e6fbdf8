//! What a call's watch tells, while it runs and at its end.

#![allow(clippy::unwrap_used)]

use std::future::IntoFuture;
use std::time::{Duration, SystemTime};

use kazawallet::{
    Call, Client, CreatePaymentLink, CreateWithdrawal, ErrorKind, Outcome, PaymentMethod,
    Withdrawal,
};
use kazawallet_simulator::scripted::{Script, ScriptedServer};
use kazawallet_simulator::{Fault, Simulator};
use serde_json::{Value, json};

#[tokio::test]
async fn it_counts_the_tries_and_tells_how_the_call_ended() {
    let sim = Simulator::start().await.unwrap();
    let client = sim.client();

    let call = client.wallets().list();
    let watch = call.watch();
    assert_eq!((watch.attempts(), watch.status(), watch.outcome()), (0, None, None));
    sim.fault(Fault::AnswerStatus(503)).unwrap();
    call.await.unwrap();
    assert_eq!(watch.endpoint(), "/get-merchant-wallets");
    assert_eq!((watch.attempts(), watch.status(), watch.outcome()), (2, Some(200), Some("ok")));
    let duration = watch.duration();
    assert!(!duration.is_zero());
    assert_eq!(watch.duration(), duration, "it stands still once the call has ended");

    sim.fault(Fault::AnswerStatus(401)).unwrap();
    let call = client.wallets().list();
    let watch = call.watch();
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::Authentication);
    assert_eq!(
        (watch.attempts(), watch.status(), watch.outcome()),
        (1, Some(401), Some("rejected"))
    );
}

#[tokio::test]
async fn a_call_that_was_refused_or_dropped_has_no_end() {
    let sim = Simulator::start().await.unwrap();
    let client = sim.client();

    let call = client.payment_links().create(CreatePaymentLink::new("10".parse().unwrap(), " "));
    let watch = call.watch();
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::Validation);
    assert_eq!((watch.endpoint(), watch.attempts(), watch.outcome()), ("", 0, None));

    sim.fault(Fault::AnswerLate(Duration::from_secs(60))).unwrap();
    let call = client.wallets().list();
    let watch = call.watch();
    tokio::time::timeout(Duration::from_millis(50), call).await.unwrap_err();
    assert_eq!((watch.attempts(), watch.outcome()), (1, None));
    assert_eq!(watch.outcome_when_dropped(), "cancelled");
}

#[tokio::test]
async fn a_payout_that_was_dropped_goes_on_and_its_outcome_is_unknown_until_its_end() {
    let sim = Simulator::start().await.unwrap();
    let client = sim.client();
    sim.fault(Fault::AnswerLate(Duration::from_millis(500))).unwrap();
    let call = payout(&client);
    let watch = call.watch();
    let call = tokio::spawn(call.into_future());
    while sim.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!((watch.outcome(), watch.outcome_when_dropped()), (None, "unknown"));
    while watch.outcome().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(watch.outcome_when_dropped(), "ok");
}

fn payout(client: &Client) -> Call<Withdrawal> {
    let method = PaymentMethod::custom("118", Vec::<(String, String)>::new());
    client.withdrawals().create(CreateWithdrawal::new("5".parse().unwrap(), "USD", method))
}

#[tokio::test]
async fn a_call_that_is_given_up_before_it_left_never_leaves() {
    let sim = Simulator::start().await.unwrap();
    let client = sim.client();
    let call = payout(&client);
    call.watch().abandon().unwrap();
    assert_eq!(call.await.unwrap_err().outcome(), Some(Outcome::NotSent));
    assert!(sim.requests().is_empty());
}

#[tokio::test]
async fn the_status_is_known_of_an_answer_that_cannot_be_read() {
    let too_long = json!({ "do": "respond", "status": 200, "fill_to": 2_000_000 });
    let (_server, client) = server_that(too_long).await;
    let call = payout(&client);
    let watch = call.watch();
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!((watch.status(), watch.outcome()), (Some(200), Some("unknown")));
}

async fn server_that(step: Value) -> (ScriptedServer, Client) {
    let script = Script::from_value(json!({ "steps": [step] })).unwrap();
    let server = ScriptedServer::start(script).await.unwrap();
    let client = Client::builder("sim_key")
        .api_secret("sim_secret")
        .merchant_email("merchant@example.com")
        .base_url(server.url())
        .build()
        .unwrap();
    (server, client)
}

#[tokio::test]
async fn a_payout_that_is_given_up_between_two_tries_is_not_tried_again() {
    let retry = json!({ "do": "respond", "status": 429, "headers": { "retry-after": "1" } });
    let (server, client) = server_that(retry).await;
    let call = payout(&client);
    let watch = call.watch();
    let call = tokio::spawn(call.into_future());
    while watch.status().is_none() || watch.abandon().is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(call.await.unwrap().unwrap_err().outcome(), Some(Outcome::NotSent));
    assert_eq!(server.finish().await.requests.len(), 1);
}

#[tokio::test]
async fn a_payout_that_is_given_up_after_it_left_runs_to_its_end() {
    let sim = Simulator::start().await.unwrap();
    let client = sim.client();
    sim.fault(Fault::AnswerLate(Duration::from_millis(500))).unwrap();
    let call = payout(&client);
    let watch = call.watch();
    let call = tokio::spawn(call.into_future());
    while sim.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let told = watch.abandon().unwrap_err();
    assert_eq!((told.kind(), told.outcome()), (ErrorKind::OutcomeUnknown, Some(Outcome::Unknown)));
    call.await.unwrap().unwrap();
    assert_eq!(watch.outcome(), Some("ok"));
}

#[tokio::test]
async fn a_call_that_moves_no_money_can_always_be_given_up() {
    let sim = Simulator::start().await.unwrap();
    let client = sim.client();
    sim.fault(Fault::AnswerLate(Duration::from_secs(60))).unwrap();
    let call = client.wallets().list();
    let watch = call.watch();
    let call = tokio::spawn(call.into_future());
    while sim.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    watch.abandon().unwrap();
    call.abort();
}

#[tokio::test]
async fn nothing_leaves_after_its_last_moment() {
    let sim = Simulator::start().await.unwrap();
    let client = sim.client();

    let late = payout(&client).not_after(SystemTime::now());
    let watch = late.watch();
    let error = late.await.unwrap_err();
    assert_eq!(error.outcome(), Some(Outcome::NotSent));
    assert_eq!(watch.outcome(), Some("not_sent"));
    assert_eq!(sim.requests().len(), 0);

    payout(&client).not_after(SystemTime::now() + Duration::from_secs(60)).await.unwrap();
    assert_eq!(sim.requests().len(), 1);
}
