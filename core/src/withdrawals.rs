//! Withdrawals, the payouts: `POST /createWithdrawalRequest`.

use std::fmt;
use std::sync::Arc;

use reqwest::Method;
use serde::Serialize;

use crate::amount::Amount;
use crate::error::Error;
use crate::payment_methods::{Fields, PaymentMethod};
use crate::request_fields::{self, json};
use crate::response::Response;
use crate::session::Session;
use crate::transport::{Call, Credentials, Policy, Request};

/// Pays out of the merchant's wallet; see [`Client::withdrawals`](crate::Client::withdrawals).
#[derive(Debug, Clone, Copy)]
pub struct Withdrawals<'a> {
    session: &'a Arc<Session>,
}

impl<'a> Withdrawals<'a> {
    pub(crate) fn new(session: &'a Arc<Session>) -> Self {
        Self { session }
    }

    /// Pays out. Needs the client's API secret and merchant email.
    ///
    /// **The provider knows no idempotency key: what is sent twice may be paid twice.** So a try
    /// is repeated only where nothing left this machine, or the provider answered 429. It opens a
    /// connection of its own, and once begun it runs to its end, even when this future is dropped,
    /// as long as the runtime lives; then nobody is told how it ended.
    ///
    /// ```no_run
    /// # async fn example(client: kazawallet::Client) -> Result<(), kazawallet::Error> {
    /// use kazawallet::{CreateWithdrawal, Outcome, PaymentMethod};
    ///
    /// let payout = CreateWithdrawal::new("10".parse()?, "USD", PaymentMethod::sy_cash("0933123456"));
    /// match client.withdrawals().create(payout).await {
    ///     Ok(withdrawal) => println!("{:?}", withdrawal.status),
    ///     Err(error) if error.outcome() == Some(Outcome::Unknown) => {
    ///         println!("look in the wallet before paying again: {error}");
    ///     }
    ///     Err(error) => println!("not paid: {error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): it was sent and no conclusive
    ///   answer came. Money may have moved: look in the wallet before you do it again.
    /// - [`Validation`](crate::ErrorKind::Validation), before anything is sent: no secret, no
    ///   merchant email, an amount that is not positive, a blank currency, what [`PaymentMethod`] refuses, a time limit of zero.
    /// - [`Connection`](crate::ErrorKind::Connection), [`Timeout`](crate::ErrorKind::Timeout):
    ///   nothing was sent.
    /// - The classes of a refusal: [`Authentication`](crate::ErrorKind::Authentication),
    ///   [`PermissionDenied`](crate::ErrorKind::PermissionDenied),
    ///   [`NotFound`](crate::ErrorKind::NotFound) (the email has no account),
    ///   [`AccountBlocked`](crate::ErrorKind::AccountBlocked),
    ///   [`RateLimit`](crate::ErrorKind::RateLimit), [`Api`](crate::ErrorKind::Api).
    pub fn create(&self, withdrawal: CreateWithdrawal) -> Call<Withdrawal> {
        Call::new(self.session, withdrawal.into_request(self.session), |response, _| {
            Withdrawal::read(response)
        })
    }
}

/// What a withdrawal is made of.
///
/// ```
/// use kazawallet::{CreateWithdrawal, PaymentMethod};
///
/// let withdrawal = CreateWithdrawal::new(
///     "500000".parse()?,
///     "SYP",
///     PaymentMethod::haram_under_3m("سعيد محمد حمدان", "0933123456", "دمشق"),
/// )
/// .note("salary, May");
/// # Ok::<(), kazawallet::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CreateWithdrawal {
    amount: Amount,
    currency: String,
    payment_method: PaymentMethod,
    note: Option<String>,
}

impl CreateWithdrawal {
    /// A withdrawal of an amount in a currency, given by its code (such as `SYP`).
    pub fn new(amount: Amount, currency: impl Into<String>, payment_method: PaymentMethod) -> Self {
        Self { amount, currency: currency.into(), payment_method, note: None }
    }

    /// A note for the withdrawal.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// What the withdrawal is made of, for the ledger.
    #[doc(hidden)]
    pub fn terms(&self) -> (&Amount, &str, &str) {
        (&self.amount, &self.currency, self.payment_method.id())
    }

    fn into_request(self, session: &Session) -> Result<Request, Error> {
        let email = session.required_email()?;
        request_fields::check_money(&self.amount, &self.currency)?;
        let method = self.payment_method.checked(&self.amount, &self.currency)?;
        let body = Body {
            email,
            currency: &self.currency,
            amount: self.amount.as_str(),
            note: self.note.as_deref(),
            payment_method: method.id(),
            fields: method.fields().if_any(),
        };
        Ok(Request {
            method: Method::POST,
            path: "/createWithdrawalRequest".into(),
            endpoint: "/createWithdrawalRequest".into(),
            policy: Policy::Payout,
            credentials: Credentials::KeyAndSecret,
            json: Some(json(&body)?),
        })
    }
}

impl fmt::Debug for CreateWithdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateWithdrawal")
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .field("payment_method", &self.payment_method)
            .finish_non_exhaustive()
    }
}

/// The request as the documentation shows it. Its `note` and its `fields` are not required (the
/// provider's reference).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    email: &'a str,
    currency: &'a str,
    amount: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    payment_method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Fields<'a>>,
}

/// A withdrawal that the provider answered without an error. Look at the status.
#[derive(Clone)]
#[non_exhaustive]
pub struct Withdrawal {
    /// `approved` (documented). Other values are possible; `None` where the answer has none.
    pub status: Option<String>,
    /// The provider's message.
    pub message: Option<String>,
    /// The whole answer.
    pub raw: Response,
}

impl Withdrawal {
    fn read(response: &Response) -> Result<Self, &'static str> {
        let answer = response.object().ok_or("it is not a JSON object")?;
        answer.check_success()?;
        Ok(Self {
            status: answer.text("status"),
            message: answer.text("message"),
            raw: response.clone(),
        })
    }
}

impl fmt::Debug for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The message may repeat a recipient's data.
        f.debug_struct("Withdrawal").field("status", &self.status).finish_non_exhaustive()
    }
}
