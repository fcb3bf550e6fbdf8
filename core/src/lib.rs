//! lead: docs to come
mod amount;
#[cfg(feature = "client")]
mod client;
mod credentials;
#[cfg(feature = "client")]
mod deposits;
mod error;
#[cfg(feature = "client")]
mod mask;
#[cfg(feature = "client")]
mod payment_links;
#[cfg(feature = "client")]
mod payment_methods;
#[cfg(feature = "client")]
mod raw_request;
#[cfg(feature = "client")]
mod request_fields;
#[cfg(feature = "client")]
mod response;
#[cfg(feature = "client")]
mod transport;
#[cfg(feature = "client")]
mod wallets;
mod webhook;
#[cfg(feature = "client")]
mod withdrawals;

pub use amount::Amount;
pub use credentials::{ApiKey, ApiSecret};
pub use error::{Error, ErrorKind, Outcome};
pub use webhook::{Order, PaymentEvent, Status, Webhook};

#[cfg(feature = "client")]
pub use client::{Client, ClientBuilder};
#[cfg(feature = "client")]
pub use deposits::{CreateDeposit, Deposit, Deposits};
#[cfg(feature = "client")]
pub use payment_links::{CreatePaymentLink, PaymentLink, PaymentLinks};
#[cfg(feature = "client")]
pub use payment_methods::PaymentMethod;
#[cfg(feature = "client")]
pub use raw_request::RawRequest;
/// The method of a raw request.
#[cfg(feature = "client")]
pub use reqwest::Method;
#[cfg(feature = "client")]
pub use response::Response;
#[cfg(feature = "client")]
pub use transport::Call;
#[cfg(feature = "client")]
pub use wallets::{Wallet, WalletList, Wallets};
#[cfg(feature = "client")]
pub use withdrawals::{CreateWithdrawal, Withdrawal, Withdrawals};
