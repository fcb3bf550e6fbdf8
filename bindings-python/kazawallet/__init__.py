"""The SDK for the Kazawallet payment API: payment links, payouts, and verified webhooks.

It is not the provider's own product.

A merchant makes a payment link, the customer pays, and **one** webhook tells of it, never repeated.
Payouts know no idempotency key: what is sent twice may be paid twice. Here the easy way is the safe
way.

>>> from kazawallet import Client, Webhook
>>> from kazawallet.testing import Simulator
>>> with Simulator() as sim, sim.client() as client:  # In production: Client()
...     link = client.payment_links.create(amount="10.50", currency="USD", ref="order-42")
...     [delivery] = sim.pay(link)  # What the customer does.
...     event = sim.webhook().verify(delivery.body)
>>> event.match_order(amount="10.50", currency="USD", ref="order-42").is_fulfilled
True

- `Client` and `AsyncClient`: links, payouts, balances, deposits, and a raw request for the rest.
- `Webhook` and `PaymentEvent`: what came in, verified.
- `Ledger` and `AsyncLedger`: nothing lost and nothing paid twice, in SQLite or PostgreSQL.
- `KazawalletError` and its classes; each error's `outcome` says whether money may have moved.
- `kazawallet.testing.Simulator`: a stand-in for the provider, which has no sandbox.

Money is `str`, `int` or `decimal.Decimal` on the way in, and `decimal.Decimal` on the way out. There
is no float anywhere.

Where a fact about the provider comes from: *documented* means in its public documentation;
*reference*, on another of its public pages; *seen*, in public code that works with the service.
Nothing of this was tried against the live service.
"""

from __future__ import annotations

from ._async_client import (
    AsyncClient,
    AsyncDeposits,
    AsyncPaymentLinks,
    AsyncWallets,
    AsyncWithdrawals,
)
from ._client import Client, Deposits, PaymentLinks, Wallets, Withdrawals
from ._errors import (
    AccountBlockedError,
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    KazawalletError,
    LedgerError,
    NotFoundError,
    OrderMismatchError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    SignatureVerificationError,
    UnexpectedResponseError,
    ValidationError,
    WebhookError,
    WebhookPayloadError,
)
from ._kazawallet import (
    Deposit,
    PaymentEvent,
    PaymentLink,
    PaymentMethod,
    Response,
    Wallet,
    WalletList,
    Webhook,
    Withdrawal,
    __version__,
)
from ._texts import Outcome, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._async_ledger import AsyncLedger, AsyncLedgerWorker
    from ._kazawallet import (
        Conflict,
        OrderLink,
        OrderRecord,
        Payment,
        Payout,
        PersonDecision,
        Receipt,
        Summary,
    )
    from ._ledger import Ledger, LedgerWorker

__all__ = [
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "AccountBlockedError",
    "AsyncClient",
    "AsyncDeposits",
    "AsyncLedger",
    "AsyncLedgerWorker",
    "AsyncPaymentLinks",
    "AsyncWallets",
    "AsyncWithdrawals",
    "AuthenticationError",
    "Client",
    "ConfigurationError",
    "Conflict",
    "Deposit",
    "Deposits",
    "KazawalletError",
    "Ledger",
    "LedgerError",
    "LedgerWorker",
    "NotFoundError",
    "OrderLink",
    "OrderMismatchError",
    "OrderRecord",
    "Outcome",
    "OutcomeUnknownError",
    "Payment",
    "PaymentEvent",
    "PaymentLink",
    "PaymentLinks",
    "PaymentMethod",
    "Payout",
    "PermissionDeniedError",
    "PersonDecision",
    "RateLimitError",
    "Receipt",
    "Response",
    "ServerError",
    "SignatureVerificationError",
    "Status",
    "Summary",
    "UnexpectedResponseError",
    "ValidationError",
    "Wallet",
    "WalletList",
    "Wallets",
    "Webhook",
    "WebhookError",
    "WebhookPayloadError",
    "Withdrawal",
    "Withdrawals",
    "__version__",
]

# What is imported when it is first asked for, and from where: most programs have no ledger.
_LATER = {
    "AsyncLedger": "_async_ledger",
    "AsyncLedgerWorker": "_async_ledger",
    "Conflict": "_kazawallet",
    "Ledger": "_ledger",
    "LedgerWorker": "_ledger",
    "OrderLink": "_kazawallet",
    "OrderRecord": "_kazawallet",
    "Payment": "_kazawallet",
    "Payout": "_kazawallet",
    "PersonDecision": "_kazawallet",
    "Receipt": "_kazawallet",
    "Summary": "_kazawallet",
}


def _at_home(public: Any) -> None:
    """Where a name is imported from is what errors, help and pickles should tell."""
    if getattr(public, "__module__", "").startswith("kazawallet._"):
        public.__module__ = "kazawallet"


if not TYPE_CHECKING:  # A type checker would take any name for one of these.

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        public = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        _at_home(public)
        globals()[name] = public
        return public

    def __dir__() -> list[str]:
        return __all__


for _name in __all__:
    if _name not in _LATER:
        _at_home(globals()[_name])
del _name
