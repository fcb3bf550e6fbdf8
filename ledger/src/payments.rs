//! Payments: deliveries received, decided once, and settled by a person where that is not enough.

use std::time::{Duration, Instant, SystemTime};

use kazawallet::{Error, ErrorKind, PaymentEvent, Report};

use crate::database::{Row, Statement, error};
use crate::ledger::{Ledger, check_name, runtime, storable, unique};
use crate::records::{Decision, LinkIds, Payment, Processing, Receipt, Settlement};
use crate::times;

/// How long a delivery waits for the database where it can go to the spool instead: the provider
/// wants its answer soon (seen).
const BEFORE_THE_SPOOL: Duration = Duration::from_secs(2);
/// How often a delivery is decided anew, where each time another one settled its order meanwhile.
const TRIES: u32 = 10;
/// A connection that ended while the process was frozen, or nobody looked, is found out by a failure
/// that comes at once: then the delivery is stored over another one.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What is to be made of deliveries: the rule, for both databases. `$source` gives what they say:
/// `order_id`, `ref`, `amount_value`, `currency`, `status`, of one delivery. The limits keep the
/// databases from working out each part anew wherever it is named.
///
/// The signed `order_id` is held against the links that orders ever had:
/// - a link of its own order (`own_origin`): the order's terms decide;
/// - a link of another order (`other_ref`): the ref was changed;
/// - no known link: the order's terms decide, until the ids of what made the order's latest link are
///   proven to be the ones that deliveries carry. What former versions made counts as one origin, with
///   an empty name. An order whose latest link has no known id can be held against none.
macro_rules! decided {
    ($source:literal) => {
        concat!(
            "(SELECT fitted.*,
                CASE
                    WHEN problem = 'ref' THEN 'mismatch'
                    WHEN order_state IS NULL THEN 'no_order'
                    WHEN status = 'timed_out' AND (problem IS NULL OR problem = 'order_id')
                        THEN 'timed_out'
                    WHEN problem IS NOT NULL THEN 'mismatch'
                    WHEN order_state = 'paid' THEN 'overpaid'
                    ELSE 'paid'
                END AS decision
            FROM (SELECT held.*,
                CASE
                    WHEN link_ref IS NOT NULL THEN 'ref'
                    WHEN order_state IS NULL THEN NULL
                    WHEN status NOT IN ('fulfilled', 'timed_out') THEN 'status'
                    WHEN link_ids = 'proven' AND own_origin IS NULL AND latest_is_known
                        THEN 'order_id'
                    -- That a former link timed out says nothing of the latest one.
                    WHEN link_ids <> 'ignored' AND own_origin IS NOT NULL AND NOT is_latest
                        AND status = 'timed_out' THEN 'order_id'
                    WHEN currency IS NULL OR currency <> order_currency THEN 'currency'
                    WHEN status = 'fulfilled' AND amount_value <> order_amount THEN 'amount'
                END AS problem
            FROM (SELECT known.*,
                CASE WHEN link_check = 'ignored' OR own_origin IS NOT NULL THEN NULL
                    ELSE other_ref END AS link_ref,
                CASE
                    WHEN link_check = 'ignored' THEN 'ignored'
                    WHEN proof IS NOT NULL OR EXISTS (SELECT 1 FROM kazawallet_payments proving
                        WHERE proving.proves = known.latest_origin) THEN 'proven'
                    ELSE 'unproven'
                END AS link_ids,
                proof AS proves
            FROM (SELECT linked.*,
                CASE WHEN link_check IS NULL AND own_origin IS NOT NULL
                    AND amount_value = order_amount AND currency = order_currency
                    AND NOT EXISTS (SELECT 1 FROM kazawallet_payments proving
                        WHERE proving.proves = linked.own_origin)
                    THEN own_origin END AS proof
            FROM (SELECT said.*, o.state AS order_state, o.amount_value AS order_amount,
                o.currency AS order_currency,
                COALESCE(o.link_id = said.order_id, FALSE) AS is_latest,
                (o.link_url IS NULL OR o.link_id IS NOT NULL) AS latest_is_known,
                (SELECT link_ids FROM kazawallet_ledger) AS link_check,
                -- A process of a former version records an order's link in the order alone.
                COALESCE((SELECT own.origin FROM kazawallet_links own
                        WHERE own.ref = said.ref AND own.link_id = said.order_id),
                    CASE WHEN o.link_id = said.order_id THEN '' END) AS own_origin,
                COALESCE((SELECT MIN(another.ref) FROM kazawallet_links another
                        WHERE another.link_id = said.order_id),
                    (SELECT MIN(another.ref) FROM kazawallet_orders another
                        WHERE another.link_id = said.order_id)) AS other_ref,
                COALESCE((SELECT latest.origin FROM kazawallet_links latest
                        WHERE latest.ref = said.ref ORDER BY latest.made_at DESC LIMIT 1),
                    CASE WHEN o.link_id IS NOT NULL THEN '' END) AS latest_origin
            FROM (",
            $source,
            ") said LEFT JOIN kazawallet_orders o ON o.ref = said.ref LIMIT 1
            ) linked LIMIT 1) known LIMIT 1) held LIMIT 1) fitted) judged"
        )
    };
}

/// What of a decision is for the handler: an order that was paid, and one whose own link timed out.
macro_rules! for_the_handler {
    () => {
        "(decision = 'paid' OR (decision = 'timed_out' AND problem IS NULL \
          AND order_state = 'open'))"
    };
}

/// Stores a delivery with its decision, unless its order id is known, or its order was settled
/// while it was being decided.
macro_rules! store {
    () => {
        concat!(
    "INSERT INTO kazawallet_payments (order_id, ref, amount, amount_value, currency, status,
        decision, problem, link_ids, link_ref, proves, settles, received_at, receipt, processing,
        due_at, tries, body)
    SELECT order_id, ref, $6, amount_value, currency, status, decision, problem, link_ids, link_ref,
        proves,
        CASE WHEN decision = 'paid' THEN ref END, $7, $8,
        CASE WHEN ",
    for_the_handler!(),
    " THEN 'waiting' END,
        CASE WHEN ",
    for_the_handler!(),
    " THEN $7 END, 0, $9
    FROM ",
    decided!("SELECT $1 AS order_id, $2 AS ref, $3 AS amount_value, $4 AS currency, $5 AS status"),
    " WHERE true ON CONFLICT DO NOTHING RETURNING decision, problem, link_ids, link_ref"
        )
    };
}

/// In PostgreSQL the order is told by the same statement, which saves messages to and fro.
const STORE_AND_TELL: &str = concat!(
    "WITH stored AS (",
    store!(),
    ", processing, order_id, ref),
    told AS (UPDATE kazawallet_orders SET state = stored.decision,
        paid_by = CASE WHEN stored.decision = 'paid' THEN stored.order_id END,
        paid_at = CASE WHEN stored.decision = 'paid' THEN $7 END
        FROM stored WHERE stored.processing = 'waiting' AND kazawallet_orders.ref = stored.ref
            AND kazawallet_orders.state <> 'paid')
    SELECT decision, problem, link_ids, link_ref FROM stored"
);

/// Decides again what had no order.
const ADOPT: &str = concat!(
    "UPDATE kazawallet_payments SET decision = now_judged.decision, problem = now_judged.problem,
        link_ids = now_judged.link_ids, link_ref = now_judged.link_ref, proves = now_judged.proves,
        settles = CASE WHEN now_judged.decision = 'paid' THEN now_judged.ref END,
        processing = CASE WHEN handed THEN 'waiting' END,
        due_at = CASE WHEN handed THEN $2 END,
        receipt = $3
    FROM (SELECT judged.*, ",
    for_the_handler!(),
    " AS handed FROM ",
    decided!(
        "SELECT order_id, ref, amount_value, currency, status FROM kazawallet_payments
            WHERE order_id = $1 AND decision = 'no_order'"
    ),
    ") now_judged
    WHERE kazawallet_payments.order_id = now_judged.order_id
        AND kazawallet_payments.decision = 'no_order' AND now_judged.decision <> 'no_order'"
);

/// Tells the order, where a decision made just now concerns it.
const TELL_ORDER: &str = "
    UPDATE kazawallet_orders SET state = told.decision,
        paid_by = CASE WHEN told.decision = 'paid' THEN told.order_id END,
        paid_at = CASE WHEN told.decision = 'paid' THEN $3 END
    FROM kazawallet_payments told
    WHERE told.order_id = $1 AND told.receipt = $2 AND told.processing = 'waiting'
        AND kazawallet_orders.ref = COALESCE(told.settles, told.ref)
        AND kazawallet_orders.state <> 'paid'";

const RECORDED: &str = "
    SELECT decision, problem, link_ids, link_ref, receipt, status, amount_value, currency, ref
    FROM kazawallet_payments WHERE order_id = $1";

/// The columns of a [`Payment`], in the order in which it reads them.
macro_rules! payment_columns {
    () => {
        "order_id, COALESCE(settles, ref), amount, currency, status, decision, problem, link_ids, \
         link_ref, received_at, processing, tries, last_error, body"
    };
}
pub(crate) use payment_columns;

pub(crate) const BY_ORDER_ID: &str =
    concat!("SELECT ", payment_columns!(), " FROM kazawallet_payments WHERE order_id = $1");

impl Payment {
    pub(crate) fn read(mut row: Row) -> Result<Self, Error> {
        Ok(Self {
            order_id: row.text()?,
            reference: row.optional_text()?,
            amount: row.amount()?,
            currency: row.optional_text()?,
            status: row.text()?,
            decision: row.known(Decision::from_text)?,
            problem: row.optional_text()?,
            link_ids: row.optional_text()?.as_deref().and_then(LinkIds::from_text),
            link_ref: row.optional_text()?,
            received_at: row.time()?,
            processing: row.optional_text()?.as_deref().and_then(Processing::from_text),
            tries: u32::try_from(row.int()?).unwrap_or(u32::MAX),
            last_error: row.optional_text()?,
            body: row.optional_bytes()?,
        })
    }
}

/// A delivery that is stored nowhere.
pub(crate) struct NotReceived {
    pub(crate) problem: Error,
    /// Of a genuine one.
    pub(crate) order_id: Option<String>,
}

impl Ledger {
    /// Verifies a webhook delivery, decides it, and stores its bytes. **When it returns, the delivery
    /// would survive a power cut: answer 200.** The provider sends it once only (documented).
    ///
    /// The signed order id is the payment's identity. Its first genuine delivery is held against the
    /// order with its ref (ref, currency, amount, and the ids of the links that orders had; see
    /// [`LinkIds`]) and decided; whatever comes later for the same order id changes nothing. See
    /// [`Decision`].
    ///
    /// Where the database cannot be reached, it goes to the spool, where there is one.
    ///
    /// # Errors
    /// - [`WebhookPayload`](ErrorKind::WebhookPayload): it cannot be read. Answer 400.
    /// - [`SignatureVerification`](ErrorKind::SignatureVerification): its signature does not hold.
    ///   Answer 401. As what cannot be read it changed nothing, and went to quarantine; see
    ///   [`reverify`](Self::reverify).
    /// - [`Configuration`](ErrorKind::Configuration): the ledger has neither a client with an API
    ///   secret nor a webhook. It went to quarantine, too. Answer 500.
    /// - The ledger's kinds, where it could be stored nowhere. Answer 500; the payment will have to be
    ///   found with [`overdue`](Self::overdue).
    pub async fn receive(&self, body: impl AsRef<[u8]>) -> Result<Receipt, Error> {
        let (receipt, spooled) =
            self.take_in(body.as_ref()).await.map_err(|refused| refused.problem)?;
        if let Some(report) = spooled {
            self.tell(report);
        }
        Ok(receipt)
    }

    /// As [`receive`](Self::receive), with what is to be told of a delivery that went to the spool.
    pub(crate) async fn take_in(
        &self,
        body: &[u8],
    ) -> Result<(Receipt, Option<Report>), NotReceived> {
        let event = match self.webhook().and_then(|webhook| webhook.verify(body)) {
            Ok(event) => event,
            Err(problem) => {
                self.quarantine(body).await;
                return Err(NotReceived { problem, order_id: None });
            }
        };
        let order_id = event.order_id().to_owned();
        let taken_in = self.store_or_spool(event, SystemTime::now()).await;
        taken_in.map_err(|problem| NotReceived { problem, order_id: Some(order_id) })
    }

    async fn store_or_spool(
        &self,
        event: PaymentEvent,
        received_at: SystemTime,
    ) -> Result<(Receipt, Option<Report>), Error> {
        let Some(spool) = &self.inner.spool else {
            return Ok((self.store(event, received_at).await?, None));
        };
        runtime()?;
        let storing = self.store(event.clone(), received_at);
        let problem = match tokio::time::timeout(BEFORE_THE_SPOOL, storing).await {
            Ok(Ok(receipt)) => return Ok((receipt, None)),
            Ok(Err(problem)) => problem,
            Err(_) => {
                error(ErrorKind::LedgerUnavailable, "the ledger's database did not answer in time")
            }
        };
        spool.keep(received_at, &event).await?;
        let text = format!(
            "a delivery went to the ledger's spool, and is decided once its database is back: {problem}"
        );
        let receipt = Verdict::of(Decision::Spooled).receipt(event);
        Ok((receipt, Some(Report::warning("spooled", text))))
    }

    /// Decides and stores a verified delivery.
    pub(crate) async fn store(
        &self,
        event: PaymentEvent,
        received_at: SystemTime,
    ) -> Result<Receipt, Error> {
        if !self.inner.database.is_postgres() && self.inner.spool.is_none() {
            return self.decide(event, received_at).await; // SQLite's thread carries it to its end.
        }
        let ledger = self.clone();
        self.to_its_end(async move { ledger.decide(event, received_at).await }).await
    }

    async fn decide(&self, event: PaymentEvent, received_at: SystemTime) -> Result<Receipt, Error> {
        let database = self.database().await?;
        let said = Said::by(&event);
        let receipt = unique()?;
        let at = times::text(received_at);
        let begun = Instant::now();
        for attempt in 1..=TRIES {
            let store = Statement::differing(Some(store!()), Some(STORE_AND_TELL))
                .with(said.order_id.as_str())
                .with(said.reference.as_deref())
                .with(said.amount_value.as_str())
                .with(said.currency.as_deref())
                .with(said.status.as_str())
                .with(event.amount().as_str())
                .with(at.as_str())
                .with(receipt.as_str())
                .with(event.body());
            let tell = Statement::differing(Some(TELL_ORDER), None);
            let tell = tell.with(said.order_id.as_str()).with(receipt.as_str()).with(at.as_str());
            let stored = match database.write([store, tell]).await {
                Ok(mut answers) => answers.next().pop(),
                // Where it was stored nevertheless, the next try finds it by its receipt.
                Err(problem)
                    if problem.kind() == ErrorKind::LedgerUnavailable
                        && attempt < TRIES
                        && begun.elapsed() < AT_ONCE =>
                {
                    continue;
                }
                Err(problem) => return Err(problem),
            };
            if let Some(mut row) = stored {
                return self.stored(event, &said, Verdict::read(&mut row)?).await;
            }
            if let Some(first) = self.first(&said.order_id).await? {
                if first.receipt == receipt {
                    // An answer that was lost on the way.
                    return self.stored(event, &said, first.verdict).await;
                }
                let first = self.adopted(&said, first).await;
                return self.repeated(event, &said, first, &at).await;
            }
            // Another payment settled the order just now: it is to be decided again.
        }
        Err(error(ErrorKind::LedgerUnavailable, "the delivery's order is changing all the time"))
    }

    /// A delivery that was stored just now.
    async fn stored(
        &self,
        event: PaymentEvent,
        said: &Said,
        mut verdict: Verdict,
    ) -> Result<Receipt, Error> {
        // It is stored: what fails from here on is no reason to refuse it.
        if verdict.decision == Decision::NoOrder
            && let Ok(Some(first)) = self.first(&said.order_id).await
        {
            verdict = self.adopted(said, first).await.verdict;
        }
        self.inner.arrivals.notify_one();
        Ok(verdict.receipt(event))
    }

    /// What is recorded of a payment, once its order was recorded since it was looked for: the call
    /// that stored it may not have come so far.
    async fn adopted(&self, said: &Said, first: First) -> First {
        let adopting = async {
            if first.verdict.decision != Decision::NoOrder {
                return Ok(None);
            }
            let found = Statement::new(
                "SELECT ref FROM kazawallet_orders WHERE ref = $2
                UNION ALL SELECT ref FROM kazawallet_links WHERE link_id = $1 LIMIT 1",
            );
            let found = found.with(said.order_id.as_str()).with(first.said.reference.as_deref());
            if self.database().await?.read(found).await?.is_empty() {
                return Ok(None);
            }
            self.adopt(&said.order_id).await?;
            self.inner.arrivals.notify_one();
            self.first(&said.order_id).await
        };
        match adopting.await {
            Ok(adopted) => adopted.unwrap_or(first),
            Err(problem) => {
                let text = format!("a payment waits for its order: {problem}");
                self.tell(Report::warning("waits_for_order", text).of_payment(&said.order_id));
                first
            }
        }
    }

    /// A delivery of an order id that is known.
    async fn repeated(
        &self,
        event: PaymentEvent,
        said: &Said,
        first: First,
        at: &str,
    ) -> Result<Receipt, Error> {
        let Some(problem) = said.differs_from(&first.said) else {
            return Ok(Receipt { duplicate: true, ..first.verdict.receipt(event) });
        };
        let keep = Statement::new(
            "INSERT INTO kazawallet_conflicts (digest, order_id, problem, ref, amount, currency,
                status, received_at, body)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
            WHERE (SELECT COUNT(*) FROM kazawallet_conflicts WHERE order_id = $2) < 20
            ON CONFLICT DO NOTHING RETURNING digest",
        )
        .with(said.digest())
        .with(said.order_id.as_str())
        .with(problem)
        .with(said.reference.as_deref())
        .with(event.amount().as_str())
        .with(said.currency.as_deref())
        .with(said.status.as_str())
        .with(at)
        .with(event.body());
        let new = !self.database().await?.write([keep]).await?.next().is_empty();
        let verdict = Verdict {
            problem: Some(problem.to_owned()),
            link_ids: first.verdict.link_ids,
            ..Verdict::of(Decision::Conflict)
        };
        Ok(Receipt { duplicate: !new, ..verdict.receipt(event) })
    }

    /// What is recorded of an order id.
    async fn first(&self, order_id: &str) -> Result<Option<First>, Error> {
        let recorded = Statement::new(RECORDED).with(order_id);
        self.database().await?.read(recorded).await?.pop().map(First::read).transpose()
    }

    /// Decides a payment that had no order, now that there may be one, or that its link is known.
    pub(crate) async fn adopt(&self, order_id: &str) -> Result<(), Error> {
        let (receipt, now) = (unique()?, times::now());
        let adopt = Statement::new(ADOPT).with(order_id).with(now.as_str()).with(receipt.as_str());
        let tell = tell_order(order_id, &receipt, &now);
        self.database().await?.write([adopt, tell]).await.map(drop)
    }

    /// Decides the payments whose order was recorded while they were: the process that received them
    /// may have died before it looked again.
    pub(crate) async fn adopt_left_behind(&self) {
        let left_behind = Statement::new(
            "SELECT p.order_id FROM kazawallet_payments p WHERE p.decision = 'no_order'
                AND (EXISTS (SELECT 1 FROM kazawallet_orders o WHERE o.ref = p.ref)
                    OR EXISTS (SELECT 1 FROM kazawallet_links l WHERE l.link_id = p.order_id))
            ORDER BY p.received_at",
        );
        let adopting = async {
            for mut row in self.database().await?.read(left_behind).await? {
                self.adopt(&row.text()?).await?;
            }
            Ok::<(), Error>(())
        };
        if let Err(problem) = adopting.await {
            let text = format!("payments wait for their order: {problem}");
            self.tell(Report::warning("waits_for_order", text));
        }
    }

    /// Decides the payments that came before their order.
    pub(crate) async fn adopt_all(&self, reference: &str) -> Result<(), Error> {
        let waiting = Statement::new(
            "SELECT order_id FROM kazawallet_payments WHERE ref = $1 AND decision = 'no_order'
            ORDER BY received_at",
        )
        .with(reference);
        for mut row in self.database().await?.read(waiting).await? {
            self.adopt(&row.text()?).await?;
            self.inner.arrivals.notify_one();
        }
        Ok(())
    }

    /// The payment with this order id.
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn payment(&self, order_id: &str) -> Result<Option<Payment>, Error> {
        let by_order_id = Statement::new(BY_ORDER_ID).with(storable(order_id));
        let row = self.database().await?.read(by_order_id).await?.pop();
        row.map(Payment::read).transpose()
    }

    /// A person decides a payment that the ledger could not: one whose decision is `mismatch`,
    /// `no_order`, `overpaid` or `dismissed`, or a `timed_out` one that another delivery contradicts.
    ///
    /// `Paid` lets it settle an order: the one that is given, else the one that the delivery names, unless
    /// its link is another order's ([`Payment::link_ref`]). The payment is then handed to the handler as
    /// any other. `Dismissed` says that it pays for nothing.
    /// Who decided is kept for ever.
    ///
    /// # Errors
    /// - [`Validation`](ErrorKind::Validation): `by` is blank, or too long.
    /// - [`LedgerNotFound`](ErrorKind::LedgerNotFound): no payment has this order id.
    /// - [`LedgerState`](ErrorKind::LedgerState): it needs no person; or there is no such order, or it
    ///   is paid already.
    /// - The ledger's kinds.
    pub async fn settle(
        &self,
        order_id: &str,
        settlement: Settlement,
        reference: Option<&str>,
        by: &str,
        note: Option<&str>,
    ) -> Result<Payment, Error> {
        check_name("by", by)?;
        let (order_id, reference) = (&*storable(order_id), reference.map(storable));
        if settlement == Settlement::Dismissed && reference.is_some() {
            return Err(Error::refused_by_ledger("ref", "what is dismissed settles no order"));
        }
        let payment = self.payment(order_id).await?.ok_or_else(|| no_payment(order_id))?;
        let reference = match settlement {
            // A delivery of another order's link does not say which one it pays.
            Settlement::Paid if payment.link_ref.is_some() => reference,
            Settlement::Paid => reference.or(payment.reference),
            Settlement::Dismissed => None,
        };
        let (receipt, now) = (unique()?, times::now());
        let change = match settlement {
            Settlement::Paid => Statement::new(
                "UPDATE kazawallet_payments SET decision = 'paid', settles = $3,
                    processing = 'waiting', due_at = $4, holder = NULL, tries = 0,
                    last_error = NULL, receipt = $2
                WHERE order_id = $1
                    AND (decision IN ('mismatch', 'no_order', 'overpaid', 'dismissed')
                        OR (decision = 'timed_out' AND EXISTS (SELECT 1 FROM kazawallet_conflicts c
                            WHERE c.order_id = kazawallet_payments.order_id)))
                    AND EXISTS (SELECT 1 FROM kazawallet_orders o
                        WHERE o.ref = $3 AND o.state <> 'paid')",
            ),
            Settlement::Dismissed => Statement::new(
                "UPDATE kazawallet_payments SET decision = 'dismissed', receipt = $2
                WHERE order_id = $1 AND decision IN ('mismatch', 'no_order', 'overpaid')",
            ),
        };
        let change = change
            .with(order_id)
            .with(receipt.as_str())
            .with(reference.as_deref())
            .with(now.as_str());
        let keep = keep_decision(&receipt, &now, by, "settle", order_id, settlement.as_str())
            .with(reference.as_deref())
            .with(note.map(storable))
            .with(receipt.as_str());
        let statements = [
            change,
            tell_order(order_id, &receipt, &now),
            keep,
            Statement::new(BY_ORDER_ID).with(order_id),
        ];
        let mut answers = self.database().await?.write(statements).await?;
        let _ = (answers.next(), answers.next());
        let changed = !answers.next().is_empty();
        let row = answers.next().pop().ok_or_else(|| no_payment(order_id))?;
        let now_is = Payment::read(row)?;
        if changed {
            self.inner.arrivals.notify_one();
            return Ok(now_is);
        }
        let decision = now_is.decision;
        let why = match (&reference, now_is.decision) {
            (None, decision) if decision.waits_for_person() => {
                "the delivery names no order, or another one than that of its link: give the `ref` of the \
                 one that it pays"
                    .to_owned()
            }
            (Some(_), Decision::Paid | Decision::TimedOut) | (None, _) => {
                format!("its decision is `{decision}`, which needs no person")
            }
            _ => "there is no order with this `ref`, or it is paid already".to_owned(),
        };
        Err(error(ErrorKind::LedgerState, format!("the payment cannot be settled so: {why}")))
    }
}

fn tell_order(order_id: &str, receipt: &str, at: &str) -> Statement {
    Statement::new(TELL_ORDER).with(order_id).with(receipt).with(at)
}

/// Keeps what a person decided about a payment, where it was carried out just now. Wants the ref, the
/// note and the receipt of that.
pub(crate) fn keep_decision(
    id: &str,
    now: &str,
    by: &str,
    action: &str,
    order_id: &str,
    decision: &str,
) -> Statement {
    Statement::new(
        "INSERT INTO kazawallet_decisions (id, decided_at, decided_by, action, subject, decision,
            ref, note)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM kazawallet_payments
            WHERE order_id = $5 AND receipt = $9
        RETURNING id",
    )
    .with(id)
    .with(now)
    .with(by)
    .with(action)
    .with(order_id)
    .with(decision)
}

pub(crate) fn no_payment(_order_id: &str) -> Error {
    error(ErrorKind::LedgerNotFound, "the ledger has no payment with this order id")
}

/// What a delivery says, as it is compared.
struct Said {
    order_id: String,
    reference: Option<String>,
    amount_value: String,
    currency: Option<String>,
    status: String,
}

impl Said {
    fn by(event: &PaymentEvent) -> Self {
        Self {
            order_id: storable(event.order_id()),
            reference: event.reference().map(storable),
            amount_value: event.amount().shortest(),
            currency: event.currency().map(|code| storable(&code.to_ascii_uppercase())),
            status: storable(event.status().as_str()),
        }
    }

    /// The field in which it contradicts another delivery.
    fn differs_from(&self, first: &Self) -> Option<&'static str> {
        [
            ("status", self.status != first.status),
            ("amount", self.amount_value != first.amount_value),
            ("currency", self.currency != first.currency),
            ("ref", self.reference != first.reference),
        ]
        .into_iter()
        .find_map(|(field, differs)| differs.then_some(field))
    }

    fn digest(&self) -> String {
        let said = serde_json::json!([
            self.order_id,
            self.reference,
            self.amount_value,
            self.currency,
            self.status,
        ]);
        crate::digests::of(said.to_string().as_bytes())
    }
}

/// What was made of a delivery.
struct Verdict {
    decision: Decision,
    problem: Option<String>,
    link_ids: Option<LinkIds>,
    link_ref: Option<String>,
}

impl Verdict {
    fn of(decision: Decision) -> Self {
        Self { decision, problem: None, link_ids: None, link_ref: None }
    }

    fn read(row: &mut Row) -> Result<Self, Error> {
        Ok(Self {
            decision: row.known(Decision::from_text)?,
            problem: row.optional_text()?,
            link_ids: row.optional_text()?.as_deref().and_then(LinkIds::from_text),
            link_ref: row.optional_text()?,
        })
    }

    /// The receipt of a delivery that was not received before.
    fn receipt(self, event: PaymentEvent) -> Receipt {
        let Self { decision, problem, link_ids, link_ref } = self;
        Receipt { event, decision, duplicate: false, problem, link_ids, link_ref }
    }
}

/// What is recorded of an order id.
struct First {
    verdict: Verdict,
    receipt: String,
    said: Said,
}

impl First {
    fn read(mut row: Row) -> Result<Self, Error> {
        Ok(Self {
            verdict: Verdict::read(&mut row)?,
            receipt: row.text()?,
            said: Said {
                status: row.text()?,
                amount_value: row.text()?,
                currency: row.optional_text()?,
                reference: row.optional_text()?,
                order_id: String::new(),
            },
        })
    }
}
