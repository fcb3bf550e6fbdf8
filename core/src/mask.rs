//! Takes what we sent out of what the provider says, before it is shown.

use serde_json::Value;

/// The most characters of the provider's text that are shown.
const SHOWN: usize = 300;
/// A value shorter than this is masked only where it stands alone, so that `Al` does not turn
/// `Already` into `***ready`.
const STANDS_ALONE_BELOW: usize = 4;
const MASKED: &str = "***";
/// What the provider may repeat: it is no one's data, and its errors are about it.
const SHOWN_FIELDS: [&str; 3] = ["amount", "currency", "paymentMethod"];

/// The values of one request that must not be shown.
pub(crate) struct Mask<'a> {
    /// The request's JSON body.
    pub(crate) body: &'a [u8],
    /// Credentials, the merchant's email, and what a raw request's path and query hold.
    pub(crate) others: Vec<String>,
}

impl Mask<'_> {
    /// The provider's text on one line, masked and cut to a length that can be shown.
    pub(crate) fn shorten(&self, text: &str) -> String {
        let mut shown = self.apply(text);
        shown = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
            shown.truncate(end);
            shown.push('…');
        }
        shown
    }

    fn apply(&self, text: &str) -> String {
        let mut values = self.others.clone();
        match serde_json::from_slice(self.body) {
            Ok(body) => collect(&body, &mut values),
            // A body too deep to look into.
            Err(_) if !self.body.is_empty() => return MASKED.to_owned(),
            Err(_) => {}
        }
        values.retain(|value| !value.trim().is_empty());
        // A value that holds another goes first.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.iter().fold(text.to_owned(), |text, value| replace(&text, value.trim()))
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !SHOWN_FIELDS.contains(&key.as_str()))
            .for_each(|(_, value)| collect(value, into)),
        // A phone or a national id may be sent as a number.
        Value::Number(number) => into.push(number.to_string()),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Masks every occurrence of `value`, without regard to ASCII case: a service may write an email
/// in lower case.
fn replace(text: &str, value: &str) -> String {
    let (folded, wanted) = (text.to_ascii_lowercase(), value.to_ascii_lowercase());
    let alone = value.chars().count() < STANDS_ALONE_BELOW;
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for (start, found) in folded.match_indices(&wanted) {
        let end = start + found.len();
        let before = text.get(..start).and_then(|text| text.chars().next_back());
        let after = text.get(end..).and_then(|text| text.chars().next());
        let inside = [before, after].into_iter().flatten().any(char::is_alphanumeric);
        if !(alone && inside) {
            masked.push_str(text.get(done..start).unwrap_or_default());
            masked.push_str(MASKED);
            done = end;
        }
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_masked_whatever_its_case() {
        let mask = Mask {
            body: r#"{"amount":"10","email":"Shop@Example.com","fields":{"name":"Al","x":"سعيد محمد"}}"#
                .as_bytes(),
            others: vec!["sim_key".to_owned()],
        };
        assert_eq!(
            mask.shorten("shop@example.com: Already paid 10 to Al, سعيد محمد\nwith SIM_KEY"),
            "***: Already paid 10 to ***, *** with ***"
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let mask = Mask { body: b"", others: Vec::new() };
        assert_eq!(mask.shorten(&"س".repeat(1000)).chars().count(), SHOWN + 1);
    }
}
