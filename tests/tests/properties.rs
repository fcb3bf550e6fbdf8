//! What must hold for every amount, every delivery and every order, tried on random ones.

#![allow(missing_docs, clippy::unwrap_used)]

use std::cmp::Ordering;
use std::hash::{BuildHasher as _, RandomState};

use kazawallet::{Amount, Error, ErrorKind, Order, Outcome, Status, Webhook};
use proptest::char;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rust_decimal::Decimal;
use serde_json::{Value, json};

// ---------------------------------------------------------------- what is tried

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    // A tenth of the random changes change nothing, however many cases are asked for.
    let max_global_rejects = default.cases.max(default.max_global_rejects);
    ProptestConfig { failure_persistence: None, max_global_rejects, ..default }
}

/// At most 40 digits, more than zero.
fn amount_text() -> impl Strategy<Value = String> {
    "[0-9]{1,22}(\\.[0-9]{1,18})?".prop_filter("more than zero", |text| !is_zero(text))
}

/// Few digits and many zeros, so that two of them are often equal or nearly so.
fn small_amount_text() -> impl Strategy<Value = String> {
    "0{0,2}[0-2]{1,2}(\\.[0-2]{1,2}0{0,2})?".prop_filter("more than zero", |text| !is_zero(text))
}

fn is_zero(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

/// The documented form of an amount, said in another way than the crate says it.
fn is_amount(text: &str) -> bool {
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() <= 2
        && parts.iter().all(|part| all_digits(part))
        && parts.concat().len() <= 40
        && !is_zero(text)
}

/// Anything a field may hold: all of Unicode but NUL.
fn field_text() -> impl Strategy<Value = String> {
    vec(any::<char>().prop_filter("no NUL", |c| *c != '\0'), 1..40).prop_map(String::from_iter)
}

fn credential() -> impl Strategy<Value = String> {
    "[!-~]{1,40}"
}

/// A genuine delivery, and the webhook that knows its key.
#[derive(Clone, Debug)]
struct Delivery {
    key: String,
    api_secret: String,
    amount: String,
    order_id: String,
    secret: String,
    status: String,
    currency: String,
    reference: String,
}

fn genuine() -> impl Strategy<Value = Delivery> {
    let status = prop_oneof![Just("fulfilled".into()), Just("timed_out".into()), field_text()];
    let signed = (credential(), credential(), amount_text(), field_text());
    (signed, status, field_text(), field_text()).prop_map(
        |((key, api_secret, amount, order_id), status, currency, reference)| {
            let webhook = Webhook::new(&*key, &*api_secret).unwrap();
            let secret = webhook.sign(&amount.parse().unwrap(), &order_id);
            Delivery { key, api_secret, amount, order_id, secret, status, currency, reference }
        },
    )
}

impl Delivery {
    fn webhook(&self) -> Webhook {
        Webhook::new(&*self.key, &*self.api_secret).unwrap()
    }

    fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("order_id", &self.order_id),
            ("secret", &self.secret),
            ("amount", &self.amount),
            ("ref", &self.reference),
            ("status", &self.status),
            ("currency", &self.currency),
        ]
    }

    fn json(&self) -> String {
        let object: serde_json::Map<String, Value> =
            self.fields().iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        Value::Object(object).to_string()
    }

    fn form(&self) -> String {
        form(&self.fields())
    }

    /// Refused as not genuine, in either encoding.
    fn breaks(&self) -> Result<(), TestCaseError> {
        for body in [self.json(), self.form()] {
            let error = self.webhook().verify(&body).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::SignatureVerification, "{}", body);
        }
        Ok(())
    }

    /// Accepted in either encoding, and says what the delivery says.
    fn holds(&self) -> Result<(), TestCaseError> {
        for body in [self.json(), self.form()] {
            let event = self.webhook().verify(&body);
            prop_assert!(event.is_ok(), "{:?}: {}", event, body);
            let event = event.unwrap();
            prop_assert_eq!(event.order_id(), &self.order_id);
            prop_assert_eq!(event.amount().as_str(), &self.amount);
            prop_assert_eq!(event.status().as_str(), &self.status);
            prop_assert_eq!(event.is_fulfilled(), self.status == "fulfilled");
            prop_assert_eq!(event.currency(), Some(&*self.currency));
            prop_assert_eq!(event.reference(), Some(&*self.reference));
            prop_assert!(event.extra().is_empty());
            prop_assert_eq!(event.body(), body.as_bytes());
        }
        Ok(())
    }
}

/// Form fields, with every byte of the values percent-encoded.
fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs: Vec<_> =
        fields.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    pairs.join("&")
}

/// The text with one character replaced by another.
fn with_one_changed(text: &str, at: Index, to: char) -> String {
    let at = at.index(text.chars().count());
    text.chars().enumerate().map(|(i, c)| if i == at { to } else { c }).collect()
}

fn assert_documented(error: &Error) -> Result<(), TestCaseError> {
    let documented = [ErrorKind::WebhookPayload, ErrorKind::SignatureVerification];
    prop_assert!(documented.contains(&error.kind()), "{:?}", error);
    prop_assert_eq!(error.outcome(), None);
    prop_assert!(!error.message().is_empty());
    Ok(())
}

// ---------------------------------------------------------------- amounts

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_amount_keeps_its_text(text in amount_text()) {
        let amount: Amount = text.parse().unwrap();
        prop_assert_eq!(amount.as_str(), &text);
        prop_assert_eq!(amount.to_string(), text);
        prop_assert_eq!(amount.as_str().parse::<Amount>().unwrap(), amount);
    }

    #[test]
    fn any_text_is_an_amount_or_a_validation_error(
        text in prop_oneof![any::<String>(), "[0-9.,eE+_ -]{0,45}", "[0-9]{30,45}(\\.[0-9]{0,15})?"],
    ) {
        match text.parse::<Amount>() {
            Ok(amount) => {
                prop_assert!(is_amount(&text));
                prop_assert_eq!(amount.as_str(), text);
            }
            Err(error) => {
                prop_assert!(!is_amount(&text));
                prop_assert_eq!(error.kind(), ErrorKind::Validation);
                prop_assert_eq!(error.field(), Some("amount"));
                prop_assert_eq!(error.outcome(), Some(Outcome::NotSent));
            }
        }
    }

    #[test]
    fn zeros_that_change_no_value_change_no_equality(
        text in "[0-9]{1,10}\\.[0-9]{1,10}".prop_filter("more than zero", |text| !is_zero(text)),
        before in "0{0,9}",
        behind in "0{0,9}",
    ) {
        let amount: Amount = text.parse().unwrap();
        let padded: Amount = format!("{before}{text}{behind}").parse().unwrap();
        let hasher = RandomState::new();
        prop_assert_eq!(&amount, &padded);
        prop_assert_eq!(amount.cmp(&padded), Ordering::Equal);
        prop_assert_eq!(hasher.hash_one(&amount), hasher.hash_one(&padded));
    }

    #[test]
    fn amounts_compare_as_exact_decimals(
        (a, b) in prop_oneof![
            (amount_text(), amount_text()),
            (small_amount_text(), small_amount_text()),
        ],
    ) {
        let (a, b): (Amount, Amount) = (a.parse().unwrap(), b.parse().unwrap());
        // An amount may have more digits than a Decimal holds.
        if let (Ok(x), Ok(y)) = (Decimal::try_from(&a), Decimal::try_from(&b)) {
            prop_assert_eq!(a.cmp(&b), x.cmp(&y));
            prop_assert_eq!(a == b, x == y);
            prop_assert_eq!(&Amount::try_from(x).unwrap(), &a);
        }
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
    }

    #[test]
    fn an_integer_is_an_amount_unless_it_is_zero(number: u64) {
        match Amount::try_from(number) {
            Ok(amount) => prop_assert_eq!(amount.as_str(), number.to_string()),
            Err(error) => {
                prop_assert_eq!(number, 0);
                prop_assert_eq!(error.kind(), ErrorKind::Validation);
            }
        }
    }
}

// ---------------------------------------------------------------- any body

/// JSON text for a field's value, now and then broken.
fn value_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => field_text().prop_map(|text| json!(text).to_string()),
        2 => amount_text().prop_map(|text| json!(text).to_string()),
        2 => "-?[0-9]{1,42}(\\.[0-9]{0,4})?([eE]-?[0-9]{1,3})?",
        1 => select(vec!["null", "true", "{}", "[1,{\"a\":[]}]", "\"\"", "\"\\u0000\"", "\"\\ud800\""])
            .prop_map(str::to_owned),
        1 => "[\\[\\]{}\",:0-9a-z\\\\ ]{0,12}",
    ]
}

fn key_text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["order_id", "id", "secret", "amount", "ref", "status", "currency"])
            .prop_map(str::to_owned),
        1 => field_text(),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_give_a_documented_error(body in vec(any::<u8>(), 0..600)) {
        let webhook = Webhook::new("81A107141716", "888B6B8877F8").unwrap();
        assert_documented(&webhook.verify(body).unwrap_err())?;
    }

    #[test]
    fn any_object_gives_a_documented_error(members in vec((key_text(), value_text()), 0..9)) {
        let webhook = Webhook::new("81A107141716", "888B6B8877F8").unwrap();
        let members: Vec<_> =
            members.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
        let body = format!("{{{}}}", members.join(","));
        assert_documented(&webhook.verify(body).unwrap_err())?;
    }

    #[test]
    fn any_form_gives_a_documented_error(
        pairs in vec((key_text(), prop_oneof![field_text(), amount_text()]), 0..9),
        raw in "[a-z=&%+0-9\u{7f}-\u{ff}]{0,20}",
    ) {
        let webhook = Webhook::new("81A107141716", "888B6B8877F8").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
        let body = format!("{}&{raw}", form(&pairs));
        assert_documented(&webhook.verify(body).unwrap_err())?;
    }

    /// As nearly genuine as can be: a signed delivery, cut, or with some bytes replaced. What is
    /// still accepted says the amount and the order id that were signed.
    #[test]
    fn a_damaged_delivery_is_refused_or_says_what_was_signed(
        delivery in genuine(),
        as_form: bool,
        length in any::<Index>(),
        cut: bool,
        changes in vec((any::<Index>(), any::<u8>()), 0..4),
    ) {
        let mut body = if as_form { delivery.form() } else { delivery.json() }.into_bytes();
        for (at, to) in &changes {
            let at = at.index(body.len());
            *body.get_mut(at).unwrap() = *to;
        }
        if cut {
            body.truncate(length.index(body.len()));
        }
        match delivery.webhook().verify(&body) {
            Ok(event) => {
                prop_assert_eq!(event.order_id(), delivery.order_id);
                prop_assert_eq!(event.amount(), &delivery.amount.parse::<Amount>().unwrap());
                prop_assert_eq!(event.body(), body);
            }
            Err(error) => assert_documented(&error)?,
        }
    }
}

// ---------------------------------------------------------------- what is signed

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_genuine_delivery_verifies(delivery in genuine()) {
        delivery.holds()?;
    }

    #[test]
    fn a_changed_digit_of_the_amount_breaks_it(
        delivery in genuine(),
        at in any::<Index>(),
        to in char::range('0', '9'),
    ) {
        let changed = with_one_changed(&delivery.amount, at, to);
        prop_assume!(is_amount(&changed) && changed != delivery.amount);
        Delivery { amount: changed, ..delivery }.breaks()?;
    }

    #[test]
    fn another_amount_breaks_it(delivery in genuine(), other in amount_text()) {
        prop_assume!(other.parse::<Amount>().unwrap() != delivery.amount.parse().unwrap());
        Delivery { amount: other, ..delivery }.breaks()?;
    }

    /// By design: the provider may have signed the shortest form or the one with two decimals.
    #[test]
    fn an_equal_form_of_the_amount_still_verifies(
        delivery in genuine(),
        whole in 1..1_000_000_u32,
        cents in 0..100_u8,
        zeros in "0{0,4}",
    ) {
        let two_decimals = format!("{whole}.{cents:02}");
        let shortest = two_decimals.trim_end_matches('0').trim_end_matches('.').to_owned();
        for signed in [&shortest, &two_decimals] {
            let secret = delivery.webhook().sign(&signed.parse().unwrap(), &delivery.order_id);
            for amount in [shortest.clone(), two_decimals.clone(), format!("{two_decimals}{zeros}")] {
                Delivery { amount, secret: secret.clone(), ..delivery.clone() }.holds()?;
            }
        }
    }

    #[test]
    fn a_changed_character_of_the_order_id_breaks_it(
        delivery in genuine(),
        at in any::<Index>(),
        to in char::range('!', '~'),
    ) {
        let order_id = with_one_changed(&delivery.order_id, at, to);
        prop_assume!(order_id != delivery.order_id);
        Delivery { order_id, ..delivery }.breaks()?;
    }

    #[test]
    fn a_longer_or_shorter_order_id_breaks_it(delivery in genuine(), more in field_text()) {
        let mut shorter = delivery.order_id.clone();
        shorter.pop();
        let longer = format!("{}{more}", delivery.order_id);
        for order_id in [longer, shorter].into_iter().filter(|text| !text.is_empty()) {
            Delivery { order_id, ..delivery.clone() }.breaks()?;
        }
    }

    #[test]
    fn a_changed_character_of_the_signature_breaks_it(
        delivery in genuine(),
        at in any::<Index>(),
        to in prop_oneof![char::range('0', 'z'), select(vec!['+', '/', '=', '-', ' ', '\n'])],
    ) {
        let secret = with_one_changed(&delivery.secret, at, to);
        prop_assume!(secret != delivery.secret);
        Delivery { secret, ..delivery }.breaks()?;
    }

    #[test]
    fn a_longer_or_shorter_signature_breaks_it(delivery in genuine(), more in "[A-Za-z0-9+/= \n]") {
        let unpadded = delivery.secret.trim_end_matches('=').to_owned();
        let shorter = delivery.secret.chars().skip(1).collect();
        for secret in [unpadded, shorter, format!("{}{more}", delivery.secret), format!("{more}{}", delivery.secret)] {
            Delivery { secret, ..delivery.clone() }.breaks()?;
        }
    }

    #[test]
    fn another_key_breaks_it(delivery in genuine(), at in any::<Index>(), to in char::range('!', '~')) {
        let key = with_one_changed(&delivery.key, at, to);
        prop_assume!(key != delivery.key);
        Delivery { key, ..delivery }.breaks()?;
    }

    #[test]
    fn another_api_secret_breaks_it(
        delivery in genuine(),
        at in any::<Index>(),
        to in char::range('!', '~'),
    ) {
        let api_secret = with_one_changed(&delivery.api_secret, at, to);
        prop_assume!(api_secret != delivery.api_secret);
        Delivery { api_secret, ..delivery }.breaks()?;
    }

    #[test]
    fn a_previous_key_verifies_what_it_signed(delivery in genuine(), key in credential(), secret in credential()) {
        let rotated = Webhook::new(&*key, &*secret).unwrap();
        let known = rotated.clone().with_previous(&*delivery.key, &*delivery.api_secret).unwrap();
        prop_assert!(known.verify(delivery.json()).is_ok());
        if (&key, &secret) != (&delivery.key, &delivery.api_secret) {
            let error = rotated.verify(delivery.json()).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::SignatureVerification);
        }
    }

    /// The signature does not cover them, which is why an event must be held against its order.
    #[test]
    fn the_status_the_currency_and_the_ref_are_not_signed(
        delivery in genuine(),
        status in field_text(),
        currency in field_text(),
        reference in field_text(),
    ) {
        Delivery { status, currency, reference, ..delivery }.holds()?;
    }
}

// ---------------------------------------------------------------- against the order

/// Text that holds no letter whose case could be changed.
fn other_than(text: &str) -> String {
    format!("{text}~")
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_order_that_fits_is_accepted(
        delivery in genuine(),
        zeros in "0{1,5}",
        with_order_id: bool,
        upper: bool,
    ) {
        let event = delivery.webhook().verify(delivery.json()).unwrap();
        let mut amount = delivery.amount.clone();
        if amount.contains('.') && amount.len() <= 36 {
            amount.push_str(&zeros);
        }
        let currency = if upper {
            delivery.currency.to_ascii_uppercase()
        } else {
            delivery.currency.to_ascii_lowercase()
        };
        let order = Order {
            amount: amount.parse().unwrap(),
            currency: &currency,
            reference: &delivery.reference,
            order_id: with_order_id.then_some(&*delivery.order_id),
        };
        let accepted = event.match_order(&order).unwrap();
        prop_assert!(std::ptr::eq(accepted, &event));
    }

    #[test]
    fn an_order_that_differs_in_one_field_is_refused(delivery in genuine(), other in amount_text()) {
        prop_assume!(other.parse::<Amount>().unwrap() != delivery.amount.parse().unwrap());
        let event = delivery.webhook().verify(delivery.form()).unwrap();
        let (order_id, reference, currency) = (
            other_than(&delivery.order_id),
            other_than(&delivery.reference),
            other_than(&delivery.currency),
        );
        let fits = Order {
            amount: delivery.amount.parse().unwrap(),
            currency: &delivery.currency,
            reference: &delivery.reference,
            order_id: Some(&delivery.order_id),
        };
        let other: Amount = other.parse().unwrap();
        for (field, expected, actual, order) in [
            ("order_id", &order_id, &delivery.order_id, Order { order_id: Some(&order_id), ..fits.clone() }),
            ("ref", &reference, &delivery.reference, Order { reference: &reference, ..fits.clone() }),
            ("currency", &currency, &delivery.currency, Order { currency: &currency, ..fits.clone() }),
            (
                "amount",
                &other.to_string(),
                &delivery.amount,
                Order { amount: other.clone(), ..fits.clone() },
            ),
        ] {
            // A link that was not paid has no amount that must fit.
            if field == "amount" && *event.status() == Status::TimedOut {
                prop_assert!(event.match_order(&order).is_ok());
                continue;
            }
            let error = event.match_order(&order).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::OrderMismatch);
            prop_assert_eq!(error.field(), Some(field));
            prop_assert_eq!(error.expected(), Some(&**expected));
            prop_assert_eq!(error.actual(), Some(&**actual));
        }
        prop_assert!(event.match_order(&fits).is_ok());
    }

    #[test]
    fn a_delivery_without_currency_or_ref_fits_no_order(delivery in genuine()) {
        for missing in ["currency", "ref"] {
            let fields = delivery.fields();
            let fields: Vec<_> = fields.into_iter().filter(|(key, _)| *key != missing).collect();
            let event = delivery.webhook().verify(form(&fields)).unwrap();
            let order = Order {
                amount: delivery.amount.parse().unwrap(),
                currency: &delivery.currency,
                reference: &delivery.reference,
                order_id: None,
            };
            let error = event.match_order(&order).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::OrderMismatch);
            prop_assert_eq!(error.field(), Some(missing));
            prop_assert_eq!(error.actual(), None);
        }
    }
}
