"""The asyncio ledger and its worker. The native module does the work, on a thread of its own."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future

from ._async_client import AsyncClient
from ._kazawallet import OpenedLedger
from ._ledger import BREAKS_OFF, connection_of, described, only_opened, refuse_handler, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime, timedelta
    from decimal import Decimal
    from os import PathLike
    from types import TracebackType
    from typing import Literal, TypeVar

    from typing_extensions import Self

    from ._kazawallet import (
        Conflict,
        Handover,
        LedgerCall,
        OrderLink,
        OrderRecord,
        Payment,
        PaymentMethod,
        Payout,
        PersonDecision,
        Receipt,
        Summary,
        Webhook,
    )

    _T = TypeVar("_T")


class AsyncLedger:
    """What a shop remembers of its orders, payments and payouts, for asyncio.

    The same options, calls, results and errors as `Ledger`; each call is awaited. One ledger can be used
    from several event loops. Open one with `await AsyncLedger.open(…)`, and close it with
    `await ledger.close()`, or use it in an `async with` block.

    What has begun is not stopped half-way: cancelling a task ends its waiting alone, and what came of it
    is in the ledger.

    >>> import asyncio, tempfile
    >>> from kazawallet import AsyncLedger
    >>> from kazawallet.testing import Simulator
    >>> async def main(folder):
    ...     async with Simulator() as sim, sim.async_client() as client:
    ...         ledger = await AsyncLedger.open(f"sqlite://{folder}/shop.db", client=client)
    ...         async with ledger:
    ...             link = await ledger.create_payment_link(
    ...                 ref="order-42", amount="10.50", currency="USD"
    ...             )
    ...             [delivery] = await sim.pay(link)
    ...             return (await ledger.receive(delivery.body)).decision
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(main(folder))
    'paid'
    """

    __slots__ = ("__weakref__", "_opened")

    def __init__(self, opened: OpenedLedger, /) -> None:
        self._opened = only_opened(type(self), opened)

    @classmethod
    async def open(
        cls,
        url: str | None = None,
        *,
        client: AsyncClient | None = None,
        webhook: Webhook | None = None,
        spool: str | PathLike[str] | Literal[False] | None = None,
        clock_margin: float | timedelta | None = None,
    ) -> Self:
        """Opens a ledger. Arguments and errors are those of `Ledger.open`, but that the client is an
        `AsyncClient`."""
        opened = OpenedLedger(url, connection_of(client, AsyncClient), webhook, spool, clock_margin)
        await _answer(opened.open())
        return cls(opened)

    async def create_payment_link(
        self,
        *,
        ref: str,
        amount: str | int | Decimal,
        currency: str,
        redirect_url: str | None = None,
        timeout: float | None = None,
    ) -> OrderLink:
        """Records what an order must cost, then makes its payment link; see
        `Ledger.create_payment_link`."""
        return await _answer(
            self._opened.create_payment_link(ref, amount, currency, redirect_url, timeout)
        )

    async def order(self, ref: str) -> OrderRecord | None:
        """The order with this ref; see `Ledger.order`."""
        return await _answer(self._opened.order(ref))

    async def receive(self, body: bytes | bytearray | memoryview | str) -> Receipt:
        """Verifies a delivery, decides it and stores it; see `Ledger.receive`."""
        return await _answer(self._opened.receive(body))

    async def payment(self, order_id: str) -> Payment | None:
        """The payment with this order id; see `Ledger.payment`."""
        return await _answer(self._opened.payment(order_id))

    async def settle(
        self,
        order_id: str,
        decision: Literal["paid", "dismissed"],
        *,
        ref: str | None = None,
        by: str,
        note: str | None = None,
    ) -> Payment:
        """A person decides what the ledger could not; see `Ledger.settle`."""
        return await _answer(self._opened.settle(order_id, decision, ref, by, note))

    async def set_link_id_check(self, check: bool, *, by: str, note: str | None = None) -> None:
        """A person switches the check of link ids off, or on again; see `Ledger.set_link_id_check`."""
        await _answer(self._opened.set_link_id_check(check, by, note))

    async def reverify(self) -> list[Receipt]:
        """Verifies again what is in quarantine; see `Ledger.reverify`."""
        return await _answer(self._opened.reverify())

    def process(
        self,
        handler: Callable[[Payment], Awaitable[object]],
        *,
        max_tries: int = 10,
        first_pause: float | timedelta = 1.0,
        poll_interval: float | timedelta = 1.0,
        lease: float | timedelta = 60.0,
    ) -> AsyncLedgerWorker:
        """Hands each decided payment to your handler, on a task of the running event loop. Nothing is
        awaited to start it.

        Arguments and errors are those of `Ledger.process`, but that the handler is an `async def`. Each call
        of it is a task, which is cancelled with the worker. A `CancelledError`, a `SystemExit` or a
        `KeyboardInterrupt` that comes out of it breaks the handler off, which counts as a failed try. The
        last two then end the event loop, as they always do.

        >>> import asyncio, tempfile
        >>> from kazawallet import AsyncLedger
        >>> from kazawallet.testing import Simulator
        >>> async def main(folder):
        ...     async with Simulator() as sim, sim.async_client() as client:
        ...         ledger = await AsyncLedger.open(f"sqlite://{folder}/shop.db", client=client)
        ...         async with ledger:
        ...             link = await ledger.create_payment_link(
        ...                 ref="order-42", amount="1", currency="USD"
        ...             )
        ...             [delivery] = await sim.pay(link)
        ...             await ledger.receive(delivery.body)
        ...             shipped = asyncio.get_running_loop().create_future()
        ...             async def ship(payment):
        ...                 shipped.set_result(payment.ref)
        ...             async with ledger.process(ship):
        ...                 return await shipped
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        'order-42'
        """
        refuse_handler(handler, asynchronous=True)
        handover = self._opened.handover(max_tries, first_pause, poll_interval, lease)
        return AsyncLedgerWorker(self, handover, handler)

    async def pending(self, limit: int = 100) -> list[Payment]:
        """The payments that are due, oldest first; see `Ledger.pending`."""
        return await _answer(self._opened.pending(limit))

    async def mark_processed(self, order_id: str) -> None:
        """Your code has dealt with this payment; see `Ledger.mark_processed`."""
        await _answer(self._opened.mark_processed(order_id))

    async def retry(self, order_id: str, *, by: str, note: str | None = None) -> Payment:
        """A person has a parked payment handed to the handler again; see `Ledger.retry`."""
        return await _answer(self._opened.retry(order_id, by, note))

    async def withdraw(
        self,
        *,
        reference: str,
        amount: str | int | Decimal,
        currency: str,
        payment_method: PaymentMethod,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Payout:
        """Pays out, once for this reference. Arguments, result and errors are those of `Ledger.withdraw`:
        an `OutcomeUnknownError` means that **money may have moved**.

        Cancelling the task does not stop what has begun; what came of it is in the ledger.
        """
        return await _answer(
            self._opened.withdraw(reference, amount, currency, payment_method, note, timeout)
        )

    async def payout(self, reference: str) -> Payout | None:
        """The payout with this reference; see `Ledger.payout`."""
        return await _answer(self._opened.payout(reference))

    async def resolve(
        self,
        reference: str,
        decision: Literal["paid", "not_paid"],
        *,
        by: str,
        note: str | None = None,
    ) -> Payout:
        """A person says what became of a payout; see `Ledger.resolve`."""
        return await _answer(self._opened.resolve(reference, decision, by, note))

    async def overdue(
        self, older_than: float | timedelta, *, limit: int = 100
    ) -> list[OrderRecord]:
        """The orders that have had a link for longer than this, and no webhook; see `Ledger.overdue`."""
        return await _answer(self._opened.overdue(older_than, limit))

    async def unsettled(self, *, limit: int = 100) -> list[Payment]:
        """The payments that wait for a person; see `Ledger.unsettled`."""
        return await _answer(self._opened.unsettled(limit))

    async def parked(self, *, limit: int = 100) -> list[Payment]:
        """The payments whose handler failed too often; see `Ledger.parked`."""
        return await _answer(self._opened.parked(limit))

    async def unresolved(self, *, limit: int = 100) -> list[Payout]:
        """The payouts whose outcome is unknown; see `Ledger.unresolved`."""
        return await _answer(self._opened.unresolved(limit))

    async def conflicts(self, *, limit: int = 100) -> list[Conflict]:
        """The deliveries that contradict the first one of their order id; see `Ledger.conflicts`."""
        return await _answer(self._opened.conflicts(limit))

    async def decisions(self, *, limit: int = 100) -> list[PersonDecision]:
        """What people decided, newest first; see `Ledger.decisions`."""
        return await _answer(self._opened.decisions(limit))

    async def summary(self) -> Summary:
        """How many there are of everything; see `Ledger.summary`."""
        return await _answer(self._opened.summary())

    async def forget(self, before: datetime) -> int:
        """Erases people's data of what was settled before then; see `Ledger.forget`."""
        return await _answer(self._opened.forget(before))

    async def close(self) -> None:
        """Stops the workers, waits for their handlers, and closes the connections. What is under way
        comes to its end; a later call is a `LedgerError`. Closing twice does nothing."""
        # A copy: other threads start and end workers meanwhile.
        for worker in [each for each in list(_running) if each._ledger is self]:
            await worker.stop()
        await _answer(self._opened.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return "<kazawallet.AsyncLedger>"


class AsyncLedgerWorker:
    """A task that hands payments to your handler: what `AsyncLedger.process` gives.

    It runs until `await worker.stop()`, the end of its `async with` block or `AsyncLedger.close`, each of
    which waits for the handler that runs; or until its task is cancelled, as it is at the end of
    `asyncio.run`. Should it end otherwise, an error in the log tells of it.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_handler",
        "_handling",
        "_handover",
        "_ledger",
        "_left",
        "_task",
    )

    def __init__(
        self,
        ledger: AsyncLedger,
        handover: Handover,
        handler: Callable[[Payment], Awaitable[object]],
        /,
    ) -> None:
        self._ledger = ledger
        self._handover = handover
        self._handler = handler
        self._left = False
        self._handling: asyncio.Task[None] | None = None
        # The task itself can be awaited in its own event loop alone.
        self._ended: Future[None] = Future()
        event_loop = asyncio.get_running_loop()
        self._task = event_loop.create_task(self._run(), name="kazawallet-worker")
        # A loop alone does not keep its tasks alive.
        _running.add(self)
        self._task.add_done_callback(self._end)

    async def stop(self, timeout: float | None = None) -> bool:
        """Takes no further payment, and returns when the handler that runs has ended; when it is awaited
        in the handler itself, at once. It can be awaited in any event loop. Stopping twice does nothing.

        If that takes longer than a second, a warning in the log says which payment is waited for.

        Args:
            timeout: The most seconds that are waited. A handler that has not ended by then is cancelled, and
                its payment given back: that counts as a failed try, and a warning says so.

        Returns:
            Whether the handler ended.

        Raises:
            TypeError: `timeout` is no number.
        """
        event_loop = self._task.get_loop()
        if event_loop.is_closed():
            self._handover.leave(None)
            _running.discard(self)  # Nothing of it will run again.
            return True
        if asyncio.current_task() is self._handling:
            self._handover.stop()
            return True
        if not await _answer(self._handover.stopped(timeout)):
            # A handler may hold its cancellation off, and nobody waits for it any more.
            _running.discard(self)
            self._left = True
            event_loop.call_soon_threadsafe(self._task.cancel)
        elif not self._left:
            # Shielded: who is cancelled here must not end the waiting of others.
            await asyncio.shield(asyncio.wrap_future(self._ended))
        return not self._left

    def _end(self, _: asyncio.Task[None]) -> None:
        _running.discard(self)
        self._ended.set_result(None)

    async def _run(self) -> None:
        problem = None
        try:
            while (payment := await _answer(self._handover.next())) is not None:
                await self._handle(payment)
        except (asyncio.CancelledError, GeneratorExit):
            raise  # Its owner ended it, or the loop was closed under it.
        except BaseException as error:
            problem = told(error)
            raise
        finally:
            self._handover.leave(problem)

    async def _handle(self, payment: Payment) -> None:
        # On a task of its own, to know which was cancelled: the worker, or something that the handler awaits.
        handling = asyncio.create_task(self._call(payment), name="kazawallet-handler")
        cancelled = False
        while not handling.done():
            try:
                await asyncio.wait([handling])
            except asyncio.CancelledError:
                cancelled = True
                # The end of `asyncio.run` cancels both. A second time could cut short how the handler tidies
                # up, but Python 3.10 cannot tell.
                if sys.version_info < (3, 11) or not handling.cancelling():
                    handling.cancel()
        if not handling.cancelled():
            handling.exception()  # It is told.
        if cancelled:
            raise asyncio.CancelledError

    async def _call(self, payment: Payment) -> None:
        self._handling = asyncio.current_task()
        try:
            await self._handler(payment)
        except (asyncio.CancelledError, *BREAKS_OFF) as error:
            if isinstance(error, GeneratorExit) and self._task.get_loop().is_closed():
                raise  # The loop was closed under it.
            # Before it goes on: a SystemExit ends the loop.
            await _record(self._handover.broken_off())
            raise
        except BaseException as error:
            await _record(self._handover.failed(*described(error)))
        else:
            await _record(self._handover.done())
        finally:
            self._handling = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return "<kazawallet.AsyncLedgerWorker>"


_running: set[AsyncLedgerWorker] = set()


async def _record(end: LedgerCall[None]) -> None:
    recorded = end.start()
    cancelled = False
    while not recorded.done():
        try:
            await asyncio.wait([recorded])
        except asyncio.CancelledError:
            cancelled = True  # Nothing stops it half-way.
    if cancelled:
        raise asyncio.CancelledError


async def _answer(call: LedgerCall[_T]) -> _T:
    future = call.start()
    try:
        return await future
    finally:
        # An error would else hold its own frame, and with it its callers', until the next collection.
        del future
