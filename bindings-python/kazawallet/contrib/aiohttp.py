"""The webhook's route for aiohttp.

>>> import asyncio, tempfile
>>> from aiohttp import web
>>> from kazawallet import AsyncLedger, Payment, Webhook
>>> from kazawallet.contrib.aiohttp import WebhookReceiver
>>> folder = tempfile.TemporaryDirectory()
>>> async def open_ledger() -> AsyncLedger:  # In a shop: AsyncLedger.open(client=AsyncClient())
...     url = f"sqlite://{folder.name}/shop.db"
...     return await AsyncLedger.open(url, webhook=Webhook("key", "secret"))
>>> async def ship(payment: Payment) -> None:
...     if payment.is_paid:
...         print("ship", payment.ref)
>>> receiver = WebhookReceiver(open_ledger, ship)
>>> app = web.Application()
>>> receiver.init_app(app, "/webhooks/kazawallet")
>>> async def serve() -> None:  # What web.run_app(app) does.
...     runner = web.AppRunner(app)
...     await runner.setup()
...     print((await receiver.ledger.summary()).payments["paid"], "paid so far")
...     await runner.cleanup()
>>> asyncio.run(serve())
0 paid so far
>>> folder.cleanup()
"""

from __future__ import annotations

from typing import Any

from .._kazawallet import LONGEST_WEBHOOK_BODY
from ._async_receiving import AsyncReceiver, BrokeOff, ReadBefore

try:
    from aiohttp import web
except ImportError as _error:
    raise ImportError(
        "kazawallet.contrib.aiohttp needs aiohttp: pip install aiohttp", name=_error.name
    ) from _error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

__all__ = ["WebhookReceiver"]


class WebhookReceiver(AsyncReceiver):
    """Receives the provider's webhook in an aiohttp application.

    With a **ledger** a delivery is answered as soon as it is stored, and a worker, a task, calls the
    handler: at least once for each payment, until it succeeds. With a **`Webhook`** the handler is awaited
    before the answer, since nothing else remembers: if it raises, the provider does not repeat the
    delivery, and the log is then the only record of the payment.

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
        "use receiver.init_app(app, path), or `async with receiver:` in a cleanup context"
    )
    _way_out = "In aiohttp no middleware may read request.content before it; await request.read() keeps the bytes."

    def init_app(self, app: web.Application, path: str) -> None:
        """Adds the route to an application, and starts and stops the receiver with it.

        Args:
            app: The application.
            path: Where the deliveries arrive, such as `/webhooks/kazawallet`.
        """
        app.router.add_route("*", path, self.view)
        app.cleanup_ctx.append(self._live)

    async def _live(self, app: web.Application) -> AsyncIterator[None]:
        async with self:
            yield

    async def view(self, request: web.Request) -> web.Response:
        """Answers a delivery. `init_app` adds it to the application; a handler of yours can give it the
        request, too: `return await receiver.view(request)`."""
        if isinstance(request, web.Request):
            encoding = request.headers.get("Content-Encoding")
            # aiohttp inflates it itself, and counts what it has inflated.
            inflated = encoding is not None and encoding.lower() != "identity"
            length = None if inflated else request.content_length
            read_as = None if inflated else encoding
            try:
                answer = await self._respond(request.method, length, read_as, _pieces(request))
            except NotInflated:
                # What aiohttp cannot inflate, nobody can.
                answer = await self._arrived(b"", None, encoding)
        else:
            given = f"an object of the class {type(request).__name__}"
            answer = self._route.no_request(
                given, "the request itself, as `await receiver.view(request)`"
            )
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)


class NotInflated(Exception):
    """A body is not what its `Content-Encoding` says."""


async def _pieces(request: Any) -> AsyncGenerator[bytes, None]:
    kept: bytes | None = getattr(request, "_read_bytes", None)  # What `request.read()` keeps.
    if kept is not None:
        yield kept
        return
    content = request.content
    if content.at_eof() and content.total_bytes:
        raise ReadBefore
    got = 0
    try:
        while got <= LONGEST_WEBHOOK_BODY and (piece := await content.readany()):
            got += len(piece)
            yield piece
    except (ConnectionError, web.RequestPayloadError) as error:
        if "content-encoding" in str(error):
            raise NotInflated from None
        raise BrokeOff from None
