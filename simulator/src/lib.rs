//! A local stand-in for the Kazawallet payment API, for tests and local work.
//!
//! The provider offers no sandbox. This crate starts one inside the process, on a free loopback
//! port: it answers the API, shows a checkout page for each payment link, delivers the signed
//! webhook once, keeps balances, and misbehaves on demand. **It is not the provider, and no money
//! moves.** Its keys begin with `sim_` and are worth nothing anywhere else.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use kazawallet::CreatePaymentLink;
//! use kazawallet_simulator::Simulator;
//!
//! let sim = Simulator::start().await?;
//! let client = sim.client();
//! let link = client
//!     .payment_links()
//!     .create(CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42"))
//!     .await?;
//!
//! let before = sim.balance("USD");
//! let deliveries = sim.pay(&link).await?;
//! assert_eq!(sim.balance("USD") - before, "10.50".parse()?);
//!
//! // What the merchant's server would receive, and how it is verified.
//! let event = sim.webhook().verify(&deliveries[0].body)?;
//! assert_eq!(event.reference(), Some("order-42"));
//! sim.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The crate's program, `kazawallet-simulator`, is the same thing from a terminal.

mod api;
mod certificates;
mod checkout;
mod dashboard;
mod delivery;
mod dialect;
mod error;
mod fault;
mod money;
mod page;
#[cfg(feature = "cli")]
pub mod program;
mod random;
#[cfg(feature = "scripted")]
pub mod scripted;
mod server;
mod simulator;
mod state;

pub use delivery::{Delivery, DeliveryOutcome, Trigger};
pub use dialect::Dialect;
pub use error::Error;
pub use fault::Fault;
pub use rust_decimal::Decimal;
pub use simulator::{CheckoutLink, Simulator, SimulatorBuilder};
pub use state::{Link, LinkState, RecordedRequest};
