//! A made-up merchant, its customer, and the calls that the tests make for them.

use std::error::Error as StdError;
use std::fmt::Write as _;

use kazawallet::{
    Client, ClientBuilder, CreateDeposit, CreatePaymentLink, CreateWithdrawal, Error, Method,
    PaymentMethod,
};
use serde_json::json;

/// No simulator's key: with it a client is as careful as in earnest.
pub const KEY: &str = "A11CE0FF1CE5";
pub const SECRET: &str = "5EC2E75EC2E7";
pub const MERCHANT_EMAIL: &str = "merchant.person@shop.example";
pub const USER_EMAIL: &str = "customer.person@mail.example";
pub const NAME: &str = "سعيد محمد حمدان";
pub const PHONE: &str = "0933123456";
pub const GOVERNORATE: &str = "طرطوس";
pub const NOTE: &str = "wages for Samira";
pub const REFERENCE: &str = "order-of-samira-42";

/// What must never be shown.
pub const PRIVATE: [&str; 9] =
    [KEY, SECRET, MERCHANT_EMAIL, USER_EMAIL, NAME, PHONE, GOVERNORATE, NOTE, REFERENCE];

/// The private values that a text holds.
pub fn private_values_in(text: &str) -> Vec<&'static str> {
    let lower = text.to_lowercase();
    PRIVATE.into_iter().filter(|value| lower.contains(&value.to_lowercase())).collect()
}

/// A client that knows every credential.
pub fn builder(base_url: &str) -> ClientBuilder {
    Client::builder(KEY).api_secret(SECRET).merchant_email(MERCHANT_EMAIL).base_url(base_url)
}

pub fn link() -> CreatePaymentLink {
    CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference(REFERENCE)
}

pub fn recipient() -> PaymentMethod {
    PaymentMethod::haram_under_3m(NAME, PHONE, GOVERNORATE)
}

pub fn withdrawal() -> CreateWithdrawal {
    CreateWithdrawal::new("5000".parse().unwrap(), "SYP", recipient()).note(NOTE)
}

pub fn deposit() -> CreateDeposit {
    CreateDeposit::new("5000".parse().unwrap(), "SYP", USER_EMAIL, recipient()).note(NOTE)
}

/// Every endpoint, and the raw request in both of its kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Links,
    Withdrawals,
    Wallets,
    Deposits,
    RawGet,
    RawPost,
}

impl Endpoint {
    pub const ALL: [Self; 6] = [
        Self::Links,
        Self::Withdrawals,
        Self::Wallets,
        Self::Deposits,
        Self::RawGet,
        Self::RawPost,
    ];

    /// Whether it moves money, as far as the client can know.
    pub fn is_payout(self) -> bool {
        matches!(self, Self::Withdrawals | Self::Deposits | Self::RawPost)
    }

    /// Makes one call; what a success is made of does not matter here, only its `Debug`.
    pub async fn call(self, client: &Client) -> Result<String, Error> {
        fn shown(value: impl std::fmt::Debug) -> String {
            format!("{value:?} {value:#?}")
        }
        match self {
            Self::Links => client.payment_links().create(link()).await.map(shown),
            Self::Withdrawals => client.withdrawals().create(withdrawal()).await.map(shown),
            Self::Wallets => client.wallets().list().await.map(shown),
            Self::Deposits => client.deposits().create(deposit()).await.map(shown),
            Self::RawGet => {
                let path = format!("/wallet-cards/list?email={USER_EMAIL}");
                client.request(Method::GET, path).send().await.map(shown)
            }
            Self::RawPost => {
                let body = json!({ "currency": "USD", "holder": NAME });
                client
                    .request(Method::POST, format!("/wallet-cards/{PHONE}/create"))
                    .json(&body)
                    .send()
                    .await
                    .map(shown)
            }
        }
    }
}

/// Everything of an error that ends up in a log: its text, its `Debug`, and its causes'.
pub fn everything_shown(error: &Error) -> String {
    let mut shown = format!("{error}\n{error:?}\n{error:#?}\n{}", error.message());
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(shown, "\n{error}\n{error:?}\n{error:#?}").unwrap();
        // An I/O error's source leaves out the error that it wraps.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    shown
}
