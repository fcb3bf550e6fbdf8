"""What the tests of the ledger share: a shop with a ledger, its deliveries, and waiting for events."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from kazawallet import AsyncLedger, Ledger, PaymentMethod, Webhook
from kazawallet.testing import Simulator

GUARD = 60.0
"""Seconds after which a wait counts as a hang."""

RECIPIENT = PaymentMethod.sy_cash(phone="0933123456")
SALARY: dict[str, Any] = {
    "reference": "salary-1",
    "amount": "10.50",
    "currency": "USD",
    "payment_method": RECIPIENT,
}
ORDER: dict[str, Any] = {"ref": "order-42", "amount": "10.50", "currency": "USD"}


def sqlite(folder: Path, name: str = "ledger.db") -> str:
    """The URL of a ledger in a file."""
    return f"sqlite://{folder / name}"


def delivery(
    webhook: Webhook,
    order_id: str = "pl_1",
    *,
    amount: str = "10.50",
    status: str = "fulfilled",
    currency: str | None = "USD",
    ref: str | None = "order-42",
    **more: Any,
) -> bytes:
    """A delivery as the provider would send it, genuine."""
    fields = {
        "order_id": order_id,
        "amount": amount,
        "status": status,
        "secret": webhook.sign(amount=amount, order_id=order_id),
        **({} if currency is None else {"currency": currency}),
        **({} if ref is None else {"ref": ref}),
        **more,
    }
    return json.dumps(fields).encode()


class _Awaited:
    """An `AsyncLedger` whose calls are run to their end, so that one test is for both ledgers."""

    def __init__(self, ledger: AsyncLedger, loop: asyncio.AbstractEventLoop) -> None:
        self._ledger = ledger
        self._loop = loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._ledger, name)
        return lambda *given, **named: self._loop.run_until_complete(method(*given, **named))


@contextmanager
def opened(
    kind: str, url: str, simulator: Simulator, *, base_url: str | None = None, **options: Any
) -> Iterator[Ledger]:
    """A ledger of either kind, with the simulator's client, to be used as the blocking one. With
    `base_url` that client calls another provider, which has the same key and secret."""
    elsewhere: dict[str, Any] = {} if base_url is None else {"base_url": base_url}
    if kind == "sync":
        with Ledger.open(url, client=simulator.client(**elsewhere), **options) as ledger:
            yield ledger
        return
    loop = asyncio.new_event_loop()
    try:
        opening = AsyncLedger.open(url, client=simulator.async_client(**elsewhere), **options)
        ledger = cast(Ledger, _Awaited(loop.run_until_complete(opening), loop))
        yield ledger
        ledger.close()
    finally:
        loop.close()


class Seen:
    """What a handler was given: to be waited for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.order_ids: list[str] = []

    def add(self, order_id: str) -> None:
        with self._changed:
            self.order_ids.append(order_id)
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[str]:
        """Waits until there are so many, and gives them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.order_ids) >= count, GUARD)
            return list(self.order_ids)


def wait_until(true: Callable[[], object]) -> None:
    """Waits for what the ledger alone can tell."""
    ends = time.monotonic() + GUARD
    while not true():
        assert time.monotonic() < ends, "it did not come true"
        time.sleep(0.02)
