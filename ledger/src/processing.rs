//! Handing decided payments to the merchant's code: at least once, in one worker at a time.
//!
//! A worker holds a payment until a moment that it keeps moving on. One that dies stops moving it,
//! and the payment is due again.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kazawallet::{Error, ErrorKind, Report, backoff};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::database::{Statement, error};
use crate::handover::Handover;
use crate::ledger::{Ledger, check_name, storable, unique};
use crate::payments::{BY_ORDER_ID, keep_decision, no_payment, payment_columns};
use crate::records::{Payment, Processing};
use crate::times;

const LEASE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const MAX_TRIES: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);
/// The most of a handler's error that is kept.
const LONGEST_ERROR: usize = 500;

/// What is kept of a handler that came to no end.
macro_rules! broken_off {
    () => {
        "the handler was broken off before it ended"
    };
}

/// What is due, oldest first. Two workers of PostgreSQL do not wait for one another.
macro_rules! due {
    ($tried:literal, $skip:literal) => {
        concat!(
            "(SELECT order_id FROM kazawallet_payments
            WHERE processing = 'waiting' AND due_at <= $3 AND ",
            $tried,
            " ORDER BY due_at LIMIT $4 ",
            $skip,
            ")"
        )
    };
}

/// Parks what was tried too often and is due again: by workers that died.
macro_rules! park {
    ($skip:literal) => {
        concat!(
            "UPDATE kazawallet_payments SET processing = 'parked', holder = NULL,
                last_error = '",
            broken_off!(),
            "'
            WHERE tries >= $5 AND order_id IN ",
            due!("true", $skip)
        )
    };
}

macro_rules! claim {
    ($skip:literal) => {
        concat!(
            "UPDATE kazawallet_payments SET holder = $1, due_at = $2, tries = tries + 1
            WHERE order_id IN ",
            due!("tries < $5", $skip),
            " RETURNING ",
            payment_columns!()
        )
    };
}

impl Ledger {
    /// Hands each decided payment to a handler, at least once, oldest first. [`Process::start`]
    /// starts a worker.
    ///
    /// What is handed over: an order that was paid ([`Payment::is_paid`]), and an order whose link
    /// timed out. One worker has a payment at a time, across all processes and machines. A handler
    /// that fails is called again later, after others, and after a number of tries the payment is
    /// parked. **A handler can be called twice for one payment**, when its process dies before the
    /// end is recorded: let what it does depend on the order id.
    ///
    /// ```no_run
    /// # async fn example(ledger: kazawallet_ledger::Ledger) {
    /// let worker = ledger
    ///     .process(|payment| async move {
    ///         if payment.is_paid() {
    ///             println!("deliver {:?}, once for {}", payment.reference, payment.order_id);
    ///         }
    ///         Ok::<(), std::io::Error>(())
    ///     })
    ///     .start();
    /// // When the program ends:
    /// worker.stop().await;
    /// # }
    /// ```
    pub fn process<H, F, E>(&self, handler: H) -> Process<H>
    where
        H: Fn(Payment) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        Process { claims: self.claims(), handler }
    }

    /// What [`process`](Self::process) stands on, for the packages in other languages: payments one
    /// by one, each held until it is told how it ended.
    pub fn claims(&self) -> Claims {
        Claims {
            ledger: self.clone(),
            max_tries: MAX_TRIES,
            first_pause: FIRST_PAUSE,
            poll_interval: POLL_INTERVAL,
            lease: LEASE,
        }
    }

    /// The payments that are due, oldest first, for a loop or a cron job of your own. Each is held for
    /// a minute, in which nobody else gets it. Then it comes again, unless
    /// [`mark_processed`](Self::mark_processed) was called; after ten times it is parked.
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn pending(&self, limit: u32) -> Result<Vec<Payment>, Error> {
        let claims = self.claims();
        let mut payments = claims.take(&unique()?, limit).await?;
        payments.sort_by_key(|payment| payment.received_at);
        Ok(payments)
    }

    /// The handler has dealt with this payment: it does not come again.
    ///
    /// # Errors
    /// - [`LedgerNotFound`](ErrorKind::LedgerNotFound): no payment has this order id.
    /// - [`LedgerState`](ErrorKind::LedgerState): it is not for the handler; or a person settled it, and
    ///   it was not handed over since, so that what was dealt with was something else.
    /// - The ledger's kinds.
    pub async fn mark_processed(&self, order_id: &str) -> Result<(), Error> {
        let done = Statement::new(
            "UPDATE kazawallet_payments SET processing = 'done', processed_at = $2, holder = NULL
            WHERE order_id = $1 AND (processing = 'parked' OR (processing = 'waiting'
                AND (tries > 0 OR NOT EXISTS (SELECT 1 FROM kazawallet_decisions
                    WHERE subject = $1 AND action = 'settle'))))",
        )
        .with(storable(order_id))
        .with(times::now());
        self.database().await?.write([done]).await?;
        match self.payment(order_id).await? {
            None => Err(no_payment(order_id)),
            Some(payment) if payment.processing.is_none() => Err(error(
                ErrorKind::LedgerState,
                format!(
                    "the payment's decision is `{}`: it is not for the handler",
                    payment.decision
                ),
            )),
            Some(payment) if payment.processing == Some(Processing::Waiting) => Err(error(
                ErrorKind::LedgerState,
                "a person settled the payment, and it was not handed over since: take it from \
                 `pending`, or let a worker handle it",
            )),
            Some(_) => Ok(()),
        }
    }

    /// A person has a parked payment handed to the handler again. Who did is kept for ever.
    ///
    /// # Errors
    /// - [`Validation`](ErrorKind::Validation): `by` is blank, or too long.
    /// - [`LedgerNotFound`](ErrorKind::LedgerNotFound): no payment has this order id.
    /// - [`LedgerState`](ErrorKind::LedgerState): it is not parked.
    /// - The ledger's kinds.
    pub async fn retry(
        &self,
        order_id: &str,
        by: &str,
        note: Option<&str>,
    ) -> Result<Payment, Error> {
        check_name("by", by)?;
        let (receipt, now, order_id) = (unique()?, times::now(), storable(order_id));
        let again = Statement::new(
            "UPDATE kazawallet_payments SET processing = 'waiting', tries = 0, due_at = $3,
                receipt = $2
            WHERE order_id = $1 AND processing = 'parked'",
        )
        .with(order_id.as_str())
        .with(receipt.as_str())
        .with(now.as_str());
        let waiting = Processing::Waiting.as_str();
        let keep = keep_decision(&receipt, &now, by, "retry", &order_id, waiting)
            .with(None::<&str>)
            .with(note.map(storable))
            .with(receipt.as_str());
        // Read with it: a worker may have the payment at once.
        let by_order_id = Statement::new(BY_ORDER_ID).with(order_id.as_str());
        let mut answers = self.database().await?.write([again, keep, by_order_id]).await?;
        let _ = answers.next();
        let changed = !answers.next().is_empty();
        let payment = answers.next().pop().map(Payment::read).transpose()?;
        let payment = payment.ok_or_else(|| no_payment(&order_id))?;
        if !changed {
            return Err(error(ErrorKind::LedgerState, "the payment is not parked"));
        }
        self.inner.arrivals.notify_one();
        Ok(payment)
    }
}

/// A handler, and how it is called. [`Ledger::process`] gives one.
#[must_use = "nothing is processed until `start` is called"]
pub struct Process<H> {
    claims: Claims,
    handler: H,
}

impl<H, F, E> Process<H>
where
    H: Fn(Payment) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + 'static,
{
    /// After how many tries a payment is parked. 10 unless given; at least 1.
    pub fn max_tries(mut self, tries: u32) -> Self {
        self.claims = self.claims.max_tries(tries);
        self
    }

    /// The pause after the first failure; it doubles each time, up to 10 minutes, and is then
    /// shortened at random. 1 second unless given.
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.claims = self.claims.first_pause(pause);
        self
    }

    /// How often the database is asked for payments that other processes received. 1 second unless
    /// given.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.claims = self.claims.poll_interval(interval);
        self
    }

    /// For how long a payment stays with a worker that died. 60 seconds unless given; it is renewed
    /// while a handler runs. Clocks of two machines that differ by more than half of it can give a
    /// payment to both.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.claims = self.claims.lease(lease);
        self
    }

    /// Starts a worker on a task of its own, in the ledger's runtime. Several may run at once.
    ///
    /// A handler that fails, or panics, is told to [`tracing`] by the payment's order id and the error's
    /// type, since the message may be anybody's data: the ledger keeps it, as
    /// [`last_error`](Payment::last_error).
    pub fn start(self) -> Worker {
        let Self { claims, handler } = self;
        let ledger = claims.ledger.clone();
        let handover = Handover::new(claims);
        let (working, handler) = (handover.clone(), Arc::new(handler));
        let task = ledger.inner.runtime.clone().spawn(async move {
            while let Some(payment) = working.next().await {
                // On a task of its own, so that one that panics fails alone. It ends with this one.
                let mut handling = JoinSet::new();
                let handler = handler.clone();
                handling.spawn(async move {
                    handler(payment).await.map_err(|problem| problem.to_string())
                });
                let report = match handling.join_next().await {
                    Some(Ok(Ok(()))) => working.end(End::Done).await,
                    Some(Ok(Err(message))) => {
                        let kind = kind_of::<E>();
                        working.end(End::Failed { kind, message: &message }).await
                    }
                    Some(Err(panicked)) => {
                        let message = panicked.to_string();
                        working.end(End::Failed { kind: "panicked", message: &message }).await
                    }
                    None => working.end(End::BrokenOff).await,
                };
                if let Some(report) = report {
                    ledger.tell(report);
                }
            }
        });
        Worker { handover, task }
    }

    /// Runs a worker while a server runs, then stops it. The server's own end is what is returned.
    ///
    /// Where this is dropped before that, the worker runs on until the ledger is closed.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     ledger: kazawallet_ledger::Ledger,
    /// #     server: impl Future<Output = std::io::Result<()>>,
    /// # ) -> std::io::Result<()> {
    /// # async fn on_payment(_: kazawallet_ledger::Payment) -> std::io::Result<()> { Ok(()) }
    /// ledger.process(on_payment).while_serving(server).await?;
    /// ledger.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn while_serving<S: IntoFuture>(self, server: S) -> S::Output {
        let worker = self.start();
        let ended = server.await;
        worker.stop().await;
        ended
    }
}

/// A worker that runs. It runs on when this is dropped, until the ledger is closed.
pub struct Worker {
    handover: Handover,
    task: JoinHandle<()>,
}

impl Worker {
    /// Takes no further payment, and returns when the handler that runs has ended. If that takes longer
    /// than a second, a warning says which payment is waited for.
    pub async fn stop(self) {
        self.handover.stopped(None).await;
        let _ = self.task.await;
    }

    /// As [`stop`](Self::stop), but waits no longer than this. A handler that has not ended by then is
    /// dropped where it awaits, and its payment given back: that counts as a failed try, and a warning
    /// tells of it. Gives whether the handler ended.
    pub async fn stop_within(self, timeout: Duration) -> bool {
        let ended = self.handover.stopped(Some(timeout)).await;
        if !ended {
            self.task.abort();
        }
        let _ = self.task.await;
        ended
    }
}

/// The name of an error's type, if it says something.
fn kind_of<E>() -> &'static str {
    let name = type_name::<E>();
    let name = name.split('<').next().unwrap_or(name);
    match name.rsplit_once("::") {
        Some((_, "String")) | None => "",
        Some((_, kind)) => kind,
    }
}

/// Payments one by one. [`Ledger::claims`] gives it.
#[derive(Clone)]
pub struct Claims {
    pub(crate) ledger: Ledger,
    max_tries: u32,
    first_pause: Duration,
    poll_interval: Duration,
    lease: Duration,
}

impl Claims {
    /// As [`Process::max_tries`].
    pub fn max_tries(mut self, tries: u32) -> Self {
        self.max_tries = tries.max(1);
        self
    }

    /// As [`Process::first_pause`].
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// As [`Process::poll_interval`].
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        // Asking without a pause would leave the database no time for anything else.
        self.poll_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// As [`Process::lease`].
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(100));
        self
    }

    /// Waits for the next payment that is due. It is held, and the hold renewed, until
    /// [`Claim::done`] or [`Claim::failed`], or until the claim is dropped. While the database cannot
    /// be reached it waits on. `None` once the ledger is closed.
    ///
    /// Dropping this future loses no payment.
    pub async fn next(&self) -> Option<Claim> {
        let mut closing = self.ledger.inner.closing.subscribe();
        loop {
            if *closing.borrow_and_update() {
                return None;
            }
            let arrival = self.ledger.inner.arrivals.notified();
            let claims = self.clone();
            // Where nobody waits any more, the claim is dropped at its end, and so given back.
            let claim = self.ledger.to_its_end(async move { claims.claim().await });
            match claim.await {
                Ok(Some(claim)) => {
                    // There may be more, for another worker that waits.
                    self.ledger.inner.arrivals.notify_one();
                    return Some(claim);
                }
                Ok(None) => {}
                Err(_) if *closing.borrow() => return None,
                Err(problem) => {
                    let text =
                        format!("a worker cannot look for payments, and tries again: {problem}");
                    self.ledger.tell(Report::warning("worker_waits", text));
                }
            }
            tokio::select! {
                () = arrival => {}
                () = tokio::time::sleep(self.poll_interval) => {}
                _ = closing.changed() => {}
            }
        }
    }

    async fn claim(&self) -> Result<Option<Claim>, Error> {
        let holder = unique()?;
        let Some(payment) = self.take(&holder, 1).await?.pop() else { return Ok(None) };
        let renewal = self.ledger.inner.runtime.spawn(renew(
            self.ledger.clone(),
            payment.order_id.clone(),
            holder.clone(),
            self.lease,
        ));
        let renewal = renewal.abort_handle();
        Ok(Some(Claim { claims: self.clone(), payment, holder: Some(holder), renewal }))
    }

    /// Holds payments that are due, and parks what was tried too often: by workers that died.
    async fn take(&self, holder: &str, limit: u32) -> Result<Vec<Payment>, Error> {
        let statement = |sqlite, postgres| {
            Statement::differing(Some(sqlite), Some(postgres))
                .with(holder)
                .with(times::from_now(self.lease))
                .with(times::now())
                .with(limit)
                .with(self.max_tries)
        };
        let park = statement(park!(""), park!("FOR UPDATE SKIP LOCKED"));
        let claim = statement(claim!(""), claim!("FOR UPDATE SKIP LOCKED"));
        let mut answers = self.ledger.database().await?.write([park, claim]).await?;
        let _ = answers.next();
        answers.next().into_iter().map(Payment::read).collect()
    }

    fn pause_after(&self, tries: u32) -> Duration {
        backoff(self.first_pause, LONGEST_PAUSE, tries)
    }
}

/// Moves on the moment until which a payment is held.
async fn renew(ledger: Ledger, order_id: String, holder: String, lease: Duration) {
    loop {
        tokio::time::sleep(lease / 3).await;
        let renew = Statement::new(
            "UPDATE kazawallet_payments SET due_at = $3
            WHERE order_id = $1 AND holder = $2 AND processing = 'waiting' RETURNING order_id",
        )
        .with(order_id.as_str())
        .with(holder.as_str())
        .with(times::from_now(lease));
        if let Ok(database) = ledger.database().await
            && let Ok(mut answers) = database.write([renew]).await
            && answers.next().is_empty()
        {
            return; // Somebody else has it.
        }
    }
}

/// How a handler ended.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// It has dealt with the payment.
    Done,
    /// It failed: with an error of this kind, and this message, which only the ledger keeps.
    Failed {
        /// The class of the error; empty if it has none.
        kind: &'a str,
        /// Anybody's data may be in it.
        message: &'a str,
    },
    /// It came to no end, since its thread, its task or its time was over. That counts as a failed try:
    /// a handler that ends its process must not do so again at each start for ever.
    BrokenOff,
}

/// A payment that is held. Dropping it gives the payment back at once, as if it had not been tried.
pub struct Claim {
    claims: Claims,
    payment: Payment,
    /// None once its end was recorded.
    holder: Option<String>,
    renewal: AbortHandle,
}

impl Claim {
    /// The payment.
    pub fn payment(&self) -> &Payment {
        &self.payment
    }

    /// The handler has dealt with it. False where the hold had been lost, and another worker may
    /// have it.
    ///
    /// # Errors
    /// The ledger's kinds; the payment comes again.
    pub async fn done(mut self) -> Result<bool, Error> {
        let done = Statement::new(
            "UPDATE kazawallet_payments SET processing = 'done', processed_at = $3, holder = NULL
            WHERE order_id = $1 AND holder = $2 AND processing = 'waiting' RETURNING order_id",
        )
        .with(self.payment.order_id.as_str())
        .with(self.holder.take())
        .with(times::now());
        self.record(done).await
    }

    /// The handler failed: the payment comes again later, or is parked. False where the hold had been
    /// lost.
    ///
    /// # Errors
    /// The ledger's kinds; the payment comes again.
    pub async fn failed(mut self, problem: &str) -> Result<bool, Error> {
        let last = self.payment.tries >= self.claims.max_tries;
        let pause = self.claims.pause_after(self.payment.tries);
        let processing = if last { Processing::Parked } else { Processing::Waiting };
        let failed = Statement::new(
            "UPDATE kazawallet_payments SET processing = $3, due_at = $4, last_error = $5,
                holder = NULL
            WHERE order_id = $1 AND holder = $2 AND processing = 'waiting' RETURNING order_id",
        )
        .with(self.payment.order_id.as_str())
        .with(self.holder.take())
        .with(processing.as_str())
        .with(times::from_now(pause))
        .with(storable(&problem.chars().take(LONGEST_ERROR).collect::<String>()));
        let held = self.record(failed).await?;
        if !last && pause < self.claims.poll_interval {
            let ledger = self.claims.ledger.clone();
            ledger.inner.runtime.clone().spawn(async move {
                tokio::time::sleep(pause).await;
                ledger.inner.arrivals.notify_one();
            });
        }
        Ok(held)
    }

    /// Records how the handler ended, and gives what is to be told of it.
    pub async fn end(self, end: End<'_>) -> Option<Report> {
        let (order_id, tries) = (self.payment.order_id.clone(), self.payment.tries);
        let max_tries = self.claims.max_tries;
        let ledger = self.claims.ledger.clone();
        let (recorded, failure) = match end {
            End::Done => (self.done().await, None),
            End::Failed { kind, message } => {
                let separator = if kind.is_empty() || message.is_empty() { "" } else { ": " };
                let recorded = self.failed(&format!("{kind}{separator}{message}")).await;
                let kind = if kind.is_empty() { "an error" } else { kind };
                (recorded, Some(("handler_failed", format!("the handler failed with {kind}"))))
            }
            End::BrokenOff => {
                let recorded = self.failed(broken_off!()).await;
                (recorded, Some(("handler_broken_off", "the handler was broken off".to_owned())))
            }
        };
        let unrecorded = recorded.err().map(|problem| {
            format!("its end could not be recorded, so the payment comes again: {problem}")
        });
        let report = match (failure, unrecorded) {
            (None, None) => return None,
            (None, Some(unrecorded)) => Report::warning(
                "end_not_recorded",
                format!("the handler has dealt with the payment {order_id}, but {unrecorded}"),
            ),
            (Some((code, failed)), unrecorded) => {
                let is_last = unrecorded.is_none() && tries >= max_tries;
                let next = match unrecorded {
                    Some(unrecorded) => unrecorded,
                    None if is_last => {
                        let see = ledger.inner.voice.see("parked");
                        format!("that was the last try: it is parked ({see})")
                    }
                    None => "it comes again".to_owned(),
                };
                let text = format!(
                    "{failed} for the payment {order_id}, try {tries} of {max_tries}: {next}"
                );
                if is_last { Report::error(code, text) } else { Report::warning(code, text) }
            }
        };
        Some(report.of_payment(&order_id))
    }

    async fn record(&self, end: Statement) -> Result<bool, Error> {
        self.renewal.abort();
        let ledger = self.claims.ledger.clone();
        let recording =
            async move { Ok(!ledger.database().await?.write([end]).await?.next().is_empty()) };
        self.claims.ledger.although_closing(recording).await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.renewal.abort();
        let Some(holder) = self.holder.take() else {
            return; // Its end was recorded.
        };
        let (ledger, order_id) = (self.claims.ledger.clone(), self.payment.order_id.clone());
        ledger.inner.runtime.clone().spawn(async move {
            let give_back = Statement::new(
                "UPDATE kazawallet_payments SET due_at = $3, holder = NULL, tries = tries - 1
                WHERE order_id = $1 AND holder = $2 AND processing = 'waiting'",
            );
            let give_back = give_back.with(order_id).with(holder).with(times::now());
            if let Ok(database) = ledger.database().await {
                let _ = database.write([give_back]).await;
            }
        });
    }
}

impl<H> fmt::Debug for Process<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("claims", &self.claims).finish_non_exhaustive()
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("max_tries", &self.max_tries)
            .field("first_pause", &self.first_pause)
            .field("poll_interval", &self.poll_interval)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("payment", &self.payment).finish_non_exhaustive()
    }
}
