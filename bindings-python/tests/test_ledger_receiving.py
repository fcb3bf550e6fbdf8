"""Webhooks: every decision, duplicates, contradictions, quarantine, and what a person settles."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from ledgers import ORDER, delivery, opened, sqlite

from kazawallet import (
    ConfigurationError,
    Ledger,
    LedgerError,
    OrderLink,
    SignatureVerificationError,
    ValidationError,
    Webhook,
    WebhookPayloadError,
)
from kazawallet.testing import Simulator


@pytest.fixture
def link(ledger: Ledger) -> OrderLink:
    """An order that waits for its payment."""
    return ledger.create_payment_link(**ORDER)


def of(link: OrderLink, webhook: Webhook, **other: Any) -> bytes:
    """A delivery of this link; `other` is what does not fit."""
    assert link.id is not None
    return delivery(webhook, **{"order_id": link.id, **other})


def test_paid(ledger: Ledger, link: OrderLink, webhook: Webhook) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    body = of(link, webhook)
    receipt = ledger.receive(body)
    assert (receipt.decision, receipt.duplicate, receipt.problem) == ("paid", False, None)
    assert receipt.waits_for_person is False
    assert receipt.event.order_id == link.id
    assert receipt.event.match_order(amount="10.50", currency="USD", ref="order-42").is_fulfilled
    payment = ledger.payment(receipt.event.order_id)
    assert payment is not None
    assert (payment.order_id, payment.ref, payment.amount) == (
        link.id,
        "order-42",
        Decimal("10.50"),
    )
    assert (payment.currency, payment.status) == ("USD", "fulfilled")
    assert (payment.decision, payment.is_paid, payment.problem) == ("paid", True, None)
    assert before < payment.received_at < datetime.now(timezone.utc)
    assert (payment.processing, payment.tries, payment.last_error) == ("waiting", 0, None)
    assert payment.body == body
    assert ledger.payment("pl_unknown") is None


def test_timed_out(ledger: Ledger, link: OrderLink, webhook: Webhook) -> None:
    receipt = ledger.receive(of(link, webhook, status="timed_out"))
    assert receipt.decision == "timed_out"
    payment = ledger.payment(receipt.event.order_id)
    assert payment is not None
    assert (payment.decision, payment.is_paid, payment.processing) == (
        "timed_out",
        False,
        "waiting",
    )


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("amount", {"amount": "10.49"}),
        ("currency", {"currency": "SYP"}),
        ("currency", {"currency": None}),
    ],
    ids=["amount", "currency", "no currency"],
)
def test_mismatch(
    ledger: Ledger, link: OrderLink, webhook: Webhook, field: str, other: dict[str, Any]
) -> None:
    receipt = ledger.receive(of(link, webhook, **other))
    assert (receipt.decision, receipt.problem) == ("mismatch", field)
    assert receipt.waits_for_person is True
    [payment] = ledger.unsettled()
    assert (payment.order_id, payment.decision, payment.problem) == (link.id, "mismatch", field)
    assert payment.processing is None and not payment.is_paid
    order = ledger.order("order-42")
    assert order is not None and order.state == "open"


def test_a_captured_delivery_with_an_edited_ref_pays_for_nothing(
    ledger: Ledger, shop: Simulator
) -> None:
    cheap = ledger.create_payment_link(**ORDER)
    ledger.create_payment_link(**{**ORDER, "ref": "order-43"})
    [sent] = shop.pay(cheap.url)
    assert ledger.receive(sent.body).decision == "paid"
    edited = json.dumps({**json.loads(sent.body), "ref": "order-43"}).encode()
    receipt = ledger.receive(edited)
    assert (receipt.decision, receipt.problem, receipt.duplicate) == ("conflict", "ref", False)
    assert receipt.waits_for_person is True
    order = ledger.order("order-43")
    assert order is not None and (order.state, order.paid_by) == ("open", None)


@pytest.mark.parametrize("ref", ["order-41", None])
def test_no_order(ledger: Ledger, webhook: Webhook, ref: str | None) -> None:
    receipt = ledger.receive(delivery(webhook, ref=ref))
    assert (receipt.decision, receipt.problem) == ("no_order", None)
    assert receipt.waits_for_person is True
    [payment] = ledger.unsettled()
    assert (payment.ref, payment.decision, payment.processing) == (ref, "no_order", None)


def test_overpaid(ledger: Ledger, link: OrderLink, webhook: Webhook) -> None:
    assert ledger.receive(delivery(webhook, "pl_other")).decision == "paid"
    receipt = ledger.receive(of(link, webhook))
    assert (receipt.decision, receipt.problem) == ("overpaid", None)
    assert receipt.waits_for_person is True
    [payment] = ledger.unsettled()
    assert (payment.order_id, payment.decision) == (link.id, "overpaid")
    order = ledger.order("order-42")
    assert order is not None and order.paid_by == "pl_other"


def test_a_payment_by_a_link_that_timed_out(
    ledger: Ledger, link: OrderLink, webhook: Webhook, shop: Simulator
) -> None:
    ledger.receive(of(link, webhook, status="timed_out"))
    second = ledger.create_payment_link(**ORDER)
    [sent] = shop.pay(second.url)
    assert ledger.receive(sent.body).decision == "paid"


def test_a_duplicate_changes_nothing(ledger: Ledger, link: OrderLink, webhook: Webhook) -> None:
    body = of(link, webhook)
    first = ledger.receive(body)
    payment = ledger.payment(first.event.order_id)
    for again in (body, bytearray(body), memoryview(body), body.decode()):
        receipt = ledger.receive(again)
        assert (receipt.decision, receipt.duplicate) == ("paid", True)
        assert receipt.event.order_id == first.event.order_id
    assert ledger.payment(first.event.order_id) == payment
    assert ledger.conflicts() == []


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("status", {"status": "timed_out"}),
        ("currency", {"currency": "SYP"}),
        ("ref", {"ref": "order-43"}),
        ("amount", {"amount": "11.00"}),
    ],
    ids=["status", "currency", "ref", "amount"],
)
def test_a_conflict_is_kept_and_changes_nothing(
    ledger: Ledger, link: OrderLink, webhook: Webhook, field: str, other: dict[str, Any]
) -> None:
    ledger.receive(of(link, webhook))
    payment = ledger.payment(link.id or "")
    contradicting = of(link, webhook, **other)
    receipt = ledger.receive(contradicting)
    assert (receipt.decision, receipt.duplicate, receipt.problem) == ("conflict", False, field)
    assert ledger.receive(contradicting).duplicate
    [conflict] = ledger.conflicts()
    wanted = {"ref": "order-42", "amount": "10.50", "currency": "USD", "status": "fulfilled"}
    wanted.update(other)
    assert (conflict.order_id, conflict.problem) == (link.id, field)
    assert (conflict.ref, str(conflict.amount)) == (wanted["ref"], wanted["amount"])
    assert (conflict.currency, conflict.status) == (wanted["currency"], wanted["status"])
    assert conflict.received_at.tzinfo is timezone.utc
    assert ledger.payment(link.id or "") == payment
    assert ledger.summary().conflicts == 1


# ---------------------------------------------------------------- what a person settles


@pytest.mark.parametrize("decision", ["paid", "dismissed"])
def test_a_person_settles_a_mismatch(
    ledger: Ledger, link: OrderLink, webhook: Webhook, decision: Literal["paid", "dismissed"]
) -> None:
    ledger.receive(of(link, webhook, currency=None))
    payment = ledger.settle(link.id or "", decision, by="amal", note="asked the customer")
    assert payment.decision == decision
    assert payment.processing == ("waiting" if decision == "paid" else None)
    assert ledger.unsettled() == []
    order = ledger.order("order-42")
    assert order is not None and (order.state == "paid") == (decision == "paid")
    [kept] = ledger.decisions()
    assert (kept.by, kept.action, kept.subject) == ("amal", "settle", link.id)
    assert (kept.decision, kept.note) == (decision, "asked the customer")
    with pytest.raises(LedgerError) as refused:
        ledger.settle(link.id or "", "dismissed", by="amal")
    assert (refused.value.code, refused.value.outcome) == ("ledger_state", "not_sent")


def test_a_payment_without_an_order_is_settled_for_one(ledger: Ledger, webhook: Webhook) -> None:
    ledger.create_payment_link(**ORDER)
    ledger.receive(delivery(webhook, "pl_x", ref="typing error"))
    payment = ledger.settle("pl_x", "paid", ref="order-42", by="amal")
    assert (payment.decision, payment.ref) == ("paid", "order-42")
    [kept] = ledger.decisions()
    assert kept.ref == "order-42" and kept.note is None


@pytest.mark.parametrize("ref", [None, "order-44"])
def test_a_payment_cannot_be_settled_for_an_order_that_is_unknown(
    ledger: Ledger, webhook: Webhook, ref: str | None
) -> None:
    ledger.receive(delivery(webhook))
    with pytest.raises(LedgerError) as refused:
        ledger.settle("pl_1", "paid", ref=ref, by="amal")
    assert refused.value.code in ("ledger_state", "ledger_not_found")
    assert ledger.decisions() == []


def test_a_paid_order_is_not_paid_again(ledger: Ledger, link: OrderLink, webhook: Webhook) -> None:
    ledger.receive(of(link, webhook))
    ledger.receive(delivery(webhook, "pl_x", ref="order-99"))
    with pytest.raises(LedgerError) as refused:
        ledger.settle("pl_x", "paid", ref="order-42", by="amal")
    assert refused.value.code == "ledger_state"


def test_an_unknown_payment_is_not_settled(ledger: Ledger) -> None:
    with pytest.raises(LedgerError) as refused:
        ledger.settle("pl_unknown", "dismissed", by="amal")
    assert (refused.value.code, refused.value.outcome) == ("ledger_not_found", "not_sent")


# ---------------------------------------------------------------- what does not verify


def test_a_forged_delivery_changes_nothing(
    ledger: Ledger, link: OrderLink, webhook: Webhook
) -> None:
    forged = of(link, webhook).replace(b'"amount": "10.50"', b'"amount": "1.50"')
    with pytest.raises(SignatureVerificationError):
        ledger.receive(forged)
    assert ledger.payment(link.id or "") is None
    assert ledger.summary().quarantined == 1
    assert ledger.reverify() == []


@pytest.mark.parametrize("body", [b"", b"no JSON", b"\xff", b'{"order_id": "pl_1"}', "a" * 70_000])
def test_a_body_that_cannot_be_read(ledger: Ledger, body: bytes | str) -> None:
    with pytest.raises(WebhookPayloadError):
        ledger.receive(body)
    assert sum(ledger.summary().payments.values()) == 0


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_a_forgotten_rotation_refused_is_recovered(
    kind: str, tmp_path: Path, shop: Simulator
) -> None:
    new_key = Webhook("sim_new_key", "sim_new_secret")
    with opened(kind, sqlite(tmp_path), shop) as ledger:
        ledger.create_payment_link(**ORDER)
        for number in range(3):
            with pytest.raises(SignatureVerificationError):
                ledger.receive(delivery(new_key, f"pl_{number}"))
        assert ledger.reverify() == []
        assert ledger.summary().quarantined == 3
    both = new_key.with_previous(shop.api_key, shop.api_secret)
    with opened(kind, sqlite(tmp_path), shop, webhook=both) as ledger:
        receipts = ledger.reverify()
        assert {receipt.event.order_id for receipt in receipts} == {"pl_0", "pl_1", "pl_2"}
        assert not any(receipt.duplicate for receipt in receipts)
        assert ledger.reverify() == []
        assert ledger.summary().quarantined == 0


def test_a_ledger_that_has_nothing_to_verify_with(tmp_path: Path, webhook: Webhook) -> None:
    with Ledger.open(sqlite(tmp_path)) as ledger:
        with pytest.raises(ConfigurationError):
            ledger.receive(delivery(webhook))
        with pytest.raises(ConfigurationError):
            ledger.reverify()


@pytest.mark.parametrize("body", [None, {}, [], 1, 1.5, object()], ids=repr)
def test_a_body_that_was_parsed(ledger: Ledger, body: Any) -> None:
    with pytest.raises(TypeError, match="raw bytes of the request"):
        ledger.receive(body)


@pytest.mark.parametrize("by", ["", "  "])
def test_a_decision_needs_a_name(ledger: Ledger, webhook: Webhook, by: str) -> None:
    ledger.receive(delivery(webhook))
    with pytest.raises(ValidationError) as refused:
        ledger.settle("pl_1", "dismissed", by=by)
    assert refused.value.field == "by"
