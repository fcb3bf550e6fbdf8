-- The tables of a new ledger. In PostgreSQL's words: migrations.rs says what SQLite is told instead.
-- All times are UTC, as text: 2026-05-01T09:30:00.250Z.

CREATE TABLE kazawallet_ledger (
    version BIGINT NOT NULL,       -- how many migrations were run
    digest_key BYTEA NOT NULL,     -- keys the digests of terms; made at random, never changed
    created_at TEXT NOT NULL
);

CREATE TABLE kazawallet_orders (
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
) /* sqlite: WITHOUT ROWID */;

CREATE INDEX kazawallet_orders_open ON kazawallet_orders (link_at) WHERE state = 'open';

CREATE INDEX kazawallet_orders_link ON kazawallet_orders (link_id) WHERE link_id IS NOT NULL;

CREATE TABLE kazawallet_payments (
    order_id TEXT NOT NULL PRIMARY KEY, -- the payment's identity; signed
    ref TEXT,                      -- as the delivery says; not signed
    amount TEXT NOT NULL,          -- as the delivery has it; signed
    amount_value TEXT NOT NULL,    -- the same number in its shortest form, to compare
    currency TEXT,                 -- as the delivery says, in capitals; not signed
    status TEXT NOT NULL,          -- as the delivery says; not signed
    decision TEXT NOT NULL,        -- paid, timed_out, mismatch, no_order, overpaid, dismissed
    problem TEXT,                  -- the field that does not fit, of a mismatch
    settles TEXT UNIQUE,           -- the ref of the order that it paid; one payment each
    received_at TEXT NOT NULL,
    receipt TEXT NOT NULL,         -- tells the call that stored it from the ones after
    processing TEXT,               -- waiting, done or parked; null: not for the handler
    due_at TEXT,                   -- when it may be handed to a worker
    holder TEXT,                   -- the worker that has it
    tries BIGINT NOT NULL,         -- how often it was handed to one
    last_error TEXT,
    processed_at TEXT,
    body BYTEA                     -- as it came; null once erased
) /* sqlite: WITHOUT ROWID */;

CREATE INDEX kazawallet_payments_due ON kazawallet_payments (due_at)
    WHERE processing = 'waiting';

CREATE INDEX kazawallet_payments_parked ON kazawallet_payments (received_at)
    WHERE processing = 'parked';

CREATE INDEX kazawallet_payments_unsettled ON kazawallet_payments (received_at)
    WHERE decision IN ('mismatch', 'no_order', 'overpaid');

CREATE INDEX kazawallet_payments_no_order ON kazawallet_payments (ref)
    WHERE decision = 'no_order';

-- Genuine deliveries that contradict the first one of their order_id.
CREATE TABLE kazawallet_conflicts (
    digest TEXT NOT NULL PRIMARY KEY, -- of what it says, so that it is kept once
    order_id TEXT NOT NULL,
    problem TEXT NOT NULL,         -- the field in which it differs
    ref TEXT,
    amount TEXT NOT NULL,
    currency TEXT,
    status TEXT NOT NULL,
    received_at TEXT NOT NULL,
    body BYTEA
);

CREATE INDEX kazawallet_conflicts_order ON kazawallet_conflicts (order_id);

CREATE INDEX kazawallet_conflicts_received ON kazawallet_conflicts (received_at);

-- Deliveries whose signature does not hold. They prove nothing.
CREATE TABLE kazawallet_quarantine (
    digest TEXT NOT NULL PRIMARY KEY, -- of its bytes, so that it is kept once
    plausible BIGINT NOT NULL,     -- 1: names an order or a payment that exists
    subject TEXT NOT NULL,         -- the ref of that order, or the order_id that it names
    received_at TEXT NOT NULL,
    body BYTEA NOT NULL
);

CREATE INDEX kazawallet_quarantine_worth ON kazawallet_quarantine (plausible, received_at);

CREATE INDEX kazawallet_quarantine_subject ON kazawallet_quarantine (subject, received_at);

CREATE TABLE kazawallet_payouts (
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
);

CREATE INDEX kazawallet_payouts_unresolved ON kazawallet_payouts (created_at)
    WHERE state IN ('unknown', 'sending');

-- What people decided, for ever.
CREATE TABLE kazawallet_decisions (
    id TEXT NOT NULL PRIMARY KEY,
    decided_at TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    action TEXT NOT NULL,          -- resolve, settle, retry or link_ids
    subject TEXT NOT NULL,         -- a payout's reference, or a payment's order_id; of link_ids empty
    decision TEXT NOT NULL,
    ref TEXT,
    note TEXT
);

CREATE INDEX kazawallet_decisions_at ON kazawallet_decisions (decided_at);
