"""What the receivers of all frameworks share, and the receiver of the blocking ones: the life of a worker.
What is answered and told is the native module's to say."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Any, Literal, overload

from .._kazawallet import (
    LONGEST_WEBHOOK_BODY,
    Payment,
    PaymentEvent,
    Route,
    RouteAnswer,
    Webhook,
)
from .._ledger import Ledger, LedgerWorker, refuse_awaitable, refuse_generator, refuse_handler, told


def read_at_most(read: Callable[[int], bytes]) -> bytes:
    """Reads to the end, or a little further than a body may be long."""
    body = bytearray()
    while len(body) <= LONGEST_WEBHOOK_BODY:
        piece = read(LONGEST_WEBHOOK_BODY + 1 - len(body))
        if not piece:
            break
        body += piece
    return bytes(body)


def content_length(header: str | None) -> int | None:
    """The number of a `Content-Length`, if it is one."""
    try:
        return int(header or "")
    except ValueError:
        return None


def withholds_chunks(environ: dict[str, Any]) -> bool:
    """Whether a WSGI server was sent chunks, and may hand on none of them."""
    in_chunks = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    return in_chunks and not environ.get("wsgi.input_terminated")


# --- what a receiver is given -------------------------------------------------------------------


def check_given(
    source: Any, handler: Any, *, worker: bool, ledger: type, asynchronous: bool
) -> None:
    """Refuses what a receiver cannot work with, when it is built and not at the first delivery."""
    if not isinstance(source, (Webhook, ledger)) and not callable(source):
        raise TypeError(
            f"`source` must be a Webhook, {_a(ledger)} or a function that opens one, "
            f"not {_a(type(source))}"
        )
    if handler is None:
        if isinstance(source, Webhook):
            raise TypeError("give a `handler`: without a ledger nothing else gets the event")
        if worker:
            raise TypeError("give a `handler`, or `worker=False` if a cron job processes")
        return
    refuse_generator(handler)
    try:
        refuse_handler(handler, asynchronous=asynchronous)
    except TypeError:
        wanted = "an `async def`" if asynchronous else "a plain function, not an `async def`"
        raise TypeError(f"`handler` must be {wanted} that takes one argument") from None


def check_opened(opened: object, ledger: type) -> None:
    """Refuses what a function has opened in place of a ledger."""
    if not isinstance(opened, ledger):
        raise TypeError(
            f"the function that is given as `source` must return {_a(ledger)}, "
            f"not {_a(type(opened))}"
        )


def _a(kind: type) -> str:
    return f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"


# --- the receiver of the blocking frameworks ----------------------------------------------------


class BlockingReceiver:
    """What the receivers of Flask and Django share. The worker is a thread."""

    @overload
    def __init__(
        self,
        source: Webhook,
        handler: Callable[[PaymentEvent], object],
        *,
        worker: bool = True,
    ) -> None: ...
    @overload
    def __init__(
        self,
        source: Ledger | Callable[[], Ledger],
        handler: Callable[[Payment], object],
        *,
        worker: bool = True,
    ) -> None: ...
    @overload
    def __init__(
        self,
        source: Ledger | Callable[[], Ledger],
        handler: None = None,
        *,
        worker: Literal[False],
    ) -> None: ...
    def __init__(
        self,
        source: Webhook | Ledger | Callable[[], Ledger],
        handler: Callable[[Any], object] | None = None,
        *,
        worker: bool = True,
    ) -> None:
        check_given(source, handler, worker=worker, ledger=Ledger, asynchronous=False)
        self._route = Route()
        self._handler = handler
        self._has_worker = worker
        self._webhook = source if isinstance(source, Webhook) else None
        self._opener = None if isinstance(source, Webhook | Ledger) else source
        self._ledger = source if isinstance(source, Ledger) else None
        self._worker: LedgerWorker | None = None
        # A worker does not run on in a forked child, which then needs its own.
        self._started_in: int | None = None
        self._stopped = False
        self._changing = threading.RLock()
        # How many deliveries the ledger has, which must not be closed under them.
        self._under_way = 0
        self._deliveries = threading.Condition()
        self._attach()

    def _attach(self) -> None:
        """For what a framework needs to know of a receiver from the start."""

    @property
    def ledger(self) -> Ledger:
        """The ledger, which is opened now if the receiver has a function for that and was not started.

        Raises:
            RuntimeError: the receiver has a `Webhook` in its place, or was stopped.
            LedgerError: the ledger cannot be opened.
        """
        if self._ledger is not None:
            return self._ledger
        with self._changing:
            return self._open()

    def start(self) -> None:
        """Opens the ledger and starts the worker in this process, if that was not done. There is nothing
        to start if the receiver has a `Webhook`.

        What is in the ledger's quarantine is verified again (`Ledger.reverify`).

        Raises:
            ConfigurationError: the ledger has nothing to verify deliveries with.
            LedgerError: the ledger cannot be opened.
        """
        with self._changing:
            self._stopped = False
            self._start()

    def stop(self, timeout: float | None = None) -> bool:
        """Stops the worker, waits for the handler that runs, and closes the ledger if the receiver has opened
        it. It happens by itself at the end of the program. Stopping twice does nothing. A delivery that comes
        afterwards is stored all the same: there is no second one.

        Args:
            timeout: The most seconds that are waited for the handler; see `LedgerWorker.stop`.

        Returns:
            Whether the handler ended.

        Raises:
            TypeError: `timeout` is no number.
        """
        with self._changing:
            self._stopped = True
            self._started_in = None
            worker, self._worker = self._worker, None
            ended = worker is None or worker.stop(timeout)
            if self._opener is not None and self._ledger is not None:
                with self._deliveries:
                    # From here on a delivery waits, and has the ledger opened again.
                    ledger, self._ledger = self._ledger, None
                    self._deliveries.wait_for(lambda: self._under_way == 0)
                ledger.close()
            return ended

    def _open(self) -> Ledger:
        if self._ledger is None:
            if self._opener is None:
                raise RuntimeError("the receiver has a Webhook, and no ledger")
            if self._stopped:
                raise RuntimeError("the receiver was stopped")
            self._ledger = self._opened()
            atexit.register(self.stop)
        return self._ledger

    def _opened(self) -> Ledger:
        assert self._opener is not None
        opened = self._opener()
        check_opened(opened, Ledger)
        return opened

    def _start(self) -> None:
        if self._webhook is None and self._started_in != os.getpid():
            ledger = self._open()
            self._route.start(ledger._opened).wait()
            if self._has_worker:
                self._worker = ledger.process(self._on_payment)
            self._started_in = os.getpid()

    def _start_or_log(self) -> None:
        """For where nobody could do anything about an error."""
        if self._started_in == os.getpid() or self._webhook is not None:
            return
        if not self._changing.acquire(blocking=False):
            return  # Another thread is at it: this one has a delivery to answer.
        try:
            if not self._stopped:
                self._start()
        except Exception as error:
            self._route.worker_not_started(told(error))
        finally:
            self._changing.release()

    def _arrived(self, body: bytes, length: int | None, encoding: str | None) -> RouteAnswer:
        """The answer to a request whose body could be read."""
        delivery = self._route.delivery(body, length, encoding)
        if isinstance(delivery, RouteAnswer):
            return delivery
        if self._webhook is not None:
            return self._verify(self._webhook, delivery)
        try:
            return self._receive(delivery)
        except Exception as error:
            return self._route.not_opened(told(error))
        finally:
            # Not before: a worker that cannot be started must not cost a delivery.
            self._start_or_log()

    def _receive(self, delivery: bytes) -> RouteAnswer:
        with self._deliveries:
            ledger = self._ledger
            self._under_way += ledger is not None
        if ledger is None:
            return self._receive_alone(delivery)
        try:
            return self._route.receive(ledger._opened, delivery).wait()
        finally:
            with self._deliveries:
                self._under_way -= 1
                self._deliveries.notify_all()

    def _receive_alone(self, delivery: bytes) -> RouteAnswer:
        with self._changing:
            if not self._stopped:
                return self._route.receive(self._open()._opened, delivery).wait()
            # There is no second delivery.
            with self._opened() as late:
                return self._route.receive(late._opened, delivery).wait()

    def _verify(self, webhook: Webhook, delivery: bytes) -> RouteAnswer:
        event = self._route.verify(webhook, delivery)
        if isinstance(event, RouteAnswer):
            return event
        try:
            refuse_awaitable(self._on_event(event))
        except Exception as error:
            return self._route.handler_failed(event, told(error))
        return self._route.handled()

    def _on_event(self, event: PaymentEvent) -> object:
        """Calls the handler, within the request."""
        assert self._handler is not None
        return self._handler(event)

    def _on_payment(self, payment: Payment) -> object:
        """Calls the handler, on the worker's thread."""
        assert self._handler is not None
        return self._handler(payment)
