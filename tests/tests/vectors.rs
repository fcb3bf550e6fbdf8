//! Runs every file of `tests/vectors/` through the crate's public face.
//!
//! `phones.json` needs something to send to; it is read here, to be sure that it is understood,
//! and run where the simulator is.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kazawallet::{Amount, Error, ErrorKind, Outcome, PaymentEvent, Webhook};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

// ---------------------------------------------------------------- the files

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn load<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Fails with all that went wrong, not with the first of it alone.
fn report(failures: &[String]) {
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signatures {
    #[serde(rename = "made_with")]
    _made_with: String,
    cases: Vec<SignatureCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureCase {
    name: String,
    amount: String,
    order_id: String,
    api_key: String,
    api_secret: String,
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Amounts {
    good: Vec<GoodAmount>,
    bad: Vec<BadAmount>,
    typed: Vec<TypedAmount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoodAmount {
    text: String,
    shortest: String,
    two_decimals: Option<String>,
    #[serde(default)]
    equal_to: Vec<String>,
    #[serde(default)]
    not_equal_to: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BadAmount {
    text: String,
    why: String,
    message_contains: Option<String>,
}

/// One key that names the type, and what must come of it.
#[derive(Deserialize)]
struct TypedAmount {
    text: Option<String>,
    error: Option<String>,
    /// What `sign` takes in the languages in which it is given a value.
    #[serde(rename = "signed")]
    _signed: Option<String>,
    #[serde(flatten)]
    given: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payloads {
    #[serde(rename = "made_with")]
    _made_with: String,
    cases: Vec<PayloadCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayloadCase {
    name: String,
    #[serde(rename = "note")]
    _note: Option<String>,
    api_key: String,
    api_secret: String,
    #[serde(default)]
    previous: Vec<Credentials>,
    body: Option<String>,
    body_base64: Option<String>,
    body_repeat: Option<Vec<Part>>,
    event: Option<ExpectedEvent>,
    error: Option<ExpectedError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    api_key: String,
    api_secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    text: String,
    times: usize,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedEvent {
    order_id: String,
    amount: String,
    status: String,
    currency: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    fulfilled: bool,
    extra: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedError {
    code: String,
    /// Absent: nothing is said of it. `null`: the error names no field.
    #[serde(default, deserialize_with = "stated")]
    field: Option<Option<String>>,
}

fn stated<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Phones {
    cases: Vec<PhoneCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneCase {
    method: String,
    phone: String,
    sent: Option<String>,
    error: Option<ExpectedError>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

impl PayloadCase {
    fn bytes(&self) -> Vec<u8> {
        match (&self.body, &self.body_base64, &self.body_repeat) {
            (Some(text), None, None) => text.clone().into_bytes(),
            (None, Some(encoded), None) => STANDARD.decode(encoded).unwrap(),
            (None, None, Some(parts)) => {
                parts.iter().map(|part| part.text.repeat(part.times)).collect::<String>().into()
            }
            _ => panic!("{}: a case has exactly one body", self.name),
        }
    }

    fn webhook(&self) -> Webhook {
        let webhook = Webhook::new(&*self.api_key, &*self.api_secret).unwrap();
        self.previous.iter().fold(webhook, |webhook, previous| {
            webhook.with_previous(&*previous.api_key, &*previous.api_secret).unwrap()
        })
    }
}

#[test]
fn every_file_is_known() {
    let found: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    let known = ["amounts.json", "payloads.json", "phones.json", "signatures.json"];
    assert_eq!(found, known.map(String::from).into());
}

// ---------------------------------------------------------------- signatures

fn delivery(amount: &str, order_id: &str, secret: &str) -> String {
    json!({"order_id": order_id, "amount": amount, "secret": secret, "status": "fulfilled"})
        .to_string()
}

/// The text with one character replaced by another, once for each character.
fn each_character_changed(text: &str) -> impl Iterator<Item = String> {
    text.char_indices().map(move |(at, old)| {
        let new = match old {
            // A digit stays a digit, so that a changed amount is still an amount.
            '0'..='8' => char::from_u32(u32::from(old) + 1).unwrap(),
            '9' | '.' => '0',
            'x' => 'y',
            _ => 'x',
        };
        let (before, after) = (&text[..at], &text[at + old.len_utf8()..]);
        format!("{before}{new}{after}")
    })
}

#[test]
fn signatures_verify_and_sign() {
    for case in load::<Signatures>("signatures.json").cases {
        let webhook = Webhook::new(&*case.api_key, &*case.api_secret).unwrap();
        let amount: Amount = case.amount.parse().unwrap();
        assert_eq!(webhook.sign(&amount, &case.order_id), case.secret, "{}", case.name);

        let body = delivery(&case.amount, &case.order_id, &case.secret);
        let event = webhook.verify(&body).unwrap();
        assert_eq!(event.amount().as_str(), case.amount, "{}", case.name);
        assert_eq!(event.order_id(), case.order_id, "{}", case.name);
    }
}

#[test]
fn any_changed_character_breaks_the_signature() {
    let mut failures = Vec::new();
    for case in load::<Signatures>("signatures.json").cases {
        let SignatureCase { name, amount, order_id, api_key, api_secret, secret } = &case;
        let mut holds_not = |what: &str, webhook: &Webhook, body: String| {
            let kind = webhook.verify(body).map_err(|error| error.kind());
            if kind.as_ref().err() != Some(&ErrorKind::SignatureVerification) {
                failures.push(format!("{name}: {what} changed, {kind:?}"));
            }
        };
        let webhook = Webhook::new(&**api_key, &**api_secret).unwrap();
        for changed in each_character_changed(amount) {
            holds_not("amount", &webhook, delivery(&changed, order_id, secret));
        }
        for changed in each_character_changed(order_id) {
            holds_not("order id", &webhook, delivery(amount, &changed, secret));
        }
        for changed in each_character_changed(secret) {
            holds_not("signature", &webhook, delivery(amount, order_id, &changed));
        }
        for changed in each_character_changed(api_key) {
            let webhook = Webhook::new(changed, &**api_secret).unwrap();
            holds_not("API key", &webhook, delivery(amount, order_id, secret));
        }
        for changed in each_character_changed(api_secret) {
            let webhook = Webhook::new(&**api_key, changed).unwrap();
            holds_not("API secret", &webhook, delivery(amount, order_id, secret));
        }
    }
    report(&failures);
}

// ---------------------------------------------------------------- amounts

fn test_webhook() -> Webhook {
    Webhook::new("81A107141716", "888B6B8877F8").unwrap()
}

#[test]
fn good_amounts_keep_their_text_and_compare_by_value() {
    let hasher = RandomState::new();
    for case in load::<Amounts>("amounts.json").good {
        let amount: Amount = case.text.parse().unwrap();
        assert_eq!(amount.as_str(), case.text);
        assert_eq!(amount.to_string(), case.text);
        for text in &case.equal_to {
            let other: Amount = text.parse().unwrap();
            assert_eq!(amount, other);
            assert_eq!(hasher.hash_one(&amount), hasher.hash_one(&other), "{amount} {other}");
        }
        for text in &case.not_equal_to {
            assert_ne!(amount, text.parse::<Amount>().unwrap());
        }
    }
}

#[test]
fn a_signature_over_an_equal_form_of_the_amount_holds() {
    let webhook = test_webhook();
    for case in load::<Amounts>("amounts.json").good {
        let holds = |signed: &Amount| {
            let body = delivery(&case.text, "pl_1", &webhook.sign(signed, "pl_1"));
            webhook.verify(body).map(|event| event.amount().as_str().to_owned())
        };
        let forms = [Some(&case.shortest), case.two_decimals.as_ref()];
        // With two decimals an amount may get more digits than an amount may have.
        let digits = |form: &str| form.bytes().filter(u8::is_ascii_digit).count();
        for form in forms.into_iter().flatten().filter(|form| digits(form) <= 40) {
            let verified = holds(&form.parse().unwrap());
            assert_eq!(verified.ok().as_ref(), Some(&case.text), "signed over {form}");
        }
        if case.two_decimals.is_none() {
            let (whole, fraction) = case.shortest.split_once('.').unwrap();
            // Zero is not an amount to sign.
            if let Ok(cut) = format!("{whole}.{}", &fraction[..2]).parse() {
                assert!(holds(&cut).is_err(), "{} signed over {cut}", case.text);
            }
        }
    }
}

#[test]
fn bad_amounts_are_refused() {
    let mut failures = Vec::new();
    for BadAmount { text, why, message_contains } in load::<Amounts>("amounts.json").bad {
        let Err(error) = Amount::from_str(&text) else {
            failures.push(format!("{text:?} ({why}) is taken"));
            continue;
        };
        let zero = Amount::from_delivery(&text).is_ok_and(|amount| amount.is_zero());
        if zero != (why == "zero") {
            failures
                .push(format!("{text:?} ({why}): as a delivery has it, it is not as it should be"));
        }
        let seen = (error.kind(), error.code(), error.field(), error.outcome());
        let wanted = (ErrorKind::Validation, "validation", Some("amount"), Some(Outcome::NotSent));
        if seen != wanted {
            failures.push(format!("{text:?} ({why}): {seen:?}"));
        }
        if let Some(part) = message_contains
            && !error.message().contains(&part)
        {
            failures.push(format!("{text:?} ({why}): {part:?} is not in {:?}", error.message()));
        }
    }
    report(&failures);
}

#[test]
fn a_delivery_with_a_bad_amount_is_refused() {
    let webhook = test_webhook();
    let mut failures = Vec::new();
    for BadAmount { text, why, .. } in load::<Amounts>("amounts.json").bad {
        // A link that timed out may carry a zero.
        if why == "zero" {
            continue;
        }
        let error = webhook.verify(delivery(&text, "pl_1", "x")).unwrap_err();
        if (error.code(), error.field()) != ("webhook_payload", Some("amount")) {
            failures.push(format!("{text:?} ({why}): {} {:?}", error.code(), error.field()));
        }
    }
    report(&failures);
}

/// The amount from the Rust type that the case names; `None` where Rust has no such type, or one
/// that cannot hold the number.
fn typed_amount(kind: &str, given: &Value) -> Option<Result<Amount, Error>> {
    match kind {
        "integer" => given.as_str().unwrap().parse::<u64>().ok().map(Amount::try_from),
        "decimal" => {
            let text = given.as_str().unwrap();
            let decimal = if text.contains('E') {
                Decimal::from_scientific(text)
            } else {
                Decimal::from_str_exact(text)
            };
            decimal.ok().map(Amount::try_from)
        }
        "float" | "boolean" | "null" | "object" | "list" => None,
        unknown => panic!("amounts.json: a type {unknown} is not known"),
    }
}

#[test]
fn typed_amounts() {
    let mut seen = BTreeMap::new();
    for TypedAmount { text, error, given, .. } in load::<Amounts>("amounts.json").typed {
        assert_eq!(given.len(), 1, "{given:?}");
        let (kind, given) = given.first_key_value().unwrap();
        let Some(amount) = typed_amount(kind, given) else { continue };
        *seen.entry(kind.clone()).or_insert(0) += 1;
        match (text, error) {
            (Some(text), None) => {
                let amount = amount.unwrap();
                assert_eq!(amount.as_str(), text, "{kind} {given}");
                if kind == "decimal" {
                    let back = Decimal::try_from(&amount).unwrap();
                    assert_eq!(back.to_string(), text, "{kind} {given}");
                }
            }
            (None, Some(code)) => {
                assert_eq!(amount.unwrap_err().code(), code, "{kind} {given}");
            }
            other => panic!("{kind} {given}: a case has a text or an error, not {other:?}"),
        }
    }
    // Those that fit `u64`, and those that fit `Decimal`.
    assert_eq!(seen, BTreeMap::from([("decimal".to_owned(), 16), ("integer".to_owned(), 6)]));
}

// ---------------------------------------------------------------- payloads

fn seen(event: &PaymentEvent) -> ExpectedEvent {
    ExpectedEvent {
        order_id: event.order_id().to_owned(),
        amount: event.amount().as_str().to_owned(),
        status: event.status().as_str().to_owned(),
        currency: event.currency().map(str::to_owned),
        reference: event.reference().map(str::to_owned),
        fulfilled: event.is_fulfilled(),
        extra: event.extra().iter().map(|(k, v)| (k.clone(), v.get().to_owned())).collect(),
    }
}

fn payload_failure(case: &PayloadCase) -> Option<String> {
    let body = case.bytes();
    match (case.webhook().verify(&body), &case.event, &case.error) {
        (Ok(event), Some(wanted), None) => {
            let seen = seen(&event);
            if seen != *wanted {
                return Some(format!("{seen:?} is not {wanted:?}"));
            }
            (event.body() != body).then(|| "the event's body is not the delivery's".to_owned())
        }
        (Err(error), None, Some(wanted)) => {
            let field = error.field().map(str::to_owned);
            if error.code() != wanted.code
                || wanted.field.as_ref().is_some_and(|wanted| *wanted != field)
            {
                return Some(format!("{} {field:?}: {}", error.code(), error.message()));
            }
            if error.outcome().is_some() {
                return Some("a webhook's error has no outcome".to_owned());
            }
            let shown = format!("{error} {error:?}");
            shown.contains(&case.api_secret).then(|| "the error shows the API secret".to_owned())
        }
        (Ok(_), None, Some(_)) => Some("it verified".to_owned()),
        (Err(error), Some(_), None) => Some(format!("{}: {}", error.code(), error.message())),
        _ => panic!("{}: a case has an event or an error", case.name),
    }
}

#[test]
fn payloads() {
    let cases = load::<Payloads>("payloads.json").cases;
    assert!(cases.len() >= 80, "{} cases", cases.len());
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, payload_failure(case)?)))
        .collect();
    report(&failures);
}

// ---------------------------------------------------------------- phones

#[test]
fn phones_are_understood() {
    let cases = load::<Phones>("phones.json").cases;
    assert!(cases.len() >= 30, "{} cases", cases.len());
    for case in cases {
        assert!(["sy_cash", "haram"].contains(&&*case.method), "{}", case.method);
        let error = case.error.map(|error| (error.code, error.field.flatten()));
        match (case.sent, error) {
            (Some(sent), None) => assert!(!sent.is_empty(), "{}", case.phone),
            (None, Some((code, field))) => {
                assert_eq!((&*code, field.as_deref()), ("validation", Some("phone")));
            }
            other => panic!("{:?}: {other:?}", case.phone),
        }
    }
}
