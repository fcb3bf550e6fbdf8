"""What the applications of the tests share: the kinds of routes, and what their handlers tell.

The environment names the kinds that an application has (`KINDS`), and the folder of their ledgers
(`FOLDER`). A route is at `/<kind>`. What happens is told on standard output, a JSON list a line.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from kazawallet import AsyncClient, AsyncLedger, Client, Ledger, Payment, PaymentEvent, Webhook

KINDS = os.environ["KINDS"].split()
WITH_WORKER = os.environ.get("WORKER") != "no"
SLEEP = 5.0
"""Seconds that the handler of the load test takes."""


def tell(*what: str | None) -> None:
    """One write a line: threads and processes must not mix theirs."""
    os.write(1, f"{json.dumps(what)}\n".encode())


class Reports(logging.Handler):
    """Tells what is told to a person."""

    def emit(self, record: logging.LogRecord) -> None:
        code = getattr(record, "code", None)
        if code is not None:
            tell("told", record.levelname.lower(), code, getattr(record, "order_id", None))


logging.getLogger("kazawallet").setLevel(logging.INFO)
logging.getLogger("kazawallet").addHandler(Reports())


def without_chunks(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The WSGI application behind a server that hands on no chunks, at the routes that are so called."""

    def called(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].endswith("not-handed-on"):
            environ["wsgi.input"] = BytesIO()
            environ.pop("wsgi.input_terminated", None)
        return app(environ, start_response)

    return called


def ledger_url(kind: str) -> str:
    """Each kind has a ledger of its own, or the workers would take each other's payments."""
    if kind == "ledger-away":
        return os.environ["AWAY"]
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
        if kind.endswith("never-returns"):
            threading.Thread(target=stopped_in_time, args=(kind,), daemon=True).start()
            threading.Event().wait()
        if kind == "slow":
            time.sleep(SLEEP)
        tell("handled", kind, given.ref)

    return handle


RECEIVERS: dict[str, Any] = {}


def stopped_in_time(kind: str) -> None:
    """Stops the receiver of a handler that never returns."""
    tell("stopped", kind, str(RECEIVERS[kind].stop(timeout=1.5)))


def receiver(make: Any, kind: str) -> Any:
    """The blocking receiver of a kind; `make` is its class."""
    RECEIVERS[kind] = made = _receiver(make, kind)
    return made


def _receiver(make: Any, kind: str) -> Any:
    if kind.startswith("webhook"):
        return make(webhook(), handler(kind))
    if kind == "ledger-away":
        spool = f"{os.environ['FOLDER']}/spool"
        return make(Ledger.open(ledger_url(kind), client=Client(), spool=spool), worker=False)
    if kind.startswith("ledger") and kind != "ledger-stopped":
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

    tasks = set[Any]()

    async def open_ledger() -> AsyncLedger:
        tell("opened")
        return await ToldAsyncLedger.open(ledger_url(kind), client=AsyncClient())

    async def handle(given: Payment | PaymentEvent) -> None:
        if kind == "slow":
            await asyncio.sleep(SLEEP)
            tell("handled", kind, given.ref)
        elif kind.endswith("never-returns"):
            tasks.add(asyncio.create_task(stopped_in_time()))
            await asyncio.Event().wait()
        else:
            handler(kind)(given)

    async def stopped_in_time() -> None:
        tell("stopped", kind, str(await made.stop(timeout=1.5)))

    async def open_away() -> AsyncLedger:
        spool = f"{os.environ['FOLDER']}/spool"
        return await AsyncLedger.open(ledger_url(kind), client=AsyncClient(), spool=spool)

    if kind.startswith("webhook"):
        made = make(webhook(), handle)
    elif kind == "ledger-away":
        made = make(open_away, worker=False)
    elif WITH_WORKER:
        made = make(open_ledger, handle)
    else:
        made = make(open_ledger, worker=False)
    return made


async def begun(kind: str, receiver: Any) -> None:
    """Does with a receiver that was started what its kind says."""
    if kind.endswith("closed"):
        await receiver.ledger.close()
    elif kind.endswith("stopped"):
        await receiver.stop()
