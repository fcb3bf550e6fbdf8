"""The blocking client and its resources. The core does the work."""

from __future__ import annotations

from ._connected import ConnectedClient, Resource
from ._errors import ValidationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from decimal import Decimal
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from ._kazawallet import (
        Connection,
        Deposit,
        PaymentLink,
        PaymentMethod,
        Response,
        WalletList,
        Withdrawal,
    )


class Client(ConnectedClient):
    """A merchant's connection to the Kazawallet API.

    Make one and keep it: it is safe to share between threads, works on in a forked child, and keeps
    its connections alive. Close it with `close()`, or use it in a `with` block.

    Args:
        api_key: The merchant's API key, from its Kazawallet profile. Else the environment variable
            `KAZAWALLET_API_KEY`.
        api_secret: What payouts, deposits and balances need; the provider's support hands it out on
            request (documented). Else `KAZAWALLET_API_SECRET`, but only where the key came from the
            environment, too.
        merchant_email: The email of the merchant's own Kazawallet account. Else
            `KAZAWALLET_MERCHANT_EMAIL`.
        base_url: Another address than the provider's, such as a simulator's. Else
            `KAZAWALLET_BASE_URL`. `http` is allowed to this machine only, or anywhere with a
            simulator's key.
        timeout: Seconds for a whole call, all tries included; 30 unless given. Each call can give its
            own.
        connect_timeout: Seconds for one connection to be made; 10 unless given.
        max_retries: How often a call is tried again after the first time, where that cannot move money
            twice; 2 unless given, 0 for never.
        proxy: A proxy's URL (`http`, `https`, `socks5`) in place of the system's settings. This machine is
            never reached through a proxy.
        root_certificates: Certificates, in PEM, to trust besides the system's and the built-in ones.
        app_name: A name for your application, appended to the user agent.

    Raises:
        ConfigurationError: there is no key, or an option cannot be used; the message says which.
        TypeError: an option has the wrong type.

    TLS is always verified; nothing turns that off. Redirects are not followed, so that a key never
    travels to another host.

    >>> from kazawallet import Client
    >>> from kazawallet.testing import Simulator
    >>> with Simulator() as sim:
    ...     with Client(
    ...         api_key=sim.api_key,
    ...         merchant_email=sim.merchant_email,
    ...         base_url=sim.url,
    ...     ) as client:
    ...         link = client.payment_links.create(amount="10.50", currency="USD", ref="order-42")
    >>> link.url.startswith("http://127.0.0.1:")
    True
    """

    __slots__ = ("deposits", "payment_links", "wallets", "withdrawals")

    payment_links: PaymentLinks
    """Payment links: what a customer pays through."""
    withdrawals: Withdrawals
    """Withdrawals: paying out of the merchant's wallet."""
    wallets: Wallets
    """The merchant's balances."""
    deposits: Deposits
    """Deposits into a user's wallet."""

    def _attach(self, connection: Connection) -> None:
        self.payment_links = PaymentLinks(connection)
        self.withdrawals = Withdrawals(connection)
        self.wallets = Wallets(connection)
        self.deposits = Deposits(connection)

    def request(
        self, method: str, path: str, *, json: Any = None, timeout: float | None = None
    ) -> Response:
        """A request to an endpoint that this package does not know, such as the virtual cards'.

        It carries the key and, where the client has them, the secret and the merchant's email. A
        `GET` is repeated as `wallets.list` is; anything else is taken to move money, and follows the
        rule of `withdrawals.create`.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: Begins with one `/`, and is appended to the base URL.
            json: The body: `dict`, `list`, `str`, `int`, `bool`, `Decimal`, or `None` for no body. A
                `Decimal` is sent as a number with the same digits; a `float` is refused.
            timeout: Seconds for this call, in place of the client's.

        Raises:
            ValidationError: a method, a path or a JSON value that cannot be used.
            TypeError: a `float`, or something that is no JSON, in `json`.
            OutcomeUnknownError: anything but a `GET` was sent, and no conclusive answer came.
            APIConnectionError, APITimeoutError, APIError: as for the other calls.

        >>> from kazawallet.testing import Simulator
        >>> with Simulator() as sim, sim.client() as client:
        ...     client.request("GET", "/get-merchant-wallets").status
        200
        """
        return self._connection.request(method, path, _body(json), timeout).wait()

    def close(self) -> None:
        """Closes the connections. A call that is running comes to its end; a later one is a
        `RuntimeError`. Closing twice does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class PaymentLinks(Resource):
    """Payment links: what a customer pays through. Reached as `client.payment_links`."""

    __slots__ = ()

    def create(
        self,
        *,
        amount: str | int | Decimal,
        currency: str,
        ref: str | None = None,
        redirect_url: str | None = None,
        timeout: float | None = None,
    ) -> PaymentLink:
        """Makes a link through which a customer pays. Needs the client's merchant email.

        A try that failed is repeated also where the first may have made a link that nobody saw: it
        harms nobody.

        Args:
            amount: What the customer pays: exact text such as `"10.50"`, an `int` or a `Decimal`.
            currency: The currency's code, such as `USD` or `SYP`.
            ref: Your own reference, which the webhook brings back: the id of the order that the link
                pays. At most 1,024 bytes. Without one no event can be held against its order.
            redirect_url: Where the customer's browser goes afterwards. That it arrives there proves
                nothing: only the webhook tells of a payment.
            timeout: Seconds for this call, in place of the client's.

        Raises:
            TypeError: an amount that is a `float` or a `bool`, or an argument of another wrong type.
            ValidationError: before anything is sent: no merchant email, an amount that is not
                positive or not plain digits, a blank currency, a ref or a redirect URL that cannot be
                used.
            APIConnectionError, APITimeoutError: no answer came.
            UnexpectedResponseError: an answer came that holds no link that can be relied on.
            APIError: the provider said no; its classes say why.

        >>> from kazawallet.testing import Simulator
        >>> with Simulator() as sim, sim.client() as client:
        ...     link = client.payment_links.create(amount=500_000, currency="SYP", ref="order-43")
        >>> link.id is not None
        True
        """
        return self._connection.create_payment_link(
            amount, currency, ref, redirect_url, timeout
        ).wait()


class Withdrawals(Resource):
    """Withdrawals: paying out of the merchant's wallet. Reached as `client.withdrawals`."""

    __slots__ = ()

    def create(
        self,
        *,
        amount: str | int | Decimal,
        currency: str,
        payment_method: PaymentMethod,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Withdrawal:
        """Pays out of the merchant's wallet. Needs the client's API secret and merchant email.

        **What is sent twice may be paid twice**: the provider has no idempotency key. So a try is
        repeated only where nothing left this machine, or the provider answered 429. It opens a
        connection of its own, and once begun it runs to its end while the process lives, even when
        Ctrl-C or a cancelled task ends the waiting; then nobody is told how it ended.

        Args:
            amount: Exact text such as `"500000"`, an `int` or a `Decimal`.
            currency: The currency's code, such as `SYP`.
            payment_method: How it reaches its recipient.
            note: A note for the withdrawal.
            timeout: Seconds for this call, in place of the client's.

        Raises:
            OutcomeUnknownError: it was sent and no conclusive answer came. **Money may have moved**:
                look in the wallet before you do it again.
            TypeError: an amount that is a `float` or a `bool`, or an argument of another wrong type.
            ValidationError: before anything is sent: no secret, no merchant email, an amount that is
                not positive, a blank currency, or what `PaymentMethod` refuses.
            APIConnectionError, APITimeoutError: nothing was sent.
            APIError: the provider said no; its classes say why.

        >>> from kazawallet import PaymentMethod
        >>> from kazawallet.testing import Simulator
        >>> recipient = PaymentMethod.haram_under_3m(
        ...     name="سعيد محمد حمدان", phone="0933123456", governorate="دمشق"
        ... )
        >>> with Simulator() as sim, sim.client() as client:
        ...     client.withdrawals.create(
        ...         amount="500000", currency="SYP", payment_method=recipient, note="salary, May"
        ...     ).status
        'approved'
        """
        return self._connection.create_withdrawal(
            amount, currency, payment_method, note, timeout
        ).wait()


class Wallets(Resource):
    """The merchant's balances. Reached as `client.wallets`."""

    __slots__ = ()

    def list(self, *, timeout: float | None = None) -> WalletList:
        """Lists the merchant's wallets, one a currency. Needs the API secret and merchant email.

        Any failure but a refusal is tried again: reading moves no money.

        Args:
            timeout: Seconds for this call, in place of the client's.

        Raises:
            ValidationError: before anything is sent: no secret, or no merchant email.
            APIConnectionError, APITimeoutError, UnexpectedResponseError: no answer came, or none that
                can be relied on.
            APIError: the provider said no; its classes say why.

        >>> from kazawallet.testing import Simulator
        >>> with Simulator(balances={"USD": "250.00"}) as sim, sim.client() as client:
        ...     for wallet in client.wallets.list():
        ...         print(wallet.amount, wallet.currency)
        10000000 SYP
        250.00 USD
        """
        return self._connection.list_wallets(timeout).wait()


class Deposits(Resource):
    """Deposits into a user's wallet. Reached as `client.deposits`."""

    __slots__ = ()

    def create(
        self,
        *,
        amount: str | int | Decimal,
        currency: str,
        user_email: str,
        payment_method: PaymentMethod,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Deposit:
        """Asks for a deposit into a user's wallet. Needs the API secret and merchant email.

        It moves money as a withdrawal does, and follows the same rule: see `Withdrawals.create`.

        Args:
            amount: Exact text such as `"25"`, an `int` or a `Decimal`.
            currency: The currency's code, such as `USD`.
            user_email: The email of the user whose wallet it goes into.
            payment_method: How the user pays it in.
            note: A note for the deposit.
            timeout: Seconds for this call, in place of the client's.

        Raises:
            As `Withdrawals.create`; besides, a `ValidationError` where `user_email` is no email.

        >>> from kazawallet import PaymentMethod
        >>> from kazawallet.testing import Simulator
        >>> with Simulator() as sim, sim.client() as client:
        ...     client.deposits.create(
        ...         amount="25",
        ...         currency="USD",
        ...         user_email="user@example.com",
        ...         payment_method=PaymentMethod.custom(id="118", fields={}),
        ...     ).status
        'pending'
        """
        return self._connection.create_deposit(
            amount, currency, user_email, payment_method, note, timeout
        ).wait()


def _body(json: Any) -> bytes | None:
    if json is None:
        return None
    from ._json_text import dumps

    try:
        return dumps(json).encode()
    except ValueError as problem:
        raise ValidationError(f"`json` was refused: {problem}", field="json") from None
