//! The ledger of the Kazawallet SDK: what a client library cannot make safe without remembering.
//! It is not the provider's own product.
//!
//! The provider tells of a payment once, signs neither its status nor its currency nor its ref, and
//! takes payouts without an idempotency key. The ledger remembers, in SQLite or PostgreSQL:
//!
//! - [`Ledger::create_payment_link`]: what an order must cost, before its link exists;
//! - [`Ledger::receive`]: every genuine webhook, on the disk before you answer, decided once;
//! - [`Ledger::process`]: each decided payment to your code, at least once, in one worker at a time;
//! - [`Ledger::withdraw`]: a payout's reference is never sent twice.
//!
//! ```no_run
//! # async fn example(body_of_the_webhook: &[u8]) -> Result<(), kazawallet::Error> {
//! use kazawallet::{Client, CreatePaymentLink, CreateWithdrawal, PaymentMethod};
//! use kazawallet_ledger::Ledger;
//!
//! let ledger = Ledger::open("sqlite:///var/lib/shop/kazawallet.db").client(Client::from_env()?).await?;
//!
//! // 1. Where the customer pays. The same ref gives the same link.
//! let order = CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42");
//! let link = ledger.create_payment_link(order).await?;
//! println!("send the customer to {}", link.url);
//!
//! // 2. In the webhook's route: answer 200 once this returns.
//! let receipt = ledger.receive(body_of_the_webhook).await?;
//! println!("{}", receipt.decision);
//!
//! // 3. Beside the web server: your code, for each payment that was decided.
//! let worker = ledger
//!     .process(|payment| async move {
//!         println!("{} is paid: {}", payment.order_id, payment.is_paid());
//!         Ok::<(), std::io::Error>(())
//!     })
//!     .start();
//!
//! // 4. A payout: the same reference is never paid twice.
//! let salary = CreateWithdrawal::new("10".parse()?, "USD", PaymentMethod::sy_cash("0933123456"));
//! let payout = ledger.withdraw("salary-may-7", salary).await?;
//! println!("{}", payout.state);
//! # worker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! - `cli` (default): the terminal program.
//! - `axum`: the webhook's route for axum 0.8, in the module `axum`.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
pub mod axum;
mod database;
mod digests;
mod forgetting;
mod handover;
mod ledger;
mod link_ids;
mod open;
mod orders;
mod overview;
mod payments;
mod payouts;
mod processing;
#[cfg(feature = "cli")]
pub mod program;
mod quarantine;
mod receiver;
mod records;
mod spool;
mod times;
mod voice;

#[doc(hidden)]
pub use handover::Handover;
pub use ledger::Ledger;
pub use open::OpenLedger;
pub use orders::CreateOrderLink;
pub use payouts::Withdraw;
#[doc(hidden)]
pub use processing::End;
pub use processing::{Claim, Claims, Process, Worker};
#[doc(hidden)]
pub use receiver::Receiver;
pub use records::{
    Conflict, Decision, LinkIds, OrderLink, OrderRecord, OrderState, Payment, Payout, PayoutState,
    PersonDecision, Processing, Receipt, Resolution, Settlement, Summary,
};
#[doc(hidden)]
pub use voice::Listener;
