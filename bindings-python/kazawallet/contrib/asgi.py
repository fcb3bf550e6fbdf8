"""The webhook's route as a plain ASGI application, for frameworks without an adapter of their own.

>>> import asyncio, tempfile
>>> from kazawallet import AsyncLedger, Payment, Webhook
>>> from kazawallet.contrib.asgi import WebhookReceiver
>>> folder = tempfile.TemporaryDirectory()
>>> async def open_ledger() -> AsyncLedger:  # In a shop: AsyncLedger.open(client=AsyncClient())
...     url = f"sqlite://{folder.name}/shop.db"
...     return await AsyncLedger.open(url, webhook=Webhook("key", "secret"))
>>> async def ship(payment: Payment) -> None:
...     if payment.is_paid:
...         print("ship", payment.ref)
>>> app = WebhookReceiver(open_ledger, ship)  # Mount it, or serve it: uvicorn shop:app
>>> async def serve() -> None:  # What a server's lifespan does.
...     async with app:
...         print((await app.ledger.summary()).payments["paid"], "paid so far")
>>> asyncio.run(serve())
0 paid so far
>>> folder.cleanup()
"""

from __future__ import annotations

from typing import Any

from ._async_receiving import AsyncReceiver, BrokeOff
from ._receiving import content_length

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping

    _Scope = MutableMapping[str, Any]
    _Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    _Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

__all__ = ["WebhookReceiver"]


class WebhookReceiver(AsyncReceiver):
    """Receives the provider's webhook as an ASGI application: each request to it is a delivery.

    With a **ledger** a delivery is answered as soon as it is stored, and a worker, a task, calls the
    handler: at least once for each payment, until it succeeds. With a **`Webhook`** the handler is awaited
    before the answer, since nothing else remembers: if it raises, the provider does not repeat the
    delivery, and the log is then the only record of the payment.

    Serve it by itself, and the server's lifespan starts and stops it. Or mount it at a path of another ASGI
    application, which begins and ends it in its own lifespan: `async with receiver:`.

    Args:
        source: A function without arguments that opens an `AsyncLedger`, such as an `async def`; it is called
            once, and what it opened is closed at the end. Or an open `AsyncLedger`, or a `Webhook`.
        handler: An `async def` that takes the ledger's `Payment`, or with a `Webhook` the `PaymentEvent`.
        worker: `False` if a cron job processes (`AsyncLedger.pending`), or another process: then no
            handler need be given. Ignored if `source` is a `Webhook`.

    Raises:
        TypeError: a source or a handler of another type, or no handler.

    What went wrong is in the log, logger `kazawallet`, and never in the answer.
    """

    _way_to_start = (
        "serve it with a lifespan, or use `async with receiver:` in the application's own"
    )
    _way_out = "A middleware that reads the body must give it on."

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            raise ValueError(f"a webhook comes over HTTP, not over {scope['type']}")

    async def _live(self, receive: _Receive, send: _Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await self.stop()
        except Exception as error:
            await send({"type": "lifespan.shutdown.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        length, encoding = (
            content_length(headers.get(b"content-length")),
            headers.get(b"content-encoding"),
        )
        answer = await self._respond(scope["method"], length, encoding, _pieces(receive))
        sent = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        sent.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": answer.body})


async def _pieces(receive: _Receive) -> AsyncGenerator[bytes, None]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BrokeOff
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return
