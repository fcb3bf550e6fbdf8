"""The asyncio client and its resources. The core does the work, on a thread of its own."""

from __future__ import annotations

from ._client import _body
from ._connected import ConnectedClient, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from decimal import Decimal
    from types import TracebackType
    from typing import Any, TypeVar

    from typing_extensions import Self

    from ._kazawallet import (
        Call,
        Connection,
        Deposit,
        PaymentLink,
        PaymentMethod,
        Response,
        WalletList,
        Withdrawal,
    )

    _T = TypeVar("_T")


class AsyncClient(ConnectedClient):
    """A merchant's connection to the Kazawallet API, for asyncio.

    The same options, calls, results and errors as `Client`; each call is awaited. One client can be
    used from several event loops, one after the other or in several threads. Close it with
    `await client.aclose()`, or use it in an `async with` block.

    Cancelling a task drops its request. A withdrawal or a deposit that has begun is not stopped
    half-way: it runs to its end while the process lives, and nobody is told how it ended. So give a
    payout its `timeout`, and never wrap it in `asyncio.timeout` or `asyncio.wait_for`: their
    `TimeoutError` does not tell that money may have moved.

    >>> import asyncio
    >>> from kazawallet.testing import Simulator
    >>> async def main():
    ...     async with Simulator() as sim, sim.async_client() as client:
    ...         link = await client.payment_links.create(
    ...             amount="10.50", currency="USD", ref="order-42"
    ...         )
    ...         return link.id is not None
    >>> asyncio.run(main())
    True
    """

    __slots__ = ("deposits", "payment_links", "wallets", "withdrawals")

    payment_links: AsyncPaymentLinks
    """Payment links: what a customer pays through."""
    withdrawals: AsyncWithdrawals
    """Withdrawals: paying out of the merchant's wallet."""
    wallets: AsyncWallets
    """The merchant's balances."""
    deposits: AsyncDeposits
    """Deposits into a user's wallet."""

    def _attach(self, connection: Connection) -> None:
        self.payment_links = AsyncPaymentLinks(connection)
        self.withdrawals = AsyncWithdrawals(connection)
        self.wallets = AsyncWallets(connection)
        self.deposits = AsyncDeposits(connection)

    async def request(
        self, method: str, path: str, *, json: Any = None, timeout: float | None = None
    ) -> Response:
        """A request to an endpoint that this package does not know; see `Client.request`."""
        return await _answer(self._connection.request(method, path, _body(json), timeout))

    async def aclose(self) -> None:
        """Closes the connections. A call that is running comes to its end; a later one is a
        `RuntimeError`. Closing twice does nothing."""
        self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


class AsyncPaymentLinks(Resource):
    """Payment links: what a customer pays through. Reached as `client.payment_links`."""

    __slots__ = ()

    async def create(
        self,
        *,
        amount: str | int | Decimal,
        currency: str,
        ref: str | None = None,
        redirect_url: str | None = None,
        timeout: float | None = None,
    ) -> PaymentLink:
        """Makes a link through which a customer pays. Arguments, result and errors are those of
        `PaymentLinks.create`."""
        return await _answer(
            self._connection.create_payment_link(amount, currency, ref, redirect_url, timeout)
        )


class AsyncWithdrawals(Resource):
    """Withdrawals: paying out of the merchant's wallet. Reached as `client.withdrawals`."""

    __slots__ = ()

    async def create(
        self,
        *,
        amount: str | int | Decimal,
        currency: str,
        payment_method: PaymentMethod,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Withdrawal:
        """Pays out of the merchant's wallet. Arguments, result and errors are those of
        `Withdrawals.create`: an `OutcomeUnknownError` means that **money may have moved**.

        Cancelling the task does not stop what has begun: look in the wallet before you do it again.
        Use `timeout`, and neither `asyncio.timeout` nor `asyncio.wait_for`: their `TimeoutError` does not
        tell that money may have moved.
        """
        return await _answer(
            self._connection.create_withdrawal(amount, currency, payment_method, note, timeout)
        )


class AsyncWallets(Resource):
    """The merchant's balances. Reached as `client.wallets`."""

    __slots__ = ()

    async def list(self, *, timeout: float | None = None) -> WalletList:
        """Lists the merchant's wallets, one a currency. Result and errors are those of
        `Wallets.list`."""
        return await _answer(self._connection.list_wallets(timeout))


class AsyncDeposits(Resource):
    """Deposits into a user's wallet. Reached as `client.deposits`."""

    __slots__ = ()

    async def create(
        self,
        *,
        amount: str | int | Decimal,
        currency: str,
        user_email: str,
        payment_method: PaymentMethod,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Deposit:
        """Asks for a deposit into a user's wallet. Arguments, result and errors are those of
        `Deposits.create`."""
        return await _answer(
            self._connection.create_deposit(
                amount, currency, user_email, payment_method, note, timeout
            )
        )


async def _answer(call: Call[_T]) -> _T:
    future = call.start()
    try:
        return await future
    except BaseException:
        # The task was cancelled, or closed. After an answer this does nothing.
        call.cancel()
        raise
    finally:
        # An error would else hold its own frame, and with it its callers', until the next collection.
        del future
