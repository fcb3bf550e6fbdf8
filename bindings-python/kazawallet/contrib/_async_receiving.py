"""The receiver of the asyncio frameworks: the life of a worker, and what becomes of a body that comes in
pieces. What is answered and told is the native module's to say."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, Literal, overload

from .._async_ledger import AsyncLedger, AsyncLedgerWorker
from .._kazawallet import LONGEST_WEBHOOK_BODY, Route, RouteAnswer, Webhook
from .._ledger import told
from ._receiving import check_given, check_opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from types import TracebackType

    from typing_extensions import Self

    from .._kazawallet import Payment, PaymentEvent

    _Opener = Callable[[], AsyncLedger | Awaitable[AsyncLedger]]


class BrokeOff(Exception):
    """The sender of a body went away in the middle of it."""


class ReadBefore(Exception):
    """Something of the application has read the body before."""


class AsyncReceiver:
    """What the receivers of Starlette, aiohttp and plain ASGI share. The worker is a task."""

    # How an application starts its receiver, and how it leaves the body to it.
    _way_to_start: str
    _way_out: str

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
        self._route = Route()
        self._handler = handler
        self._has_worker = worker
        self._webhook = source if isinstance(source, Webhook) else None
        self._opener = None if isinstance(source, Webhook | AsyncLedger) else source
        self._ledger = source if isinstance(source, AsyncLedger) else None
        self._worker: AsyncLedgerWorker | None = None
        self._started = False
        self._stopped = False
        self._changing = asyncio.Lock()
        self._under_way = set[asyncio.Future[RouteAnswer]]()

    @property
    def ledger(self) -> AsyncLedger:
        """The open ledger.

        Raises:
            RuntimeError: the receiver has a `Webhook` in its place, was not started or was stopped.
        """
        if self._ledger is None:
            if self._webhook is not None:
                raise RuntimeError("the receiver has a Webhook, and no ledger")
            raise RuntimeError(f"the receiver is not started: {self._way_to_start}")
        return self._ledger

    async def start(self) -> None:
        """Opens the ledger and starts the worker, if that was not done. There is nothing to start if the
        receiver has a `Webhook`. What is in the ledger's quarantine is verified again
        (`AsyncLedger.reverify`).

        Raises:
            ConfigurationError: the ledger has nothing to verify deliveries with.
            LedgerError: the ledger cannot be opened.
        """
        async with self._changing:
            self._stopped = False
            await self._start()

    async def stop(self, timeout: float | None = None) -> bool:
        """Stops the worker, waits for the handler that runs, and closes the ledger if the receiver has opened
        it. Stopping twice does nothing. A delivery that comes afterwards is stored all the same: there is no
        second one.

        Args:
            timeout: The most seconds that are waited for the handler; see `AsyncLedgerWorker.stop`.

        Returns:
            Whether the handler ended.

        Raises:
            TypeError: `timeout` is no number.
        """
        async with self._changing:
            self._started = False
            self._stopped = True
            worker, self._worker = self._worker, None
            ended = worker is None or await worker.stop(timeout)
            if self._opener is not None and self._ledger is not None:
                # From here on a delivery waits, and has the ledger opened again.
                ledger, self._ledger = self._ledger, None
                if self._under_way:
                    await asyncio.wait(self._under_way)
                await ledger.close()
            return ended

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

    async def _respond(
        self,
        method: str,
        length: int | None,
        encoding: str | None,
        pieces: AsyncGenerator[bytes, None],
    ) -> RouteAnswer:
        """The answer to a request, whose body is read if its head allows that."""
        async with aclosing(pieces):
            refused = self._route.refused_by_head(method, length)
            if refused is not None:
                return refused
            body = bytearray()
            try:
                async for piece in pieces:
                    body += piece
                    if len(body) > LONGEST_WEBHOOK_BODY:
                        break
            except BrokeOff:
                return self._route.broke_off(len(body), length)
            except ReadBefore:
                return self._route.read_before(self._way_out)
        if length and not body:
            # A server gives something on, or tells that the sender went away.
            return self._route.read_before(self._way_out)
        return await self._arrived(bytes(body), length, encoding)

    async def _arrived(self, body: bytes, length: int | None, encoding: str | None) -> RouteAnswer:
        """The answer to a request whose body could be read."""
        delivery = self._route.delivery(body, length, encoding)
        if isinstance(delivery, RouteAnswer):
            return delivery
        if self._webhook is not None:
            return await self._verify(self._webhook, delivery)
        try:
            answer = await self._receive(delivery)
        except Exception as error:
            answer = self._route.not_opened(told(error))
        # Not before: a worker that cannot be started must not cost a delivery.
        await self._start_or_log()
        return answer

    async def _receive(self, delivery: bytes) -> RouteAnswer:
        ledger = self._ledger
        if ledger is None:
            async with self._changing:
                if self._stopped:
                    # There is no second delivery.
                    async with await self._opened() as late:
                        return await self._route.receive(late._opened, delivery).start()
                ledger = await self._open()
        received = self._route.receive(ledger._opened, delivery).start()
        # The ledger must not be closed under it.
        self._under_way.add(received)
        received.add_done_callback(self._under_way.discard)
        return await asyncio.shield(received)

    async def _verify(self, webhook: Webhook, delivery: bytes) -> RouteAnswer:
        assert self._handler is not None
        event = self._route.verify(webhook, delivery)
        if isinstance(event, RouteAnswer):
            return event
        try:
            await self._handler(event)
        except Exception as error:
            return self._route.handler_failed(event, told(error))
        return self._route.handled()

    async def _open(self) -> AsyncLedger:
        if self._ledger is None:
            self._ledger = await self._opened()
        return self._ledger

    async def _opened(self) -> AsyncLedger:
        assert self._opener is not None
        opened = self._opener()
        if isawaitable(opened):
            opened = await opened
        check_opened(opened, AsyncLedger)
        return opened

    async def _start(self) -> None:
        if self._webhook is not None or self._started:
            return
        ledger = await self._open()
        await self._route.start(ledger._opened).start()
        if self._has_worker:
            assert self._handler is not None
            self._worker = ledger.process(self._handler)
        self._started = True

    async def _start_or_log(self) -> None:
        """For an application that does not start its receiver."""
        if self._started or self._stopped or self._changing.locked():
            return
        self._route.started_late(self._way_to_start)
        async with self._changing:
            try:
                await self._start()
            except Exception as error:
                self._route.worker_not_started(told(error))
