"""The blocking ledger and its worker. The native module does the work."""

from __future__ import annotations

import atexit
import threading

from ._client import Client
from ._errors import KazawalletError
from ._kazawallet import OpenedLedger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta
    from decimal import Decimal
    from os import PathLike
    from types import TracebackType
    from typing import Any, Literal

    from typing_extensions import Self

    from ._async_client import AsyncClient
    from ._kazawallet import (
        Conflict,
        Connection,
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


class Ledger:
    """What a shop remembers of its orders, payments and payouts, so that nothing is lost and nothing
    is paid twice.

    It is kept in SQLite (one file, which several processes of one machine may share) or in
    PostgreSQL. Open one with `Ledger.open` and keep it: it is safe to share between threads, and works
    on in a forked child. Close it with `close()`, or use it in a `with` block.

    - `create_payment_link`: the same ref gives the same link.
    - `receive`: every genuine webhook, on the disk before you answer, decided once.
    - `process`: each decided payment to your code, at least once, in one worker at a time.
    - `withdraw`: a reference is never sent twice.
    - `overdue`, `unsettled`, `unresolved`, `parked`, `conflicts`, `summary`: what is missing, and what
      waits for a person, who decides with `settle`, `resolve` and `retry`.

    What has begun is not stopped half-way: Ctrl-C ends your waiting alone, and what came of it is in
    the ledger.

    Look into a SQLite file from another process, such as the `sqlite3` program, or once the ledger is
    closed: Python's own `sqlite3` module would not be locked out within one process, and could damage
    the file.

    >>> import tempfile
    >>> from kazawallet import Ledger
    >>> from kazawallet.testing import Simulator
    >>> with tempfile.TemporaryDirectory() as folder, Simulator() as sim, sim.client() as client:
    ...     with Ledger.open(f"sqlite://{folder}/shop.db", client=client) as ledger:
    ...         link = ledger.create_payment_link(ref="order-42", amount="10.50", currency="USD")
    ...         [delivery] = sim.pay(link)  # What the customer does.
    ...         receipt = ledger.receive(delivery.body)  # In the webhook's route.
    ...         order = ledger.order("order-42")
    >>> receipt.decision, order.state
    ('paid', 'paid')
    """

    __slots__ = ("__weakref__", "_opened")

    def __init__(self, opened: OpenedLedger, /) -> None:
        self._opened = only_opened(type(self), opened)

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        client: Client | None = None,
        webhook: Webhook | None = None,
        spool: str | PathLike[str] | Literal[False] | None = None,
        clock_margin: float | timedelta | None = None,
    ) -> Self:
        """Opens a ledger, and makes its tables where there are none.

        Args:
            url: `sqlite:///var/lib/shop/kazawallet.db` (a file, made where there is none) or
                `postgres://user:password@host/database`, over verified TLS unless it is this machine.
                Else the environment variable `KAZAWALLET_LEDGER`.
            client: What makes links and pays out; its options alone are used, so that it may be closed.
                Its key and secret also verify webhooks.
            webhook: What verifies webhooks, in place of the client's key and secret: for a ledger without
                a client, or with `Webhook.with_previous` while keys are being rotated.
            spool: The folder that keeps deliveries while the database cannot be reached; it must outlive
                a restart. `False` for none. Unless given, a ledger in PostgreSQL takes the variable
                `KAZAWALLET_SPOOL`, else `kazawallet` in the user's state folder; one in SQLite has none.
            clock_margin: Seconds, or a `timedelta`, after the deadline of a payout that this ledger sends
                before it may be resolved by hand; 60 unless given. It must be longer than the clocks of your
                machines differ.

        Raises:
            ConfigurationError: there is no URL, or one, or an option, that cannot be used.
            LedgerError: the database cannot be opened; its `code` says why: `ledger_unavailable`,
                `ledger_full`, `ledger_read_only`, `ledger_version` (it was made by a newer version of this
                package), `ledger_damaged`.
            RuntimeError: the client is closed.
            TypeError: an option has the wrong type.

        >>> import tempfile
        >>> from kazawallet import Ledger, Webhook
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger = Ledger.open(f"sqlite://{folder}/shop.db", webhook=Webhook("key", "secret"))
        ...     ledger.close()
        """
        opened = OpenedLedger(url, connection_of(client, Client), webhook, spool, clock_margin)
        opened.open().wait()
        return cls(opened)

    def create_payment_link(
        self,
        *,
        ref: str,
        amount: str | int | Decimal,
        currency: str,
        redirect_url: str | None = None,
        timeout: float | None = None,
    ) -> OrderLink:
        """Records what an order must cost, then makes its payment link. Needs a client with a merchant
        email.

        The same ref with the same amount and currency gives the same link, without another call to the
        provider: also after a crash, and while another process is making it. After the link timed out,
        it makes a new one.

        Args:
            ref: The order's id, at most 1,024 bytes.
            amount: What it costs: exact text such as `"10.50"`, an `int` or a `Decimal`.
            currency: The currency's code, such as `USD` or `SYP`.
            redirect_url: Where the customer's browser goes afterwards. That it arrives there proves
                nothing.
            timeout: Seconds for the provider's answer, in place of the client's.

        Raises:
            ValidationError: the ref is known with another amount or currency (`field` says which), or
                an argument that cannot be used. Nothing was sent.
            ConfigurationError: the ledger has no client.
            LedgerError: the database failed; or, with the code `ledger_state`, a payment with this ref
                paid the order before its link was made.
            APIConnectionError, APITimeoutError, UnexpectedResponseError, APIError: as for
                `PaymentLinks.create`. Ask again: no order has two links.
            TypeError: an amount that is a `float` or a `bool`, or an argument of another wrong type.
        """
        return self._opened.create_payment_link(ref, amount, currency, redirect_url, timeout).wait()

    def order(self, ref: str) -> OrderRecord | None:
        """The order with this ref; `None` where there is none.

        Raises:
            LedgerError: the database failed.
        """
        return self._opened.order(ref).wait()

    def receive(self, body: bytes | bytearray | memoryview | str) -> Receipt:
        """Verifies a delivery, holds it against its order, decides it and stores it.

        It returns once the delivery would survive a power cut: then answer 200. Where it raises, answer
        400 to a `WebhookPayloadError`, 401 to a `SignatureVerificationError`, 500 to a `LedgerError`. Go
        by the receipt's `decision`; neither the status nor the currency nor the ref of the event is
        signed. The signed order id settles one order, once.

        Args:
            body: The raw body, before any parser. In Django `request.body`; in Flask
                `request.get_data()`; in FastAPI and Starlette `await request.body()`.

        Raises:
            WebhookPayloadError: the body cannot be read.
            SignatureVerificationError: no key that the ledger knows signed it. It changed no order; a
                copy is in quarantine, see `reverify`.
            ConfigurationError: the ledger has neither a webhook nor a client with a secret.
            LedgerError: it could not be stored. With a spool it is `spooled` instead, since the provider
                never repeats a delivery.
            TypeError: the body is something that was already parsed.
        """
        return self._opened.receive(body).wait()

    def payment(self, order_id: str) -> Payment | None:
        """The payment with this order id; `None` where there is none.

        Raises:
            LedgerError: the database failed.
        """
        return self._opened.payment(order_id).wait()

    def settle(
        self,
        order_id: str,
        decision: Literal["paid", "dismissed"],
        *,
        ref: str | None = None,
        by: str,
        note: str | None = None,
    ) -> Payment:
        """A person decides what the ledger could not: a payment that is among `unsettled`. Who decided
        is kept for ever.

        Args:
            order_id: The payment.
            decision: `"paid"`: it pays an order. `"dismissed"`: it pays for nothing; the money was given
                back, or the matter was settled elsewhere.
            ref: The order that it pays; its own ref unless given.
            by: Who decides.
            note: Why.

        Raises:
            LedgerError: with the code `ledger_not_found`: no payment has this order id; `ledger_state`: it
                is not to be settled, or the order is unknown or paid; or the database failed.
            ValidationError: another decision, or `by` is blank.
        """
        return self._opened.settle(order_id, decision, ref, by, note).wait()

    def set_link_id_check(self, check: bool, *, by: str, note: str | None = None) -> None:
        """A person switches the check of link ids off, or on again. It is on in a new ledger. Who switched
        it, and when, is kept for ever.

        That the id which the provider answers when a link is made is the one that its webhook carries is
        likely, and documented nowhere. So the ledger learns it; `Summary.link_ids` says how far it has
        come:

        - A delivery with the id of another order's link is a `mismatch` of the `ref` from the start.
        - `unproven`: one whose id is no known link's is held against its order's amount and currency alone.
        - `proven`, once a payment came with the id of a link of its own order, whose amount and currency
          fit: from then on one whose id is no known link's is a `mismatch` of the `order_id`. The proof
          counts for the scheme, host and port that made the link: a simulator's for the simulator.
        - `ignored`: the check is off, and a delivery's id is held against no link.

        Switch it off if genuine payments are decided as a `mismatch` of `order_id` or `ref` although the
        wallet shows that they are right: then the provider numbers its links and its deliveries apart, and
        a proof was an accident. What was decided before stays as it is: see `settle`.

        Args:
            check: Whether the ids are checked: `False` switches the check off.
            by: Who switches it.
            note: Why.

        Raises:
            ValidationError: `by` is blank, or too long.
            LedgerError: the database failed.
            TypeError: `check` is no `bool`, or an argument of another wrong type.
        """
        self._opened.set_link_id_check(check, by, note).wait()

    def reverify(self) -> list[Receipt]:
        """Verifies again what is in quarantine, and receives what holds now: after a rotation of keys of
        which the ledger was not told.

        Raises:
            ConfigurationError: the ledger has nothing to verify with.
            LedgerError: the database failed.
        """
        return self._opened.reverify().wait()

    def process(
        self,
        handler: Callable[[Payment], object],
        *,
        max_tries: int = 10,
        first_pause: float | timedelta = 1.0,
        poll_interval: float | timedelta = 1.0,
        lease: float | timedelta = 60.0,
    ) -> LedgerWorker:
        """Hands each decided payment to your handler, on a thread of its own, until `LedgerWorker.stop`, `close`
        or the end of the program.

        It is handed what was paid, and what tells that an order's link timed out (`Payment.is_paid` tells
        them apart): oldest first, each at least once, to one worker at a time, across all processes and
        machines. **At least once**: a process can die after the handler and before that is recorded, so
        let the handler do its work once for an order id. A handler that raises is called again later; what
        it raised is kept as the payment's `last_error`, and the logger `kazawallet` tells of it. A
        `SystemExit` or a `KeyboardInterrupt` breaks the handler off, which counts as a failed try, and ends
        nothing: the worker goes on.

        Args:
            handler: A function that takes a `Payment`. What it returns is not looked at.
            max_tries: After so many failures the payment is parked: see `parked` and `retry`.
            first_pause: Seconds, or a `timedelta`, after the first failure. It doubles each time, up to 10
                minutes, less a random part.
            poll_interval: Seconds, or a `timedelta`, between two looks for what other processes received.
            lease: Seconds, or a `timedelta`, for which a payment stays with a worker that died. It is
                renewed while the handler runs.

        Raises:
            TypeError: the handler is asynchronous (`AsyncLedger.process` takes those), a generator or no
                function, or an argument of a wrong type.
            ValidationError: `max_tries` is less than 1, or a time is negative.
            LedgerError: the ledger is closed, or cannot be opened in this process.

        >>> import tempfile, threading
        >>> from kazawallet import Ledger
        >>> from kazawallet.testing import Simulator
        >>> with tempfile.TemporaryDirectory() as folder, Simulator() as sim, sim.client() as client:
        ...     with Ledger.open(f"sqlite://{folder}/shop.db", client=client) as ledger:
        ...         link = ledger.create_payment_link(ref="order-42", amount="1", currency="USD")
        ...         [delivery] = sim.pay(link)
        ...         receipt = ledger.receive(delivery.body)
        ...         shipped, done = [], threading.Event()
        ...         def ship(payment):
        ...             if payment.is_paid:
        ...                 shipped.append(payment.ref)
        ...             done.set()
        ...         with ledger.process(ship):
        ...             handled = done.wait(60)
        >>> shipped
        ['order-42']
        """
        refuse_handler(handler, asynchronous=False)
        handover = self._opened.handover(max_tries, first_pause, poll_interval, lease)
        self._opened.open().wait()
        return LedgerWorker(self, handover, handler)

    def pending(self, limit: int = 100) -> list[Payment]:
        """The payments that are due, oldest first, for a loop or a cron job of your own.

        Each is held for a minute, in which nobody else gets it. Then it comes again, unless
        `mark_processed` was called.

        Args:
            limit: The most that are returned.

        Raises:
            LedgerError: the database failed.
            ValidationError: the limit is negative.
        """
        return self._opened.pending(limit).wait()

    def mark_processed(self, order_id: str) -> None:
        """Your code has dealt with this payment: it does not come again.

        Raises:
            LedgerError: with the code `ledger_not_found`: no payment has this order id; `ledger_state`: it
                is not for a handler, or a person settled it and it was not handed over since; or the
                database failed.
        """
        self._opened.mark_processed(order_id).wait()

    def retry(self, order_id: str, *, by: str, note: str | None = None) -> Payment:
        """A person has a parked payment handed to the handler again. Who did is kept for ever.

        Args:
            order_id: The payment.
            by: Who.
            note: Why.

        Raises:
            LedgerError: with the code `ledger_not_found`: no payment has this order id; `ledger_state`: it
                is not parked; or the database failed.
            ValidationError: `by` is blank.
        """
        return self._opened.retry(order_id, by, note).wait()

    def withdraw(
        self,
        *,
        reference: str,
        amount: str | int | Decimal,
        currency: str,
        payment_method: PaymentMethod,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Payout:
        """Pays out, once for this reference. Needs a client with a secret and a merchant email.

        The same reference is sent again only where it is certain that nothing had left. Asked again, it
        gives what is recorded: the payout, or the same error, also while another process is sending it.
        Once begun it runs to its end while the process lives; when the process dies in the middle, the
        payout is `unknown`.

        Args:
            reference: The payout's own id, such as `"salary-2026-05-17"`.
            amount: Exact text such as `"500000"`, an `int` or a `Decimal`.
            currency: The currency's code, such as `SYP`.
            payment_method: How it reaches its recipient.
            note: A note for the withdrawal.
            timeout: Seconds for the provider's answer, in place of the client's.

        Raises:
            OutcomeUnknownError: it was sent and no conclusive answer came. **Money may have moved**: a
                person looks in the wallet, and says so with `resolve`. Until then it is raised again.
            ValidationError: the reference is known with other terms (`field` is `reference`), or an
                argument that cannot be used. Nothing was sent.
            APIError: the provider said no, now or when it was first asked; its classes say why. To pay after
                all, take a new reference.
            APIConnectionError, APITimeoutError: nothing was sent; ask again.
            ConfigurationError: the ledger has no client.
            LedgerError: with the code `ledger_state`: a person said that it was not paid; or the database
                failed. Its `outcome` is `unknown` where it was sent and the answer could not be recorded.
            TypeError: an amount that is a `float` or a `bool`, or an argument of another wrong type.

        >>> import tempfile
        >>> from kazawallet import Ledger, PaymentMethod
        >>> from kazawallet.testing import Simulator
        >>> salary = {
        ...     "reference": "salary-2026-05-17",
        ...     "amount": "10",
        ...     "currency": "USD",
        ...     "payment_method": PaymentMethod.sy_cash(phone="0933123456"),
        ... }
        >>> with tempfile.TemporaryDirectory() as folder, Simulator() as sim, sim.client() as client:
        ...     with Ledger.open(f"sqlite://{folder}/shop.db", client=client) as ledger:
        ...         for _ in range(2):
        ...             print(ledger.withdraw(**salary).state)
        ...     sim.balance("USD")  # It was 1000.00.
        paid
        paid
        Decimal('990.00')
        """
        return self._opened.withdraw(
            reference, amount, currency, payment_method, note, timeout
        ).wait()

    def payout(self, reference: str) -> Payout | None:
        """The payout with this reference; `None` where there is none.

        Raises:
            LedgerError: the database failed.
        """
        return self._opened.payout(reference).wait()

    def resolve(
        self,
        reference: str,
        decision: Literal["paid", "not_paid"],
        *,
        by: str,
        note: str | None = None,
    ) -> Payout:
        """A person who has looked in the wallet says what became of a payout that is among `unresolved`.
        It is final, and who said it is kept for ever.

        Args:
            reference: The payout.
            decision: `"paid"`: the wallet shows it. `"not_paid"`: it does not; paying after all takes a
                new reference.
            by: Who looked.
            note: What they saw.

        Raises:
            LedgerError: with the code `ledger_not_found`: no payout has this reference; `ledger_state`: its
                outcome is known, or its deadline and the clock margin are not over; or the database failed.
            ValidationError: another decision, or `by` is blank.
        """
        return self._opened.resolve(reference, decision, by, note).wait()

    def overdue(self, older_than: float | timedelta, *, limit: int = 100) -> list[OrderRecord]:
        """The orders that have had a link for longer than this, and no webhook; oldest first.

        Args:
            older_than: Seconds, or a `timedelta`.
            limit: The most that are returned.

        Raises:
            LedgerError: the database failed.
            ValidationError: an argument is negative.
        """
        return self._opened.overdue(older_than, limit).wait()

    def unsettled(self, *, limit: int = 100) -> list[Payment]:
        """The payments that wait for a person: a mismatch, no order, overpaid; oldest first. See `settle`.

        Args:
            limit: The most that are returned.

        Raises:
            LedgerError: the database failed.
            ValidationError: the limit is negative.
        """
        return self._opened.unsettled(limit).wait()

    def parked(self, *, limit: int = 100) -> list[Payment]:
        """The payments whose handler failed too often, oldest first. See `retry`.

        Args:
            limit: The most that are returned.

        Raises:
            LedgerError: the database failed.
            ValidationError: the limit is negative.
        """
        return self._opened.parked(limit).wait()

    def unresolved(self, *, limit: int = 100) -> list[Payout]:
        """The payouts whose outcome is unknown, oldest first. See `resolve`.

        Args:
            limit: The most that are returned.

        Raises:
            LedgerError: the database failed.
            ValidationError: the limit is negative.
        """
        return self._opened.unresolved(limit).wait()

    def conflicts(self, *, limit: int = 100) -> list[Conflict]:
        """The deliveries that contradict the first one of their order id, newest first. They changed
        nothing.

        Args:
            limit: The most that are returned.

        Raises:
            LedgerError: the database failed.
            ValidationError: the limit is negative.
        """
        return self._opened.conflicts(limit).wait()

    def decisions(self, *, limit: int = 100) -> list[PersonDecision]:
        """What people decided, newest first.

        Args:
            limit: The most that are returned.

        Raises:
            LedgerError: the database failed.
            ValidationError: the limit is negative.
        """
        return self._opened.decisions(limit).wait()

    def summary(self) -> Summary:
        """How many there are of everything, by state.

        Raises:
            LedgerError: the database failed.
        """
        return self._opened.summary().wait()

    def forget(self, before: datetime) -> int:
        """Erases names, phones, emails and bodies of what was settled before then, and everything in
        quarantine from before then. References, order ids, states and digests stay for ever: forgetting
        them would let a payment repeat.

        Args:
            before: A `datetime` with a time zone.

        Returns:
            How many records it erased something of.

        Raises:
            ValidationError: the `datetime` has no time zone.
            TypeError: it is no `datetime`.
            LedgerError: the database failed.
        """
        return self._opened.forget(before).wait()

    def close(self) -> None:
        """Stops the workers, waits for their handlers, and closes the connections. What is under way
        comes to its end; a later call is a `LedgerError`. Closing twice does nothing."""
        # A copy: other threads start and end workers meanwhile.
        for worker in [each for each in list(_running) if each._ledger is self]:
            worker.stop()
        self._opened.close().wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<kazawallet.Ledger>"


class LedgerWorker:
    """A thread that hands payments to your handler: what `Ledger.process` gives.

    It runs until `stop()`, the end of its `with` block, `Ledger.close` or the end of the program, each
    of which waits for the handler that runs. Should it end otherwise, an error in the log tells of it. It
    does not run on in a forked child.
    """

    __slots__ = ("__weakref__", "_handler", "_handover", "_ledger", "_left", "_thread")

    def __init__(
        self, ledger: Ledger, handover: Handover, handler: Callable[[Payment], object], /
    ) -> None:
        self._ledger = ledger
        self._handover = handover
        self._handler = handler
        self._left = False
        self._thread = threading.Thread(target=self._run, name="kazawallet-worker", daemon=True)
        _running.add(self)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Takes no further payment, and returns when the handler that runs has ended; when it is called
        from the handler itself, at once. Stopping twice does nothing.

        If that takes longer than a second, a warning in the log says which payment is waited for.

        Args:
            timeout: The most seconds that are waited. The payment of a handler that has not ended by then is
                given back: that counts as a failed try, and a warning says so. The handler's thread cannot
                be stopped, and does not keep the program alive.

        Returns:
            Whether the handler ended.

        Raises:
            TypeError: `timeout` is no number.
        """
        if threading.current_thread() is self._thread:
            self._handover.stop()
            return True
        if not self._handover.stopped(timeout).wait():
            # Its thread may never end, and nobody waits for it any more.
            _running.discard(self)
            self._left = True
        elif not self._left:
            self._thread.join()
        return not self._left

    def _run(self) -> None:
        problem = None
        try:
            while (payment := self._handover.next().wait()) is not None:
                self._end_of(payment).wait()
        except BaseException as error:
            problem = told(error)
            raise
        finally:
            self._handover.leave(problem)
            _running.discard(self)

    def _end_of(self, payment: Payment) -> LedgerCall[None]:
        try:
            refuse_awaitable(self._handler(payment))
        except BREAKS_OFF:
            return self._handover.broken_off()
        except BaseException as error:
            return self._handover.failed(*described(error))
        return self._handover.done()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return "<kazawallet.LedgerWorker>"


_running: set[LedgerWorker] = set()

# What ends a handler from outside, or ends more than the handler.
BREAKS_OFF = (SystemExit, KeyboardInterrupt, GeneratorExit)


@atexit.register
def _stop_workers() -> None:
    for worker in list(_running):
        worker.stop()


# --- what the asynchronous ledger needs, too ----------------------------------------------------


def only_opened(kind: type, opened: OpenedLedger) -> OpenedLedger:
    """What a ledger stands on, where nothing else was given."""
    if not isinstance(opened, OpenedLedger):
        raise TypeError(f"open a ledger with {kind.__name__}.open(…)")
    return opened


def connection_of(
    client: Client | AsyncClient | None, kind: type[Client] | type[AsyncClient]
) -> Connection | None:
    """The connection of a client of this kind."""
    if client is None:
        return None
    if not isinstance(client, kind):
        raise TypeError(f"`client` must be a {kind.__name__}, not {type(client).__name__}")
    return client._connection


def refuse_generator(handler: Any) -> None:
    """Refuses a handler that would do nothing when it is called."""
    import inspect

    for each in (handler, getattr(handler, "__call__", None)):  # noqa: B004 - the method, of an object
        if inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each):
            raise TypeError(
                "`handler` is a generator, which nothing would run: it must not `yield`"
            )


def refuse_handler(handler: Any, *, asynchronous: bool) -> None:
    """Refuses a handler that is no function, or of the other kind."""
    import inspect

    if not callable(handler):
        raise TypeError(f"`handler` must be a function, not {type(handler).__name__}")
    refuse_generator(handler)
    called = getattr(handler, "__call__", None)  # noqa: B004 - the method, of an object
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(called):
        if not asynchronous:
            raise TypeError("`handler` is asynchronous: give it to an AsyncLedger")
    elif asynchronous:
        raise TypeError("`handler` must be an `async def`: give this one to a Ledger")


def refuse_awaitable(returned: object) -> None:
    """A handler that only looked like a function has done nothing yet."""
    if hasattr(returned, "__await__"):
        close = getattr(returned, "close", None)
        if callable(close):
            close()
        raise TypeError("the handler returned something to await: give it to an AsyncLedger")


def described(error: BaseException) -> tuple[str, str]:
    """The kind of a handler's error, and its message, which may hold personal data."""
    try:
        message = str(error)
    except Exception:
        message = ""
    # A lone surrogate could not be stored.
    return type(error).__name__, message.encode(errors="backslashreplace").decode()


def told(error: BaseException) -> str:
    """An error as a log may show it. The message of a foreign one may hold anything: it is not shown, but
    where it was raised."""
    if isinstance(error, KazawalletError):
        return str(error)
    name, raised = type(error).__name__, error.__traceback__
    if raised is None:
        return name
    while raised.tb_next is not None:
        raised = raised.tb_next
    code = raised.tb_frame.f_code
    return f"{name} (raised in {code.co_name}, {code.co_filename}, line {raised.tb_lineno})"
