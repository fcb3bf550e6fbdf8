//! Deliveries as the provider makes them, and as somebody else may have changed them since.

use kazawallet::{Amount, Error, Webhook};
use serde_json::{Map, Value};

/// One delivery. The signature is made over the order id and the amount, as the provider does it;
/// everything else may be what it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The link's id.
    pub order_id: String,
    /// The amount's text.
    pub amount: String,
    /// The status.
    pub status: String,
    /// The currency; `None` for a delivery that says none.
    pub currency: Option<String>,
    /// The ref; `None` for a delivery that says none.
    pub reference: Option<String>,
    /// Whether the order id is called `id`.
    pub called_id: bool,
    /// Whether the amount is a JSON number.
    pub number: bool,
    /// More fields.
    pub more: Vec<(String, String)>,
}

impl Delivery {
    /// That a link was paid, in USD.
    pub fn paid(order_id: &str, amount: &str, reference: &str) -> Self {
        Self {
            order_id: order_id.to_owned(),
            amount: amount.to_owned(),
            status: "fulfilled".to_owned(),
            currency: Some("USD".to_owned()),
            reference: Some(reference.to_owned()),
            called_id: false,
            number: false,
            more: Vec::new(),
        }
    }

    /// That a link was not paid in time.
    pub fn timed_out(order_id: &str, amount: &str, reference: &str) -> Self {
        Self { status: "timed_out".to_owned(), ..Self::paid(order_id, amount, reference) }
    }

    /// Another status.
    #[must_use]
    pub fn status(mut self, status: &str) -> Self {
        self.status = status.to_owned();
        self
    }

    /// Another currency, or none.
    #[must_use]
    pub fn currency(mut self, currency: Option<&str>) -> Self {
        self.currency = currency.map(str::to_owned);
        self
    }

    /// Another ref, or none.
    #[must_use]
    pub fn reference(mut self, reference: Option<&str>) -> Self {
        self.reference = reference.map(str::to_owned);
        self
    }

    /// Another amount, signed anew.
    #[must_use]
    pub fn amount(mut self, amount: &str) -> Self {
        amount.clone_into(&mut self.amount);
        self
    }

    /// The order id under the name `id`.
    #[must_use]
    pub fn called_id(mut self) -> Self {
        self.called_id = true;
        self
    }

    /// The amount as a JSON number.
    #[must_use]
    pub fn number(mut self) -> Self {
        self.number = true;
        self
    }

    /// One field more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body, signed with the webhook's current key and secret.
    ///
    /// # Errors
    /// Where the amount is none that can be signed.
    pub fn body(&self, webhook: &Webhook) -> Result<Vec<u8>, Error> {
        let amount = Amount::from_delivery(&self.amount)?;
        Ok(self.body_with_secret(&webhook.sign(&amount, &self.order_id)))
    }

    /// The body, with a signature of anybody's.
    pub fn body_with_secret(&self, secret: &str) -> Vec<u8> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: &str| {
            fields.insert(name.to_owned(), Value::String(value.to_owned()));
        };
        put(if self.called_id { "id" } else { "order_id" }, &self.order_id);
        put("status", &self.status);
        put("secret", secret);
        if let Some(currency) = &self.currency {
            put("currency", currency);
        }
        if let Some(reference) = &self.reference {
            put("ref", reference);
        }
        for (name, value) in &self.more {
            put(name, value);
        }
        let rest = Value::Object(fields).to_string();
        let rest = rest.strip_prefix('{').unwrap_or_default();
        // As text: a JSON number keeps its digits only so.
        let quote = if self.number { "" } else { "\"" };
        format!("{{\"amount\":{quote}{}{quote},{rest}", self.amount).into_bytes()
    }
}
