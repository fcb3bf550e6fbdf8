//! An SDK for the Kazawallet payment API. It is not the provider's own
//! product.
//!
//! A merchant makes a payment link, the customer pays, and **one** webhook tells of it, never
//! repeated. Payouts know no idempotency key: what is sent twice may be paid twice. This crate
//! makes the safe way the easy one.
//!
//! ```no_run
//! # #[cfg(feature = "client")]
//! # async fn example(body_of_the_webhook: &[u8]) -> Result<(), kazawallet::Error> {
//! use kazawallet::{Client, CreatePaymentLink, Order, Webhook};
//!
//! // 1. Make a link, and send the customer to it.
//! let client = Client::from_env()?;
//! let link = client
//!     .payment_links()
//!     .create(CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42"))
//!     .await?;
//!
//! // 2. The one webhook tells of the payment: verify it, then hold it against the order.
//! let webhook = Webhook::new("81A107141716", "888B6B8877F8")?;
//! let event = webhook.verify(body_of_the_webhook)?;
//! event.match_order(&Order {
//!     amount: "10.50".parse()?,
//!     currency: "USD",
//!     reference: "order-42",
//!     order_id: link.id.as_deref(),
//! })?;
//! if event.is_fulfilled() { /* settle the order, once for this `event.order_id()` */ }
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`]: links, payouts, balances, deposits, and a raw request for the rest.
//! - [`Webhook`] and [`PaymentEvent`]: what came in, verified.
//! - [`Error`] with its [`ErrorKind`], and its [`Outcome`]: whether money may have moved.
//! - [`Amount`]: exact decimal text. There is no float anywhere.
//!
//! # Features
//! - `client` (default): the HTTP client, on tokio. Without it the crate is webhooks and amounts
//!   alone, and compiles for `wasm32-unknown-unknown`.
//! - `axum`: the webhook's route for axum 0.8, in the module `axum`; also without the client.
//! - `rust_decimal`: conversions between [`Amount`] and `rust_decimal::Decimal`.
//!
//! # Where a fact comes from
//! *Documented* means in the provider's public documentation; *reference*, on another of its public
//! pages; *seen*, in public code that works with the service. There is no sandbox: nothing of this
//! was tried against the live service.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod amount;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "client")]
mod backoff;
#[cfg(feature = "client")]
mod call_watch;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod connections;
mod credentials;
#[cfg(feature = "client")]
mod departure;
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
mod report;
#[cfg(feature = "client")]
mod request_fields;
#[cfg(feature = "client")]
mod response;
#[cfg(feature = "client")]
mod session;
#[cfg(feature = "client")]
mod transport;
#[cfg(feature = "client")]
mod urls;
#[cfg(feature = "client")]
mod wallets;
mod webhook;
#[cfg(feature = "client")]
mod withdrawals;

pub use amount::Amount;
pub use credentials::{ApiKey, ApiSecret};
pub use error::{Error, ErrorKind, Outcome};
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
pub use report::since_the_start;
#[doc(hidden)]
pub use report::{Report, ReportLevel, ReportLimit};
#[doc(hidden)]
pub use webhook::{Arrived, Reception, WebhookRoute};
pub use webhook::{Order, PaymentEvent, Status, Webhook, WebhookAnswer};

#[cfg(feature = "client")]
#[doc(hidden)]
pub use backoff::backoff;
#[cfg(feature = "client")]
pub use call_watch::CallWatch;
#[cfg(feature = "client")]
pub use client::{Client, ClientBuilder};
#[cfg(feature = "client")]
#[doc(hidden)]
pub use connections::tls_config;
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
