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
//! | 500 `{"error":"not_processed"}` | it could not be stored: alert someone |
//!
//! What went wrong goes to [`tracing`], never into the answer: what was not stored as an error, what was
//! refused, went to the spool or waits for a person as a warning, and what anybody can cause, such as a
//! sender that hangs up, as information. What is about no payment is told once a minute. The route reads the
//! body itself, and no extractor of another route can take the bytes away before. A middleware that reads
//! it must put it back unchanged.

use axum::routing::MethodRouter;
use kazawallet::Report;
use kazawallet::axum::receiving_route;

use crate::{Ledger, Receiver};

/// A route that answers once the delivery would survive a power cut. It calls no handler:
/// [`Ledger::process`] does.
///
/// What is in the ledger's quarantine is verified again now; see [`Ledger::reverify`].
pub fn webhook_route<S>(ledger: Ledger) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let receiver = Receiver::new(ledger.clone());
    let starting = receiver.clone();
    ledger.inner.runtime.clone().spawn(async move {
        if let Err(problem) = starting.start().await {
            let text = format!("no delivery will be verified: {problem}");
            ledger.tell(Report::error("configuration", text));
        }
    });
    receiving_route(receiver.route().clone(), move |body| {
        let receiver = receiver.clone();
        async move { receiver.receive(&body).await }
    })
}
