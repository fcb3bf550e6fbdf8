"""What is missing, what is counted, what people decided, and what is forgotten."""

from __future__ import annotations

import sqlite3
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ledgers import ORDER, SALARY, delivery, opened, sqlite

from kazawallet import Ledger, LedgerError, SignatureVerificationError, ValidationError, Webhook
from kazawallet.testing import Simulator


def test_an_empty_ledger(ledger: Ledger) -> None:
    summary = ledger.summary()
    assert summary.orders == {"creating": 0, "open": 0, "timed_out": 0, "paid": 0}
    assert summary.payments == {
        **{"paid": 0, "timed_out": 0, "mismatch": 0, "no_order": 0, "overpaid": 0},
        "dismissed": 0,
    }
    assert summary.processing == {"waiting": 0, "done": 0, "parked": 0}
    assert summary.payouts == {
        **{"not_sent": 0, "sending": 0, "paid": 0, "rejected": 0, "unknown": 0},
        "not_paid": 0,
    }
    assert (summary.conflicts, summary.quarantined, summary.spooled) == (0, 0, 0)
    assert summary.link_ids == "unproven"
    for empty in (
        ledger.overdue(0),
        ledger.unsettled(),
        ledger.parked(),
        ledger.unresolved(),
        ledger.conflicts(),
        ledger.decisions(),
        ledger.pending(),
        ledger.reverify(),
    ):
        assert empty == []


def test_everything_is_counted(ledger: Ledger, shop: Simulator, webhook: Webhook) -> None:
    paid = ledger.create_payment_link(**ORDER)
    ledger.create_payment_link(**{**ORDER, "ref": "order-43"})
    ledger.receive(delivery(webhook, paid.id or ""))
    ledger.receive(delivery(webhook, paid.id or "", currency="SYP"))
    ledger.receive(delivery(webhook, "pl_unknown", ref="unknown"))
    with pytest.raises(SignatureVerificationError):
        ledger.receive(delivery(Webhook("sim_a", "sim_b")))
    ledger.withdraw(**SALARY)
    summary = ledger.summary()
    assert {state: count for state, count in summary.orders.items() if count} == {
        "open": 1,
        "paid": 1,
    }
    assert {state: count for state, count in summary.payments.items() if count} == {
        "paid": 1,
        "no_order": 1,
    }
    assert summary.processing["waiting"] == 1
    assert summary.payouts["paid"] == 1
    assert (summary.conflicts, summary.quarantined) == (1, 1)


def test_overdue_orders(ledger: Ledger, webhook: Webhook) -> None:
    links = [ledger.create_payment_link(**{**ORDER, "ref": f"order-{n}"}) for n in range(3)]
    ledger.receive(delivery(webhook, links[1].id or "", ref="order-1"))
    threading.Event().wait(0.02)  # Longer than nothing.
    assert [order.ref for order in ledger.overdue(0)] == ["order-0", "order-2"]
    assert [order.ref for order in ledger.overdue(timedelta(0), limit=1)] == ["order-0"]
    assert ledger.overdue(3600) == ledger.overdue(timedelta(hours=1)) == []
    assert ledger.overdue(1e300) == ledger.overdue(10**400) == []


def test_the_lists_have_a_limit(ledger: Ledger, webhook: Webhook) -> None:
    for number in range(4):
        ledger.receive(delivery(webhook, f"pl_{number}", ref="unknown"))
        ledger.receive(delivery(webhook, f"pl_{number}", ref="another"))
    assert [payment.order_id for payment in ledger.unsettled(limit=2)] == ["pl_0", "pl_1"]
    assert [each.order_id for each in ledger.conflicts(limit=2)] == ["pl_3", "pl_2"]
    assert ledger.unsettled(limit=0) == []
    assert len(ledger.unsettled(limit=2**40)) == 4
    for number in range(3):
        ledger.settle(f"pl_{number}", "dismissed", by=f"person {number}")
    assert [kept.by for kept in ledger.decisions(limit=2)] == ["person 2", "person 1"]


def test_what_was_settled_is_forgotten(tmp_path: Path, ledger: Ledger, webhook: Webhook) -> None:
    link = ledger.create_payment_link(**ORDER)
    ledger.receive(delivery(webhook, link.id or "", note="Amal Haddad"))
    ledger.receive(delivery(webhook, "pl_waits", ref="unknown"))
    with pytest.raises(SignatureVerificationError):
        ledger.receive(delivery(Webhook("sim_a", "sim_b")))
    for payment in ledger.pending():
        ledger.mark_processed(payment.order_id)
    ledger.withdraw(**SALARY, note="for Amal Haddad")
    threading.Event().wait(0.02)

    assert ledger.forget(datetime(2001, 1, 1, tzinfo=timezone.utc)) == 0
    assert ledger.forget(datetime.now(timezone.utc)) > 0
    paid, payout = ledger.payment(link.id or ""), ledger.payout("salary-1")
    assert paid is not None and payout is not None
    assert (paid.body, paid.decision, paid.ref) == (None, "paid", "order-42")
    assert (payout.details, payout.state) == (None, "paid")
    assert ledger.summary().quarantined == 0
    waits = ledger.payment("pl_waits")
    assert waits is not None and waits.body is not None
    # What keeps it from repeating is still there.
    assert ledger.receive(delivery(webhook, link.id or "", note="Amal Haddad")).duplicate
    assert ledger.withdraw(**SALARY, note="for Amal Haddad").state == "paid"
    with pytest.raises(ValidationError):
        ledger.withdraw(**{**SALARY, "amount": "11"})


@pytest.mark.parametrize(
    "before",
    [
        datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=3))),
        datetime(1969, 12, 31, tzinfo=timezone.utc),
        datetime.min.replace(tzinfo=timezone.utc),
        datetime.max.replace(tzinfo=timezone.utc),
    ],
    ids=str,
)
def test_a_moment_of_any_time(ledger: Ledger, before: datetime) -> None:
    assert ledger.forget(before) == 0


def test_a_moment_without_a_time_zone(ledger: Ledger) -> None:
    with pytest.raises(ValidationError) as refused:
        ledger.forget(datetime(2026, 1, 31))
    assert refused.value.field == "before"


def test_the_tables_can_be_read_by_hand(tmp_path: Path, shop: Simulator) -> None:
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        ledger.create_payment_link(**ORDER)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        query = "SELECT ref, amount, currency, state FROM kazawallet_orders"
        assert database.execute(query).fetchall() == [("order-42", "10.50", "USD", "open")]
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def test_a_closed_ledger(tmp_path: Path, shop: Simulator) -> None:
    ledger = Ledger.open(sqlite(tmp_path), client=shop.client())
    ledger.close()
    ledger.close()
    body = delivery(shop.webhook())
    for call in (ledger.summary, ledger.reverify, lambda: ledger.receive(body)):
        with pytest.raises(LedgerError, match="closed") as refused:
            call()
        assert (refused.value.code, refused.value.outcome) == ("ledger_unavailable", "not_sent")
    with pytest.raises(LedgerError):
        ledger.process(lambda payment: None)
