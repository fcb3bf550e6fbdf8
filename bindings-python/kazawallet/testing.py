"""A stand-in for the provider, which has no sandbox: for tests, and for local work.

In pytest, the fixture `kazawallet_simulator` gives a fresh one to each test. From a terminal,
`python -m kazawallet simulator` starts one.
"""

from __future__ import annotations

from ._async_client import AsyncClient
from ._client import Client
from ._kazawallet import Delivery, RecordedRequest, RunningSimulator, SimulatorError, Webhook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal
    from types import TracebackType
    from typing import Any, ParamSpec, TypeVar

    from ._kazawallet import OrderLink, PaymentLink

    _P = ParamSpec("_P")
    _T = TypeVar("_T")

__all__ = ["AsyncSimulator", "Delivery", "RecordedRequest", "Simulator", "SimulatorError"]


class _Simulator:
    """What the two simulators share."""

    __slots__ = ("__weakref__", "_running")

    def __init__(self, running: RunningSimulator) -> None:
        self._running = running

    @property
    def url(self) -> str:
        """The base URL for a client, such as `http://127.0.0.1:40123/wallet`."""
        return self._running.url

    @property
    def api_key(self) -> str:
        """The API key. It begins with `sim_`, and is worth nothing."""
        return self._running.api_key

    @property
    def api_secret(self) -> str:
        """The API secret. It begins with `sim_`, and is worth nothing."""
        return self._running.api_secret

    @property
    def merchant_email(self) -> str:
        """The email of the merchant that the simulator knows."""
        return self._running.merchant_email

    @property
    def dashboard_url(self) -> str:
        """The page that shows requests and deliveries, for a browser."""
        return self._running.dashboard_url

    @property
    def webhook_url(self) -> str | None:
        """Where deliveries go; `None` for nowhere. It can be set at any time."""
        return self._running.webhook_url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self._running.webhook_url = url

    @property
    def dialect(self) -> str:
        """The dialect that it speaks: `documented`, `plugin` or `both`. It can be set at any time."""
        return self._running.dialect

    @dialect.setter
    def dialect(self, dialect: str) -> None:
        self._running.dialect = dialect

    @property
    def root_certificate(self) -> str | None:
        """With `tls`, the PEM for another client's `root_certificates`; `client()` trusts it by itself."""
        return self._running.root_certificate

    @property
    def deliveries(self) -> list[Delivery]:
        """The webhook deliveries so far, oldest first."""
        return self._running.deliveries

    @property
    def requests(self) -> list[RecordedRequest]:
        """The API requests so far, oldest first."""
        return self._running.requests

    def client(self, **options: Any) -> Client:
        """A `Client` that talks to this simulator; `options` are the client's own."""
        return Client(**self._credentials(options))

    def async_client(self, **options: Any) -> AsyncClient:
        """An `AsyncClient` that talks to this simulator; `options` are the client's own."""
        return AsyncClient(**self._credentials(options))

    def webhook(self) -> Webhook:
        """A `Webhook` with this simulator's keys."""
        return Webhook(self.api_key, self.api_secret)

    def balance(self, currency: str) -> Decimal:
        """The merchant's balance; zero in a currency that it has no wallet for."""
        return self._running.balance(currency)

    def fault(self, fault: str, *, times: int | None = 1) -> None:
        """Misbehaves at the next request (or delivery, as the fault's kind is).

        At a request:

        - `answer_late:1500`: acts at once, and answers after so many milliseconds (2000 unless given)
        - `close_before_acting`: does nothing, and cuts the connection
        - `close_after_acting`: acts, and cuts the connection instead of answering
        - `answer_status:503`: does nothing, and answers this status (500 unless given)
        - `html_answer`: does nothing, and answers 502 with a page in HTML
        - `half_body`: acts, sends half of the answer, and cuts the connection
        - `error_inside_200`: does nothing, and answers 200 with an error in the body
        - `order_id_answer`: answers the next new payment link with `order_id` in place of `id`

        At a delivery:

        - `amount_as_number`: carries the amount as a JSON number
        - `form_encoded`: form fields instead of JSON
        - `status_changed`, `currency_changed`: another status, or currency; the signature still holds
        - `delivered_twice`: the same body twice, where a webhook URL is set
        - `never_delivered`: nothing arrives; what would have is among `deliveries`

        Args:
            fault: One of these.
            times: How often; `None` until `clear_faults`.

        Raises:
            SimulatorError: no fault is called that, or its value is out of range.
        """
        self._running.fault(fault, times)

    def clear_faults(self) -> None:
        """Behaves again: forgets every fault that was not played yet."""
        self._running.clear_faults()

    def _credentials(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "api_key": self.api_key,
            "api_secret": self.api_secret,
            "merchant_email": self.merchant_email,
            "base_url": self.url,
            "root_certificates": self.root_certificate,
            **options,
        }

    def __repr__(self) -> str:
        return f"<kazawallet.testing.{type(self).__name__} {self.url}>"


class Simulator(_Simulator):
    """A simulator in this process, on a free loopback port, with keys of its own.

    It keeps its state in memory, shows a checkout page at each link's URL, delivers the signed
    webhook once, and misbehaves on demand. It runs until `stop()`, or the end of its `with` block.

    Args:
        webhook_url: Where deliveries go; `None` for nowhere. They can be looked at all the same.
        balances: What the merchant has at the start, such as `{"USD": "250.00"}`. A currency that is
            not named has its default: 1000.00 USD, and 10,000,000 SYP.
        merchant_email: The merchant's email, if `merchant@example.com` will not do.
        api_key: A key of your own; it must begin with `sim_`.
        api_secret: A secret of your own; it must begin with `sim_`.
        dialect: What a webhook calls its link's id: `order_id` in `documented`, as the provider's
            documentation has it; `id` in `plugin`, as the provider's own plugin reads it; both names
            in `both`.
        tls: Serves https, with a certificate that is made at the start: see `root_certificate`.
        port: A port of your own; 0 for a free one.

    Raises:
        SimulatorError: a setting cannot be used, or the port is taken.

    >>> with Simulator() as sim:
    ...     client, webhook = sim.client(), sim.webhook()
    ...     link = client.payment_links.create(amount="10.50", currency="USD", ref="order-42")
    ...     [delivery] = sim.pay(link)
    ...     event = webhook.verify(delivery.body)
    >>> event.ref, event.amount, event.is_fulfilled
    ('order-42', Decimal('10.50'), True)

    `async with Simulator() as sim:` gives an `AsyncSimulator`.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        webhook_url: str | None = None,
        balances: Mapping[str, str | int | Decimal] | None = None,
        merchant_email: str | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        dialect: str = "documented",
        tls: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__(
            RunningSimulator(
                webhook_url,
                None if balances is None else dict(balances),
                merchant_email,
                api_key,
                api_secret,
                dialect,
                tls,
                port,
            )
        )

    def pay(self, link: PaymentLink | OrderLink | str) -> list[Delivery]:
        """Pays a link (or its URL, or its id) as the customer would.

        It waits until the webhook was delivered or failed, and returns the deliveries: one, unless
        a fault says otherwise. One that was not sent, since no webhook URL is set, is returned too.

        Raises:
            SimulatorError: there is no such link, or it was paid or has timed out.
        """
        return self._running.pay(link)

    def time_out(self, link: PaymentLink | OrderLink | str) -> list[Delivery]:
        """Lets a link time out, and otherwise does as `pay`."""
        return self._running.time_out(link)

    def trigger(
        self,
        url: str,
        *,
        amount: str | int | Decimal,
        currency: str = "USD",
        ref: str | None = None,
        order_id: str | None = None,
        status: str = "fulfilled",
    ) -> Delivery:
        """Sends one signed delivery to a URL, without a payment link behind it, and waits for its end.

        Args:
            url: Where it goes: `http` or `https`.
            amount: The amount that it says was paid; zero is taken, as that of a link that timed out.
            currency: The currency's code.
            ref: The merchant's reference; without one the delivery carries none.
            order_id: The payment link's id; made up unless given.
            status: `fulfilled`, `timed_out`, or any other text.

        Raises:
            SimulatorError: the URL is neither `http` nor `https`.
            TypeError, ValidationError: the amount cannot be used.
        """
        return self._running.trigger(url, amount, currency, ref, order_id, status)

    def stop(self) -> None:
        """Stops it. Stopping twice does nothing."""
        self._running.stop()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> AsyncSimulator:
        return AsyncSimulator(self._running)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await AsyncSimulator(self._running).stop()


class AsyncSimulator(_Simulator):
    """A simulator whose waiting is awaited: what `async with Simulator() as sim:` gives.

    The webhook can then be received by the same event loop.
    """

    __slots__ = ()

    async def pay(self, link: PaymentLink | OrderLink | str) -> list[Delivery]:
        """Pays a link as the customer would; see `Simulator.pay`."""
        return await _in_a_thread(self._running.pay, link)

    async def time_out(self, link: PaymentLink | OrderLink | str) -> list[Delivery]:
        """Lets a link time out; see `Simulator.pay`."""
        return await _in_a_thread(self._running.time_out, link)

    async def trigger(
        self,
        url: str,
        *,
        amount: str | int | Decimal,
        currency: str = "USD",
        ref: str | None = None,
        order_id: str | None = None,
        status: str = "fulfilled",
    ) -> Delivery:
        """Sends one signed delivery to a URL; see `Simulator.trigger`."""
        return await _in_a_thread(
            self._running.trigger, url, amount, currency, ref, order_id, status
        )

    async def stop(self) -> None:
        """Stops it. Stopping twice does nothing."""
        await _in_a_thread(self._running.stop)


async def _in_a_thread(function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    import asyncio

    return await asyncio.to_thread(function, *arguments, **named)
