"""The ledger in a real PostgreSQL: what differs from a file, the spool above all."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from decimal import Decimal
from pathlib import Path

import programs
import pytest
from ledgers import ORDER, SALARY, Seen, delivery, opened, wait_until
from postgres_server import PostgresServer

from kazawallet import AsyncLedger, ConfigurationError, Ledger, LedgerError, Payment
from kazawallet.testing import Simulator


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_payment_from_its_order_to_its_handler(
    kind: str, postgres: PostgresServer, shop: Simulator
) -> None:
    with opened(kind, postgres.new_database(), shop, spool=False) as ledger:
        link = ledger.create_payment_link(**ORDER)
        assert ledger.create_payment_link(**ORDER) == link
        [sent] = shop.pay(link.url)
        receipt = ledger.receive(sent.body)
        assert (receipt.decision, receipt.duplicate) == ("paid", False)
        assert ledger.receive(sent.body).duplicate
        assert ledger.receive(sent.body.replace(b'"USD"', b'"SYP"')).decision == "conflict"
        ledger.receive(delivery(shop.webhook(), "pl_x", ref="unknown"))
        ledger.settle("pl_x", "dismissed", by="amal", note="a test")
        [payment] = ledger.pending()
        assert payment.order_id == link.id and payment.body == sent.body
        ledger.mark_processed(payment.order_id)
        assert ledger.withdraw(**SALARY) == ledger.withdraw(**SALARY)
        summary = ledger.summary()
        assert (summary.orders["paid"], summary.processing["done"]) == (1, 1)
        assert (summary.payouts["paid"], summary.conflicts, summary.spooled) == (1, 1, 0)
        [kept] = ledger.decisions()
        assert kept.by == "amal"
    assert sum("createWithdrawal" in request.path for request in shop.requests) <= 1


def test_workers_of_two_ledgers_share_the_work(postgres: PostgresServer, shop: Simulator) -> None:
    url, seen = postgres.new_database(), Seen()
    with (
        opened("sync", url, shop, spool=False) as one,
        opened("sync", url, shop, spool=False) as other,
    ):
        order_ids = []
        for number in range(20):
            link = one.create_payment_link(**{**ORDER, "ref": f"order-{number}"})
            one.receive(delivery(shop.webhook(), link.id or "", ref=f"order-{number}"))
            order_ids.append(link.id)
        handle = lambda payment: seen.add(payment.order_id)  # noqa: E731
        with (
            one.process(handle, poll_interval=0.05),
            other.process(handle, poll_interval=0.05),
            other.process(handle, poll_interval=0.05),
        ):
            seen.wait_for(20)
        assert Counter(seen.order_ids) == Counter(order_ids)


def test_what_a_handler_raised_is_kept(postgres: PostgresServer, shop: Simulator) -> None:
    """PostgreSQL's text takes no NUL."""
    with opened("sync", postgres.new_database(), shop, spool=False) as ledger:
        link = ledger.create_payment_link(**ORDER)
        ledger.receive(delivery(shop.webhook(), link.id or ""))

        def handle(payment: Payment) -> None:
            raise ValueError("before \x00 after \udc00")

        with ledger.process(handle, max_tries=1):
            wait_until(ledger.parked)
        assert "after" in (ledger.parked()[0].last_error or "")


@pytest.mark.parametrize("ref", ["طلب ٤٢", "x" * 1024], ids=["arabic", "long"])
def test_an_unusual_ref(postgres: PostgresServer, shop: Simulator, ref: str) -> None:
    with opened("sync", postgres.new_database(), shop, spool=False) as ledger:
        ledger.receive(delivery(shop.webhook(), "pl_1", ref=ref))
        payment = ledger.payment("pl_1")
        assert payment is not None and payment.decision == "no_order"


def test_deliveries_are_spooled_while_the_database_is_away(
    own_postgres: PostgresServer, tmp_path: Path, shop: Simulator
) -> None:
    url = own_postgres.new_database()
    with opened("sync", url, shop, spool=tmp_path / "spool") as ledger:
        link = ledger.create_payment_link(**ORDER)
        own_postgres.stop()
        body = delivery(shop.webhook(), link.id or "")
        receipt = ledger.receive(body)
        assert (receipt.decision, receipt.event.order_id) == ("spooled", link.id)
        assert (receipt.link_ids, receipt.link_ref) == (None, None)
        assert len(list((tmp_path / "spool").iterdir())) >= 1
        with pytest.raises(LedgerError) as away:
            ledger.summary()
        assert (away.value.code, away.value.outcome) == ("ledger_unavailable", "not_sent")
        with pytest.raises(LedgerError):
            ledger.withdraw(**SALARY)
        own_postgres.start_again()
        wait_until(lambda: order_state(ledger, "order-42") == "paid")
        assert ledger.summary().spooled == 0
        again = ledger.receive(body)
        assert (again.decision, again.duplicate) == ("paid", True)
    assert [request for request in shop.requests if "ithdraw" in request.path] == []


def order_state(ledger: Ledger, ref: str) -> str | None:
    try:
        order = ledger.order(ref)
    except LedgerError:
        return None  # It has just come back.
    return None if order is None else order.state


def test_opening_takes_over_what_was_spooled(
    own_postgres: PostgresServer, tmp_path: Path, shop: Simulator
) -> None:
    url = own_postgres.new_database()
    opened("sync", url, shop, spool=tmp_path).__enter__().close()
    own_postgres.stop()
    with opened("sync", url, shop, spool=tmp_path) as ledger:
        for number in range(3):
            body = delivery(shop.webhook(), f"pl_{number}", ref="unknown")
            assert ledger.receive(body).decision == "spooled"
    own_postgres.start_again()
    with opened("async", url, shop, spool=tmp_path) as ledger:
        assert {payment.order_id for payment in ledger.unsettled()} == {"pl_0", "pl_1", "pl_2"}
        assert ledger.summary().spooled == 0


def test_without_a_spool_a_delivery_is_refused(
    own_postgres: PostgresServer, shop: Simulator
) -> None:
    url = own_postgres.new_database()
    with opened("sync", url, shop, spool=False) as ledger:
        own_postgres.stop()
        with pytest.raises(LedgerError) as refused:
            ledger.receive(delivery(shop.webhook()))
        assert refused.value.code == "ledger_unavailable"
        own_postgres.start_again()
        wait_until(lambda: received(ledger, delivery(shop.webhook())))


def received(ledger: Ledger, body: bytes) -> bool:
    try:
        return ledger.receive(body).decision == "no_order"
    except LedgerError:
        return False


def test_a_worker_lives_through_a_stop_of_the_database(
    own_postgres: PostgresServer, tmp_path: Path, shop: Simulator
) -> None:
    seen = Seen()
    with opened("sync", own_postgres.new_database(), shop, spool=tmp_path) as ledger:
        links = [
            ledger.create_payment_link(**{**ORDER, "ref": f"order-{number}"}) for number in range(2)
        ]
        with ledger.process(lambda payment: seen.add(payment.order_id), poll_interval=0.05):
            ledger.receive(delivery(shop.webhook(), links[0].id or "", ref="order-0"))
            seen.wait_for(1)
            wait_until(lambda: ledger.summary().processing["done"] == 1)
            own_postgres.stop()
            body = delivery(shop.webhook(), links[1].id or "", ref="order-1")
            assert ledger.receive(body).decision == "spooled"
            own_postgres.start_again()
            assert seen.wait_for(2) == [links[0].id, links[1].id]


def test_a_payout_whose_answer_comes_while_the_database_is_away(
    own_postgres: PostgresServer, shop: Simulator
) -> None:
    states: list[str] = []
    with opened("sync", own_postgres.new_database(), shop, spool=False) as ledger:
        shop.fault("answer_late:1500")
        thread = threading.Thread(target=lambda: states.append(ledger.withdraw(**SALARY).state))
        thread.start()
        wait_until(lambda: shop.requests)
        own_postgres.stop()
        wait_until(lambda: shop.balance("USD") == Decimal("989.50"))
        own_postgres.start_again()
        thread.join()
        assert states == ["paid"]
        assert ledger.withdraw(**SALARY).state == "paid"
    assert len(shop.requests) == 1


def test_many_tasks_at_once(postgres: PostgresServer, shop: Simulator) -> None:
    async def main() -> None:
        ledger = await AsyncLedger.open(
            postgres.new_database(), client=shop.async_client(), spool=False
        )
        async with ledger:
            bodies = [delivery(shop.webhook(), f"pl_{n % 50}", ref="unknown") for n in range(200)]
            receipts = await asyncio.gather(*map(ledger.receive, bodies))
            assert sum(not receipt.duplicate for receipt in receipts) == 50

    asyncio.run(main())


def test_a_fork(postgres: PostgresServer, tmp_path: Path, shop: Simulator) -> None:
    program = """
        import os
        from kazawallet import Client, Ledger

        ledger = Ledger.open(client=Client(), spool=False)
        children = []
        for number in range(4):
            child = os.fork()
            if child == 0:
                for order in range(5):
                    ref = f"{number}-{order}"
                    ledger.create_payment_link(ref=ref, amount="1", currency="USD")
                os._exit(0)
            children.append(child)
            ledger.create_payment_link(ref=f"parent-{number}", amount="1", currency="USD")
        for child in children:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert ledger.summary().orders["open"] == 24
        ledger.close()
    """
    programs.run(
        program,
        provider=shop,
        options=("-W", "ignore::DeprecationWarning"),
        environment={"KAZAWALLET_LEDGER": postgres.new_database()},
    ).check_is_clean()


def test_a_server_that_cannot_be_reached(own_postgres: PostgresServer, shop: Simulator) -> None:
    url = own_postgres.new_database()
    own_postgres.stop()
    with pytest.raises(LedgerError) as refused:
        Ledger.open(url, client=shop.client(), spool=False)
    assert (refused.value.code, refused.value.outcome) == ("ledger_unavailable", "not_sent")


def test_a_password_is_not_shown(postgres: PostgresServer, shop: Simulator) -> None:
    url = postgres.new_database().replace("postgres@", "postgres:hunter2@", 1)
    with opened("sync", url, shop, spool=False) as ledger:
        assert "hunter2" not in repr(ledger)
    with pytest.raises(ConfigurationError) as refused:
        Ledger.open(f"{url}_missing", client=shop.client(), spool=False)
    shown = f"{refused.value!r} {refused.value} {refused.value.__cause__!r}"
    assert "hunter2" not in shown
