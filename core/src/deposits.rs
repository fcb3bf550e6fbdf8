//! Deposits into a user's wallet: `POST /createDepositRequest`.

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

/// Deposits into users' wallets; see [`Client::deposits`](crate::Client::deposits).
#[derive(Debug, Clone, Copy)]
pub struct Deposits<'a> {
    session: &'a Arc<Session>,
}

impl<'a> Deposits<'a> {
    pub(crate) fn new(session: &'a Arc<Session>) -> Self {
        Self { session }
    }

    /// Asks for a deposit into a user's wallet. Needs the client's API secret and merchant email.
    ///
    /// It moves money as a withdrawal does, and follows the same rule: see
    /// [`Withdrawals::create`](crate::Withdrawals::create).
    ///
    /// # Errors
    /// As [`Withdrawals::create`](crate::Withdrawals::create); besides, `user_email` is refused
    /// where it is no email.
    pub fn create(&self, deposit: CreateDeposit) -> Call<Deposit> {
        Call::new(self.session, deposit.into_request(self.session), |response, _| {
            Deposit::read(response)
        })
    }
}

/// What a deposit is made of.
///
/// ```
/// use kazawallet::{CreateDeposit, PaymentMethod};
///
/// let method = PaymentMethod::custom("118", [("address", "T…")]);
/// let deposit = CreateDeposit::new("25".parse()?, "USD", "user@example.com", method);
/// # Ok::<(), kazawallet::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CreateDeposit {
    amount: Amount,
    currency: String,
    user_email: String,
    payment_method: PaymentMethod,
    note: Option<String>,
}

impl CreateDeposit {
    /// A deposit of an amount in a currency, given by its code, into the wallet of the user with
    /// that email.
    pub fn new(
        amount: Amount,
        currency: impl Into<String>,
        user_email: impl Into<String>,
        payment_method: PaymentMethod,
    ) -> Self {
        Self {
            amount,
            currency: currency.into(),
            user_email: user_email.into(),
            payment_method,
            note: None,
        }
    }

    /// A note for the deposit.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    fn into_request(self, session: &Session) -> Result<Request, Error> {
        let merchant_email = session.required_email()?;
        request_fields::check_money(&self.amount, &self.currency)?;
        if !self.user_email.contains('@') {
            return Err(Error::validation("user_email", "it is not an email address"));
        }
        let method = self.payment_method.checked(&self.amount, &self.currency)?;
        let body = Body {
            merchant_email,
            email: &self.user_email,
            currency: &self.currency,
            amount: self.amount.as_str(),
            note: self.note.as_deref(),
            payment_method: MethodId::of(&method),
            fields: method.fields(),
        };
        Ok(Request {
            method: Method::POST,
            path: "/createDepositRequest".into(),
            endpoint: "/createDepositRequest".into(),
            policy: Policy::Payout,
            credentials: Credentials::KeyAndSecret,
            json: Some(json(&body)?),
        })
    }
}

impl fmt::Debug for CreateDeposit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateDeposit")
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .field("payment_method", &self.payment_method)
            .finish_non_exhaustive()
    }
}

/// The request as the provider's reference shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    merchant_email: &'a str,
    email: &'a str,
    currency: &'a str,
    amount: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    payment_method: MethodId<'a>,
    fields: Fields<'a>,
}

/// A deposit names its method with a number (reference), where a withdrawal uses text.
#[derive(Serialize)]
#[serde(untagged)]
enum MethodId<'a> {
    Number(u32),
    Text(&'a str),
}

impl<'a> MethodId<'a> {
    fn of(method: &'a PaymentMethod) -> Self {
        match method.id().parse::<u32>() {
            Ok(number) if number.to_string() == method.id() => Self::Number(number),
            _ => Self::Text(method.id()),
        }
    }
}

/// A deposit that the provider answered without an error. Look at the status.
#[derive(Clone)]
#[non_exhaustive]
pub struct Deposit {
    /// `pending` (reference). Other values are possible; `None` where the answer has none.
    pub status: Option<String>,
    /// The deposit's id, such as `de-…`.
    pub transaction_id: Option<String>,
    /// The provider's message.
    pub message: Option<String>,
    /// The note, as the provider keeps it.
    pub note: Option<String>,
    /// The whole answer.
    pub raw: Response,
}

impl Deposit {
    fn read(response: &Response) -> Result<Self, &'static str> {
        let answer = response.object().ok_or("it is not a JSON object")?;
        let payment = answer.object("createdPayment");
        answer.check_success()?;
        let text = |field| payment.as_ref().and_then(|payment| payment.text(field));
        Ok(Self {
            status: text("status"),
            transaction_id: payment.as_ref().and_then(|p| p.text_or_number("transaction_id")),
            message: text("message").or_else(|| answer.text("message")),
            note: text("note"),
            raw: response.clone(),
        })
    }
}

impl fmt::Debug for Deposit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deposit")
            .field("status", &self.status)
            .field("transaction_id", &self.transaction_id)
            .finish_non_exhaustive()
    }
}
