"""What a ledger, its worker and its end tell a person: heard in the log, once."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest
from ledgers import ORDER, delivery, sqlite, wait_until
from postgres_server import PostgresServer
from programs import run

from kazawallet import AsyncLedger, Ledger, Payment, Webhook
from kazawallet.contrib.flask import WebhookReceiver
from kazawallet.contrib.starlette import WebhookReceiver as AsyncReceiver
from kazawallet.testing import Simulator


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str | None]]:
    """What was told: level, code and order id."""
    reports = [record.__dict__ for record in caplog.records if hasattr(record, "code")]
    return [(each["levelname"], each["code"], each["order_id"]) for each in reports]


def test_a_server_that_is_away_is_told_and_so_is_a_rotation_that_keeps_the_spool_full(
    own_postgres: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, spool = own_postgres.new_database(), tmp_path / "spool"
    webhook = Webhook("key", "secret")
    with Ledger.open(url, webhook=webhook, spool=spool) as ledger:
        own_postgres.stop()
        for number in range(3):
            receipt = ledger.receive(delivery(webhook, f"pl_{number}"))
            assert receipt.decision == "spooled"
    assert told(caplog) == [("WARNING", "spooled", None)]
    assert "PostgreSQL server cannot be reached" in caplog.text
    caplog.clear()
    own_postgres.start_again()
    with Ledger.open(url, webhook=Webhook("the new key", "the new secret"), spool=spool):
        wait_until(lambda: ("WARNING", "spool_of_another_key", None) in told(caplog))


def test_the_ledger_s_own_calls_leave_the_record_of_a_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kazawallet")
    with Simulator() as sim, Ledger.open(sqlite(tmp_path), client=sim.client()) as ledger:
        ledger.create_payment_link(**ORDER)
        ledger.create_payment_link(**ORDER)
    calls = [record for record in caplog.records if hasattr(record, "endpoint")]
    assert [(call.endpoint, call.outcome) for call in calls] == [("/createPaymentLink", "ok")]  # type: ignore[attr-defined]


def test_a_handler_that_is_left_has_had_a_try(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def handle(payment: Payment) -> None:
        begun.set()
        goes_on.wait()

    with Simulator() as sim, Ledger.open(sqlite(tmp_path), client=sim.client()) as ledger:
        [paid] = sim.pay(ledger.create_payment_link(**ORDER))
        ledger.receive(paid.body)
        worker = ledger.process(handle, first_pause=60)
        assert begun.wait(60)
        assert worker.stop(timeout=1.2) is False
        payment = ledger.payment(paid.order_id)
        assert payment is not None and (payment.processing, payment.tries) == ("waiting", 1)
    goes_on.set()
    codes = ["stop_waits", "handler_broken_off"]
    assert told(caplog) == [("WARNING", code, paid.order_id) for code in codes]


def test_a_task_that_is_left_has_had_a_try(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def handle(payment: Payment) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await ended.wait()  # It holds its end off.

        async with (
            Simulator() as sim,
            sim.async_client() as client,
            await AsyncLedger.open(sqlite(tmp_path), client=client) as ledger,
        ):
            [paid] = await sim.pay(await ledger.create_payment_link(**ORDER))
            await ledger.receive(paid.body)
            worker = ledger.process(handle, first_pause=60)
            await begun.wait()
            assert await worker.stop(timeout=1.2) is False
            assert await worker.stop(timeout=60) is False
            ended.set()
            payment = await ledger.payment(paid.order_id)
            assert payment is not None and (payment.processing, payment.tries) == ("waiting", 1)
        codes = ["stop_waits", "handler_broken_off"]
        assert told(caplog) == [("WARNING", code, paid.order_id) for code in codes]

    asyncio.run(main())


def generator(payment: Any) -> Generator[None]:
    """What does nothing when it is called."""
    yield


async def async_generator(payment: Any) -> AsyncGenerator[None]:
    """What does nothing when it is called."""
    yield


@pytest.mark.parametrize("handler", [generator, async_generator])
def test_a_generator_is_no_handler(tmp_path: Path, handler: Any) -> None:
    webhook = Webhook("key", "secret")
    with Ledger.open(sqlite(tmp_path), webhook=webhook) as ledger:
        makers: list[Any] = [
            ledger.process,
            lambda handler: WebhookReceiver(webhook, handler),
            lambda handler: AsyncReceiver(webhook, handler),
        ]
        for make in makers:
            with pytest.raises(TypeError, match="`handler` is a generator"):
                make(handler)


FAILING = """
    import os, sys, threading
    from kazawallet import Client, Ledger

    def work():
        ledger = Ledger.open(os.environ["LEDGER"], client=Client())
        failed = threading.Event()

        def handle(payment):
            failed.set()
            raise ValueError("what is private")

        ledger.process(handle, max_tries=1)
        assert failed.wait(60)

    {run}
"""


@pytest.mark.parametrize(
    "how", ["work()", "child = os.fork()\nif child:\n    os.waitpid(child, 0)\nelse:\n    work()"]
)
def test_the_end_of_a_program_tells_what_it_has_to_tell(tmp_path: Path, how: str) -> None:
    """Without a logging that anybody has set up, and in a forked child."""
    with Simulator() as sim:
        with Ledger.open(sqlite(tmp_path), client=sim.client()) as ledger:
            [paid] = sim.pay(ledger.create_payment_link(**ORDER))
            ledger.receive(paid.body)
        program = FAILING.replace("{run}", how.replace("\n", "\n    "))
        ended = run(program, provider=sim, environment={"LEDGER": sqlite(tmp_path)})
    assert ended.status == 0, ended
    assert ended.stderr.count("the handler failed with ValueError") == 1, ended
    assert "private" not in ended.stderr
