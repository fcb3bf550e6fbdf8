"""The webhook's route for Starlette and FastAPI.

>>> import asyncio, tempfile
>>> from kazawallet import AsyncLedger, Payment, Webhook
>>> from kazawallet.contrib.starlette import WebhookReceiver
>>> from starlette.applications import Starlette
>>> folder = tempfile.TemporaryDirectory()
>>> async def open_ledger() -> AsyncLedger:  # In a shop: AsyncLedger.open(client=AsyncClient())
...     url = f"sqlite://{folder.name}/shop.db"
...     return await AsyncLedger.open(url, webhook=Webhook("key", "secret"))
>>> async def ship(payment: Payment) -> None:
...     if payment.is_paid:
...         print("ship", payment.ref)
>>> receiver = WebhookReceiver(open_ledger, ship)
>>> app = Starlette(lifespan=receiver.lifespan)  # Or FastAPI(lifespan=receiver.lifespan)
>>> app.add_route("/webhooks/kazawallet", receiver)
>>> async def serve() -> None:  # What the server does with the application.
...     async with receiver.lifespan(app):
...         print((await receiver.ledger.summary()).payments["paid"], "paid so far")
>>> asyncio.run(serve())
0 paid so far
>>> folder.cleanup()
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any, overload

from ._async_receiving import AsyncReceiver, BrokeOff, ReadBefore
from ._receiving import content_length

try:
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import Response
except ImportError as _error:
    raise ImportError(
        "kazawallet.contrib.starlette needs Starlette: pip install starlette, or fastapi",
        name=_error.name,
    ) from _error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

__all__ = ["WebhookReceiver"]


class WebhookReceiver(AsyncReceiver):
    """Receives the provider's webhook in a Starlette or FastAPI application.

    With a **ledger** a delivery is answered as soon as it is stored, and a worker, a task, calls the
    handler: at least once for each payment, until it succeeds. With a **`Webhook`** the handler is awaited
    before the answer, since nothing else remembers: where it raises, the provider does not repeat the
    delivery, and the payment is lost but for your log.

    It is added as a route, `app.add_route("/webhooks/kazawallet", receiver)`, and starts and stops with
    the application: `Starlette(lifespan=receiver.lifespan)`, or `async with receiver:` in a lifespan of
    your own. An endpoint of yours can give it the request, too: `return await receiver(request)`.

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

    _way_to_start = "give the application lifespan=receiver.lifespan, or use `async with receiver:` in its lifespan"
    _way_out = (
        "In Starlette and FastAPI no middleware may read request.stream() or request.form() before it; "
        "await request.body() keeps the bytes."
    )

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None, None]:
        """Starts and stops the receiver with an application: `FastAPI(lifespan=receiver.lifespan)`.

        Args:
            app: The application, which the framework gives.

        Raises:
            ConfigurationError: the ledger has nothing to verify deliveries with.
            LedgerError: the ledger cannot be opened.
        """
        async with self:
            yield

    # As a route, which is typed as an endpoint; and as what the framework makes of it: an ASGI application.
    @overload
    async def __call__(
        self, request: Request, receive: None = None, send: None = None, /
    ) -> Response: ...
    @overload
    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None: ...
    async def __call__(
        self,
        request: Any,
        receive: Receive | None = None,
        send: Send | None = None,
        /,
    ) -> Response | None:
        if receive is None or send is None:
            return await self._response(request)
        response = await self._response(Request(request, receive))
        await response(request, receive, send)
        return None

    async def _response(self, request: Any) -> Response:
        if isinstance(request, Request):
            headers = request.headers
            length, encoding = (
                content_length(headers.get("content-length")),
                headers.get("content-encoding"),
            )
            answer = await self._respond(request.method, length, encoding, _pieces(request))
        else:
            given = f"an object of the class {type(request).__name__}"
            answer = self._route.no_request(
                given, "the request itself, as `await receiver(request)`"
            )
        return Response(answer.body, answer.status, answer.headers)


async def _pieces(request: Request) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise BrokeOff from None
    except RuntimeError:  # What Starlette raises if the stream was read before.
        raise ReadBefore from None
