//! Payouts: a reference is never sent twice.
//!
//! The provider knows no idempotency key. So the intent is on the disk before anything leaves, with
//! a deadline after which nothing of it may leave any more, and from then on only the sender's own
//! answer, or a person, says what became of it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

use kazawallet::{Call, CreateWithdrawal, Error, ErrorKind, Outcome, Report, Withdrawal};

use crate::database::{Row, Statement, Value, error};
use crate::digests;
use crate::ledger::{Ledger, check_name, storable, unique};
use crate::records::{Payout, PayoutState, Resolution};
use crate::times;

/// How much longer than its deadline a sender is waited for: its answer has to be recorded.
pub(crate) const AFTER_THE_DEADLINE: Duration = Duration::from_secs(2);
/// How often one who waits for another sender looks for its answer.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LATER_LOOKS: Duration = Duration::from_millis(250);
/// How long a sender tries to record what the provider answered.
const RECORDING: Duration = Duration::from_secs(30);
const RECORDING_PAUSE: Duration = Duration::from_millis(100);
/// Longer than any call takes.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The most of the provider's message that is kept.
const LONGEST_MESSAGE: usize = 1024;

/// The columns of a [`Payout`], in the order in which it reads them.
macro_rules! payout_columns {
    () => {
        "reference, state, amount, currency, payment_method, status, message, details, created_at, \
         deadline, changed_at"
    };
}

const BY_REFERENCE: &str = concat!(
    "SELECT ",
    payout_columns!(),
    ", terms, sender, error, http_status, error_key, resolvable_at
    FROM kazawallet_payouts WHERE reference = $1"
);

impl Payout {
    fn read(row: &mut Row) -> Result<Self, Error> {
        let mut payout = Self {
            reference: row.text()?,
            state: row.known(PayoutState::from_text)?,
            amount: row.amount()?,
            currency: row.text()?,
            payment_method: row.text()?,
            status: row.optional_text()?,
            message: row.optional_text()?,
            details: row.optional_text()?,
            created_at: row.time()?,
            deadline: row.optional_time()?,
            changed_at: row.time()?,
        };
        // A sender that is not heard of any more has died, or as good as that.
        let given_up = payout.deadline.and_then(|at| at.checked_add(AFTER_THE_DEADLINE));
        if payout.state == PayoutState::Sending && given_up.is_some_and(|at| at < SystemTime::now())
        {
            payout.state = PayoutState::Unknown;
        }
        Ok(payout)
    }
}

/// A payout with what its sender recorded.
struct Recorded {
    payout: Payout,
    terms: String,
    sender: Option<String>,
    refusal: Option<String>,
    http_status: Option<u16>,
    error_key: Option<String>,
    resolvable_at: Option<String>,
}

impl Recorded {
    fn read(mut row: Row) -> Result<Self, Error> {
        Ok(Self {
            payout: Payout::read(&mut row)?,
            terms: row.text()?,
            sender: row.optional_text()?,
            refusal: row.optional_text()?,
            http_status: row.optional_int()?.and_then(|status| u16::try_from(status).ok()),
            error_key: row.optional_text()?,
            resolvable_at: row.optional_text()?,
        })
    }

    /// What became of it, where that is known, or is known to be unknown.
    fn result(self) -> Result<Payout, Error> {
        let message = self.payout.message.clone();
        let message = message.unwrap_or_else(|| "the provider refused this payout".to_owned());
        match self.payout.state {
            PayoutState::Paid => Ok(self.payout),
            PayoutState::Rejected => {
                let kind = self.refusal.as_deref().and_then(refusal_kind);
                Err(Error::of_ledger(kind.unwrap_or(ErrorKind::Api), Outcome::Rejected, message)
                    .with_recorded_answer(self.http_status, self.error_key))
            }
            PayoutState::NotPaid => Err(Error::of_ledger(
                ErrorKind::LedgerState,
                Outcome::Rejected,
                "a person saw that this payout was not paid: paying again takes a new reference",
            )),
            PayoutState::NotSent | PayoutState::Sending | PayoutState::Unknown => {
                Err(Error::of_ledger(
                    ErrorKind::OutcomeUnknown,
                    Outcome::Unknown,
                    "this payout was sent, or may have been, and no conclusive answer came: money \
                     may have moved. Look in the wallet, and say what it shows with `resolve`",
                )
                .with_recorded_answer(self.http_status, self.error_key))
            }
        }
    }
}

/// The classes of a refusal, as they are recorded.
const REFUSALS: [ErrorKind; 7] = [
    ErrorKind::Api,
    ErrorKind::Authentication,
    ErrorKind::PermissionDenied,
    ErrorKind::NotFound,
    ErrorKind::RateLimit,
    ErrorKind::AccountBlocked,
    ErrorKind::Server,
];

fn refusal_kind(code: &str) -> Option<ErrorKind> {
    REFUSALS.into_iter().find(|kind| kind.code() == code)
}

impl Ledger {
    /// Pays out, once for this reference. `.await` what it gives.
    ///
    /// The intent is recorded, then a deadline (the call's time limit), which is looked at again
    /// immediately before the bytes leave. Asked again with the same reference it gives the recorded
    /// result, and waits for it where another process is sending. It sends again only where it is
    /// certain that nothing had left.
    ///
    /// **The one window that is left**: a machine that is suspended between that last look and the
    /// first byte, for longer than the deadline and the
    /// [`clock_margin`](crate::OpenLedger::clock_margin), while a person resolves the payout as not
    /// paid.
    ///
    /// # Errors
    /// Awaiting it:
    /// - [`OutcomeUnknown`](ErrorKind::OutcomeUnknown): it was sent and no conclusive answer came, or
    ///   the process that was sending it died. A person looks in the wallet and calls
    ///   [`resolve`](Self::resolve). Every later call gives the same.
    /// - The classes of a refusal, see [`Withdrawals::create`](kazawallet::Withdrawals::create): final.
    ///   Every later call gives the same, but for the answer's body and details. Paying again takes a
    ///   new reference.
    /// - [`Validation`](ErrorKind::Validation): a reference that is blank, longer than 1,024 bytes or
    ///   with a NUL; or one that was used with other terms (`reference`); and what
    ///   [`Withdrawals::create`](kazawallet::Withdrawals::create) refuses.
    /// - [`LedgerState`](ErrorKind::LedgerState): a person saw that it was not paid.
    /// - [`Connection`](ErrorKind::Connection), [`Timeout`](ErrorKind::Timeout): nothing was sent. The
    ///   next call sends it.
    /// - [`Configuration`](ErrorKind::Configuration): the ledger has no client.
    /// - The ledger's kinds. Where the outcome is `unknown`, the provider had answered, and it could
    ///   not be recorded: the payout stays unknown.
    pub fn withdraw(&self, reference: impl Into<String>, withdrawal: CreateWithdrawal) -> Withdraw {
        Withdraw { ledger: self.clone(), reference: reference.into(), withdrawal, timeout: None }
    }

    /// The payout with this reference.
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn payout(&self, reference: &str) -> Result<Option<Payout>, Error> {
        Ok(self.recorded_payout(&storable(reference)).await?.map(|recorded| recorded.payout))
    }

    async fn recorded_payout(&self, reference: &str) -> Result<Option<Recorded>, Error> {
        let by_reference = Statement::new(BY_REFERENCE).with(reference);
        let row = self.database().await?.read(by_reference).await?.pop();
        row.map(Recorded::read).transpose()
    }

    /// A person who has looked in the wallet says what became of a payout whose outcome is unknown.
    /// It is then final; who said so is kept for ever.
    ///
    /// # Errors
    /// - [`Validation`](ErrorKind::Validation): `by` is blank, or too long.
    /// - [`LedgerNotFound`](ErrorKind::LedgerNotFound): no payout has this reference.
    /// - [`LedgerState`](ErrorKind::LedgerState): its outcome is known; or its deadline and the
    ///   [`clock_margin`](crate::OpenLedger::clock_margin) are not over, so that it may yet leave.
    /// - The ledger's kinds.
    pub async fn resolve(
        &self,
        reference: &str,
        resolution: Resolution,
        by: &str,
        note: Option<&str>,
    ) -> Result<Payout, Error> {
        check_name("by", by)?;
        let reference = storable(reference);
        let (id, now) = (unique()?, times::now());
        let state = match resolution {
            Resolution::Paid => PayoutState::Paid,
            Resolution::NotPaid => PayoutState::NotPaid,
        };
        // Of two people, or of one and the sender, the second has to see what the first said.
        let lock = "SELECT reference FROM kazawallet_payouts WHERE reference = $1 FOR UPDATE";
        let lock = Statement::differing(None, Some(lock)).with(reference.as_str());
        let keep = Statement::new(
            "INSERT INTO kazawallet_decisions (id, decided_at, decided_by, action, subject, decision,
                note)
            SELECT $1, $2, $3, 'resolve', $4, $5, $6 FROM kazawallet_payouts
                WHERE reference = $4 AND state IN ('unknown', 'sending') AND resolvable_at <= $2
            RETURNING id",
        )
        .with(id.as_str())
        .with(now.as_str())
        .with(by)
        .with(reference.as_str())
        .with(resolution.as_str())
        .with(note.map(storable));
        // What the sender may yet say must not count any more.
        let change = Statement::new(
            "UPDATE kazawallet_payouts SET state = $2, sender = NULL, changed_at = $3
            WHERE reference = $1 AND state IN ('unknown', 'sending')
                AND EXISTS (SELECT 1 FROM kazawallet_decisions WHERE id = $4)",
        )
        .with(reference.as_str())
        .with(state.as_str())
        .with(now)
        .with(id);
        let by_reference = Statement::new(BY_REFERENCE).with(reference);
        let mut answers = self.database().await?.write([lock, keep, change, by_reference]).await?;
        let _ = answers.next();
        let decided = !answers.next().is_empty();
        let _ = answers.next();
        let row = answers.next().pop().ok_or_else(|| {
            error(ErrorKind::LedgerNotFound, "the ledger has no payout with this reference")
        })?;
        let Recorded { payout, resolvable_at, .. } = Recorded::read(row)?;
        match (decided, payout.state) {
            (true, _) => Ok(payout),
            (false, PayoutState::Unknown | PayoutState::Sending) => {
                let from = resolvable_at.unwrap_or_default();
                Err(error(
                    ErrorKind::LedgerState,
                    format!(
                        "the payout may yet leave: look in the wallet, and resolve it, after {from}"
                    ),
                ))
            }
            (false, known) => Err(error(
                ErrorKind::LedgerState,
                format!("the payout's state is `{known}`, which needs no person"),
            )),
        }
    }

    /// The payouts whose outcome is unknown, oldest first: also those whose sender seems to have died.
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn unresolved(&self, limit: u32) -> Result<Vec<Payout>, Error> {
        let unresolved = Statement::new(concat!(
            "SELECT ",
            payout_columns!(),
            " FROM kazawallet_payouts WHERE state IN ('unknown', 'sending')
                AND (state = 'unknown' OR deadline < $1) ORDER BY created_at LIMIT $2"
        ));
        let unresolved = unresolved.with(times::ago(AFTER_THE_DEADLINE)).with(limit);
        let rows = self.database().await?.read(unresolved).await?;
        rows.into_iter().map(|mut row| Payout::read(&mut row)).collect()
    }
}

/// A payout that is to be made: `.await` it. [`Ledger::withdraw`] gives one.
#[must_use = "nothing is paid until it is awaited"]
pub struct Withdraw {
    ledger: Ledger,
    reference: String,
    withdrawal: CreateWithdrawal,
    timeout: Option<Duration>,
}

/// What is recorded of a payout before it is sent.
struct Intent {
    reference: String,
    terms: String,
    amount: String,
    currency: String,
    payment_method: String,
    details: String,
}

impl Withdraw {
    /// The time for the provider's answer, in place of the client's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn pay(self) -> Result<Payout, Error> {
        let Self { ledger, reference, withdrawal, timeout } = self;
        check_name("reference", &reference)?;
        let client = ledger.client()?;
        let terms = withdrawal.clone();
        let mut call = client.withdrawals().create(withdrawal);
        if let Some(timeout) = timeout {
            call = call.timeout(timeout);
        }
        let Some(json) = call.json() else {
            return match call.await {
                Err(refused) => Err(refused),
                Ok(_) => Err(error(ErrorKind::LedgerState, "a refused payout was sent")),
            };
        };
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Error::refused_by_ledger("timeout", "it must be longer than zero"));
        }
        let intent = Intent::of(reference, &terms, json, ledger.digest_key().await?);
        let time = timeout.unwrap_or_else(|| client.timeout()).min(LONGEST);
        let sender = unique()?;
        let mut pause = FIRST_LOOK;
        loop {
            let deadline = SystemTime::now() + time;
            let recorded = match ledger.begin(&intent, &sender, deadline).await {
                Ok(recorded) => recorded,
                Err(problem) => {
                    if problem.kind() == ErrorKind::LedgerUnavailable {
                        ledger.give_back(&intent.reference, &sender);
                    }
                    return Err(problem);
                }
            };
            if recorded.terms != intent.terms {
                return Err(Error::refused_by_ledger(
                    "reference",
                    "it was used for a payout with other terms: a payout that differs in anything \
                     needs a reference of its own",
                ));
            }
            match recorded.payout.state {
                // Where recording it took longer than its deadline, nothing leaves, and this is recorded.
                PayoutState::Sending | PayoutState::Unknown
                    if recorded.sender.as_deref() == Some(&sender) =>
                {
                    return ledger.send(call.not_after(deadline), &intent.reference, &sender).await;
                }
                PayoutState::Sending | PayoutState::NotSent => {}
                _ => return recorded.result(),
            }
            ledger.refuse_when_closed()?;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATER_LOOKS);
        }
    }
}

impl Intent {
    fn of(reference: String, withdrawal: &CreateWithdrawal, json: &[u8], key: &[u8]) -> Self {
        let (amount, currency, payment_method) = withdrawal.terms();
        let currency = storable(&currency.to_ascii_uppercase());
        // As it would be sent, so that a phone written in another way is the same phone.
        let sent: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
        // A payout without fields sends none. Its terms are what they were when it sent `{}`, so that a
        // reference from then keeps them.
        let fields = sent.get("fields").cloned().unwrap_or_else(|| serde_json::json!({}));
        let details = serde_json::json!({ "fields": fields, "note": sent.get("note") });
        let terms = serde_json::json!([amount.shortest(), currency, payment_method, details]);
        Self {
            reference,
            terms: digests::keyed(key, terms.to_string().as_bytes()),
            amount: amount.as_str().to_owned(),
            currency,
            payment_method: storable(payment_method),
            details: details.to_string(),
        }
    }
}

impl Ledger {
    /// Records the intent where it is new; takes the sending upon itself where nothing has left; and
    /// gives up a sender that is not heard of any more.
    async fn begin(
        &self,
        intent: &Intent,
        sender: &str,
        deadline: SystemTime,
    ) -> Result<Recorded, Error> {
        let now = times::now();
        let intend = Statement::new(
            "INSERT INTO kazawallet_payouts (reference, terms, state, amount, currency,
                payment_method, details, created_at, changed_at)
            VALUES ($1, $2, 'not_sent', $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING",
        )
        .with(intent.reference.as_str())
        .with(intent.terms.as_str())
        .with(intent.amount.as_str())
        .with(intent.currency.as_str())
        .with(intent.payment_method.as_str())
        .with(intent.details.as_str())
        .with(now.as_str());
        let send = Statement::new(
            "UPDATE kazawallet_payouts SET state = 'sending', sender = $3, deadline = $4,
                changed_at = $5, resolvable_at = $6
            WHERE reference = $1 AND terms = $2 AND state = 'not_sent'",
        )
        .with(intent.reference.as_str())
        .with(intent.terms.as_str())
        .with(sender)
        .with(times::text(deadline))
        .with(now.as_str())
        .with(times::text(
            deadline.checked_add(self.inner.clock_margin).unwrap_or(deadline + LONGEST),
        ));
        let give_up = Statement::new(
            "UPDATE kazawallet_payouts SET state = 'unknown', changed_at = $3
            WHERE reference = $1 AND state = 'sending' AND deadline < $2",
        )
        .with(intent.reference.as_str())
        .with(times::ago(AFTER_THE_DEADLINE))
        .with(now);
        let by_reference = Statement::new(BY_REFERENCE).with(intent.reference.as_str());
        let statements = [intend, send, give_up, by_reference];
        let mut answers = self.database().await?.write(statements).await?;
        let _ = (answers.next(), answers.next(), answers.next());
        Recorded::read(answers.next().pop().ok_or_else(gone)?)
    }

    /// The database may have taken the intent and been unable to say so. Nothing has left, so that the
    /// next call may send it.
    fn give_back(&self, reference: &str, sender: &str) {
        let give_back = Statement::new(
            "UPDATE kazawallet_payouts SET state = 'not_sent', sender = NULL, changed_at = $3
            WHERE reference = $1 AND sender = $2 AND state IN ('sending', 'unknown')",
        )
        .with(reference)
        .with(sender)
        .with(times::now());
        let ledger = self.clone();
        self.inner.runtime.spawn(async move {
            let until = Instant::now() + RECORDING;
            while Instant::now() < until && ledger.refuse_when_closed().is_ok() {
                if let Ok(database) = ledger.database().await
                    && database.write([give_back.clone()]).await.is_ok()
                {
                    return;
                }
                tokio::time::sleep(RECORDING_PAUSE).await;
            }
        });
    }

    /// Sends it, and records what became of it.
    async fn send(
        &self,
        call: Call<Withdrawal>,
        reference: &str,
        sender: &str,
    ) -> Result<Payout, Error> {
        let result = self.called(call).await;
        let (state, code, http_status, key, status, message) = match &result {
            Ok(paid) => {
                let message = paid.message.as_deref();
                (PayoutState::Paid, None, None, None, paid.status.as_deref(), message)
            }
            Err(problem) => {
                let state = match problem.outcome() {
                    Some(Outcome::NotSent) => PayoutState::NotSent,
                    Some(Outcome::Rejected) => PayoutState::Rejected,
                    Some(Outcome::Unknown) | None => PayoutState::Unknown,
                };
                let said = Some(problem.message());
                (state, Some(problem.code()), problem.status(), problem.key(), None, said)
            }
        };
        let record = Statement::new(
            "UPDATE kazawallet_payouts SET state = $3, error = $4, http_status = $5, error_key = $6,
                status = $7, message = $8, changed_at = $9
            WHERE reference = $1 AND sender = $2 AND state IN ('sending', 'unknown')",
        )
        .with(reference)
        .with(sender)
        .with(state.as_str())
        .with(code)
        .with(http_status.map_or(Value::NoInt, |status| Value::Int(status.into())))
        .with(key.map(storable))
        .with(status.map(storable))
        .with(message.map(|message| storable(&shortened(message))))
        .with(times::now());
        let by_reference = Statement::new(BY_REFERENCE).with(reference);
        let recorded = self.record_for_a_while([record, by_reference]).await;
        match (result, recorded) {
            (Ok(_), Ok(recorded)) if recorded.payout.state == PayoutState::NotPaid => {
                self.accepted_after_all(reference).await
            }
            (Ok(_), Ok(recorded)) => recorded.result(),
            // Where it could not be recorded it stays `sending`, and so becomes unknown: that is safe.
            (Err(problem), _) => Err(problem),
            (Ok(_), Err(problem)) => {
                let said = format!(
                    "the provider accepted the payout, and this could not be recorded: it stays \
                     unknown. Look in the wallet, and say what it shows with `resolve`. {problem}"
                );
                Err(Error::of_ledger(problem.kind(), Outcome::Unknown, said).caused_by(problem))
            }
        }
    }

    /// The machine was suspended so long that a person resolved the payout as not paid; and now the
    /// provider says that it accepted it.
    async fn accepted_after_all(&self, reference: &str) -> Result<Payout, Error> {
        let said = "the provider accepted this payout after a person had resolved it as not paid: \
                    look in the wallet, it may have been paid twice";
        self.tell(Report::error("accepted_after_all", said));
        let keep =
            Statement::new("UPDATE kazawallet_payouts SET message = $2 WHERE reference = $1")
                .with(reference)
                .with(said);
        if let Ok(database) = self.database().await {
            let _ = database.write([keep]).await;
        }
        Err(Error::of_ledger(ErrorKind::OutcomeUnknown, Outcome::Unknown, said))
    }

    /// Records an answer, also where the database comes back only after a while.
    async fn record_for_a_while(&self, statements: [Statement; 2]) -> Result<Recorded, Error> {
        let until = Instant::now() + RECORDING;
        loop {
            let recorded = match self.database().await {
                Ok(database) => database.write(statements.clone()).await,
                Err(problem) => Err(problem),
            };
            match recorded {
                Ok(mut answers) => {
                    let _ = answers.next();
                    let row = answers.next().pop();
                    return row.map(Recorded::read).unwrap_or_else(|| Err(gone()));
                }
                Err(problem) if Instant::now() >= until => return Err(problem),
                Err(_) => tokio::time::sleep(RECORDING_PAUSE).await,
            }
        }
    }
}

fn gone() -> Error {
    error(ErrorKind::LedgerDamaged, "a payout that was recorded is gone")
}

fn shortened(message: &str) -> String {
    message.chars().take(LONGEST_MESSAGE).collect()
}

impl IntoFuture for Withdraw {
    type Output = Result<Payout, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.ledger.clone().to_its_end(self.pay()).await })
    }
}

impl fmt::Debug for Withdraw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Withdraw").field("withdrawal", &self.withdrawal).finish_non_exhaustive()
    }
}
