//! Payment links: `POST /createPaymentLink`.

use std::fmt;
use std::sync::Arc;

use reqwest::{Method, Url};
use serde::Serialize;

use crate::amount::{Amount, MOST_SIGNED_DECIMALS};
use crate::error::Error;
use crate::request_fields::{self, json};
use crate::response::{Object, Response};
use crate::session::Session;
use crate::transport::{Call, Credentials, Policy, Request};
use crate::urls::is_loopback;

/// Where a link's address has been seen, the documentation being silent; each of them also inside
/// `data`.
const URL_FIELDS: [&str; 5] = ["url", "paymentLink", "link", "payment_url", "payment_link"];
/// Where a link's id has been seen: `id` in the provider's own code, `order_id` in an integration's.
const ID_FIELDS: [&str; 2] = ["order_id", "id"];

/// Makes payment links; see [`Client::payment_links`](crate::Client::payment_links).
#[derive(Debug, Clone, Copy)]
pub struct PaymentLinks<'a> {
    session: &'a Arc<Session>,
}

impl<'a> PaymentLinks<'a> {
    pub(crate) fn new(session: &'a Arc<Session>) -> Self {
        Self { session }
    }

    /// Makes a link through which a customer pays. Needs the client's merchant email.
    ///
    /// A try that failed is repeated also where the first may have made a link that nobody saw:
    /// it harms nobody.
    ///
    /// # Errors
    /// - [`Validation`](crate::ErrorKind::Validation), before anything is sent: no merchant
    ///   email, an amount that is not positive, begins with a zero that is not its only whole digit
    ///   (`010`) or has more than eight decimals, a blank currency, a ref that is blank, longer than
    ///   1,024 bytes or with a NUL, a redirect URL that is not absolute, a time limit of zero.
    /// - [`Connection`](crate::ErrorKind::Connection), [`Timeout`](crate::ErrorKind::Timeout): no
    ///   answer came.
    /// - [`UnexpectedResponse`](crate::ErrorKind::UnexpectedResponse): the answer is not JSON, holds
    ///   no link that is `https` (or `http` to this machine), is larger than 1 MiB, contradicts
    ///   itself or redirects.
    /// - The classes of a refusal: [`Authentication`](crate::ErrorKind::Authentication),
    ///   [`PermissionDenied`](crate::ErrorKind::PermissionDenied),
    ///   [`NotFound`](crate::ErrorKind::NotFound) (the email has no account),
    ///   [`AccountBlocked`](crate::ErrorKind::AccountBlocked),
    ///   [`RateLimit`](crate::ErrorKind::RateLimit), [`Server`](crate::ErrorKind::Server),
    ///   [`Api`](crate::ErrorKind::Api).
    pub fn create(&self, link: CreatePaymentLink) -> Call<PaymentLink> {
        Call::new(self.session, link.into_request(self.session), PaymentLink::read)
    }
}

/// What a payment link is made of.
///
/// ```
/// use kazawallet::CreatePaymentLink;
///
/// let link = CreatePaymentLink::new("10.50".parse()?, "USD")
///     .reference("order-42")
///     .redirect_url("https://shop.example/thanks");
/// # Ok::<(), kazawallet::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CreatePaymentLink {
    amount: Amount,
    currency: String,
    reference: Option<String>,
    redirect_url: Option<String>,
}

impl CreatePaymentLink {
    /// A link over an amount in a currency, given by its code (such as `USD` or `SYP`).
    pub fn new(amount: Amount, currency: impl Into<String>) -> Self {
        Self { amount, currency: currency.into(), reference: None, redirect_url: None }
    }

    /// Your own reference, which the webhook brings back as `ref`: the id of the order that the
    /// link pays. At most 1,024 bytes. Without one no event can be held against its order.
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// Where the customer's browser goes afterwards. That it arrives there proves nothing: only
    /// the webhook tells of a payment.
    pub fn redirect_url(mut self, url: impl Into<String>) -> Self {
        self.redirect_url = Some(url.into());
        self
    }

    /// What the link is made of, for the ledger.
    #[doc(hidden)]
    pub fn terms(&self) -> (&Amount, &str, Option<&str>) {
        (&self.amount, &self.currency, self.reference.as_deref())
    }

    fn into_request(self, session: &Session) -> Result<Request, Error> {
        let email = session.required_email()?;
        request_fields::check_money(&self.amount, &self.currency)?;
        check_signable(&self.amount)?;
        if let Some(reference) = &self.reference {
            request_fields::check_reference(reference)?;
        }
        if let Some(url) = &self.redirect_url {
            Url::parse(url).map_err(|error| {
                Error::validation("redirect_url", "it is not an absolute URL").with_source(error)
            })?;
        }
        let body = Body {
            amount: self.amount.as_str(),
            currency: &self.currency,
            email,
            reference: self.reference.as_deref(),
            redirect_url: self.redirect_url.as_deref(),
        };
        Ok(Request {
            method: Method::POST,
            path: "/createPaymentLink".into(),
            endpoint: "/createPaymentLink".into(),
            policy: Policy::Link,
            credentials: Credentials::Key,
            json: Some(json(&body)?),
        })
    }
}

impl fmt::Debug for CreatePaymentLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatePaymentLink")
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .finish_non_exhaustive()
    }
}

/// The request as the documentation shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    amount: &'a str,
    currency: &'a str,
    email: &'a str,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<&'a str>,
}

/// A payment link that was made.
#[derive(Clone)]
#[non_exhaustive]
pub struct PaymentLink {
    /// Where to send the customer. Always `https`, or `http` to this machine or to the simulator that
    /// the client calls.
    pub url: String,
    /// The link's id: the answer's `order_id`, else its `id`. `None` if it has neither. The provider's
    /// own code reads `id`; that the webhook brings the same id is likely, and not documented.
    pub id: Option<String>,
    /// The whole answer.
    pub raw: Response,
}

impl PaymentLink {
    fn read(response: &Response, called: &Url) -> Result<Self, &'static str> {
        let answer = response.object().ok_or("it is not a JSON object")?;
        let data = answer.object("data");
        let places = || std::iter::once(&answer).chain(data.as_ref());
        let (url, beside) = places()
            .flat_map(|place| {
                URL_FIELDS.iter().filter_map(move |field| Some((place.text(field)?, place)))
            })
            .find(|(url, _)| may_be_opened(url, called))
            .ok_or("it holds no link that is https")?;
        let id = ID_FIELDS.iter().find_map(|field| {
            let mut places = std::iter::once(beside).chain(places());
            places.find_map(|place: &Object<'_>| place.text_or_number(field))
        });
        Ok(Self { url, id, raw: response.clone() })
    }
}

/// The webhook's signature covers the text that was sent here (the provider's own code), and the
/// delivery may carry the same number in another form, such as a JSON number. These texts could not be
/// found again from it.
fn check_signable(amount: &Amount) -> Result<(), Error> {
    let (whole, fraction) = amount.as_str().split_once('.').unwrap_or((amount.as_str(), ""));
    if whole.len() > 1 && whole.starts_with('0') {
        let reason = "it begins with a zero that its webhook may lack: write it without";
        return Err(Error::validation("amount", reason));
    }
    if fraction.len() > MOST_SIGNED_DECIMALS {
        let decimals = fraction.len();
        return Err(Error::validation(
            "amount",
            format!(
                "it has {decimals} decimals; a payment link takes at most {MOST_SIGNED_DECIMALS}"
            ),
        ));
    }
    Ok(())
}

impl fmt::Debug for PaymentLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What follows the path may be a person's data.
        let shown = self.url.split(['?', '#']).next();
        f.debug_struct("PaymentLink")
            .field("url", &shown.unwrap_or_default())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Whether a customer's browser may be sent there. `called` is what the link was asked of: where that is
/// `http`, it is a simulator.
fn may_be_opened(url: &str, called: &Url) -> bool {
    // A parser passes over these; what shows the link elsewhere may not.
    let clean = !url.chars().any(|c| c.is_control() || c.is_whitespace());
    clean
        && Url::parse(url).is_ok_and(|url| match url.scheme() {
            "https" => true,
            "http" => is_loopback(&url) || url.origin() == called.origin(),
            _ => false,
        })
}
