//! One worker's payments: the one that its handler has, and its end. The worker loops of all languages
//! stand on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kazawallet::Report;
use tokio::sync::watch;

use crate::ledger::Ledger;
use crate::processing::{Claim, Claims, End};
use crate::records::Payment;

/// How long a handler may keep a worker from stopping before that is told.
const BEFORE_TELLING: Duration = Duration::from_secs(1);

/// Hands one payment after the other to one handler.
#[derive(Clone, Debug)]
pub struct Handover {
    claims: Claims,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    held: Mutex<Option<Claim>>,
    stopping: watch::Sender<bool>,
    /// The order id of the payment that the handler has.
    handling: watch::Sender<Option<String>>,
}

impl Handover {
    /// A worker's payments, with these settings.
    pub fn new(claims: Claims) -> Self {
        let state = State {
            held: Mutex::default(),
            stopping: watch::Sender::new(false),
            handling: watch::Sender::new(None),
        };
        Self { claims, state: Arc::new(state) }
    }

    /// Waits for a payment, and holds it until [`end`](Self::end). `None` once the worker is stopped or
    /// the ledger closed. Dropping this future loses no payment.
    pub async fn next(&self) -> Option<Payment> {
        let mut stopping = self.state.stopping.subscribe();
        let claim = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return None,
            claim = self.claims.next() => claim?,
        };
        let payment = claim.payment().clone();
        let mut held = self.held();
        // What is stopped drops it, and so gives it back: nobody had it.
        if *self.state.stopping.borrow() {
            return None;
        }
        *held = Some(claim);
        self.state.handling.send_replace(Some(payment.order_id.clone()));
        Some(payment)
    }

    /// Records how the handler ended, and gives what is to be told of it. If the payment was given back
    /// meanwhile, there is nothing to record.
    pub async fn end(&self, end: End<'_>) -> Option<Report> {
        let claim = self.held().take();
        let report = match claim {
            Some(claim) => claim.end(end).await,
            None => None,
        };
        self.state.handling.send_replace(None);
        report
    }

    /// Takes no further payment.
    pub fn stop(&self) {
        // Not while a payment is about to be handed over, which would be waited for by nobody.
        let _held = self.held();
        self.state.stopping.send_replace(true);
    }

    /// Stops, and waits for the handler that runs. After one second it is told which payment is waited
    /// for. A handler that has not ended within the time-out has its payment given back, which is told.
    /// Gives whether it ended.
    pub async fn stopped(&self, timeout: Option<Duration>) -> bool {
        self.stop();
        let mut handling = self.state.handling.subscribe();
        let told_after = timeout.map_or(BEFORE_TELLING, |timeout| timeout.min(BEFORE_TELLING));
        if tokio::time::timeout(told_after, handling.wait_for(Option::is_none)).await.is_ok() {
            return true;
        }
        if timeout.is_none_or(|timeout| timeout > BEFORE_TELLING) {
            self.tell_what_is_waited_for(&handling.borrow().clone().unwrap_or_default());
            let rest = timeout.map(|timeout| timeout.saturating_sub(BEFORE_TELLING));
            let ended = handling.wait_for(Option::is_none);
            let in_time = match rest {
                None => ended.await.is_ok(),
                Some(rest) => tokio::time::timeout(rest, ended).await.is_ok(),
            };
            if in_time {
                return true;
            }
        }
        self.give_up().await
    }

    /// The thread or the task of the handler has ended, or will not end: what it has counts as a failed
    /// try. Gives whether it had nothing.
    pub async fn give_up(&self) -> bool {
        self.stop();
        let claim = self.held().take();
        let Some(claim) = claim else { return true };
        if let Some(report) = claim.end(End::BrokenOff).await {
            self.ledger().tell(report);
        }
        self.state.handling.send_replace(None);
        false
    }

    /// The worker ends. What it was about to hand to its handler is given back. A problem is why it ends
    /// although nobody stopped it, which is told.
    pub fn leave(&self, problem: Option<&str>) {
        if let Some(problem) = problem.filter(|_| !*self.state.stopping.borrow()) {
            let text = format!(
                "a worker ended although nobody stopped it, so payments may wait: {problem}"
            );
            self.ledger().tell(Report::error("worker_ended", text));
        }
        self.stop();
        drop(self.held().take());
        self.state.handling.send_replace(None);
    }

    fn tell_what_is_waited_for(&self, order_id: &str) {
        let text = format!(
            "a worker is being stopped, and waits for the handler of the payment {order_id} to end"
        );
        self.ledger().tell(Report::warning("stop_waits", text).of_payment(order_id));
    }

    fn ledger(&self) -> &Ledger {
        &self.claims.ledger
    }

    fn held(&self) -> MutexGuard<'_, Option<Claim>> {
        self.state.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
