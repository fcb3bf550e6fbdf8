//! What is missing, and what waits for a person.

use std::time::Duration;

use kazawallet::{Client, Error};

use crate::database::{Row, Rows, Statement};
use crate::ledger::Ledger;
use crate::orders::order_columns;
use crate::payments::payment_columns;
use crate::payouts::AFTER_THE_DEADLINE;
use crate::records::{
    Conflict, Decision, LinkIds, OrderRecord, OrderState, Payment, PayoutState, PersonDecision,
    Processing, Summary,
};
use crate::times;

impl Ledger {
    /// The orders that have had a link for longer than this and of which no webhook told, oldest
    /// first: their webhook may have been lost. Look in the wallet.
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn overdue(
        &self,
        older_than: Duration,
        limit: u32,
    ) -> Result<Vec<OrderRecord>, Error> {
        let overdue = Statement::new(concat!(
            "SELECT ",
            order_columns!(),
            " FROM kazawallet_orders WHERE state = 'open' AND link_at <= $1
            ORDER BY link_at LIMIT $2"
        ));
        let overdue = overdue.with(times::ago(older_than)).with(limit);
        self.listed(overdue, |mut row| OrderRecord::read(&mut row)).await
    }

    /// The payments that wait for a person, oldest first: a mismatch, no order, overpaid. See
    /// [`settle`](Self::settle).
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn unsettled(&self, limit: u32) -> Result<Vec<Payment>, Error> {
        let unsettled = Statement::new(concat!(
            "SELECT ",
            payment_columns!(),
            " FROM kazawallet_payments WHERE decision IN ('mismatch', 'no_order', 'overpaid')
            ORDER BY received_at LIMIT $1"
        ));
        self.listed(unsettled.with(limit), Payment::read).await
    }

    /// The payments whose handler failed too often, oldest first. See [`retry`](Self::retry).
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn parked(&self, limit: u32) -> Result<Vec<Payment>, Error> {
        let parked = Statement::new(concat!(
            "SELECT ",
            payment_columns!(),
            " FROM kazawallet_payments WHERE processing = 'parked' ORDER BY received_at LIMIT $1"
        ));
        self.listed(parked.with(limit), Payment::read).await
    }

    /// The deliveries that contradict the first one of their order id, newest first.
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn conflicts(&self, limit: u32) -> Result<Vec<Conflict>, Error> {
        let conflicts = Statement::new(
            "SELECT order_id, problem, ref, amount, currency, status, received_at
            FROM kazawallet_conflicts ORDER BY received_at DESC LIMIT $1",
        );
        let read = |mut row: Row| {
            Ok(Conflict {
                order_id: row.text()?,
                problem: row.text()?,
                reference: row.optional_text()?,
                amount: row.amount()?,
                currency: row.optional_text()?,
                status: row.text()?,
                received_at: row.time()?,
            })
        };
        self.listed(conflicts.with(limit), read).await
    }

    /// What people decided, newest first.
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn decisions(&self, limit: u32) -> Result<Vec<PersonDecision>, Error> {
        let decisions = Statement::new(
            "SELECT decided_at, decided_by, action, subject, decision, ref, note
            FROM kazawallet_decisions ORDER BY decided_at DESC LIMIT $1",
        );
        let read = |mut row: Row| {
            Ok(PersonDecision {
                at: row.time()?,
                by: row.text()?,
                action: row.text()?,
                subject: row.text()?,
                decision: row.text()?,
                reference: row.optional_text()?,
                note: row.optional_text()?,
            })
        };
        self.listed(decisions.with(limit), read).await
    }

    async fn listed<T>(
        &self,
        statement: Statement,
        read: impl Fn(Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let rows: Rows = self.database().await?.read(statement).await?;
        rows.into_iter().map(read).collect()
    }

    /// How many there are of everything, by state. It counts, and so takes longer the more there is.
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn summary(&self) -> Result<Summary, Error> {
        let counts = Statement::new(
            "SELECT 'orders', state, COUNT(*) FROM kazawallet_orders GROUP BY state
            UNION ALL SELECT 'payments', decision, COUNT(*) FROM kazawallet_payments
                GROUP BY decision
            UNION ALL SELECT 'processing', processing, COUNT(*) FROM kazawallet_payments
                WHERE processing IS NOT NULL GROUP BY processing
            UNION ALL SELECT 'payouts', seen, COUNT(*) FROM (SELECT
                    CASE WHEN state = 'sending' AND deadline < $1 THEN 'unknown' ELSE state END
                        AS seen
                    FROM kazawallet_payouts) payouts
                GROUP BY seen
            UNION ALL SELECT 'conflicts', '', COUNT(*) FROM kazawallet_conflicts
            UNION ALL SELECT 'quarantined', '', COUNT(*) FROM kazawallet_quarantine
            UNION ALL SELECT 'link_ids', CASE
                    WHEN link_ids = 'ignored' THEN 'ignored'
                    WHEN EXISTS (SELECT 1 FROM kazawallet_payments
                        WHERE proves = COALESCE($2, (SELECT origin FROM kazawallet_links
                            ORDER BY made_at DESC LIMIT 1))) THEN 'proven'
                    ELSE 'unproven' END, 0
                FROM kazawallet_ledger",
        )
        // As `unresolved` lists them: a sender that is not heard of any more.
        .with(times::ago(AFTER_THE_DEADLINE))
        .with(self.client().ok().map(Client::origin));
        let rows = self.database().await?.read(counts).await?;
        let mut summary = Summary::empty();
        for mut row in rows {
            let (what, state) = (row.text()?, row.text()?);
            let count = u64::try_from(row.int()?).unwrap_or_default();
            match what.as_str() {
                "orders" => put(&mut summary.orders, OrderState::from_text(&state), count),
                "payments" => put(&mut summary.payments, Decision::from_text(&state), count),
                "processing" => put(&mut summary.processing, Processing::from_text(&state), count),
                "payouts" => put(&mut summary.payouts, PayoutState::from_text(&state), count),
                "conflicts" => summary.conflicts = count,
                "link_ids" => {
                    summary.link_ids = LinkIds::from_text(&state).unwrap_or(summary.link_ids);
                }
                _ => summary.quarantined = count,
            }
        }
        if let Some(spool) = &self.inner.spool {
            summary.spooled = spool.count(self.inner.digest_key.get(), &self.inner.voice).await;
        }
        Ok(summary)
    }
}

impl Summary {
    /// With a zero for each state that can be counted.
    fn empty() -> Self {
        let payments = Decision::ALL
            .iter()
            .filter(|decision| !matches!(decision, Decision::Conflict | Decision::Spooled));
        Self {
            orders: OrderState::ALL.iter().map(|state| (*state, 0)).collect(),
            payments: payments.map(|decision| (*decision, 0)).collect(),
            processing: Processing::ALL.iter().map(|state| (*state, 0)).collect(),
            payouts: PayoutState::ALL.iter().map(|state| (*state, 0)).collect(),
            conflicts: 0,
            quarantined: 0,
            spooled: 0,
            link_ids: LinkIds::Unproven,
        }
    }
}

fn put<K: Ord>(counts: &mut std::collections::BTreeMap<K, u64>, state: Option<K>, count: u64) {
    if let Some(state) = state {
        counts.insert(state, count);
    }
}
