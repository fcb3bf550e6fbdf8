-- All links of an order, and whether their ids are the ones that deliveries carry.
-- A process of the former version may go on beside these: it writes none of them, and reads none.

-- Every link that an order ever had.
CREATE TABLE kazawallet_links (
    ref TEXT NOT NULL,             -- the order's
    link_id TEXT NOT NULL,
    origin TEXT NOT NULL,          -- scheme, host and port of what made it; empty: a former version
    made_at TEXT NOT NULL,
    PRIMARY KEY (ref, link_id)
) /* sqlite: WITHOUT ROWID */;

CREATE INDEX kazawallet_links_id ON kazawallet_links (link_id);

INSERT INTO kazawallet_links (ref, link_id, origin, made_at)
    SELECT ref, link_id, '', COALESCE(link_at, created_at) FROM kazawallet_orders
    WHERE link_id IS NOT NULL;

-- Whether the ids of links counted when it was decided: unproven, proven or ignored.
ALTER TABLE kazawallet_payments ADD COLUMN link_ids TEXT;

-- The order whose link this is, of a mismatch of the ref.
ALTER TABLE kazawallet_payments ADD COLUMN link_ref TEXT;

-- The origin that this payment proved: its id is a link of its own order. Null of all later ones.
ALTER TABLE kazawallet_payments ADD COLUMN proves TEXT;

CREATE INDEX kazawallet_payments_proof ON kazawallet_payments (proves)
    WHERE proves IS NOT NULL;

-- The former version held each delivery against its order's link. Where a payment shows that it was
-- right to, its links are held so further on.
UPDATE kazawallet_payments SET proves = '' WHERE order_id = (
    SELECT own.order_id FROM kazawallet_payments own
    JOIN kazawallet_orders o ON o.ref = own.ref AND o.link_id = own.order_id
    WHERE own.amount_value = o.amount_value AND own.currency = o.currency LIMIT 1);

-- ignored: a person has switched the check of link ids off. Null: it is on.
ALTER TABLE kazawallet_ledger ADD COLUMN link_ids TEXT;
