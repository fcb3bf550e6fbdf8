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
- `KazawalletError` and its classes; each error's `outcome` says whether money may have moved.
- `kazawallet.testing.Simulator`: a stand-in for the provider, which has no sandbox.

Money is `str`, `int` or `decimal.Decimal` on the way in, and `decimal.Decimal` on the way out. There
is no float anywhere.

Where a fact about the provider comes from: *documented* means in its public documentation;
*reference*, on another of its public pages; *seen*, in public code that works with the service.
Nothing of this was tried against the live service.
"""

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

__all__ = [
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "AccountBlockedError",
    "AsyncClient",
    "AsyncDeposits",
    "AsyncPaymentLinks",
    "AsyncWallets",
    "AsyncWithdrawals",
    "AuthenticationError",
    "Client",
    "ConfigurationError",
    "Deposit",
    "Deposits",
    "KazawalletError",
    "NotFoundError",
    "OrderMismatchError",
    "Outcome",
    "OutcomeUnknownError",
    "PaymentEvent",
    "PaymentLink",
    "PaymentLinks",
    "PaymentMethod",
    "PermissionDeniedError",
    "RateLimitError",
    "Response",
    "ServerError",
    "SignatureVerificationError",
    "Status",
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

for _name in __all__:
    # Where a name is imported from is what errors, help and pickles should tell.
    _public = globals()[_name]
    if getattr(_public, "__module__", "").startswith("kazawallet._"):
        _public.__module__ = "kazawallet"
del _name, _public
