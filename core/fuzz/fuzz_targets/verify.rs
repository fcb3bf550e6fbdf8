//! `Webhook::verify` on anything: it never panics, it refuses with one of its two documented
//! errors, and what it accepts was signed.
//!
//! An input that begins with `FF` is a list of fields, separated by `FF`, that the target signs
//! itself: `FF`, flags, amount, order id, status, currency, ref, then more keys and values in
//! turns. Any other input is a body as it came. No UTF-8 text holds the byte `FF`.

#![no_main]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use kazawallet::{Amount, Error, ErrorKind, Order, PaymentEvent, Webhook};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

const SEPARATOR: u8 = 0xff;

const AS_FORM: u8 = 1;
const AMOUNT_AS_NUMBER: u8 = 2;
const ORDER_ID_AS_ID: u8 = 4;

const MAX_BODY: usize = 64 * 1024;
const MAX_FIELD: usize = 1024;

/// The key and the secret of `tests/vectors/payloads.json`.
static CURRENT: LazyLock<Webhook> =
    LazyLock::new(|| Webhook::new("81A107141716", "888B6B8877F8").unwrap());
static PREVIOUS: LazyLock<Webhook> =
    LazyLock::new(|| Webhook::new("OLDKEY000001", "OLDSECRET001").unwrap());
static BOTH: LazyLock<Webhook> =
    LazyLock::new(|| CURRENT.clone().with_previous("OLDKEY000001", "OLDSECRET001").unwrap());

fuzz_target!(|data: &[u8]| match data.split_first() {
    Some((&SEPARATOR, fields)) => signed_delivery(fields),
    _ => any_body(data),
});

fn any_body(body: &[u8]) {
    match BOTH.verify(body) {
        Ok(event) => assert_genuine(&event, body),
        Err(error) => assert_documented(&error),
    }
}

fn assert_documented(error: &Error) {
    match error.kind() {
        ErrorKind::WebhookPayload => {}
        ErrorKind::SignatureVerification => assert_eq!(error.field(), None),
        other => panic!("verify gave {other:?}"),
    }
    assert_eq!(error.outcome(), None);
    assert!(!error.to_string().is_empty());
    let _ = format!("{error:?}");
}

/// Holds an accepted event against its body, read in a plainer way.
fn assert_genuine(event: &PaymentEvent, body: &[u8]) {
    assert_eq!(event.body(), body);
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    // Values that are not asked for are left unread: deep nesting, numbers beyond any float and
    // lone surrogates are kept in `extra` as they came.
    let read = |key: &str| match serde_json::from_slice::<BTreeMap<String, &RawValue>>(body) {
        // A null is as good as nothing there; the text "null" is a text.
        Ok(object) => object.get(key).filter(|value| value.get() != "null").map(|value| {
            serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
        }),
        Err(_) => form_urlencoded::parse(body.trim_ascii())
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.into_owned()),
    };
    let order_id = read("order_id").or_else(|| read("id"));
    assert_eq!(order_id.as_deref(), Some(event.order_id()));
    let claimed = read("secret").expect("an accepted delivery has a secret");
    // `sign` takes no zero: such an amount is left to the unit of the signature itself.
    if event.amount().is_zero() {
        return;
    }
    let forms = equal_forms(event.amount().as_str());
    assert!(
        forms.iter().any(|amount| {
            [&*CURRENT, &*PREVIOUS].iter().any(|key| key.sign(amount, event.order_id()) == claimed)
        }),
        "an event from a delivery that nobody signed"
    );
}

/// The literal text, the shortest form, and the one with two decimals.
fn equal_forms(text: &str) -> Vec<Amount> {
    let shortest = match text.split_once('.') {
        Some((whole, fraction)) => format!("{whole}.{}", fraction.trim_end_matches('0')),
        None => text.to_owned(),
    };
    let shortest = match shortest.trim_end_matches('.').trim_start_matches('0') {
        short if short.is_empty() || short.starts_with('.') => format!("0{short}"),
        short => short.to_owned(),
    };
    let two_decimals = match shortest.split_once('.') {
        Some((whole, fraction)) => format!("{whole}.{fraction:0<2}"),
        None => format!("{shortest}.00"),
    };
    let literal: Amount = text.parse().unwrap();
    let forms = [text, &shortest, &two_decimals];
    let forms: Vec<Amount> = forms.iter().filter_map(|form| form.parse().ok()).collect();
    assert!(forms.iter().all(|form| *form == literal));
    forms
}

fn signed_delivery(input: &[u8]) {
    let Some((flags, fields)) = input.split_first() else { return };
    let Ok(fields) =
        fields.split(|byte| *byte == SEPARATOR).map(str::from_utf8).collect::<Result<Vec<_>, _>>()
    else {
        return;
    };
    let [amount, order_id, status, currency, reference, more @ ..] = &*fields else { return };
    let Ok(amount) = amount.parse::<Amount>() else { return };
    let more: Vec<(&str, &str)> = more
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|(key, _)| unknown(key))
        .collect();

    let secret = CURRENT.sign(&amount, order_id);
    let order_id_key = if flags & ORDER_ID_AS_ID == 0 { "order_id" } else { "id" };
    let mut pairs = vec![(order_id_key, *order_id), ("amount", amount.as_str())];
    pairs.extend([("secret", &*secret), ("status", status)]);
    pairs.extend([("currency", *currency), ("ref", *reference)]);
    pairs.extend(&more);
    let as_form = flags & AS_FORM != 0;
    let body = if as_form {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    } else {
        // JSON has no number with a leading zero.
        let plain = !amount.as_str().starts_with('0') || amount.as_str().starts_with("0.");
        json(&pairs, flags & AMOUNT_AS_NUMBER != 0 && plain)
    };

    let event = match CURRENT.verify(&body) {
        Ok(event) => event,
        Err(error) => {
            assert_documented(&error);
            assert_eq!(error.kind(), ErrorKind::WebhookPayload, "{body}");
            assert!(is_refused(&body, &fields, &more), "{error}: {body}");
            return;
        }
    };
    assert!(!is_refused(&body, &fields, &more), "{body}");
    assert_eq!(event.order_id(), *order_id);
    assert_eq!(event.amount().as_str(), amount.as_str());
    assert_eq!(event.status().as_str(), *status);
    assert_eq!(event.currency().unwrap_or_default(), *currency);
    assert_eq!(event.reference().unwrap_or_default(), *reference);
    assert_eq!(event.extra().len(), more.len());
    for (key, value) in more {
        assert_eq!(serde_json::from_str::<String>(event.extra()[key].get()).unwrap(), value);
    }
    assert_eq!(event.body(), body.as_bytes());
    let order = Order { amount, currency, reference, order_id: Some(order_id) };
    assert_eq!(
        event.match_order(&order).is_ok(),
        event.currency().is_some() && event.reference().is_some()
    );
    assert_genuine(&event, body.as_bytes());
}

fn unknown(key: &str) -> bool {
    !["order_id", "id", "secret", "amount", "status", "currency", "ref"].contains(&key)
}

/// Written by hand: a map would hide repeated keys and could not hold a number's text.
fn json(pairs: &[(&str, &str)], amount_as_number: bool) -> String {
    let members: Vec<String> = pairs
        .iter()
        .map(|(key, value)| {
            let value = match *key {
                "amount" if amount_as_number => Cow::Borrowed(*value),
                _ => Cow::Owned(Value::from(*value).to_string()),
            };
            format!("{}:{value}", Value::from(*key))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Whether the documented rules refuse the delivery, although its signature holds.
fn is_refused(body: &str, fields: &[&str], more: &[(&str, &str)]) -> bool {
    let repeats = |(at, pair): (usize, &(&str, &str))| more[..at].iter().any(|m| m.0 == pair.0);
    let known = &fields[..5];
    body.len() > MAX_BODY
        || fields[1].is_empty()
        || fields[2].is_empty()
        || known.iter().any(|field| field.len() > MAX_FIELD || field.contains('\0'))
        || more.iter().enumerate().any(repeats)
}
