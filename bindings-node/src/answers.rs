//! What the calls come to.

use kazawallet::CallWatch;
use napi::bindgen_prelude::*;
use napi_derive::napi;

/// A provider's answer, and what was read from it: which of the fields there are depends on the call.
#[derive(Default)]
#[napi(object, object_from_js = false)]
pub struct Answer {
    /// The HTTP status.
    pub http_status: u16,
    /// The request's id.
    pub request_id: Option<String>,
    /// The body, as text where it is UTF-8.
    #[napi(ts_type = "string | Uint8Array")]
    pub body: Body,
    /// A link's URL.
    pub url: Option<String>,
    /// A link's id.
    pub id: Option<String>,
    /// A withdrawal's or a deposit's status.
    pub status: Option<String>,
    /// A withdrawal's or a deposit's message.
    pub message: Option<String>,
    /// A deposit's id.
    pub transaction_id: Option<String>,
    /// A deposit's note.
    pub note: Option<String>,
    /// The balances.
    pub wallets: Option<Vec<Wallet>>,
}

type Body = Option<Either<String, Uint8Array>>;

/// The balance in one currency.
#[napi(object, object_from_js = false)]
pub struct Wallet {
    /// The currency's code.
    pub currency: String,
    /// What is in it, as exact text.
    pub amount: String,
}

impl From<kazawallet::Response> for Answer {
    fn from(response: kazawallet::Response) -> Self {
        let body = match std::str::from_utf8(response.body()) {
            Ok(text) => Either::A(text.to_owned()),
            Err(_) => Either::B(response.body().to_vec().into()),
        };
        Self {
            http_status: response.status(),
            request_id: response.request_id().map(str::to_owned),
            body: Some(body),
            ..Self::default()
        }
    }
}

impl From<kazawallet::PaymentLink> for Answer {
    fn from(link: kazawallet::PaymentLink) -> Self {
        Self { url: Some(link.url), id: link.id, ..link.raw.into() }
    }
}

impl From<kazawallet::Withdrawal> for Answer {
    fn from(withdrawal: kazawallet::Withdrawal) -> Self {
        let kazawallet::Withdrawal { status, message, raw, .. } = withdrawal;
        Self { status, message, ..raw.into() }
    }
}

impl From<kazawallet::Deposit> for Answer {
    fn from(deposit: kazawallet::Deposit) -> Self {
        let kazawallet::Deposit { status, transaction_id, message, note, raw, .. } = deposit;
        Self { status, transaction_id, message, note, ..raw.into() }
    }
}

impl From<kazawallet::WalletList> for Answer {
    fn from(list: kazawallet::WalletList) -> Self {
        let wallet = |wallet: kazawallet::Wallet| Wallet {
            currency: wallet.currency,
            amount: wallet.amount.as_str().to_owned(),
        };
        Self { wallets: Some(list.wallets.into_iter().map(wallet).collect()), ..list.raw.into() }
    }
}

/// What there is to say of a call to logs and metrics.
#[napi(object, object_from_js = false)]
pub struct CallRecord {
    /// The endpoint's path.
    pub endpoint: String,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// Milliseconds.
    pub duration: f64,
    /// How many tries were begun.
    pub attempts: u32,
    /// `ok`, `not_sent`, `rejected`, `unknown` or `cancelled`.
    pub outcome: String,
}

impl CallRecord {
    /// `None` for a call that was refused before it began.
    pub(crate) fn of(watch: &CallWatch, outcome: &str) -> Option<Self> {
        (watch.attempts() > 0).then(|| Self {
            endpoint: watch.endpoint().to_owned(),
            status: watch.status(),
            duration: watch.duration().as_secs_f64() * 1000.0,
            attempts: watch.attempts(),
            outcome: outcome.to_owned(),
        })
    }
}
