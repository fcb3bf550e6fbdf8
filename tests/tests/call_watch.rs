//! What a call's watch tells, while it runs and at its end.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use kazawallet::{CreatePaymentLink, ErrorKind};
use kazawallet_simulator::{Fault, Simulator};

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
}
