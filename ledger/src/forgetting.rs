//! Erasing people's data.

use std::time::SystemTime;

use kazawallet::Error;

use crate::database::Statement;
use crate::ledger::Ledger;
use crate::times;

impl Ledger {
    /// Erases people's data of what is settled and older than this: the bodies of deliveries, handlers'
    /// errors, the recipients' data, notes and messages of payouts, people's notes on decisions; and
    /// empties the quarantine of what is older. What waits for a handler or a person is kept.
    ///
    /// Refs, references, order ids, amounts, states, links, and the keyed digest of each payout's terms
    /// stay for ever: forgetting those would let a payment repeat. Do not put a person's name into a
    /// ref. PostgreSQL keeps erased rows until the next `VACUUM`, and backups keep them as long as you
    /// keep those. In SQLite what is erased is overwritten, but for what the splitting of a full page
    /// has left in its gaps: `VACUUM` takes that away.
    ///
    /// Returns of how many records it erased something.
    ///
    /// # Errors
    /// The ledger's kinds. [`LedgerUnavailable`](kazawallet::ErrorKind::LedgerUnavailable) also where
    /// all was erased but another process's reading keeps SQLite's log: call it again.
    pub async fn forget(&self, before: SystemTime) -> Result<u64, Error> {
        let ledger = self.clone();
        self.to_its_end(async move { ledger.erase(before).await }).await
    }

    async fn erase(&self, before: SystemTime) -> Result<u64, Error> {
        let database = self.database().await?;
        let before_then = |sql| Statement::new(sql).with(times::text(before));
        let statements = [
            before_then(
                "UPDATE kazawallet_payments SET body = NULL, last_error = NULL
                WHERE received_at < $1 AND (body IS NOT NULL OR last_error IS NOT NULL)
                    AND decision IN ('paid', 'timed_out', 'dismissed')
                    AND (processing IS NULL OR processing = 'done')
                RETURNING order_id",
            ),
            before_then(
                "UPDATE kazawallet_conflicts SET body = NULL
                WHERE received_at < $1 AND body IS NOT NULL RETURNING order_id",
            ),
            before_then(
                "UPDATE kazawallet_payouts SET details = NULL, message = NULL
                WHERE changed_at < $1 AND (details IS NOT NULL OR message IS NOT NULL)
                    AND state IN ('paid', 'rejected', 'not_paid')
                RETURNING reference",
            ),
            before_then(
                "UPDATE kazawallet_decisions SET note = NULL
                WHERE decided_at < $1 AND note IS NOT NULL RETURNING id",
            ),
            Self::forget_quarantine(before),
        ];
        let parts = statements.len();
        let mut answers = database.write(statements).await?;
        let erased = (0..parts).map(|_| answers.next().len() as u64).sum();
        database.scrub().await?;
        Ok(erased)
    }
}
