//! The provider's endpoints over real HTTP: what they take, and what they refuse and how.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use kazawallet_simulator::{Decimal, Simulator};
use serde_json::{Value, json};
use support::{call, link_body, payout_body, send};

const LINK: &str = "/wallet/createPaymentLink";
const PAYOUT: &str = "/wallet/createWithdrawalRequest";
const DEPOSIT: &str = "/wallet/createDepositRequest";
const WALLETS: &str = "/wallet/get-merchant-wallets";
const CARD: &str = "/wallet/wallet-cards/create";

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn without(mut body: Value, name: &str) -> Value {
    body.as_object_mut().unwrap().remove(name).unwrap();
    body
}

fn deposit_body(sim: &Simulator) -> Value {
    json!({
        "merchantEmail": sim.merchant_email(), "email": "user@example.com", "currency": "USD",
        "amount": "25", "paymentMethod": 118, "fields": {},
    })
}

#[tokio::test]
async fn a_payment_link_is_created() {
    let sim = Simulator::start().await.unwrap();
    let answer = call(&sim, LINK, &link_body(&sim)).await;
    assert_eq!(answer.status(), 200);
    let body = answer.json();
    assert_eq!(body["success"], true);
    let id = body["id"].as_str().unwrap();
    assert_eq!(body["url"], format!("http://{}/pay/{id}", sim.address()));
    let links = sim.links();
    assert_eq!(links[0].id, id);
    assert_eq!(links[0].amount.as_str(), "10.50");
    assert_eq!(links[0].reference.as_deref(), Some("order-42"));
}

#[tokio::test]
async fn a_withdrawal_lowers_the_balance_exactly_once() {
    let sim = Simulator::builder().balance("USD", "0.30").start().await.unwrap();
    let body = with(with(payout_body(&sim), "currency", json!("USD")), "amount", json!("0.1"));
    let answer = call(&sim, PAYOUT, &body).await;
    let wanted = json!({
        "success": true, "status": "approved", "message": "Withdrawal request created successfully",
    });
    assert_eq!((answer.status(), answer.json()), (200, wanted));
    assert_eq!(sim.balance("USD"), decimal("0.20"));
    // All of the rest, to the last cent; then there is nothing.
    let rest = with(body.clone(), "amount", json!("0.20"));
    assert_eq!(call(&sim, PAYOUT, &rest).await.status(), 200);
    let refused = call(&sim, PAYOUT, &with(body, "amount", json!("0.01"))).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json(), json!({ "success": false, "message": "Insufficient balance" }));
    assert_eq!(sim.balance("USD"), decimal("0"));
}

#[tokio::test]
async fn withdrawals_at_the_same_time_cannot_overdraw() {
    let sim = Simulator::builder().balance("USD", "5").start().await.unwrap();
    let body = with(with(payout_body(&sim), "currency", json!("USD")), "amount", json!("1"));
    let calls = (0..20).map(|_| call(&sim, PAYOUT, &body));
    let mut done = 0;
    for answer in futures(calls).await {
        done += usize::from(answer.status() == 200);
    }
    assert_eq!((done, sim.balance("USD")), (5, decimal("0")));
}

/// Runs futures side by side.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.map(Box::pin).map(Some).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in waiting.iter_mut().zip(&mut done) {
            if let Some(running) = future
                && let std::task::Poll::Ready(value) = running.as_mut().poll(context)
            {
                *output = Some(value);
                *future = None;
            }
        }
        if waiting.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn wallets_are_listed() {
    let sim = Simulator::builder().balance("EUR", "-2.50").start().await.unwrap();
    let answer = call(&sim, WALLETS, &Value::Null).await;
    let wanted = json!({ "success": true, "wallets": [
        { "currency": "EUR", "amount": "-2.50" },
        { "currency": "SYP", "amount": "10000000" },
        { "currency": "USD", "amount": "1000.00" },
    ]});
    assert_eq!((answer.status(), answer.json()), (200, wanted));
}

#[tokio::test]
async fn each_merchant_has_wallets_of_its_own() {
    let sim = Simulator::builder().another_merchant("Two@example.com").start().await.unwrap();
    let body = with(payout_body(&sim), "email", json!("two@example.com"));
    assert_eq!(call(&sim, PAYOUT, &body).await.status(), 200);
    assert_eq!(sim.balance("SYP"), decimal("10000000"));
    let headers = [
        ("x-api-key", sim.api_key()),
        ("x-api-secret", sim.api_secret()),
        ("merchant-email", "two@example.com"),
    ];
    let answer = send(sim.address(), "GET", WALLETS, &headers, "").await.unwrap();
    assert_eq!(answer.json()["wallets"][0], json!({ "currency": "SYP", "amount": "9500000" }));
}

#[tokio::test]
async fn a_deposit_is_created() {
    let sim = Simulator::start().await.unwrap();
    let answer = call(&sim, DEPOSIT, &with(deposit_body(&sim), "note", json!("hello"))).await;
    assert_eq!(answer.status(), 200);
    let body = answer.json();
    let payment = &body["createdPayment"];
    assert_eq!((&body["success"], &body["error"]), (&json!(true), &Value::Null));
    assert_eq!((&payment["status"], &payment["note"]), (&json!("pending"), &json!("hello")));
    assert!(payment["transaction_id"].as_str().unwrap().starts_with("de-"));
    assert_eq!(sim.balance("USD"), decimal("1000"));
}

#[tokio::test]
async fn a_card_is_created() {
    let sim = Simulator::start().await.unwrap();
    let answer = call(&sim, CARD, &json!({ "currency": "USD" })).await;
    assert_eq!(answer.status(), 200);
    let body = answer.json();
    assert_eq!(body["created"], true);
    assert!(body["cardId"].as_str().unwrap().starts_with("kc-"));
    assert!(body["createdTransfer"]["id"].is_u64());
}

#[tokio::test]
async fn wrong_or_missing_keys_are_401() {
    let sim = Simulator::start().await.unwrap();
    let (key, secret, email) = (sim.api_key(), sim.api_secret(), sim.merchant_email());
    for (path, body, wants_secret) in [
        (LINK, link_body(&sim), false),
        (PAYOUT, payout_body(&sim), true),
        (WALLETS, Value::Null, true),
        (DEPOSIT, deposit_body(&sim), true),
        (CARD, json!({ "currency": "USD" }), false),
    ] {
        let mut wrong: Vec<Vec<(&str, &str)>> = vec![
            vec![("x-api-secret", secret)],
            vec![("x-api-key", "sim_WRONG"), ("x-api-secret", secret)],
            vec![("x-api-key", key), ("x-api-key", key), ("x-api-secret", secret)],
        ];
        if wants_secret {
            wrong.push(vec![("x-api-key", key)]);
            wrong.push(vec![("x-api-key", key), ("x-api-secret", key)]);
        }
        for mut headers in wrong {
            headers.extend([("merchant-email", email), ("content-type", "application/json")]);
            let method = if body.is_null() { "GET" } else { "POST" };
            let answer =
                send(sim.address(), method, path, &headers, &body.to_string()).await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
            let error = &answer.json()["error"];
            assert_eq!(
                (&error["status"], &error["name"]),
                (&json!(401), &json!("UnauthorizedError"))
            );
        }
    }
    // A link needs no secret, and is not refused for one either.
    let headers = [("x-api-key", key), ("content-type", "application/json; charset=utf-8")];
    let body = link_body(&sim).to_string();
    assert_eq!(send(sim.address(), "POST", LINK, &headers, &body).await.unwrap().status(), 200);
    assert_eq!(sim.balance("SYP"), decimal("10000000"));
}

#[tokio::test]
async fn a_malformed_request_is_refused_and_nothing_moves() {
    let sim = Simulator::start().await.unwrap();
    let (link, payout, deposit) = (link_body(&sim), payout_body(&sim), deposit_body(&sim));
    let mut bad: Vec<(&str, Value, &str)> = vec![
        (LINK, with(link.clone(), "ref", json!(42)), "ref must be a string"),
        (LINK, with(link.clone(), "redirectUrl", json!(null)), "redirectUrl must be a string"),
        (LINK, with(link.clone(), "amount", json!(10.5)), "amount must be a string"),
        (
            PAYOUT,
            with(payout.clone(), "paymentMethod", json!(37)),
            "paymentMethod must be a string",
        ),
        (PAYOUT, with(payout.clone(), "fields", json!([])), "fields must be an object"),
        (PAYOUT, with(payout.clone(), "fields", json!({ "name": 1 })), "fields must hold strings"),
        (PAYOUT, with(payout.clone(), "note", json!(1)), "note must be a string"),
        (DEPOSIT, with(deposit.clone(), "paymentMethod", json!("118")), "must be a number"),
        (DEPOSIT, with(deposit.clone(), "email", json!("nobody")), "must be a valid email"),
        (CARD, json!({}), "currency is required"),
    ];
    for amount in ["0", "-1", "1e3", "1,000", " 1", "1.", ".5", "١٠", "0.000000001", "", "NaN"] {
        bad.push((LINK, with(link.clone(), "amount", json!(amount)), "amount"));
        bad.push((PAYOUT, with(payout.clone(), "amount", json!(amount)), "amount"));
        bad.push((DEPOSIT, with(deposit.clone(), "amount", json!(amount)), "amount"));
    }
    for (path, body, names) in [
        (LINK, &link, &["amount", "currency", "email"][..]),
        (PAYOUT, &payout, &["email", "currency", "amount", "paymentMethod"][..]),
        (DEPOSIT, &deposit, &["merchantEmail", "email", "currency", "amount"][..]),
    ] {
        for name in names {
            bad.push((path, without(body.clone(), name), "is required"));
        }
        bad.push((path, with(body.clone(), "currency", json!("usd")), "currency code"));
    }
    for (path, body, said) in bad {
        let answer = call(&sim, path, &body).await;
        assert_eq!(answer.status(), 400, "{path} {body}");
        let error = &answer.json()["error"];
        assert_eq!(error["name"], "ValidationError", "{path} {body}");
        assert!(error["message"].as_str().unwrap().contains(said), "{said:?} in {error}");
    }
    for (kind, body) in [
        ("text/plain", link.to_string()),
        ("application/x-www-form-urlencoded", "amount=1".to_owned()),
        ("application/json", "[]".to_owned()),
        ("application/json", "{".to_owned()),
    ] {
        let headers = [("x-api-key", sim.api_key()), ("content-type", kind)];
        let answer = send(sim.address(), "POST", LINK, &headers, &body).await.unwrap();
        assert_eq!(answer.status(), 400, "{kind} {body}");
    }
    assert!(sim.links().is_empty());
    assert_eq!(sim.balance("SYP"), decimal("10000000"));
}

#[tokio::test]
async fn an_unknown_merchant_is_user_not_found() {
    let sim = Simulator::start().await.unwrap();
    let nobody = json!("nobody@example.com");
    let wanted = json!({ "data": null, "error": {
        "status": 404, "name": "NotFoundError", "message": "User not found",
        "details": { "key": "USER_NOT_FOUND" },
    }});
    for (path, body) in [
        (LINK, with(link_body(&sim), "email", nobody.clone())),
        (PAYOUT, with(payout_body(&sim), "email", nobody.clone())),
        (DEPOSIT, with(deposit_body(&sim), "merchantEmail", nobody.clone())),
    ] {
        let answer = call(&sim, path, &body).await;
        assert_eq!((answer.status(), answer.json()), (404, wanted.clone()), "{path}");
    }
    let headers = [
        ("x-api-key", sim.api_key()),
        ("x-api-secret", sim.api_secret()),
        ("merchant-email", "nobody@example.com"),
    ];
    let answer = send(sim.address(), "GET", WALLETS, &headers, "").await.unwrap();
    assert_eq!((answer.status(), answer.json()), (404, wanted));
}

#[tokio::test]
async fn a_payment_method_is_known_and_has_its_fields() {
    let sim = Simulator::start().await.unwrap();
    let body = payout_body(&sim);
    let fields = body["fields"].clone();
    let refused = |body: Value, said: &'static str| {
        let sim = &sim;
        async move {
            let answer = call(sim, PAYOUT, &body).await;
            assert_eq!(answer.status(), 400, "{body}");
            assert_eq!(answer.json()["success"], false);
            assert!(answer.body.contains(said), "{said:?} in {}", answer.body);
        }
    };
    for id in ["99", "xx", "-1", "037x"] {
        let body = with(body.clone(), "paymentMethod", json!(id));
        refused(body, "Payment method not found").await;
    }
    for name in ["name", "phone", "hawalahmauto-custom-field-withdraw-3"] {
        refused(with(body.clone(), "fields", without(fields.clone(), name)), "is required").await;
        let blank = with(fields.clone(), name, json!(" "));
        refused(with(body.clone(), "fields", blank), "is required").await;
    }
    let sy_cash = with(body.clone(), "paymentMethod", json!("38"));
    refused(with(sy_cash.clone(), "fields", json!({})), "fields.phone is required").await;
    // The two Haram methods share 3,000,000 SYP itself and nothing else.
    let over = with(body.clone(), "paymentMethod", json!("35"));
    refused(with(body.clone(), "amount", json!("3000001")), "does not fit").await;
    refused(over.clone(), "does not fit").await;
    assert_eq!(sim.balance("SYP"), decimal("10000000"));
    for good in [
        with(sy_cash, "fields", json!({ "phone": "0912345678" })),
        with(with(body.clone(), "paymentMethod", json!("118")), "fields", json!({ "any": "x" })),
        with(body.clone(), "amount", json!("3000000")),
        with(over, "amount", json!("3000000.00")),
        without(body, "note"),
    ] {
        let answer = call(&sim, PAYOUT, &good).await;
        assert_eq!(answer.status(), 200, "{good} {}", answer.body);
    }
    assert_eq!(sim.balance("SYP"), decimal("2500000"));
}

#[tokio::test]
async fn a_payout_needs_no_note_and_only_the_fields_of_its_method() {
    let sim = Simulator::start().await.unwrap();
    let usdt = with(with(payout_body(&sim), "paymentMethod", json!("118")), "amount", json!("1"));
    for absent in [&["note"][..], &["fields"], &["note", "fields"]] {
        let body = absent.iter().fold(usdt.clone(), |body, name| without(body, name));
        assert_eq!(call(&sim, PAYOUT, &body).await.status(), 200, "{body}");
    }
    assert_eq!(sim.balance("SYP"), decimal("9999997"));
    for method in ["35", "37", "38"] {
        let body = with(without(payout_body(&sim), "fields"), "paymentMethod", json!(method));
        let answer = call(&sim, PAYOUT, &body).await;
        assert_eq!(answer.status(), 400, "{body}");
        assert!(answer.body.contains(" is required for this method"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_deposit_by_the_banks_method_of_the_example_is_taken() {
    let sim = Simulator::start().await.unwrap();
    let body = json!({
        "merchantEmail": sim.merchant_email(), "email": "user@example.com", "currency": "SYP",
        "amount": "500000", "paymentMethod": 17, "fields": { "bemo-dp-f1": "x" },
    });
    let answer = call(&sim, DEPOSIT, &body).await;
    assert_eq!((answer.status(), &answer.json()["success"]), (200, &json!(true)));
    // Nobody has shown a payout by it, and other numbers are no methods.
    let payout = with(payout_body(&sim), "paymentMethod", json!("17"));
    assert!(call(&sim, PAYOUT, &payout).await.body.contains("Payment method not found"));
    let other = with(body, "paymentMethod", json!(18));
    assert!(call(&sim, DEPOSIT, &other).await.body.contains("Payment method not found"));
}

#[tokio::test]
async fn an_unknown_endpoint_and_a_wrong_method_are_404() {
    let sim = Simulator::start().await.unwrap();
    for (path, body) in [("/wallet/nothing", json!({})), (LINK, Value::Null)] {
        let answer = call(&sim, path, &body).await;
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.json()["error"]["name"], "NotFoundError");
    }
}

#[tokio::test]
async fn requests_are_kept_with_the_keys_masked() {
    let sim = Simulator::start().await.unwrap();
    let body = with(link_body(&sim), "extra", json!(sim.api_secret()));
    call(&sim, LINK, &body).await;
    call(&sim, &format!("{WALLETS}?k={}", sim.api_key()), &Value::Null).await;
    let requests = sim.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", LINK));
    assert_eq!(requests[0].status, Some(200));
    assert_eq!(requests[0].header("X-Api-Key"), Some("***"));
    assert_eq!(requests[0].header("x-api-secret"), Some("***"));
    assert_eq!(requests[0].notes.len(), 2, "{:?}", requests[0].notes);
    for request in &requests {
        let shown = format!("{} {} {:?} {request:?}", request.path, request.body, request.headers);
        assert!(!shown.contains(sim.api_key()) && !shown.contains(sim.api_secret()));
        assert!(!format!("{request:?}").contains(sim.merchant_email()));
    }
}
