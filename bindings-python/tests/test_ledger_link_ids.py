"""Link ids: what the provider answers, and what the ledger makes of the id that a delivery carries."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from ledgers import ORDER, delivery, opened, sqlite
from postgres_server import PostgresServer
from scripted_server import ScriptedServer

from kazawallet import Ledger, Webhook
from kazawallet.testing import Simulator


@pytest.fixture
def provider(simulator_program: Path) -> Iterator[str]:
    """The URL of a provider whose first link has the id `L-1`, and so on."""
    links = [
        {"success": True, "id": f"L-{n}", "url": f"https://pay.example/l/{n}"} for n in (1, 2, 3)
    ]
    steps = [{"do": "respond", "status": 200, "body": {"json": link}} for link in links]
    with ScriptedServer(simulator_program, {"steps": steps}) as server:
        yield server.url


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which ledger it is."""
    return str(request.param)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return sqlite(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def ledger(kind: str, url: str, shop: Simulator, provider: str) -> Iterator[Ledger]:
    """A ledger whose links the provider makes, and whose deliveries the shop's webhook verifies."""
    with opened(kind, url, shop, base_url=provider, spool=False) as ledger:
        yield ledger


def order(ledger: Ledger, ref: str) -> str:
    """Makes an order's link, and gives its id."""
    link = ledger.create_payment_link(**{**ORDER, "ref": ref})
    assert link.id is not None
    return link.id


def prove(ledger: Ledger, webhook: Webhook) -> None:
    """The first payment that carries the id of its own order's link."""
    own = order(ledger, "order-that-proves")
    receipt = ledger.receive(delivery(webhook, own, ref="order-that-proves"))
    assert (receipt.decision, receipt.link_ids) == ("paid", "proven")


def test_a_link_has_the_id_that_stands_beside_its_url(shop: Simulator, provider: str) -> None:
    async def awaited() -> str | None:
        async with shop.async_client(base_url=provider) as client:
            return (await client.payment_links.create(amount="10.50", currency="USD")).id

    with shop.client(base_url=provider) as client:
        link = client.payment_links.create(amount="10.50", currency="USD")
    assert (link.id, link.url) == ("L-1", "https://pay.example/l/1")
    assert asyncio.run(awaited()) == "L-2"


def test_an_order_s_link_has_the_id_that_stands_beside_its_url(ledger: Ledger) -> None:
    link = ledger.create_payment_link(**ORDER)
    assert (link.id, link.url) == ("L-1", "https://pay.example/l/1")
    recorded = ledger.order("order-42")
    assert recorded is not None and recorded.link_id == "L-1"


@pytest.mark.parametrize("ref", ["order-43", "order-nobody-knows", None])
def test_another_order_s_link_is_told_from_the_first_delivery_on(
    ledger: Ledger, webhook: Webhook, ref: str | None
) -> None:
    cheap = order(ledger, "order-42")
    order(ledger, "order-43")
    receipt = ledger.receive(delivery(webhook, cheap, ref=ref))
    assert (receipt.decision, receipt.problem) == ("mismatch", "ref")
    assert (receipt.link_ids, receipt.link_ref) == ("unproven", "order-42")
    [payment] = ledger.unsettled()
    assert (payment.ref, payment.decision, payment.problem) == (ref, "mismatch", "ref")
    assert (payment.link_ids, payment.link_ref) == ("unproven", "order-42")
    for unpaid in ("order-42", "order-43"):
        recorded = ledger.order(unpaid)
        assert recorded is not None and recorded.state == "open"


def test_an_unknown_id_pays_while_the_ids_are_unproven(ledger: Ledger, webhook: Webhook) -> None:
    order(ledger, "order-42")
    assert ledger.summary().link_ids == "unproven"
    receipt = ledger.receive(delivery(webhook, "W-900"))
    assert (receipt.decision, receipt.problem) == ("paid", None)
    assert (receipt.link_ids, receipt.link_ref) == ("unproven", None)
    payment = ledger.payment("W-900")
    assert payment is not None
    assert (payment.is_paid, payment.link_ids, payment.link_ref) == (True, "unproven", None)
    # It proves nothing.
    assert ledger.summary().link_ids == "unproven"


def test_an_unknown_id_waits_for_a_person_once_the_ids_are_proven(
    ledger: Ledger, webhook: Webhook
) -> None:
    prove(ledger, webhook)
    assert ledger.summary().link_ids == "proven"
    order(ledger, "order-42")
    receipt = ledger.receive(delivery(webhook, "W-900"))
    assert (receipt.decision, receipt.problem) == ("mismatch", "order_id")
    assert (receipt.link_ids, receipt.link_ref) == ("proven", None)
    payment = ledger.payment("W-900")
    assert payment is not None and not payment.is_paid
    assert (payment.problem, payment.link_ids, payment.link_ref) == ("order_id", "proven", None)


def test_a_person_switches_the_check_off_and_on_again(ledger: Ledger, webhook: Webhook) -> None:
    prove(ledger, webhook)
    order(ledger, "order-42")
    ledger.set_link_id_check(False, by="amal", note="their numbers differ")
    assert ledger.summary().link_ids == "ignored"
    receipt = ledger.receive(delivery(webhook, "W-900"))
    assert (receipt.decision, receipt.link_ids) == ("paid", "ignored")
    payment = ledger.payment("W-900")
    assert payment is not None and (payment.is_paid, payment.link_ids) == (True, "ignored")

    ledger.set_link_id_check(check=True, by="omar")
    assert ledger.summary().link_ids == "proven"
    order(ledger, "order-43")
    checked = ledger.receive(delivery(webhook, "W-901", ref="order-43"))
    assert (checked.decision, checked.problem) == ("mismatch", "order_id")

    on, off = ledger.decisions()
    assert (on.action, on.subject, on.decision) == ("link_ids", "", "checked")
    assert (on.by, on.ref, on.note) == ("omar", None, None)
    assert (off.action, off.subject, off.decision) == ("link_ids", "", "ignored")
    assert (off.by, off.ref, off.note) == ("amal", None, "their numbers differ")


def test_what_was_decided_stays_as_it_is(ledger: Ledger, webhook: Webhook) -> None:
    cheap = order(ledger, "order-42")
    body = delivery(webhook, cheap, ref=None)
    assert ledger.receive(body).decision == "mismatch"
    ledger.set_link_id_check(False, by="amal")
    again = ledger.receive(body)
    assert (again.decision, again.duplicate) == ("mismatch", True)
    assert (again.link_ids, again.link_ref) == ("unproven", "order-42")


def test_what_a_former_version_decided_says_nothing_of_link_ids(
    tmp_path: Path, shop: Simulator, webhook: Webhook
) -> None:
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        body = delivery(webhook, order(ledger, "order-42"))
        ledger.receive(body)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("UPDATE kazawallet_payments SET link_ids = NULL, proves = NULL")
    database.close()
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        [payment] = ledger.pending()
        assert (payment.is_paid, payment.link_ids, payment.link_ref) == (True, None, None)
        receipt = ledger.receive(body)
        assert (receipt.duplicate, receipt.link_ids, receipt.link_ref) == (True, None, None)


def test_whether_the_ids_are_proven_is_shown_and_whose_link_it_is_is_not(
    plain_ledger: Ledger, webhook: Webhook
) -> None:
    of_amal = order(plain_ledger, "order of Amal")
    receipt = plain_ledger.receive(delivery(webhook, of_amal, ref=None))
    [payment] = plain_ledger.unsettled()
    assert receipt.link_ref == payment.link_ref == "order of Amal"
    for record in (receipt, payment, plain_ledger.summary()):
        assert "link_ids='unproven'" in repr(record)
        assert "Amal" not in repr(record)


@pytest.mark.parametrize("amount_type", [str, float])
def test_a_decimal_that_a_delivery_left_out_is_an_equal_amount(
    ledger: Ledger, webhook: Webhook, amount_type: type
) -> None:
    """A shop's decimals are its own: `10.500`, as it was sent when the link was made, is signed."""
    link = ledger.create_payment_link(ref="order-42", amount="10.500", currency="USD")
    signed = json.loads(delivery(webhook, link.id or "", amount="10.500"))
    body = json.dumps({**signed, "amount": amount_type("10.5")}).encode()
    event = webhook.verify(body)
    assert (event.order_id, event.amount) == ("L-1", Decimal("10.5"))
    assert event.match_order(amount="10.500", currency="USD", ref="order-42").is_fulfilled
    receipt = ledger.receive(body)
    assert (receipt.decision, receipt.link_ids) == ("paid", "proven")
