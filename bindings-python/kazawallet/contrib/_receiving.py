"""What the receivers of all frameworks share: what a delivery is answered, and the life of a worker."""

from __future__ import annotations

import atexit
import logging
import os
import re
import threading
import traceback
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, overload

from .._errors import (
    KazawalletError,
    LedgerError,
    SignatureVerificationError,
    WebhookPayloadError,
)
from .._kazawallet import (
    LONGEST_WEBHOOK_BODY,
    Payment,
    PaymentEvent,
    Receipt,
    Webhook,
    webhook_answers,
)
from .._ledger import Ledger, LedgerWorker, refuse_awaitable, refuse_handler

_log = logging.getLogger("kazawallet")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


# --- what is answered ---------------------------------------------------------------------------


class Answer(NamedTuple):
    """What a delivery is answered."""

    status: int
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers."""
        json = {"Content-Type": "application/json"}
        return {**json, "Allow": "POST"} if self.status == 405 else json


_ANSWERS = {name: Answer(*answer) for name, answer in webhook_answers().items()}
RECEIVED = _ANSWERS["received"]
NOT_PROCESSED = _ANSWERS["not_processed"]
BODY_TOO_LARGE = _ANSWERS["body_too_large"]


def refusal_before_reading(method: str, length: int | None) -> Answer | None:
    """The answer to a request that is refused by its head; `length` is its `Content-Length`."""
    if method != "POST":
        return _ANSWERS["method_not_allowed"]
    if length is not None and length > LONGEST_WEBHOOK_BODY:
        return BODY_TOO_LARGE
    return None


def refusal_of_body(body: bytes, length: int | None, way_out: str) -> Answer | None:
    """The answer to a body that cannot be the whole one; `way_out` says how to change that."""
    if len(body) > LONGEST_WEBHOOK_BODY:
        return BODY_TOO_LARGE
    if length is not None and len(body) < length:
        return refusal_of_read_body(way_out)
    return None


def refusal_of_read_body(way_out: str) -> Answer:
    """The answer where something has read the body before."""
    _log.error(
        "a delivery is LOST: something of the application read its body before the webhook's route, "
        "and the signature is over the raw bytes. %s",
        way_out,
    )
    return NOT_PROCESSED


def read_at_most(read: Callable[[int], bytes]) -> bytes:
    """Reads to the end, or a little further than a body may be long."""
    body = bytearray()
    while len(body) <= LONGEST_WEBHOOK_BODY:
        piece = read(LONGEST_WEBHOOK_BODY + 1 - len(body))
        if not piece:
            break
        body += piece
    return bytes(body)


def answer_to(error: Exception) -> Answer:
    """The answer where a delivery could not be verified or stored; the log tells why."""
    if isinstance(error, WebhookPayloadError | SignatureVerificationError):
        _log.warning("a delivery was refused: %s", error)
        return _ANSWERS[error.code]
    _log.error("a delivery could not be stored, and will not come again: %s", _told(error))
    return NOT_PROCESSED


def answer_to_failed_handler(event: PaymentEvent, error: Exception) -> Answer:
    """The answer where the handler failed and nothing else remembers the event; the log does."""
    _log.error(
        "the handler failed for the order id %s (%s), which will not come again: %s",
        event.order_id,
        # What is not signed may hold line breaks, to look like other lines of the log.
        _CONTROL.sub(" ", f"ref {event.ref}, {event.status}, {event.amount} {event.currency}"),
        _told(error),
    )
    return NOT_PROCESSED


def log_receipt(receipt: Receipt) -> None:
    """Tells of a genuine delivery that nobody is going to handle unless a person decides."""
    if receipt.waits_for_person and not receipt.duplicate:
        _log.warning(
            "the payment %s is stored and waits for a person: %s%s (see `python -m kazawallet ledger`)",
            receipt.event.order_id,
            receipt.decision,
            f", {receipt.problem}" if receipt.problem else "",
        )


def log_not_reverified(error: Exception) -> None:
    """Tells that the quarantine could not be looked through."""
    _log.warning("what is in the ledger's quarantine was not verified again: %s", _told(error))


def log_late_start() -> None:
    """Tells that the application does not start its receiver."""
    _log.warning(
        "the webhook's receiver starts with a delivery, and what was received before a restart waits for "
        "one: give the application lifespan=receiver.lifespan, or use `async with receiver:` in its lifespan"
    )


def log_missing_worker(error: Exception) -> None:
    """Tells that payments are stored and wait."""
    _log.error("the worker could not be started, so payments wait: %s", _told(error))


def _told(error: Exception) -> str:
    """An error as a log may show it. The message of a foreign one may hold anything: where it was
    raised is shown in its place."""
    if isinstance(error, KazawalletError):
        return str(error)
    where = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__} (its message is not shown)\n{where}".rstrip()


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
            raise TypeError("give a `handler`, or `worker=False` where a cron job processes")
        return
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
        self._attach()

    def _attach(self) -> None:
        """For what a framework needs to know of a receiver from the start."""

    @property
    def ledger(self) -> Ledger:
        """The ledger, which is opened now where the receiver has a function for that and was not started.

        Raises:
            RuntimeError: the receiver has a `Webhook` in its place, or was stopped.
            LedgerError: the ledger cannot be opened.
        """
        if self._ledger is not None:
            return self._ledger
        with self._changing:
            return self._open()

    def start(self) -> None:
        """Opens the ledger and starts the worker in this process, where that was not done. There is nothing
        to start where the receiver has a `Webhook`.

        What is in the ledger's quarantine is verified again (`Ledger.reverify`).

        Raises:
            ConfigurationError: the ledger has nothing to verify deliveries with.
            LedgerError: the ledger cannot be opened.
        """
        with self._changing:
            self._stopped = False
            self._start()

    def stop(self) -> None:
        """Stops the worker, waits for the handler that runs, and closes the ledger if the receiver has opened
        it. It happens by itself at the end of the program. Stopping twice does nothing."""
        with self._changing:
            self._stopped = True
            self._started_in = None
            worker, self._worker = self._worker, None
            if worker is not None:
                worker.stop()
            if self._opener is not None and self._ledger is not None:
                self._ledger.close()
                self._ledger = None

    def _open(self) -> Ledger:
        if self._ledger is None:
            if self._opener is None:
                raise RuntimeError("the receiver has a Webhook, and no ledger")
            if self._stopped:
                raise RuntimeError("the receiver was stopped")
            opened = self._opener()
            check_opened(opened, Ledger)
            self._ledger = opened
            atexit.register(self.stop)
        return self._ledger

    def _start(self) -> None:
        if self._webhook is None and self._started_in != os.getpid():
            ledger = self._open()
            # Recovers what a forgotten rotation of keys refused, and fails where there is no key at all.
            try:
                ledger.reverify()
            except LedgerError as error:
                log_not_reverified(error)
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
            log_missing_worker(error)
        finally:
            self._changing.release()

    def _receive(self, body: bytes) -> Answer:
        if self._webhook is not None:
            return self._verify(self._webhook, body)
        try:
            log_receipt(self.ledger.receive(body))
        except Exception as error:
            return answer_to(error)
        finally:
            # Not before: a worker that cannot be started must not cost a delivery.
            self._start_or_log()
        return RECEIVED

    def _verify(self, webhook: Webhook, body: bytes) -> Answer:
        try:
            event = webhook.verify(body)
        except Exception as error:
            return answer_to(error)
        try:
            refuse_awaitable(self._on_event(event))
        except Exception as error:
            return answer_to_failed_handler(event, error)
        return RECEIVED

    def _on_event(self, event: PaymentEvent) -> object:
        """Calls the handler, within the request."""
        assert self._handler is not None
        return self._handler(event)

    def _on_payment(self, payment: Payment) -> object:
        """Calls the handler, on the worker's thread."""
        assert self._handler is not None
        return self._handler(payment)
