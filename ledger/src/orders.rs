//! Orders: what must be paid, and the link through which it is.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use kazawallet::{Call, CreatePaymentLink, Error, ErrorKind, PaymentLink};

use crate::database::{Row, Statement, error};
use crate::ledger::{LONGEST_NAME, Ledger, storable, unique};
use crate::records::{OrderLink, OrderRecord, OrderState};
use crate::times;

/// How much longer than its call a link's maker has the order to itself.
const AFTER_THE_CALL: Duration = Duration::from_secs(5);
/// How often one who waits for another's link looks for it.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LATER_LOOKS: Duration = Duration::from_millis(250);

/// The columns of an [`OrderRecord`], in the order in which it reads them.
macro_rules! order_columns {
    () => {
        "ref, amount, currency, state, link_url, link_id, paid_by, created_at, link_at, paid_at"
    };
}
pub(crate) use order_columns;

const BY_REF: &str = concat!(
    "SELECT ",
    order_columns!(),
    ", amount_value, maker FROM kazawallet_orders WHERE ref = $1"
);

impl OrderRecord {
    pub(crate) fn read(row: &mut Row) -> Result<Self, Error> {
        Ok(Self {
            reference: row.text()?,
            amount: row.amount()?,
            currency: row.text()?,
            state: row.known(OrderState::from_text)?,
            url: row.optional_text()?,
            link_id: row.optional_text()?,
            paid_by: row.optional_text()?,
            created_at: row.time()?,
            link_at: row.optional_time()?,
            paid_at: row.optional_time()?,
        })
    }
}

/// An order as its link's maker sees it.
struct Recorded {
    order: OrderRecord,
    amount_value: String,
    maker: Option<String>,
}

impl Recorded {
    fn read(mut row: Row) -> Result<Self, Error> {
        let order = OrderRecord::read(&mut row)?;
        Ok(Self { order, amount_value: row.text()?, maker: row.optional_text()? })
    }

    /// The link, where there is one that can be, or was, paid.
    fn link(&self) -> Option<OrderLink> {
        let order = &self.order;
        let lasting = matches!(order.state, OrderState::Open | OrderState::Paid);
        Some(OrderLink {
            url: order.url.clone().filter(|_| lasting)?,
            id: order.link_id.clone(),
            reference: order.reference.clone(),
            state: order.state,
        })
    }
}

/// What an order must cost.
struct Terms {
    reference: String,
    amount: String,
    amount_value: String,
    currency: String,
}

impl Terms {
    fn of(link: &CreatePaymentLink) -> Result<Self, Error> {
        let (amount, currency, reference) = link.terms();
        let reference = reference.ok_or_else(|| {
            Error::refused_by_ledger("ref", "it is missing: the ledger knows an order by it")
        })?;
        Ok(Self {
            reference: reference.to_owned(),
            amount: amount.as_str().to_owned(),
            amount_value: amount.shortest(),
            currency: storable(&currency.to_ascii_uppercase()),
        })
    }

    fn hold_against(&self, recorded: &Recorded) -> Result<(), Error> {
        let refused = |field, was: &str, is: &str| {
            Err(Error::refused_by_ledger(
                field,
                format!(
                    "the order with this ref was recorded with {was}, and this call says {is}: an \
                     order that costs something else needs a ref of its own"
                ),
            ))
        };
        if self.amount_value != recorded.amount_value {
            return refused("amount", recorded.order.amount.as_str(), &self.amount);
        }
        if self.currency != recorded.order.currency {
            return refused("currency", &recorded.order.currency, &self.currency);
        }
        Ok(())
    }
}

impl Ledger {
    /// Records what an order must cost, then makes its payment link. `.await` what it gives.
    ///
    /// The same ref with the same amount and currency gives the same link, without a second call to
    /// the provider: also to several processes that ask at once, and after a crash. After the link
    /// timed out it makes a new one. Where the order is paid, the link's state says so.
    ///
    /// # Errors
    /// Awaiting it:
    /// - [`Validation`](ErrorKind::Validation): no ref; other terms than the order's (`amount`,
    ///   `currency`); and what [`PaymentLinks::create`](kazawallet::PaymentLinks::create) refuses.
    /// - [`LedgerState`](ErrorKind::LedgerState): the order was paid before it had a link.
    /// - [`Configuration`](ErrorKind::Configuration): the ledger has no client.
    /// - The errors of [`PaymentLinks::create`](kazawallet::PaymentLinks::create). The next call makes
    ///   the link.
    /// - The ledger's kinds.
    pub fn create_payment_link(&self, link: CreatePaymentLink) -> CreateOrderLink {
        CreateOrderLink { ledger: self.clone(), link, timeout: None }
    }

    /// The order with this ref.
    ///
    /// # Errors
    /// The ledger's kinds.
    pub async fn order(&self, reference: &str) -> Result<Option<OrderRecord>, Error> {
        Ok(self.recorded_order(&storable(reference)).await?.map(|recorded| recorded.order))
    }

    async fn recorded_order(&self, reference: &str) -> Result<Option<Recorded>, Error> {
        let by_ref = Statement::new(BY_REF).with(reference);
        let row = self.database().await?.read(by_ref).await?.pop();
        row.map(Recorded::read).transpose()
    }
}

/// A payment link of an order that is to be made: `.await` it. [`Ledger::create_payment_link`] gives
/// one.
#[must_use = "no link is made until it is awaited"]
pub struct CreateOrderLink {
    ledger: Ledger,
    link: CreatePaymentLink,
    timeout: Option<Duration>,
}

impl CreateOrderLink {
    /// The time for the provider's answer, in place of the client's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn create(self) -> Result<OrderLink, Error> {
        let Self { ledger, link, timeout } = self;
        let client = ledger.client()?;
        let terms = Terms::of(&link)?;
        let mut call = client.payment_links().create(link);
        if let Some(timeout) = timeout {
            call = call.timeout(timeout);
        }
        if call.json().is_none() {
            return match call.await {
                Err(refused) => Err(refused),
                Ok(_) => Err(error(ErrorKind::LedgerState, "a refused link was made")),
            };
        }
        let time = timeout.unwrap_or_else(|| client.timeout());
        if let Some(recorded) = ledger.recorded_order(&terms.reference).await? {
            terms.hold_against(&recorded)?;
            if let Some(link) = recorded.link() {
                return Ok(link);
            }
        }
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Error::refused_by_ledger("timeout", "it must be longer than zero"));
        }
        let maker = unique()?;
        let mut pause = FIRST_LOOK;
        loop {
            let until = SystemTime::now() + time.min(LONGEST) + AFTER_THE_CALL;
            let recorded = ledger.take(&terms, &maker, until).await?;
            terms.hold_against(&recorded)?;
            if let Some(link) = recorded.link() {
                return Ok(link);
            }
            if recorded.order.state == OrderState::Paid {
                return Err(error(
                    ErrorKind::LedgerState,
                    "the order is paid, and has no link: a payment with its ref came before its link \
                     was made. Look at it with `order`",
                ));
            }
            if recorded.maker.as_deref() == Some(&maker) {
                return ledger.make(call.not_after(until), &terms, &maker, client.origin()).await;
            }
            ledger.refuse_when_closed()?;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATER_LOOKS);
        }
    }
}

/// Longer than any call takes.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl Ledger {
    /// Records the order where it is new, and takes the making of its link upon itself where it has
    /// none and nobody is making one.
    async fn take(&self, terms: &Terms, maker: &str, until: SystemTime) -> Result<Recorded, Error> {
        let now = times::now();
        let record = Statement::new(
            "INSERT INTO kazawallet_orders (ref, amount, amount_value, currency, state, created_at)
            VALUES ($1, $2, $3, $4, 'creating', $5) ON CONFLICT DO NOTHING RETURNING ref",
        )
        .with(terms.reference.as_str())
        .with(terms.amount.as_str())
        .with(terms.amount_value.as_str())
        .with(terms.currency.as_str())
        .with(now.as_str());
        // A process of a former version records a link in the order alone, which forgets it here.
        let keep_former = Statement::new(
            "INSERT INTO kazawallet_links (ref, link_id, origin, made_at)
            SELECT ref, link_id, '', COALESCE(link_at, created_at) FROM kazawallet_orders
                WHERE ref = $1 AND link_id IS NOT NULL
            ON CONFLICT DO NOTHING",
        )
        .with(terms.reference.as_str());
        let take = Statement::new(
            "UPDATE kazawallet_orders SET maker = $2, maker_until = $3, state = 'creating',
                link_url = NULL, link_id = NULL, link_at = NULL
            WHERE ref = $1 AND amount_value = $4 AND currency = $5
                AND state IN ('creating', 'timed_out')
                AND (maker IS NULL OR maker_until < $6)",
        )
        .with(terms.reference.as_str())
        .with(maker)
        .with(times::text(until))
        .with(terms.amount_value.as_str())
        .with(terms.currency.as_str())
        .with(now.as_str());
        let by_ref = || Statement::new(BY_REF).with(terms.reference.as_str());
        let statements = [record, keep_former, take, by_ref()];
        let mut answers = self.database().await?.write(statements).await?;
        let _ = (answers.next(), answers.next(), answers.next());
        let read = |row: Option<Row>| {
            row.map(Recorded::read).unwrap_or_else(|| {
                Err(error(ErrorKind::LedgerDamaged, "an order that was recorded is gone"))
            })
        };
        let recorded = read(answers.next().pop())?;
        if recorded.maker.as_deref() != Some(maker) {
            return Ok(recorded);
        }
        // A payment may have come before its order was recorded.
        self.adopt_all(&terms.reference).await?;
        read(self.database().await?.read(by_ref()).await?.pop())
    }

    /// Makes the link, and records it. `origin` is where it is made.
    async fn make(
        &self,
        call: Call<PaymentLink>,
        terms: &Terms,
        maker: &str,
        origin: String,
    ) -> Result<OrderLink, Error> {
        let made = match self.called(call).await {
            Ok(made) => made,
            Err(problem) => {
                let give_back = Statement::new(
                    "UPDATE kazawallet_orders SET maker = NULL, maker_until = NULL
                    WHERE ref = $1 AND maker = $2",
                );
                let give_back = give_back.with(terms.reference.as_str()).with(maker);
                // Otherwise it ends by itself; the caller has to know of the first problem.
                let _ = self.database().await?.write([give_back]).await;
                return Err(problem);
            }
        };
        let now = times::now();
        // No delivery has a longer one, and PostgreSQL's index could not hold it.
        let id = made.id.as_deref().map(storable).filter(|id| id.len() <= LONGEST_NAME);
        // First, since recording the order ends the maker's hold on it.
        let keep_link = Statement::new(
            "INSERT INTO kazawallet_links (ref, link_id, origin, made_at)
            SELECT ref, $3, $4, $5 FROM kazawallet_orders
                WHERE ref = $1 AND maker = $2 AND $3 IS NOT NULL
            ON CONFLICT (ref, link_id)
                DO UPDATE SET origin = excluded.origin, made_at = excluded.made_at",
        )
        .with(terms.reference.as_str())
        .with(maker)
        .with(id.as_deref())
        .with(origin)
        .with(now.as_str());
        let record = Statement::new(
            "UPDATE kazawallet_orders SET link_url = $3, link_id = $4, link_at = $5,
                state = CASE WHEN state = 'paid' THEN 'paid' ELSE 'open' END,
                maker = NULL, maker_until = NULL
            WHERE ref = $1 AND maker = $2 RETURNING state",
        )
        .with(terms.reference.as_str())
        .with(maker)
        .with(made.url.as_str())
        .with(id.as_deref())
        .with(now.as_str());
        let mut answers = self.database().await?.write([keep_link, record]).await?;
        let _ = answers.next();
        let state = match answers.next().pop() {
            Some(mut row) => row.known(OrderState::from_text)?,
            // Nothing leaves after the time for it, so this one took very long to be recorded.
            None => {
                return Err(error(
                    ErrorKind::LedgerUnavailable,
                    "the link was made too late, and is not the order's: ask again",
                ));
            }
        };
        if let Some(id) = &id {
            // A delivery may have come before the link was known. Whoever opens the ledger next decides
            // it otherwise.
            let _ = self.adopt(id).await;
        }
        Ok(OrderLink { url: made.url, id: made.id, reference: terms.reference.clone(), state })
    }
}

impl IntoFuture for CreateOrderLink {
    type Output = Result<OrderLink, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.ledger.clone().to_its_end(self.create()).await })
    }
}

impl fmt::Debug for CreateOrderLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateOrderLink").field("link", &self.link).finish_non_exhaustive()
    }
}
