"""Handing payments to a handler: on a thread, on a task, and in loops of one's own."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ledgers import GUARD, ORDER, Seen, delivery, opened, sqlite, wait_until

from kazawallet import (
    AsyncLedger,
    AsyncLedgerWorker,
    Ledger,
    LedgerError,
    Payment,
    ValidationError,
    Webhook,
)
from kazawallet.testing import Simulator

SOON: dict[str, Any] = {"first_pause": 0.01, "poll_interval": 0.05}
"""For tests that wait for a second try."""

ENDED = "the worker ended although nobody stopped it, so payments may wait"


def pay(ledger: Ledger, webhook: Webhook, ref: str) -> str:
    """An order that was paid; returns the payment's order id."""
    link = ledger.create_payment_link(**{**ORDER, "ref": ref})
    assert link.id is not None
    assert ledger.receive(delivery(webhook, link.id, ref=ref)).decision == "paid"
    return link.id


def state_of(ledger: Ledger, order_id: str) -> tuple[str | None, int, str | None]:
    payment = ledger.payment(order_id)
    assert payment is not None
    return payment.processing, payment.tries, payment.last_error


def errors_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if (record.name, record.levelno) == ("kazawallet", logging.ERROR)
    ]


# ---------------------------------------------------------------- a thread


def test_each_payment_is_handled_once_oldest_first(plain_ledger: Ledger, webhook: Webhook) -> None:
    before = [pay(plain_ledger, webhook, f"before-{number}") for number in range(5)]
    seen = Seen()
    with plain_ledger.process(lambda payment: seen.add(payment.order_id)):
        assert seen.wait_for(5) == before
        during = [pay(plain_ledger, webhook, f"during-{number}") for number in range(5)]
        assert seen.wait_for(10) == before + during
    after = pay(plain_ledger, webhook, "after")
    assert state_of(plain_ledger, before[0]) == ("done", 1, None)
    assert state_of(plain_ledger, after) == ("waiting", 0, None)
    assert len(seen.order_ids) == 10


def test_the_handler_is_given_the_payment(plain_ledger: Ledger, webhook: Webhook) -> None:
    given: list[Payment] = []
    done = threading.Event()

    def handle(payment: Payment) -> None:
        given.append(payment)
        if len(given) == 2:
            done.set()

    paid = pay(plain_ledger, webhook, "order-1")
    timed_out = plain_ledger.create_payment_link(**{**ORDER, "ref": "order-2"}).id or ""
    plain_ledger.receive(delivery(webhook, timed_out, ref="order-2", status="timed_out"))
    with plain_ledger.process(handle):
        assert done.wait(GUARD)
    one, other = given
    assert (one.order_id, one.ref, one.is_paid, one.tries) == (paid, "order-1", True, 1)
    assert (one.processing, one.decision) == ("waiting", "paid")
    assert (other.order_id, other.is_paid, other.decision) == (timed_out, False, "timed_out")


def test_what_does_not_fit_is_not_handled(plain_ledger: Ledger, webhook: Webhook) -> None:
    plain_ledger.receive(delivery(webhook, "pl_none", ref="unknown"))
    paid = pay(plain_ledger, webhook, "order-1")
    seen = Seen()
    with plain_ledger.process(lambda payment: seen.add(payment.order_id)):
        assert seen.wait_for(1) == [paid]
    assert seen.order_ids == [paid]


def test_a_handler_that_fails_is_called_again(
    plain_ledger: Ledger, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    order_id = pay(plain_ledger, webhook, "order-1")
    seen = Seen()

    def handle(payment: Payment) -> None:
        seen.add(payment.order_id)
        if payment.tries < 3:
            raise ValueError(f"the shop was closed, try {payment.tries}")
        assert payment.last_error == "ValueError: the shop was closed, try 2"

    with plain_ledger.process(handle, **SOON):
        seen.wait_for(3)
        wait_until(lambda: state_of(plain_ledger, order_id)[0] == "done")
    assert len(seen.order_ids) == 3
    told = [record.getMessage() for record in caplog.records if record.name == "kazawallet"]
    failed = f"the handler failed with ValueError for the payment {order_id}, try"
    assert told == [f"{failed} {tried} of 10: it comes again" for tried in (1, 2)]


def test_a_handler_that_fails_too_often_parks_the_payment(
    plain_ledger: Ledger, webhook: Webhook
) -> None:
    order_id = pay(plain_ledger, webhook, "order-1")
    other = pay(plain_ledger, webhook, "order-2")
    seen = Seen()

    def handle(payment: Payment) -> None:
        seen.add(payment.order_id)
        if payment.order_id == order_id:
            raise RuntimeError("no stock of 'ring'")

    with plain_ledger.process(handle, max_tries=2, **SOON):
        wait_until(plain_ledger.parked)
        wait_until(lambda: state_of(plain_ledger, other)[0] == "done")
    [parked] = plain_ledger.parked()
    assert (parked.order_id, parked.processing, parked.tries) == (order_id, "parked", 2)
    assert parked.last_error == "RuntimeError: no stock of 'ring'"
    assert Counter(seen.order_ids) == {order_id: 2, other: 1}
    assert plain_ledger.pending() == []

    again = plain_ledger.retry(order_id, by="amal", note="restocked")
    assert again.processing == "waiting"
    [kept] = plain_ledger.decisions()
    assert (kept.action, kept.subject, kept.decision) == ("retry", order_id, "waiting")
    with plain_ledger.process(lambda payment: seen.add(payment.order_id), **SOON):
        wait_until(lambda: state_of(plain_ledger, order_id)[0] == "done")
    with pytest.raises(LedgerError) as refused:
        plain_ledger.retry(order_id, by="amal")
    assert refused.value.code == "ledger_state"


class Odd(Exception):
    """An exception that cannot be told."""

    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (ValueError(), "ValueError"),
        (KeyError("x"), "KeyError: 'x'"),
        (Odd(), "Odd"),
        (ValueError("\ud83d \x00"), None),
        (ValueError("x" * 100_000), None),
    ],
    ids=["no text", "a key", "odd", "half a character", "long"],
)
def test_what_a_handler_raised_is_kept(
    plain_ledger: Ledger, webhook: Webhook, error: Exception, kept: str | None
) -> None:
    pay(plain_ledger, webhook, "order-1")

    def handle(payment: Payment) -> None:
        raise error

    with plain_ledger.process(handle, max_tries=1):
        wait_until(plain_ledger.parked)
    last_error = plain_ledger.parked()[0].last_error
    assert last_error is not None and 0 < len(last_error) <= 520
    assert kept is None or last_error == kept


def test_several_workers_share_the_work(tmp_path: Path, shop: Simulator) -> None:
    """Of one ledger and of another on the same file."""
    seen = Seen()
    together = threading.Barrier(3)

    def handle(payment: Payment) -> None:
        together.wait(GUARD)  # Three at once, or it would hang.
        seen.add(payment.order_id)

    with (
        opened("sync", sqlite(tmp_path), shop) as one,
        opened("sync", sqlite(tmp_path), shop) as other,
    ):
        order_ids = [pay(one, shop.webhook(), f"order-{number}") for number in range(9)]
        with (
            one.process(handle, **SOON),
            one.process(handle, **SOON),
            other.process(handle, **SOON),
        ):
            seen.wait_for(9)
        assert Counter(seen.order_ids) == Counter(order_ids)
        assert {state_of(one, order_id)[0] for order_id in order_ids} == {"done"}


def test_stopping_waits_for_the_handler(plain_ledger: Ledger, webhook: Webhook) -> None:
    one, other = pay(plain_ledger, webhook, "order-1"), pay(plain_ledger, webhook, "order-2")
    begun, go_on = threading.Event(), threading.Event()

    def handle(payment: Payment) -> None:
        begun.set()
        assert go_on.wait(GUARD)

    worker = plain_ledger.process(handle)
    assert begun.wait(GUARD)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    stopping.join(0.2)
    assert stopping.is_alive()
    go_on.set()
    stopping.join(GUARD)
    assert not stopping.is_alive()
    worker.stop()
    assert state_of(plain_ledger, one)[0] == "done"
    assert state_of(plain_ledger, other) == ("waiting", 0, None)


def test_closing_stops_the_workers(tmp_path: Path, shop: Simulator) -> None:
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        workers = [ledger.process(lambda payment: None) for _ in range(3)]
        before = threading.active_count()
    assert threading.active_count() == before - 3
    for worker in workers:
        worker.stop()


def test_a_handler_may_stop_its_worker_and_use_the_ledger(
    plain_ledger: Ledger, webhook: Webhook
) -> None:
    one, other = pay(plain_ledger, webhook, "order-1"), pay(plain_ledger, webhook, "order-2")
    stopped = threading.Event()
    workers: list[Any] = []
    started = threading.Event()

    def handle(payment: Payment) -> None:
        assert started.wait(GUARD)
        assert plain_ledger.order("order-1") is not None
        workers[0].stop()
        stopped.set()

    workers.append(plain_ledger.process(handle))
    started.set()
    assert stopped.wait(GUARD)
    workers[0].stop()
    assert state_of(plain_ledger, one)[0] == "done"
    assert state_of(plain_ledger, other) == ("waiting", 0, None)


class Odder(BaseException):
    """What is no `Exception`, as some libraries raise it."""


@pytest.mark.parametrize(
    ("raised", "kept"),
    [
        (SystemExit(2), "the handler was broken off before it ended"),
        (KeyboardInterrupt(), "the handler was broken off before it ended"),
        (Odder("gone"), "Odder: gone"),
    ],
)
def test_what_is_no_exception_is_a_failed_try(
    plain_ledger: Ledger, webhook: Webhook, raised: BaseException, kept: str
) -> None:
    """A thread's `sys.exit` would end the worker alone, and in each process after the other."""
    order_id, other = (pay(plain_ledger, webhook, f"order-{number}") for number in range(2))

    def handle(payment: Payment) -> None:
        if payment.order_id == order_id:
            raise raised

    with plain_ledger.process(handle, max_tries=2, **SOON):
        wait_until(plain_ledger.parked)
        wait_until(lambda: state_of(plain_ledger, other)[0] == "done")
    assert state_of(plain_ledger, order_id) == ("parked", 2, kept)


def test_a_worker_that_is_stopped_says_nothing(
    plain_ledger: Ledger, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    order_id = pay(plain_ledger, webhook, "order-1")
    with plain_ledger.process(lambda payment: None):
        wait_until(lambda: state_of(plain_ledger, order_id)[0] == "done")
    assert errors_of(caplog) == []


def test_a_worker_is_kept_alive_by_itself(plain_ledger: Ledger, webhook: Webhook) -> None:
    seen = Seen()
    plain_ledger.process(lambda payment: seen.add(payment.order_id))
    gc.collect()
    order_id = pay(plain_ledger, webhook, "order-1")
    assert seen.wait_for(1) == [order_id]


async def asynchronous(payment: Payment) -> None:
    raise AssertionError("nobody awaits it")


class AsynchronousCall:
    async def __call__(self, payment: Payment) -> None:
        raise AssertionError("nobody awaits it")


@pytest.mark.parametrize(
    "handler",
    [asynchronous, functools.partial(asynchronous), AsynchronousCall(), None, "ship", 1],
    ids=["async def", "partial", "async call", "none", "text", "number"],
)
def test_a_ledger_refuses_what_it_cannot_call(plain_ledger: Ledger, handler: Any) -> None:
    with pytest.raises(TypeError, match="`handler`"):
        plain_ledger.process(handler)


def test_a_generator_is_refused(plain_ledger: Ledger) -> None:
    def generator(payment: Payment) -> Any:
        yield payment

    with pytest.raises(TypeError, match="generator"):
        plain_ledger.process(generator)


def test_a_handler_that_hides_a_coroutine_fails(plain_ledger: Ledger, webhook: Webhook) -> None:
    pay(plain_ledger, webhook, "order-1")
    with plain_ledger.process(lambda payment: asynchronous(payment), max_tries=1):
        wait_until(plain_ledger.parked)
    assert "AsyncLedger" in (plain_ledger.parked()[0].last_error or "")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_tries", 0, ValidationError),
        ("max_tries", -1, ValidationError),
        ("max_tries", 1.0, TypeError),
        ("max_tries", True, TypeError),
        ("first_pause", -0.1, ValidationError),
        ("first_pause", "1", TypeError),
        ("poll_interval", timedelta(seconds=-1), ValidationError),
        ("poll_interval", None, TypeError),
        ("lease", float("nan"), ValidationError),
        ("lease", True, TypeError),
    ],
)
def test_an_option_that_cannot_be_used(
    ledger: Ledger, name: str, value: Any, error: type[Exception]
) -> None:
    async def handler(payment: Payment) -> None: ...

    asynchronous_ledger = not isinstance(ledger, Ledger)
    given: Any = handler if asynchronous_ledger else lambda payment: None
    with pytest.raises(error) as refused:
        ledger.process(given, **{name: value})
    if isinstance(refused.value, ValidationError):
        assert refused.value.field == name
    else:
        assert name in str(refused.value)


# ---------------------------------------------------------------- a loop of one's own


def test_pending_holds_what_it_gives(ledger: Ledger, webhook: Webhook) -> None:
    order_ids = [pay(ledger, webhook, f"order-{number}") for number in range(5)]
    first = ledger.pending(2)
    assert [payment.order_id for payment in first] == order_ids[:2]
    assert [payment.order_id for payment in ledger.pending(limit=100)] == order_ids[2:]
    assert ledger.pending() == []
    for payment in first:
        assert payment.tries == 1
        assert ledger.mark_processed(payment.order_id) is None  # type: ignore[func-returns-value]
    assert state_of(ledger, order_ids[0])[0] == "done"
    assert state_of(ledger, order_ids[4])[0] == "waiting"
    ledger.mark_processed(order_ids[0])


def test_what_cannot_be_marked(ledger: Ledger, webhook: Webhook) -> None:
    with pytest.raises(LedgerError) as unknown:
        ledger.mark_processed("pl_unknown")
    assert unknown.value.code == "ledger_not_found"
    ledger.receive(delivery(webhook, "pl_1"))
    with pytest.raises(LedgerError) as state:
        ledger.mark_processed("pl_1")
    assert state.value.code == "ledger_state"
    with pytest.raises(LedgerError) as unknown:
        ledger.retry("pl_unknown", by="amal")
    assert unknown.value.code == "ledger_not_found"


# ---------------------------------------------------------------- a task


Main = Callable[[AsyncLedger, "Payments"], Awaitable[None]]


class Payments:
    """Payments of an asyncio ledger."""

    def __init__(self, ledger: AsyncLedger, webhook: Webhook) -> None:
        self._ledger = ledger
        self._webhook = webhook
        self.seen: list[str] = []
        self._changed = asyncio.Condition()

    async def pay(self, ref: str) -> str:
        link = await self._ledger.create_payment_link(**{**ORDER, "ref": ref})
        assert link.id is not None
        await self._ledger.receive(delivery(self._webhook, link.id, ref=ref))
        return link.id

    async def handle(self, payment: Payment) -> None:
        async with self._changed:
            self.seen.append(payment.order_id)
            self._changed.notify_all()

    async def wait_for(self, count: int) -> list[str]:
        async with self._changed:
            await asyncio.wait_for(
                self._changed.wait_for(lambda: len(self.seen) >= count), timeout=GUARD
            )
        return self.seen

    async def state(self, order_id: str) -> str | None:
        payment = await self._ledger.payment(order_id)
        assert payment is not None
        return payment.processing


@pytest.fixture
def run(tmp_path: Path, shop: Simulator) -> Callable[[Main], None]:
    """Runs an asynchronous test with a fresh ledger."""

    async def with_ledger(main: Main) -> None:
        async with shop.async_client() as client:
            ledger = await AsyncLedger.open(sqlite(tmp_path), client=client)
            async with ledger:
                await main(ledger, Payments(ledger, shop.webhook()))

    return lambda main: asyncio.run(with_ledger(main))


def test_a_task_handles_each_payment_once(run: Callable[[Main], None]) -> None:
    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        order_ids = [await payments.pay(f"order-{number}") for number in range(5)]
        async with ledger.process(payments.handle):
            order_ids.append(await payments.pay("order-5"))
            assert await payments.wait_for(6) == order_ids
        assert await payments.state(order_ids[5]) == "done"

    run(main)


def test_a_task_s_handler_that_fails(run: Callable[[Main], None]) -> None:
    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        async def handle(payment: Payment) -> None:
            await payments.handle(payment)
            if payment.tries < 2:
                raise ValueError("try again")
            raise KeyError("never again")

        order_id = await payments.pay("order-1")
        async with ledger.process(handle, max_tries=2, **SOON):
            await payments.wait_for(2)
            while await payments.state(order_id) != "parked":
                await asyncio.sleep(0.02)
        [parked] = await ledger.parked()
        assert parked.last_error == "KeyError: 'never again'"

    run(main)


def test_several_tasks_at_once(run: Callable[[Main], None]) -> None:
    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        together = [asyncio.Event() for _ in range(3)]

        async def handle(payment: Payment) -> None:
            await payments.handle(payment)
            together[len(payments.seen) - 1].set()
            await asyncio.gather(*(event.wait() for event in together))

        order_ids = [await payments.pay(f"order-{number}") for number in range(3)]
        workers = [ledger.process(handle, **SOON) for _ in range(3)]
        await payments.wait_for(3)
        for worker in workers:
            await worker.stop()
            await worker.stop()
        assert sorted(payments.seen) == sorted(order_ids)

    run(main)


def test_a_cancellation_that_comes_out_of_a_handler_is_a_failed_try(
    run: Callable[[Main], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Of something that the handler awaited, and not of the worker."""

    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        async def handle(payment: Payment) -> None:
            if payment.tries == 1:
                cancelled_elsewhere = asyncio.get_running_loop().create_future()
                cancelled_elsewhere.cancel()
                await cancelled_elsewhere
            assert payment.last_error == "the handler was broken off before it ended"
            await payments.handle(payment)

        order_id = await payments.pay("order-1")
        async with ledger.process(handle, **SOON):
            assert await payments.wait_for(1) == [order_id]
        told = [record.getMessage() for record in caplog.records if record.name == "kazawallet"]
        broken_off = (
            f"the handler was broken off for the payment {order_id}, try 1 of 10: it comes again"
        )
        assert told == [broken_off]

    run(main)


@pytest.mark.parametrize("raised", [Odder("gone"), GeneratorExit()])
def test_what_is_no_exception_is_a_failed_try_of_a_task(
    run: Callable[[Main], None], raised: BaseException
) -> None:
    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        async def handle(payment: Payment) -> None:
            await payments.handle(payment)
            if payment.tries == 1:
                raise raised

        order_id = await payments.pay("order-1")
        async with ledger.process(handle, **SOON):
            assert await payments.wait_for(2) == [order_id] * 2

    run(main)


def test_a_cancelled_task_gives_the_payment_back(
    run: Callable[[Main], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        tidied_up = False

        async def hang(payment: Payment) -> None:
            nonlocal tidied_up
            await payments.handle(payment)
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                tidied_up = True

        order_id = await payments.pay("order-1")
        worker = ledger.process(hang)
        await payments.wait_for(1)
        worker._task.cancel()
        await asyncio.wait([worker._task])
        assert worker._task.cancelled() and tidied_up
        async with ledger.process(payments.handle, **SOON):
            assert await payments.wait_for(2) == [order_id] * 2
        assert errors_of(caplog) == []

    run(main)


def test_a_handler_that_is_cancelled_beside_its_worker_is_cancelled_once(
    run: Callable[[Main], None],
) -> None:
    """As all tasks are at the end of `asyncio.run`."""

    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        cancellations = 0

        async def hang(payment: Payment) -> None:
            nonlocal cancellations
            await payments.handle(payment)
            for _ in range(3):
                try:
                    await (asyncio.sleep(0) if cancellations else asyncio.Event().wait())
                except asyncio.CancelledError:
                    cancellations += 1
            raise asyncio.CancelledError

        await payments.pay("order-1")
        others = asyncio.all_tasks()
        worker = ledger.process(hang)
        await payments.wait_for(1)
        both = asyncio.all_tasks() - others
        for task in sorted(both, key=lambda task: task.get_name()):
            task.cancel()  # The handler's first.
        await asyncio.wait(both)
        assert (len(both), worker._task.cancelled()) == (2, True)
        # Before Python 3.11 no task knows whether it was cancelled already.
        assert 1 <= cancellations <= (1 if sys.version_info >= (3, 11) else 2)

    run(main)


def test_what_a_handler_has_done_counts_when_its_worker_is_cancelled(
    run: Callable[[Main], None],
) -> None:
    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        async def handle(payment: Payment) -> None:
            await payments.handle(payment)
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        order_id = await payments.pay("order-1")
        worker = ledger.process(handle)
        await payments.wait_for(1)
        worker._task.cancel()
        await worker.stop()
        assert worker._task.cancelled()
        assert await payments.state(order_id) == "done"

    run(main)


def test_a_task_s_handler_may_stop_its_worker(run: Callable[[Main], None]) -> None:
    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        async def handle(payment: Payment) -> None:
            await worker.stop()
            await payments.handle(payment)

        one, other = await payments.pay("order-1"), await payments.pay("order-2")
        worker = ledger.process(handle)
        assert await payments.wait_for(1) == [one]
        await worker.stop()
        assert await payments.state(one) == "done"
        assert await payments.state(other) == "waiting"

    run(main)


def test_closing_stops_the_tasks(tmp_path: Path, shop: Simulator) -> None:
    async def main() -> None:
        ledger = await AsyncLedger.open(sqlite(tmp_path), client=shop.async_client())

        async def handle(payment: Payment) -> None: ...

        workers = [ledger.process(handle) for _ in range(3)]
        await ledger.close()
        assert all(worker._task.done() for worker in workers)
        with pytest.raises(LedgerError):
            await ledger.summary()
        await ledger.close()

    asyncio.run(main())


@contextmanager
def event_loop_of_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """Another event loop, which runs beside."""
    event_loop = asyncio.new_event_loop()
    thread = threading.Thread(target=event_loop.run_forever)
    thread.start()
    try:
        yield event_loop
    finally:
        event_loop.call_soon_threadsafe(event_loop.stop)
        thread.join(GUARD)
        event_loop.close()


def test_another_event_loop_stops_a_task_and_waits_for_the_handler(
    run: Callable[[Main], None],
) -> None:
    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        begun, go_on = threading.Event(), asyncio.Event()

        async def handle(payment: Payment) -> None:
            begun.set()
            await go_on.wait()

        async def start() -> AsyncLedgerWorker:
            return ledger.process(handle)

        order_id = await payments.pay("order-1")
        with event_loop_of_a_thread() as other:
            worker = asyncio.run_coroutine_threadsafe(start(), other).result(GUARD)
            assert await asyncio.to_thread(begun.wait, GUARD)
            # To lose patience changes nothing for who stops it after that.
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(worker.stop(), 0.1)
            stopping = asyncio.create_task(worker.stop())
            await asyncio.wait([stopping], timeout=0.1)
            assert not stopping.done()
            other.call_soon_threadsafe(go_on.set)
            await asyncio.wait_for(stopping, GUARD)
            await worker.stop()
            assert await payments.state(order_id) == "done"

    run(main)


def test_closing_stops_the_tasks_of_all_event_loops(tmp_path: Path, shop: Simulator) -> None:
    async def main(other: asyncio.AbstractEventLoop) -> None:
        ledger = await AsyncLedger.open(sqlite(tmp_path), client=shop.async_client())

        async def start() -> AsyncLedgerWorker:
            return ledger.process(asynchronous)

        workers = [
            await start(),
            asyncio.run_coroutine_threadsafe(start(), other).result(GUARD),
        ]
        await asyncio.wait_for(ledger.close(), GUARD)
        assert all(worker._task.done() for worker in workers)

    with event_loop_of_a_thread() as other:
        asyncio.run(main(other))


def test_a_task_of_a_closed_event_loop_has_ended(
    tmp_path: Path, shop: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """As one has that was closed with its tasks in it."""

    async def start() -> tuple[AsyncLedger, AsyncLedgerWorker]:
        ledger = await AsyncLedger.open(sqlite(tmp_path), client=shop.async_client())
        begun = asyncio.Event()

        async def handle(payment: Payment) -> None:
            begun.set()
            await asyncio.Event().wait()

        await Payments(ledger, shop.webhook()).pay("order-1")
        worker = ledger.process(handle)
        await begun.wait()
        return ledger, worker

    async def stop(ledger: AsyncLedger, worker: AsyncLedgerWorker) -> None:
        await asyncio.wait_for(worker.stop(), GUARD)
        await asyncio.wait_for(ledger.close(), GUARD)

    event_loop = asyncio.new_event_loop()
    started = event_loop.run_until_complete(start())
    event_loop.close()
    asyncio.run(stop(*started))
    del started
    gc.collect()
    # It is asyncio that tells of its tasks.
    assert {record.name for record in caplog.records} == {"asyncio"}


def test_the_end_of_the_event_loop_stops_the_tasks(tmp_path: Path, shop: Simulator) -> None:
    async def main() -> None:
        ledger = await AsyncLedger.open(sqlite(tmp_path), client=shop.async_client())
        begun = asyncio.Event()

        async def handle(payment: Payment) -> None:
            begun.set()
            await asyncio.Event().wait()

        ledger.process(handle)
        await Payments(ledger, shop.webhook()).pay("order-1")
        await begun.wait()

    asyncio.run(main())
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        seen = Seen()
        with ledger.process(lambda payment: seen.add(payment.order_id), **SOON):
            seen.wait_for(1)


def test_a_task_s_handler_that_exits_ends_the_event_loop_and_has_had_a_try(
    tmp_path: Path, shop: Simulator
) -> None:
    order_ids = []

    async def main() -> None:
        ledger = await AsyncLedger.open(sqlite(tmp_path), client=shop.async_client())

        async def handle(payment: Payment) -> None:
            sys.exit(3)

        order_ids.append(await Payments(ledger, shop.webhook()).pay("order-1"))
        ledger.process(handle)
        await asyncio.Event().wait()

    with pytest.raises(SystemExit) as exit:
        asyncio.run(main())
    assert exit.value.code == 3
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        seen = Seen()
        with ledger.process(lambda payment: seen.add(payment.order_id), **SOON):
            assert seen.wait_for(1) == order_ids
        wait_until(lambda: state_of(ledger, order_ids[0])[0] == "done")
        _, tries, last_error = state_of(ledger, order_ids[0])
        assert (tries, last_error) == (2, "the handler was broken off before it ended")


def blocking(payment: Payment) -> None:
    raise AssertionError("nobody calls it")


@pytest.mark.parametrize("handler", [blocking, print, None, lambda payment: asyncio.sleep(0)])
def test_an_async_ledger_refuses_what_it_cannot_await(
    run: Callable[[Main], None], handler: Any
) -> None:
    async def main(ledger: AsyncLedger, payments: Payments) -> None:
        with pytest.raises(TypeError, match="`handler`"):
            ledger.process(handler)

    run(main)


def test_a_task_needs_a_loop_that_runs(tmp_path: Path, shop: Simulator) -> None:
    async def handle(payment: Payment) -> None: ...

    async def main() -> AsyncLedger:
        return await AsyncLedger.open(sqlite(tmp_path), client=shop.async_client())

    ledger = asyncio.run(main())
    with pytest.raises(RuntimeError, match="no running event loop"):
        ledger.process(handle)
    asyncio.run(ledger.close())


def test_nothing_is_logged_of_people(
    plain_ledger: Ledger, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pay(plain_ledger, webhook, "order of Amal")

    def handle(payment: Payment) -> None:
        raise ValueError("Amal moved")

    with plain_ledger.process(handle, max_tries=1):
        wait_until(plain_ledger.parked)
    assert "Amal" not in caplog.text
