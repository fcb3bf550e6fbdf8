//! Runs `tests/vectors/phones.json` against the scripted server: what is sent, and what is refused
//! before anything is sent.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::Path;

use kazawallet::{Client, CreateWithdrawal, PaymentMethod};
use kazawallet_simulator::scripted::{Script, ScriptedServer};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Phones {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    method: Method,
    phone: String,
    sent: Option<String>,
    error: Option<Refusal>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    SyCash,
    Haram,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    code: String,
    field: String,
}

/// The payouts that a case stands for.
fn payouts(case: &Case) -> Vec<CreateWithdrawal> {
    let payout =
        |amount: &str, method| CreateWithdrawal::new(amount.parse().unwrap(), "SYP", method);
    let phone = case.phone.as_str();
    match case.method {
        Method::SyCash => vec![payout("500000", PaymentMethod::sy_cash(phone))],
        Method::Haram => vec![
            payout("500000", PaymentMethod::haram_under_3m("A Name", phone, "دمشق")),
            payout("5000000", PaymentMethod::haram_over_3m("A Name", phone, "دمشق")),
        ],
    }
}

#[tokio::test]
async fn every_phone_is_sent_or_refused_as_the_file_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/phones.json");
    let phones: Phones = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let payouts: Vec<_> = phones
        .cases
        .iter()
        .flat_map(|case| payouts(case).into_iter().map(move |p| (case, p)))
        .collect();
    let good = payouts.iter().filter(|(case, _)| case.sent.is_some()).count();
    let step = json!({ "do": "respond", "status": 200, "body": { "json": { "success": true } } });
    let script = Script::from_value(json!({ "steps": vec![step; good] })).unwrap();
    let server = ScriptedServer::start(script).await.unwrap();
    let client = Client::builder("81A107141716")
        .api_secret("9F8E7D6C5B4A")
        .merchant_email("merchant@example.com")
        .base_url(server.url())
        .max_retries(0)
        .build()
        .unwrap();

    let (mut failures, mut expected) = (Vec::new(), Vec::new());
    for (case, payout) in payouts {
        let made = client.withdrawals().create(payout).await;
        match (&case.sent, &case.error, made) {
            (Some(sent), None, Ok(_)) => expected.push((case.phone.clone(), sent.clone())),
            (None, Some(wanted), Err(error)) => {
                let seen = (error.code(), error.field(), error.outcome().map(|o| o.as_str()));
                if seen != (wanted.code.as_str(), Some(wanted.field.as_str()), Some("not_sent")) {
                    failures.push(format!("{:?}: {seen:?}", case.phone));
                }
            }
            (_, _, made) => failures.push(format!("{:?}: {made:?}", case.phone)),
        }
    }
    drop(client);

    let observed = server.finish().await;
    if observed.requests.len() != expected.len() || observed.steps_left > 0 {
        failures.push(format!("{} requests, {} phones", observed.requests.len(), expected.len()));
    }
    for ((phone, sent), request) in expected.iter().zip(&observed.requests) {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        if body["fields"]["phone"] != json!(sent) {
            failures.push(format!("{phone:?}: sent as {}, not {sent:?}", body["fields"]["phone"]));
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
