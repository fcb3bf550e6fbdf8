//! The webhook's route for [axum](https://docs.rs/axum/0.8) 0.8.
//!
//! The route stores each delivery and answers; a worker beside it, which starts and stops with the
//! application, hands each payment to your handler until it succeeds. What was received before a
//! restart, or a crash, is handed over after it.
//!
//! ```no_run
//! use axum::Router;
//! use kazawallet::Client;
//! use kazawallet_ledger::axum::webhook_route;
//! use kazawallet_ledger::{Ledger, Payment};
//!
//! /// At least once for each payment: let an order id count once.
//! async fn on_payment(payment: Payment) -> Result<(), std::io::Error> {
//!     if payment.is_paid() {
//!         println!("{} is paid", payment.reference.unwrap_or_default());
//!     }
//!     Ok(())
//! }
//!
//! async fn stopped() {
//!     let _ = tokio::signal::ctrl_c().await;
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let ledger = Ledger::from_env().client(Client::from_env()?).await?;
//!     let app = Router::new().route("/webhooks/kazawallet", webhook_route(ledger.clone()));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//!     let server = axum::serve(listener, app).with_graceful_shutdown(stopped());
//!     ledger.process(on_payment).while_serving(server).await?;
//!     ledger.close().await;
//!     Ok(())
//! }
//! ```
//!
//! [`Process::while_serving`](crate::Process::while_serving) is all there is to the worker. It can as
//! well run in another process, or not at all where a cron job asks for what is
//! [pending](crate::Ledger::pending).
//!
//! | answer | when |
//! | --- | --- |
//! | 200 `{"received":true}` | the delivery is stored, whatever was decided: in the database, or in the spool |
//! | 400, 401 | it cannot be read; its signature does not hold |
//! | 405, 413 | no `POST`; more than 64 KiB |
//! | 500 `{"error":"not_processed"}` | it could not be stored: have somebody woken |
//!
//! What went wrong goes to [`tracing`], never into the answer: what was refused as a warning, what was
//! not stored as an error. The route reads the body itself, and no extractor of another route can take
//! the bytes away before. A middleware that reads it must put it back unchanged.

use axum::routing::MethodRouter;
use kazawallet::WebhookAnswer;
use kazawallet::axum::{answer_to, receiving_route};

use crate::Ledger;

/// A route that answers once the delivery would survive a power cut. It calls no handler:
/// [`Ledger::process`] does.
pub fn webhook_route<S>(ledger: Ledger) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    if let Err(problem) = ledger.webhook() {
        tracing::error!("no delivery will be verified: {problem}");
    }
    receiving_route(move |body| {
        let ledger = ledger.clone();
        async move {
            match ledger.receive(body).await {
                Ok(receipt) => {
                    if receipt.waits_for_person() && !receipt.duplicate {
                        tracing::warn!(
                            order_id = receipt.event.order_id(),
                            decision = receipt.decision.as_str(),
                            "a payment is stored and waits for a person"
                        );
                    }
                    WebhookAnswer::RECEIVED
                }
                Err(problem) => answer_to(&problem),
            }
        }
    })
}
