"""What the applications of the tests share: the kinds of routes, and what their handlers tell.

The environment names the kinds that an application has (`KINDS`), and the folder of their ledgers
(`FOLDER`). A route is at `/<kind>`. What happens is told on standard output, a JSON list a line.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from kazawallet import AsyncClient, AsyncLedger, Client, Ledger, Payment, PaymentEvent, Webhook

KINDS = os.environ["KINDS"].split()
WITH_WORKER = os.environ.get("WORKER") != "no"
SLEEP = 5.0
"""Seconds that the handler of the load test takes."""


def tell(*what: str | None) -> None:
    """One write a line: threads and processes must not mix theirs."""
    os.write(1, f"{json.dumps(what)}\n".encode())


def ledger_url(kind: str) -> str:
    """Each kind has a ledger of its own, or the workers would take each other's payments."""
    return f"sqlite://{os.environ['FOLDER']}/{kind}.db"


def webhook() -> Webhook:
    """What verifies, without a ledger."""
    return Webhook(os.environ["KAZAWALLET_API_KEY"], os.environ["KAZAWALLET_API_SECRET"])


# --- blocking -----------------------------------------------------------------------------------


class ToldLedger(Ledger):
    """Tells when it is closed."""

    def close(self) -> None:
        super().close()
        tell("closed")


def opener(kind: str) -> Callable[[], Ledger]:
    """What opens the ledger of a kind, and tells so."""

    def open_ledger() -> Ledger:
        tell("opened")
        return ToldLedger.open(ledger_url(kind), client=Client())

    return open_ledger


def handler(kind: str) -> Callable[[Payment | PaymentEvent], None]:
    """The handler of a kind."""

    def handle(given: Payment | PaymentEvent) -> None:
        if kind.endswith("fails"):
            raise ValueError(f"what is private of {given.ref}")
        if kind == "slow":
            time.sleep(SLEEP)
        tell("handled", kind, given.ref)

    return handle


def receiver(make: Any, kind: str) -> Any:
    """The blocking receiver of a kind; `make` is its class."""
    if kind.startswith("webhook"):
        return make(webhook(), handler(kind))
    if kind.startswith("ledger"):
        ledger = Ledger.open(ledger_url(kind), client=Client())
        return make(ledger, handler(kind))
    if WITH_WORKER:
        return make(opener(kind), handler(kind))
    return make(opener(kind), worker=False)


# --- asynchronous -------------------------------------------------------------------------------


class ToldAsyncLedger(AsyncLedger):
    """Tells when it is closed."""

    async def close(self) -> None:
        await super().close()
        tell("closed")


def async_receiver(make: Any, kind: str) -> Any:
    """The asynchronous receiver of a kind; `make` is its class."""
    import asyncio

    async def open_ledger() -> AsyncLedger:
        tell("opened")
        return await ToldAsyncLedger.open(ledger_url(kind), client=AsyncClient())

    async def handle(given: Payment | PaymentEvent) -> None:
        if kind == "slow":
            await asyncio.sleep(SLEEP)
            tell("handled", kind, given.ref)
        else:
            handler(kind)(given)

    if kind.startswith("webhook"):
        return make(webhook(), handle)
    if WITH_WORKER:
        return make(open_ledger, handle)
    return make(open_ledger, worker=False)
