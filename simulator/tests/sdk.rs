//! The SDK against the simulator, with the names that the documentation shows side by side.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use kazawallet::{
    CreateDeposit, CreatePaymentLink, CreateWithdrawal, ErrorKind, Method, Order, Outcome,
    PaymentMethod,
};
use kazawallet_simulator::{Decimal, Fault, Simulator};

fn payout() -> CreateWithdrawal {
    let haram = PaymentMethod::haram_under_3m("سعيد محمد حمدان", "0912345678", "دمشق");
    CreateWithdrawal::new("500000".parse().unwrap(), "SYP", haram).note("wages")
}

#[tokio::test]
async fn every_endpoint_answers_the_sdk() {
    let sim = Simulator::start().await.unwrap();
    let client = sim.client();
    let new = CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference("order-42");
    let link = client.payment_links().create(new).await.unwrap();
    let deliveries = sim.pay(&link).await.unwrap();
    let event = sim.webhook().verify(&deliveries[0].body).unwrap();
    let order = Order {
        amount: "10.5".parse().unwrap(),
        currency: "USD",
        reference: "order-42",
        order_id: link.id.as_deref(),
    };
    event.match_order(&order).unwrap();

    let withdrawal = client.withdrawals().create(payout()).await.unwrap();
    assert_eq!(withdrawal.status.as_deref(), Some("approved"));
    let wallets = client.wallets().list().await.unwrap();
    let amounts: Vec<_> =
        wallets.iter().map(|wallet| (wallet.currency.as_str(), wallet.amount.as_str())).collect();
    assert_eq!(amounts, [("SYP", "9500000"), ("USD", "1010.50")]);

    let usdt = PaymentMethod::custom("118", [("address", "T1")]);
    let new = CreateDeposit::new("25".parse().unwrap(), "USD", "user@example.com", usdt);
    let deposit = client.deposits().create(new).await.unwrap();
    assert_eq!(deposit.status.as_deref(), Some("pending"));

    let card = serde_json::json!({ "currency": "USD" });
    let answer = client.request(Method::POST, "/wallet-cards/create").json(&card).send().await;
    assert_eq!(answer.unwrap().json::<serde_json::Value>().unwrap()["created"], true);

    // Nothing that the SDK sends is beyond what the documentation asks for.
    let requests = sim.requests();
    assert_eq!(requests.len(), 5);
    for request in requests {
        assert!(request.notes.is_empty(), "{request:?} {:?}", request.notes);
        assert_eq!(request.status, Some(200), "{request:?}");
    }
}

#[tokio::test]
async fn a_payout_that_loses_its_connection_has_an_unknown_outcome_and_is_sent_once() {
    for (fault, paid_out) in [
        (Fault::CloseBeforeActing, 0),
        (Fault::CloseAfterActing, 500_000),
        (Fault::HalfBody, 500_000),
    ] {
        let sim = Simulator::start().await.unwrap();
        sim.fault(fault).unwrap();
        let error = sim.client().withdrawals().create(payout()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{fault}");
        assert_eq!(error.outcome(), Some(Outcome::Unknown), "{fault}");
        assert_eq!(sim.requests().len(), 1, "{fault}");
        assert_eq!(sim.balance("SYP"), Decimal::from(10_000_000 - paid_out), "{fault}");
    }
}

#[tokio::test]
async fn refusals_are_the_sdks_error_classes() {
    let sim = Simulator::start().await.unwrap();
    let new = |amount: &str| {
        CreateWithdrawal::new(
            amount.parse().unwrap(),
            "USD",
            PaymentMethod::custom("118", [("address", "T1")]),
        )
    };
    let error = sim.client().withdrawals().create(new("1000.01")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Api, Some(Outcome::Rejected)));
    let stranger = kazawallet::Client::builder(sim.api_key())
        .api_secret(sim.api_secret())
        .merchant_email("nobody@example.com")
        .base_url(sim.url())
        .build()
        .unwrap();
    let error = stranger.withdrawals().create(new("1")).await.unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::NotFound, Some("USER_NOT_FOUND")));
    let wrong = kazawallet::Client::builder("sim_wrong")
        .api_secret(sim.api_secret())
        .merchant_email(sim.merchant_email())
        .base_url(sim.url())
        .build()
        .unwrap();
    let error = wrong.wallets().list().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    sim.fault(Fault::ErrorInside200).unwrap();
    let error = sim.client().withdrawals().create(new("1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Api);
    assert_eq!(sim.balance("USD"), Decimal::from(1000));
}
