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

import asyncio
from contextlib import aclosing, asynccontextmanager
from inspect import isawaitable
from typing import Any, Literal, overload

from .._async_ledger import AsyncLedger, AsyncLedgerWorker
from .._errors import LedgerError
from .._kazawallet import LONGEST_WEBHOOK_BODY, Webhook
from ._receiving import (
    NOT_PROCESSED,
    RECEIVED,
    Answer,
    answer_to,
    answer_to_failed_handler,
    check_given,
    check_opened,
    log_late_start,
    log_missing_worker,
    log_not_reverified,
    log_receipt,
    refusal_before_reading,
    refusal_of_body,
    refusal_of_read_body,
)

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
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from types import TracebackType

    from starlette.types import Receive, Scope, Send
    from typing_extensions import Self

    from .._kazawallet import Payment, PaymentEvent

    _Opener = Callable[[], AsyncLedger | Awaitable[AsyncLedger]]

__all__ = ["WebhookReceiver"]

_WAY_OUT = (
    "In Starlette and FastAPI no middleware may read request.stream() or request.form() before it; "
    "await request.body() keeps the bytes."
)


class WebhookReceiver:
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
        worker: `False` where a cron job processes (`AsyncLedger.pending`), or another process: then no
            handler need be given. It says nothing where there is a `Webhook`.

    Raises:
        TypeError: a source or a handler of another type, or no handler.

    What went wrong is in the log, logger `kazawallet`, and never in the answer.
    """

    @overload
    def __init__(
        self,
        source: Webhook,
        handler: Callable[[PaymentEvent], Awaitable[object]],
        *,
        worker: bool = True,
    ) -> None: ...
    @overload
    def __init__(
        self,
        source: AsyncLedger | _Opener,
        handler: Callable[[Payment], Awaitable[object]],
        *,
        worker: bool = True,
    ) -> None: ...
    @overload
    def __init__(
        self,
        source: AsyncLedger | _Opener,
        handler: None = None,
        *,
        worker: Literal[False],
    ) -> None: ...
    def __init__(
        self,
        source: Webhook | AsyncLedger | _Opener,
        handler: Callable[[Any], Awaitable[object]] | None = None,
        *,
        worker: bool = True,
    ) -> None:
        check_given(source, handler, worker=worker, ledger=AsyncLedger, asynchronous=True)
        self._handler = handler
        self._has_worker = worker
        self._webhook = source if isinstance(source, Webhook) else None
        self._opener = None if isinstance(source, Webhook | AsyncLedger) else source
        self._ledger = source if isinstance(source, AsyncLedger) else None
        self._worker: AsyncLedgerWorker | None = None
        self._started = False
        self._stopped = False
        self._changing = asyncio.Lock()

    @property
    def ledger(self) -> AsyncLedger:
        """The open ledger.

        Raises:
            RuntimeError: the receiver has a `Webhook` in its place, was not started or was stopped.
        """
        if self._ledger is None:
            if self._webhook is not None:
                raise RuntimeError("the receiver has a Webhook, and no ledger")
            raise RuntimeError(
                "the receiver is not started: give the application lifespan=receiver.lifespan, "
                "or use `async with receiver:` in its lifespan"
            )
        return self._ledger

    async def start(self) -> None:
        """Opens the ledger and starts the worker, where that was not done. There is nothing to start where the
        receiver has a `Webhook`. What is in the ledger's quarantine is verified again
        (`AsyncLedger.reverify`).

        Raises:
            ConfigurationError: the ledger has nothing to verify deliveries with.
            LedgerError: the ledger cannot be opened.
        """
        async with self._changing:
            self._stopped = False
            await self._start()

    async def stop(self) -> None:
        """Stops the worker, waits for the handler that runs, and closes the ledger if the receiver has opened
        it. Stopping twice does nothing."""
        async with self._changing:
            self._started = False
            self._stopped = True
            worker, self._worker = self._worker, None
            if worker is not None:
                await worker.stop()
            if self._opener is not None and self._ledger is not None:
                await self._ledger.close()
                self._ledger = None

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

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    # As a route, which is typed as an endpoint; and as what the framework makes of it: an ASGI application.
    @overload
    async def __call__(
        self, request: Request, receive: None = None, send: None = None, /
    ) -> Response: ...
    @overload
    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None: ...
    async def __call__(
        self,
        request: Request | Scope,
        receive: Receive | None = None,
        send: Send | None = None,
        /,
    ) -> Response | None:
        if isinstance(request, Request):
            return await self._respond(request)
        assert receive is not None and send is not None
        response = await self._respond(Request(request, receive))
        await response(request, receive, send)
        return None

    async def _respond(self, request: Request) -> Response:
        answer = await self._answer(request)
        return Response(answer.body, answer.status, answer.headers)

    async def _answer(self, request: Request) -> Answer:
        length = _content_length(request)
        refusal = refusal_before_reading(request.method, length)
        if refusal is not None:
            return refusal
        received = bytearray()
        try:
            async with aclosing(request.stream()) as pieces:
                async for piece in pieces:
                    received += piece
                    if len(received) > LONGEST_WEBHOOK_BODY:
                        break
        except ClientDisconnect:
            return NOT_PROCESSED  # Nobody hears it.
        except RuntimeError:  # What Starlette raises where the stream was read before.
            return refusal_of_read_body(_WAY_OUT)
        body = bytes(received)
        return refusal_of_body(body, length, _WAY_OUT) or await self._receive(body)

    async def _receive(self, body: bytes) -> Answer:
        if self._webhook is not None:
            return await self._verify(self._webhook, body)
        answer = RECEIVED
        try:
            if self._ledger is None and not self._stopped:
                async with self._changing:
                    await self._open()
            log_receipt(await self.ledger.receive(body))
        except Exception as error:
            answer = answer_to(error)
        # Not before: a worker that cannot be started must not cost a delivery.
        await self._start_or_log()
        return answer

    async def _verify(self, webhook: Webhook, body: bytes) -> Answer:
        assert self._handler is not None
        try:
            event = webhook.verify(body)
        except Exception as error:
            return answer_to(error)
        try:
            await self._handler(event)
        except Exception as error:
            return answer_to_failed_handler(event, error)
        return RECEIVED

    async def _open(self) -> AsyncLedger:
        if self._ledger is None:
            assert self._opener is not None
            opened = self._opener()
            if isawaitable(opened):
                opened = await opened
            check_opened(opened, AsyncLedger)
            self._ledger = opened
        return self._ledger

    async def _start(self) -> None:
        if self._webhook is not None or self._started:
            return
        ledger = await self._open()
        # Recovers what a forgotten rotation of keys refused, and fails where there is no key at all.
        try:
            await ledger.reverify()
        except LedgerError as error:
            log_not_reverified(error)
        if self._has_worker:
            assert self._handler is not None
            self._worker = ledger.process(self._handler)
        self._started = True

    async def _start_or_log(self) -> None:
        """For an application that does not start its receiver."""
        if self._started or self._stopped or self._changing.locked():
            return
        log_late_start()
        async with self._changing:
            try:
                await self._start()
            except Exception as error:
                log_missing_worker(error)


def _content_length(request: Request) -> int | None:
    try:
        return int(request.headers.get("content-length", ""))
    except ValueError:
        return None
