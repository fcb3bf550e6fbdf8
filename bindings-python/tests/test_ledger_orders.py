"""Orders: one link a ref, and what they must cost."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledgers import ORDER, delivery, opened, sqlite

from kazawallet import (
    APIConnectionError,
    AsyncLedger,
    ConfigurationError,
    Ledger,
    LedgerError,
    ServerError,
    ValidationError,
    Webhook,
)
from kazawallet.testing import Simulator


def links_made(shop: Simulator) -> int:
    return sum(request.path == "/wallet/createPaymentLink" for request in shop.requests)


def test_an_order_is_recorded_and_has_a_link(ledger: Ledger, shop: Simulator) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    link = ledger.create_payment_link(**ORDER, redirect_url="https://shop.example/thanks")
    assert (link.ref, link.state) == ("order-42", "open")
    assert link.url.startswith("http://127.0.0.1:") and link.id is not None
    order = ledger.order("order-42")
    assert order is not None
    assert (order.ref, order.amount, order.currency) == ("order-42", Decimal("10.50"), "USD")
    assert (order.state, order.url, order.link_id) == ("open", link.url, link.id)
    assert (order.paid_by, order.paid_at) == (None, None)
    assert order.link_at is not None
    assert before < order.created_at <= order.link_at <= datetime.now(timezone.utc)
    assert ledger.order("order-43") is None
    assert shop.requests[0].body.count("https://shop.example/thanks") == 1


def test_the_same_ref_gives_the_same_link(ledger: Ledger, shop: Simulator) -> None:
    first = ledger.create_payment_link(**ORDER)
    for same in (
        {},
        {"amount": "10.5"},
        {"amount": Decimal("10.500")},
        {"currency": "usd"},
        {"redirect_url": "https://shop.example/other"},
    ):
        again = ledger.create_payment_link(**{**ORDER, **same})
        assert (again.url, again.id) == (first.url, first.id)
        assert again == first and hash(again) == hash(first)
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    ("field", "other"), [("amount", "10.51"), ("currency", "SYP")], ids=["amount", "currency"]
)
def test_the_same_ref_with_other_terms_is_refused(
    ledger: Ledger, shop: Simulator, field: str, other: str
) -> None:
    link = ledger.create_payment_link(**ORDER)
    with pytest.raises(ValidationError) as refused:
        ledger.create_payment_link(**{**ORDER, field: other})
    assert (refused.value.field, refused.value.outcome) == (field, "not_sent")
    assert ledger.create_payment_link(**ORDER) == link
    assert len(shop.requests) == 1


def test_a_paid_order_keeps_its_link(ledger: Ledger, shop: Simulator) -> None:
    link = ledger.create_payment_link(**ORDER)
    [sent] = shop.pay(link)
    assert ledger.receive(sent.body).decision == "paid"
    again = ledger.create_payment_link(**ORDER)
    assert (again.url, again.state) == (link.url, "paid")
    order = ledger.order("order-42")
    assert order is not None and order.paid_at is not None
    assert (order.state, order.paid_by) == ("paid", link.id)
    assert len(shop.requests) == 1


def test_after_a_link_timed_out_there_is_another(ledger: Ledger, shop: Simulator) -> None:
    link = ledger.create_payment_link(**ORDER)
    [sent] = shop.time_out(link)
    assert ledger.receive(sent.body).decision == "timed_out"
    order = ledger.order("order-42")
    assert order is not None and order.state == "timed_out"
    another = ledger.create_payment_link(**ORDER)
    assert another.id != link.id and another.state == "open"
    [sent] = shop.pay(another.url)
    assert ledger.receive(sent.body).decision == "paid"


def test_what_failed_is_made_by_the_next_call(ledger: Ledger, shop: Simulator) -> None:
    shop.fault("answer_status:500")
    with pytest.raises(ServerError):
        ledger.create_payment_link(**ORDER)
    order = ledger.order("order-42")
    assert order is not None and (order.state, order.url) == ("creating", None)
    assert ledger.create_payment_link(**ORDER).state == "open"


def test_an_unreachable_provider(tmp_path: Path, shop: Simulator) -> None:
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        shop.stop()
        with pytest.raises(APIConnectionError) as refused:
            ledger.create_payment_link(**ORDER, timeout=5)
        assert refused.value.outcome == "not_sent"


def test_many_threads_get_one_link(plain_ledger: Ledger, shop: Simulator) -> None:
    urls: list[str] = []
    threads = [
        threading.Thread(target=lambda: urls.append(plain_ledger.create_payment_link(**ORDER).url))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 16 and len(set(urls)) == 1
    assert len(shop.requests) == 1


def test_a_payment_that_came_before_its_order_finds_it(
    ledger: Ledger, shop: Simulator, webhook: Webhook
) -> None:
    assert ledger.receive(delivery(webhook)).decision == "no_order"
    with pytest.raises(LedgerError) as paid:
        ledger.create_payment_link(**ORDER)
    assert (paid.value.code, paid.value.outcome) == ("ledger_state", "not_sent")
    order, payment = ledger.order("order-42"), ledger.payment("pl_1")
    assert order is not None and payment is not None
    assert (order.state, order.paid_by, payment.decision) == ("paid", "pl_1", "paid")
    assert payment.processing == "waiting"
    assert not shop.requests


@pytest.mark.parametrize("ref", ["", "   ", "x" * 1025], ids=["empty", "blank", "too long"])
def test_a_ref_that_cannot_be_used(ledger: Ledger, shop: Simulator, ref: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ledger.create_payment_link(**{**ORDER, "ref": ref})
    assert (refused.value.field, refused.value.outcome) == ("ref", "not_sent")
    assert not shop.requests


@pytest.mark.parametrize(
    "ref", ["طلب ٤٢", "a\u2028b", "'; DROP TABLE kazawallet_orders; --", "%_\\"]
)
def test_an_unusual_ref(ledger: Ledger, shop: Simulator, ref: str) -> None:
    link = ledger.create_payment_link(**{**ORDER, "ref": ref})
    assert link.ref == ref
    [sent] = shop.pay(link)
    assert ledger.receive(sent.body).decision == "paid"
    order = ledger.order(ref)
    assert order is not None and order.state == "paid"


def test_a_ledger_without_a_client_makes_no_link(tmp_path: Path, webhook: Webhook) -> None:
    with Ledger.open(sqlite(tmp_path), webhook=webhook) as ledger:
        with pytest.raises(ConfigurationError):
            ledger.create_payment_link(**ORDER)
        assert ledger.receive(delivery(webhook)).decision == "no_order"


def test_the_url_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    with pytest.raises(ConfigurationError, match="KAZAWALLET_LEDGER"):
        Ledger.open()
    monkeypatch.setenv("KAZAWALLET_LEDGER", sqlite(tmp_path, "from environment.db"))
    with Ledger.open(webhook=webhook) as ledger:
        ledger.receive(delivery(webhook))
    assert (tmp_path / "from environment.db").is_file()


def test_what_is_recorded_is_there_after_reopening(tmp_path: Path, shop: Simulator) -> None:
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        link = ledger.create_payment_link(**ORDER)
    with opened("async", sqlite(tmp_path), shop) as ledger:
        assert ledger.create_payment_link(**ORDER) == link
    assert len(shop.requests) == 1


def test_the_client_may_be_closed(tmp_path: Path, shop: Simulator) -> None:
    client = shop.client()
    with Ledger.open(sqlite(tmp_path), client=client) as ledger:
        client.close()
        assert ledger.create_payment_link(**ORDER).state == "open"
    with pytest.raises(RuntimeError, match="closed"):
        Ledger.open(sqlite(tmp_path), client=client)


async def _wrong_client(url: str, client: Any) -> None:
    await AsyncLedger.open(url, client=client)


def test_each_ledger_takes_its_own_client(tmp_path: Path, shop: Simulator) -> None:
    import asyncio

    wrong: Any = shop.async_client()
    with pytest.raises(TypeError, match="must be a Client, not AsyncClient"):
        Ledger.open(sqlite(tmp_path), client=wrong)
    with pytest.raises(TypeError, match="must be a AsyncClient, not Client"):
        asyncio.run(_wrong_client(sqlite(tmp_path), shop.client()))
