//! Deliveries whose signature does not hold, or that cannot be read. They change nothing; but a
//! forgotten rotation of keys, or a new form of delivery, would lose payments, were they not kept.
//!
//! Anybody can send them. So they cost no wait for the disk, are taken in at a limited rate, and are
//! few; and what names an order that exists is kept before what does not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use kazawallet::{Error, Webhook};
use tokio::sync::Semaphore;

use crate::database::Statement;
use crate::digests;
use crate::ledger::{Ledger, runtime, storable};
use crate::records::Receipt;
use crate::times;

/// The longest delivery there is.
const LONGEST: usize = 64 * 1024;
/// How long a forged delivery may keep its sender waiting.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many may be looked up and stored at once, also where the database hangs.
const AT_ONCE: usize = 16;

/// What names one order is kept so often; more of it replaces the latest, and not often.
const MANY_OF_ONE_SUBJECT: i64 = 5;
const BETWEEN_MORE_OF_ONE_SUBJECT: Duration = Duration::from_secs(5);

/// How fast deliveries are taken in. One gate a process.
pub(crate) struct Gate {
    passes: Mutex<Option<Passes>>,
    at_once: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { passes: Mutex::default(), at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

struct Passes {
    /// Looking up whether what it names exists.
    lookups: Bucket,
    plausible: Bucket,
    noise: Bucket,
}

/// So many at once, and so many a second.
struct Bucket {
    left: u32,
    at_once: u32,
    a_second: u32,
    filled: Instant,
}

impl Bucket {
    fn new(at_once: u32, a_second: u32) -> Self {
        Self { left: at_once, at_once, a_second, filled: Instant::now() }
    }

    fn passes(&mut self) -> bool {
        let since = self.filled.elapsed().as_millis();
        let new = u32::try_from(since * u128::from(self.a_second) / 1000).unwrap_or(u32::MAX);
        if new > 0 {
            self.left = self.left.saturating_add(new).min(self.at_once);
            self.filled = Instant::now();
        }
        let passes = self.left > 0;
        self.left = self.left.saturating_sub(1);
        passes
    }
}

impl Gate {
    fn passes(&self, which: impl Fn(&mut Passes) -> &mut Bucket) -> bool {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let passes = passes.get_or_insert_with(|| Passes {
            lookups: Bucket::new(400, 200),
            plausible: Bucket::new(100, 20),
            noise: Bucket::new(50, 5),
        });
        which(passes).passes()
    }
}

impl Ledger {
    /// Keeps a delivery that was refused, where there is room for it. That it cannot be kept is
    /// nobody's error.
    pub(crate) async fn quarantine(&self, body: &[u8]) {
        if runtime().is_err()
            || body.len() > LONGEST
            || !self.inner.gate.passes(|passes| &mut passes.lookups)
        {
            return;
        }
        let place = self.inner.gate.at_once.clone().acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, place).await else { return };
        let (order_id, reference) = Webhook::unverified_names(body).unwrap_or_default();
        let (ledger, body) = (self.clone(), body.to_vec());
        let kept = self.to_its_end(async move {
            let _place = place;
            ledger
                .put_in_quarantine(storable(&order_id), reference.as_deref().map(storable), &body)
                .await
        });
        if let Ok(Err(problem)) = tokio::time::timeout(PATIENCE, kept).await {
            tracing::debug!(code = problem.code(), "a refused delivery was not kept: {problem}");
        }
    }

    async fn put_in_quarantine(
        &self,
        order_id: String,
        reference: Option<String>,
        body: &[u8],
    ) -> Result<(), Error> {
        let database = self.database().await?;
        let known = Statement::new(
            "SELECT ref FROM kazawallet_orders WHERE link_id = $1
            UNION ALL SELECT ref FROM kazawallet_links WHERE link_id = $1
            UNION ALL SELECT ref FROM kazawallet_orders WHERE ref = $2
            UNION ALL SELECT COALESCE(settles, ref, order_id) FROM kazawallet_payments
                WHERE order_id = $1 LIMIT 1",
        )
        .with(order_id.as_str())
        .with(reference);
        let known = database.read(known).await?.pop().map(|mut row| row.text()).transpose()?;
        let plausible = known.is_some();
        let subject = known.unwrap_or(order_id);
        // One order is to use up neither the others' room nor their rate.
        let digest = digests::of(body);
        let same = Statement::new(
            "SELECT (SELECT COUNT(*) FROM kazawallet_quarantine WHERE digest = $1),
                (SELECT COUNT(*) FROM kazawallet_quarantine
                    WHERE subject = $2 AND subject <> ''),
                (SELECT MAX(received_at) FROM kazawallet_quarantine WHERE subject = $2)",
        )
        .with(digest.as_str())
        .with(subject.as_str());
        if let Some(mut row) = database.read(same).await?.pop() {
            let (same, of_subject, latest) = (row.int()?, row.int()?, row.optional_text()?);
            let lately = latest.is_some_and(|at| at > times::ago(BETWEEN_MORE_OF_ONE_SUBJECT));
            if same > 0 || (of_subject >= MANY_OF_ONE_SUBJECT && lately) {
                return Ok(());
            }
        }
        let may_pass = self
            .inner
            .gate
            .passes(|passes| if plausible { &mut passes.plausible } else { &mut passes.noise });
        if !may_pass {
            return Ok(());
        }
        let keep = Statement::new(
            "INSERT INTO kazawallet_quarantine (digest, plausible, subject, received_at, body)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .with(digest)
        .with(i64::from(plausible))
        .with(subject.as_str())
        .with(times::now())
        .with(body);
        // Of one order the genuine delivery may be among the first, or the last.
        let few_of_a_kind = Statement::new(
            "DELETE FROM kazawallet_quarantine WHERE digest IN (
                SELECT digest FROM kazawallet_quarantine WHERE subject = $1 AND subject <> ''
                ORDER BY received_at DESC LIMIT 1000000 OFFSET 2)
            AND digest NOT IN (
                SELECT digest FROM kazawallet_quarantine WHERE subject = $1
                ORDER BY received_at LIMIT 3)",
        )
        .with(subject);
        let few = Statement::new(
            "DELETE FROM kazawallet_quarantine WHERE digest IN (
                SELECT digest FROM kazawallet_quarantine
                ORDER BY plausible DESC, received_at DESC LIMIT 1000000 OFFSET 1000)",
        );
        database.write_cheaply([keep, few_of_a_kind, few]).await.map(drop)
    }

    /// Verifies again what is in quarantine, with the keys that the ledger has now, and receives what
    /// holds: for payments that a forgotten rotation of keys refused, or that an older version could
    /// not read. Open the ledger with a webhook that knows both keys first.
    ///
    /// # Errors
    /// As [`receive`](Self::receive); what was received before the error stays so.
    pub async fn reverify(&self) -> Result<Vec<Receipt>, Error> {
        let webhook = self.webhook()?;
        let database = self.database().await?;
        let all = Statement::new(
            "SELECT digest, received_at, body FROM kazawallet_quarantine ORDER BY received_at",
        );
        let mut receipts = Vec::new();
        for mut row in database.read(all).await? {
            let (digest, received_at, body) = (row.text()?, row.time()?, row.bytes()?);
            let Ok(event) = webhook.verify(&body) else { continue };
            receipts.push(self.store(event, received_at).await?);
            let release = Statement::new("DELETE FROM kazawallet_quarantine WHERE digest = $1");
            database.write([release.with(digest)]).await?;
        }
        Ok(receipts)
    }

    /// Empties the quarantine of what came before then.
    pub(crate) fn forget_quarantine(before: SystemTime) -> Statement {
        Statement::new("DELETE FROM kazawallet_quarantine WHERE received_at < $1 RETURNING digest")
            .with(times::text(before))
    }
}
