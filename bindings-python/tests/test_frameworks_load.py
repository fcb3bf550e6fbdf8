"""A rush of deliveries at each framework, while the handler is slow: all are answered soon, and none is lost.

run_tests.py runs it on the newest interpreter alone: what it measures is the same on all.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from framework_server import FrameworkServer
from ledgers import delivery, sqlite

from kazawallet import AsyncLedger, Ledger
from kazawallet.testing import Simulator

DELIVERIES = 2000
AT_ONCE = 50
# What the provider waits for, in seconds. A busy machine that stops for a moment, with fifty under way,
# must not fail it.
SOON = 1.0
HELD_UP = DELIVERIES // 10
AT_LAST = 10.0


@dataclass(frozen=True)
class Rush:
    """A provider, a closed ledger with the orders, and their deliveries."""

    provider: Simulator
    file: Path
    bodies: list[bytes]


@pytest.fixture(scope="module")
def rush(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rush]:
    folder = tmp_path_factory.mktemp("rush")
    with Simulator() as provider:
        webhook = provider.webhook()

        async def order(ledger: AsyncLedger, ref: str) -> bytes:
            link = await ledger.create_payment_link(ref=ref, amount="10.50", currency="USD")
            assert link.id is not None
            return delivery(webhook, link.id, ref=ref)

        async def orders() -> list[bytes]:
            opening = AsyncLedger.open(sqlite(folder), client=provider.async_client())
            async with await opening as ledger:
                bodies: list[bytes] = []
                for first in range(0, DELIVERIES, AT_ONCE):
                    some = (order(ledger, f"order-{first + more}") for more in range(AT_ONCE))
                    bodies += await asyncio.gather(*some)
                return bodies

        yield Rush(provider, folder / "ledger.db", asyncio.run(orders()))


@pytest.mark.parametrize("name", ["starlette", "flask", "django"])
def test_every_delivery_is_answered_soon_and_none_is_lost(
    name: str, tmp_path: Path, rush: Rush
) -> None:
    shutil.copy(rush.file, tmp_path / "slow.db")

    with FrameworkServer(name, tmp_path, rush.provider, ["slow"]) as server:

        def deliver(body: bytes) -> tuple[int, float]:
            began = time.monotonic()
            return server.request("/slow", body).status, time.monotonic() - began

        # It is up, and the handler has its first payment.
        assert deliver(rush.bodies[0])[0] == 200
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(deliver, rush.bodies[1:]))
        # As a power cut would: what was answered must be there.
        server.kill()
        log = server.log
    assert {status for status, _ in answers} == {200}, log
    took = sorted(seconds for _, seconds in answers)
    assert took[-1 - HELD_UP] < SOON, f"the slowest: {took[-5:]}"
    assert took[-1] < AT_LAST
    with Ledger.open(sqlite(tmp_path, "slow.db"), client=rush.provider.client()) as ledger:
        summary = ledger.summary()
    assert summary.payments["paid"] == DELIVERIES
    # The handler was at work, and is not done with them.
    assert summary.processing["waiting"] > DELIVERIES // 2
