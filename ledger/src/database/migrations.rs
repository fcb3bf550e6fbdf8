//! The tables, and how they came to be: numbered steps, run in their order, never changed once
//! released.

use kazawallet::{Error, ErrorKind};

use super::error;

/// The steps. The version of a database is how many of them it has seen. What the databases spell
/// differently is in braces; see [`Dialect`].
const MIGRATIONS: &[&[&str]] = &[FIRST, LINKS];

/// Where PostgreSQL's advisory locks are numbered, this is ours: `kazawall` in ASCII.
pub(super) const LOCK: i64 = 0x6b61_7a61_7761_6c6c;

pub(super) const VERSION_AND_KEY: &str = "SELECT version, digest_key FROM kazawallet_ledger";
pub(super) const SET_VERSION: &str = "UPDATE kazawallet_ledger SET version = $1";
pub(super) const BEGIN_LEDGER: &str =
    "INSERT INTO kazawallet_ledger (version, digest_key, created_at) VALUES ($1, $2, $3)";

pub(super) const LATEST: i64 = MIGRATIONS.len() as i64;

const FIRST: &[&str] = &[
    "CREATE TABLE kazawallet_ledger (
        version BIGINT NOT NULL,      -- how many migrations were run
        digest_key {bytes} NOT NULL,  -- keys the digests of terms; made at random, never changed
        created_at TEXT NOT NULL
    )",
    // All times are UTC, as text: 2026-05-01T09:30:00.250Z.
    "CREATE TABLE kazawallet_orders (
        ref TEXT NOT NULL PRIMARY KEY, -- the merchant's reference
        amount TEXT NOT NULL,          -- what it costs, as given
        amount_value TEXT NOT NULL,    -- the same number in its shortest form, to compare
        currency TEXT NOT NULL,        -- in capitals
        state TEXT NOT NULL,           -- creating, open, timed_out or paid
        link_url TEXT,
        link_id TEXT,                  -- the order_id that its webhook will have, where known
        link_at TEXT,                  -- when the link was made
        paid_by TEXT,                  -- the order_id that settled it
        paid_at TEXT,
        maker TEXT,                    -- who is making its link
        maker_until TEXT,              -- and until when nobody else does
        created_at TEXT NOT NULL
    ){by_key}",
    "CREATE INDEX kazawallet_orders_open ON kazawallet_orders (link_at) WHERE state = 'open'",
    "CREATE INDEX kazawallet_orders_link ON kazawallet_orders (link_id) WHERE link_id IS NOT NULL",
    "CREATE TABLE kazawallet_payments (
        order_id TEXT NOT NULL PRIMARY KEY, -- the payment's identity; signed
        ref TEXT,                      -- as the delivery says; not signed
        amount TEXT NOT NULL,          -- as the delivery has it; signed
        amount_value TEXT NOT NULL,    -- the same number in its shortest form, to compare
        currency TEXT,                 -- as the delivery says, in capitals; not signed
        status TEXT NOT NULL,          -- as the delivery says; not signed
        decision TEXT NOT NULL,        -- paid, timed_out, mismatch, no_order, overpaid, dismissed
        problem TEXT,                  -- the field that does not fit, of a mismatch
        settles TEXT {unique},      -- the ref of the order that it paid; one payment each
        received_at TEXT NOT NULL,
        receipt TEXT NOT NULL,         -- tells the call that stored it from the ones after
        processing TEXT,               -- waiting, done or parked; null: not for the handler
        due_at TEXT,                   -- when it may be handed to a worker
        holder TEXT,                   -- the worker that has it
        tries BIGINT NOT NULL,         -- how often it was handed to one
        last_error TEXT,
        processed_at TEXT,
        body {bytes}                   -- as it came; null once erased
    ){by_key}",
    "CREATE INDEX kazawallet_payments_due ON kazawallet_payments (due_at)
        WHERE processing = 'waiting'",
    "CREATE INDEX kazawallet_payments_parked ON kazawallet_payments (received_at)
        WHERE processing = 'parked'",
    "CREATE INDEX kazawallet_payments_unsettled ON kazawallet_payments (received_at)
        WHERE decision IN ('mismatch', 'no_order', 'overpaid')",
    "CREATE INDEX kazawallet_payments_no_order ON kazawallet_payments (ref)
        WHERE decision = 'no_order'",
    // Genuine deliveries that contradict the first one of their order_id.
    "CREATE TABLE kazawallet_conflicts (
        digest TEXT NOT NULL PRIMARY KEY, -- of what it says, so that it is kept once
        order_id TEXT NOT NULL,
        problem TEXT NOT NULL,         -- the field in which it differs
        ref TEXT,
        amount TEXT NOT NULL,
        currency TEXT,
        status TEXT NOT NULL,
        received_at TEXT NOT NULL,
        body {bytes}
    )",
    "CREATE INDEX kazawallet_conflicts_order ON kazawallet_conflicts (order_id)",
    "CREATE INDEX kazawallet_conflicts_received ON kazawallet_conflicts (received_at)",
    // Deliveries whose signature does not hold. They prove nothing.
    "CREATE TABLE kazawallet_quarantine (
        digest TEXT NOT NULL PRIMARY KEY, -- of its bytes, so that it is kept once
        plausible BIGINT NOT NULL,     -- 1: names an order or a payment that exists
        subject TEXT NOT NULL,         -- the ref of that order, or the order_id that it names
        received_at TEXT NOT NULL,
        body {bytes} NOT NULL
    )",
    "CREATE INDEX kazawallet_quarantine_worth ON kazawallet_quarantine (plausible, received_at)",
    "CREATE INDEX kazawallet_quarantine_subject ON kazawallet_quarantine (subject, received_at)",
    "CREATE TABLE kazawallet_payouts (
        reference TEXT NOT NULL PRIMARY KEY,
        terms TEXT NOT NULL,           -- keyed digest of amount, currency, method, fields and note
        state TEXT NOT NULL,           -- not_sent, sending, paid, rejected, unknown or not_paid
        amount TEXT NOT NULL,
        currency TEXT NOT NULL,        -- in capitals
        payment_method TEXT NOT NULL,
        details TEXT,                  -- fields and note, as JSON; null once erased
        sender TEXT,                   -- who has sent it, or is sending it
        deadline TEXT,                 -- nothing leaves after it
        resolvable_at TEXT,            -- from then on a person may say what became of it
        error TEXT,                    -- the code of the error that the provider's answer was
        http_status BIGINT,
        error_key TEXT,
        status TEXT,                   -- as the provider answered
        message TEXT,                  -- the same
        created_at TEXT NOT NULL,
        changed_at TEXT NOT NULL
    )",
    "CREATE INDEX kazawallet_payouts_unresolved ON kazawallet_payouts (created_at)
        WHERE state IN ('unknown', 'sending')",
    // What people decided, for ever.
    "CREATE TABLE kazawallet_decisions (
        id TEXT NOT NULL PRIMARY KEY,
        decided_at TEXT NOT NULL,
        decided_by TEXT NOT NULL,
        action TEXT NOT NULL,          -- resolve, settle, retry or link_ids
        subject TEXT NOT NULL,         -- a payout's reference, or a payment's order_id; of link_ids empty
        decision TEXT NOT NULL,
        ref TEXT,
        note TEXT
    )",
    "CREATE INDEX kazawallet_decisions_at ON kazawallet_decisions (decided_at)",
];

/// A process of the former version may go on beside these: it writes none of them, and reads none.
const LINKS: &[&str] = &[
    // Every link that an order ever had.
    "CREATE TABLE kazawallet_links (
        ref TEXT NOT NULL,             -- the order's
        link_id TEXT NOT NULL,
        origin TEXT NOT NULL,          -- scheme, host and port of what made it; empty: a former version
        made_at TEXT NOT NULL,
        PRIMARY KEY (ref, link_id)
    ){by_key}",
    "CREATE INDEX kazawallet_links_id ON kazawallet_links (link_id)",
    "INSERT INTO kazawallet_links (ref, link_id, origin, made_at)
        SELECT ref, link_id, '', COALESCE(link_at, created_at) FROM kazawallet_orders
        WHERE link_id IS NOT NULL",
    // Whether the ids of links counted when it was decided: unproven, proven or ignored.
    "ALTER TABLE kazawallet_payments ADD COLUMN link_ids TEXT",
    // The order whose link this is, of a mismatch of the ref.
    "ALTER TABLE kazawallet_payments ADD COLUMN link_ref TEXT",
    // The origin that this payment proved: its id is a link of its own order. Null of all later ones.
    "ALTER TABLE kazawallet_payments ADD COLUMN proves TEXT",
    "CREATE INDEX kazawallet_payments_proof ON kazawallet_payments (proves)
        WHERE proves IS NOT NULL",
    // The former version held each delivery against its order's link. Where a payment shows that it was
    // right to, its links are held so further on.
    "UPDATE kazawallet_payments SET proves = '' WHERE order_id = (
        SELECT own.order_id FROM kazawallet_payments own
        JOIN kazawallet_orders o ON o.ref = own.ref AND o.link_id = own.order_id
        WHERE own.amount_value = o.amount_value AND own.currency = o.currency LIMIT 1)",
    // ignored: a person has switched the check of link ids off. Null: it is on.
    "ALTER TABLE kazawallet_ledger ADD COLUMN link_ids TEXT",
];

/// How a database spells what stands in braces.
pub(super) struct Dialect {
    pub(super) bytes: &'static str,
    /// SQLite would else keep each row apart from its key, and write both.
    pub(super) by_key: &'static str,
    /// PostgreSQL decides payments at the same time, and this makes one of them fail. SQLite, which
    /// decides one after the other, needs no further index to be written with each.
    pub(super) unique: &'static str,
}

/// The statements that bring a database from a version to the latest one.
pub(super) fn after(version: i64, dialect: &Dialect) -> Result<Vec<String>, Error> {
    let seen = usize::try_from(version).ok().and_then(|seen| MIGRATIONS.get(seen..));
    let to_run = seen.ok_or_else(|| {
        error(
            ErrorKind::LedgerVersion,
            format!(
                "the ledger's database has version {version}, and this software knows up to \
                 {LATEST}: a newer version of kazawallet has used it. Update this one"
            ),
        )
    })?;
    let spelt = |statement: &str| {
        statement
            .replace("{bytes}", dialect.bytes)
            .replace("{by_key}", dialect.by_key)
            .replace("{unique}", dialect.unique)
    };
    Ok(to_run.iter().copied().flatten().map(|statement| spelt(statement)).collect())
}

pub(super) fn no_ledger_yet() -> Error {
    error(
        ErrorKind::LedgerNotFound,
        "there is no ledger at this URL: the shop's first `Ledger.open` makes it",
    )
}

/// 32 bytes that nobody can guess.
pub(super) fn digest_key() -> Result<Vec<u8>, Error> {
    let mut key = vec![0; 32];
    getrandom::fill(&mut key).map_err(|problem| {
        error(ErrorKind::LedgerUnavailable, "this machine gives no random numbers")
            .caused_by(problem)
    })?;
    Ok(key)
}
