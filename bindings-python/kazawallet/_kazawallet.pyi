"""The native module: what the core does, translated. Its public types are given on by `kazawallet`."""

from asyncio import Future
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from os import PathLike
from typing import (
    Any,
    Generic,
    Literal,
    NoReturn,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    final,
    overload,
)

_T = TypeVar("_T")
_OrderState: TypeAlias = Literal["creating", "open", "timed_out", "paid"]
_Decision: TypeAlias = Literal[
    "paid", "timed_out", "mismatch", "no_order", "overpaid", "dismissed", "conflict", "spooled"
]
_LinkIds: TypeAlias = Literal["unproven", "proven", "ignored"]
_Processing: TypeAlias = Literal["waiting", "done", "parked"]
_PayoutState: TypeAlias = Literal["not_sent", "sending", "paid", "rejected", "unknown", "not_paid"]

__version__: str

@final
class Connection:
    """A client of the core, as `Client` and `AsyncClient` use it."""

    def __new__(
        cls,
        api_key: str | None,
        api_secret: str | None,
        merchant_email: str | None,
        base_url: str | None,
        timeout: float | None,
        connect_timeout: float | None,
        max_retries: int | None,
        proxy: str | None,
        root_certificates: str | bytes | None,
        app_name: str | None,
    ) -> Connection: ...
    def create_payment_link(
        self,
        amount: str | int | Decimal,
        currency: str,
        ref: str | None,
        redirect_url: str | None,
        timeout: float | None,
    ) -> Call[PaymentLink]: ...
    def create_withdrawal(
        self,
        amount: str | int | Decimal,
        currency: str,
        payment_method: PaymentMethod,
        note: str | None,
        timeout: float | None,
    ) -> Call[Withdrawal]: ...
    def list_wallets(self, timeout: float | None) -> Call[WalletList]: ...
    def create_deposit(
        self,
        amount: str | int | Decimal,
        currency: str,
        user_email: str,
        payment_method: PaymentMethod,
        note: str | None,
        timeout: float | None,
    ) -> Call[Deposit]: ...
    def request(
        self, method: str, path: str, json: bytes | None, timeout: float | None
    ) -> Call[Response]: ...
    def close(self) -> None: ...

@final
class Call(Generic[_T]):
    """A call that is ready to be made, once."""

    def wait(self) -> _T: ...
    def start(self) -> Future[_T]: ...
    def cancel(self) -> None: ...

@final
class Response:
    """The provider's whole answer, as it came.

    Every result keeps it as `raw`, since the provider's answers are half documented: what this
    package does not read is still there. Its `repr` does not show the body, which may hold personal
    data.
    """

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def request_id(self) -> str | None:
        """The request's id, where the answer carried one."""

    @property
    def body(self) -> bytes:
        """The body's bytes."""

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""

    def json(self) -> Any:
        """The body, read from JSON; a number with a fraction becomes a `decimal.Decimal`.

        Raises:
            ValueError: the body is not JSON.
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Response: ...
    def __deepcopy__(self, memo: Any, /) -> Response: ...

@final
class PaymentLink:
    """A link through which a customer pays."""

    @property
    def url(self) -> str:
        """Where to send the customer."""

    @property
    def id(self) -> str | None:
        """The link's id: the answer's `order_id`, else its `id`; `None` if it has neither. That the webhook
        brings the same id as `order_id` is likely, and not documented."""

    @property
    def raw(self) -> Response:
        """The whole answer."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> PaymentLink: ...
    def __deepcopy__(self, memo: Any, /) -> PaymentLink: ...

@final
class Withdrawal:
    """A withdrawal that the provider answered without an error. Look at the status."""

    @property
    def status(self) -> str | None:
        """`approved` (documented). Other values are possible; `None` where the answer has none."""

    @property
    def message(self) -> str | None:
        """The provider's message."""

    @property
    def raw(self) -> Response:
        """The whole answer."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Withdrawal: ...
    def __deepcopy__(self, memo: Any, /) -> Withdrawal: ...

@final
class Wallet:
    """The balance in one currency."""

    @property
    def currency(self) -> str:
        """The currency's code."""

    @property
    def amount(self) -> Decimal:
        """What is in it, exactly as the provider says. May be zero, or negative."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Wallet: ...
    def __deepcopy__(self, memo: Any, /) -> Wallet: ...

@final
class WalletList:
    """The merchant's wallets. It can be looped over, and has a length."""

    @property
    def wallets(self) -> tuple[Wallet, ...]:
        """One a currency, in the provider's order."""

    @property
    def raw(self) -> Response:
        """The whole answer."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Wallet: ...
    @overload
    def __getitem__(self, index: slice, /) -> tuple[Wallet, ...]: ...
    def __iter__(self) -> Iterator[Wallet]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> WalletList: ...
    def __deepcopy__(self, memo: Any, /) -> WalletList: ...

@final
class Deposit:
    """A deposit that the provider answered without an error. Look at the status."""

    @property
    def status(self) -> str | None:
        """`pending` (reference). Other values are possible; `None` where the answer has none."""

    @property
    def transaction_id(self) -> str | None:
        """The deposit's id, such as `de-…`."""

    @property
    def message(self) -> str | None:
        """The provider's message."""

    @property
    def note(self) -> str | None:
        """The note, as the provider keeps it."""

    @property
    def raw(self) -> Response:
        """The whole answer."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Deposit: ...
    def __deepcopy__(self, memo: Any, /) -> Deposit: ...

@final
class PaymentMethod:
    """How a payout reaches its recipient, with the fields that the method wants.

    The provider warns that repeated rejections can cost a merchant its account (documented), so what
    is surely wrong is refused with a `ValidationError` before anything is sent: a blank field; for
    `sy_cash` a phone that is not a Syrian mobile number; for Haram a phone without 7 to 15 digits, or
    an amount in SYP on the wrong side of 3,000,000 (exactly 3,000,000 fits both). These are the
    documentation's own lines. Should one no longer fit, `custom` is the way past it.
    """

    @staticmethod
    def haram_under_3m(*, name: str, phone: str, governorate: str) -> PaymentMethod:
        """Haram, up to 3,000,000 SYP: method 37 (documented). The recipient's full name, phone and
        governorate."""

    @staticmethod
    def haram_over_3m(*, name: str, phone: str, governorate: str) -> PaymentMethod:
        """Haram, from 3,000,000 SYP on: method 35 (documented). The recipient's full name, phone and
        governorate."""

    @staticmethod
    def sy_cash(*, phone: str) -> PaymentMethod:
        """SY Cash: method 38 (documented). The recipient's phone, a Syrian mobile number: `09…`, `+9639…` or
        `009639…`, with or without spaces and dashes. The ten digits of the local form are sent."""

    @staticmethod
    def custom(*, id: str, fields: Mapping[str, str]) -> PaymentMethod:
        """Any other method, by its id, with its fields (a dict of names and values) in the order given.
        Nothing but a blank id is refused."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> PaymentMethod: ...
    def __deepcopy__(self, memo: Any, /) -> PaymentMethod: ...

@final
class Webhook:
    """Verifies the webhook deliveries of one merchant, and signs for tests.

    Build it once and share it between threads: the work that depends on the key and the secret alone
    is done when it is built.

    Args:
        api_key: The merchant's API key.
        api_secret: The merchant's API secret.

    Raises:
        ConfigurationError: one of them is blank, holds a control character or an invisible one, or
            begins or ends with white space.

    The signature covers the **amount** and the **order id** (documented). It does not cover the status,
    the currency or the ref, and it has no timestamp: whoever holds one genuine delivery can change
    those three and send it again. So hold every event against your own order with
    `PaymentEvent.match_order`, and let an order id settle one order once.

    >>> from kazawallet import Webhook
    >>> webhook = Webhook("81A107141716", "888B6B8877F8")
    >>> body = (
    ...     b'{"order_id":"pl_8f2a61c1","amount":"10.50","status":"fulfilled","currency":"USD",'
    ...     b'"ref":"order-42","secret":"ld0+KSK+nepc7Ua31LKYnGD982/+f5ULWmTN7LJ6QFMNK1OwtdbD9EAUhU1'
    ...     b'+XArNWC6/V/lUOSmPFLo4AaqyKg=="}'
    ... )  # Exactly as it came over the network, before any parser touched it.
    >>> event = webhook.verify(body)
    >>> event.match_order(amount="10.50", currency="USD", ref="order-42").is_fulfilled
    True
    """

    def __new__(cls, api_key: str, api_secret: str) -> Webhook: ...
    def with_previous(self, api_key: str, api_secret: str) -> Webhook:
        """A webhook that accepts what was signed with an earlier key and secret, too, while keys are
        being rotated. Never after a leak: whoever has the old secret can sign.

        Raises:
            ConfigurationError: as for `Webhook` itself.
        """

    def verify(self, body: bytes | bytearray | memoryview | str) -> PaymentEvent:
        """Reads a delivery's body, JSON or form-encoded, and checks its signature. There is no other
        way to a `PaymentEvent`.

        Args:
            body: The raw body, before any parser. In Django `request.body`; in Flask
                `request.get_data()`; in FastAPI and Starlette `await request.body()`.

        Raises:
            WebhookPayloadError: the body cannot be read: larger than 64 KiB, not UTF-8, neither a JSON
                object nor form fields, a repeated key, a field that is missing or malformed.
            SignatureVerificationError: no key that this webhook knows signed it. It proves nothing:
                change no order because of it.
            TypeError: the body is something that was already parsed.
        """

    def sign(self, *, amount: str | int | Decimal, order_id: str) -> str:
        """The `secret` field that the provider would send for an amount and an order id, for tests:
        base64 of HMAC-SHA512, keyed with the API secret, over the SHA-256 of
        `amount:::order_id:::key` (documented). The amount may be zero, as that of a link that timed out.

        Raises:
            ValidationError: the amount is no plain number.
            TypeError: the amount is a `float` or a `bool`.
        """

    def __copy__(self) -> Webhook: ...
    def __deepcopy__(self, memo: Any, /) -> Webhook: ...

@final
class PaymentEvent:
    """What the provider says of one payment, its signature verified.

    It comes from `Webhook.verify` alone: it cannot be constructed, subclassed or unpickled, and a copy
    is the event itself. Store `body`, and verify again where it is read.
    """

    @property
    def order_id(self) -> str:
        """The payment link's id: the payment's identity, which must settle one order once. Signed."""

    @property
    def amount(self) -> Decimal:
        """The amount paid, with the digits that the delivery has. Signed. May be zero for a link that
        timed out."""

    @property
    def status(self) -> str:
        """`fulfilled`, `timed_out`, or any other text, which means not paid. **Not signed.**"""

    @property
    def currency(self) -> str | None:
        """The currency's code. **Not signed.** `None` where the delivery has none."""

    @property
    def ref(self) -> str | None:
        """The `ref` that the link was made with. **Not signed.** `None` where the delivery has none."""

    @property
    def is_fulfilled(self) -> bool:
        """Whether the status says that the link was paid. **Not signed**: call `match_order` first."""

    @property
    def extra(self) -> dict[str, Any]:
        """Fields that this version does not know, read from JSON, a number with a fraction as a
        `Decimal`; a value that Python's reader cannot read is its JSON text. **Not signed.**"""

    @property
    def body(self) -> bytes:
        """The delivery's bytes, exactly as they came."""

    def match_order(
        self,
        *,
        amount: str | int | Decimal,
        currency: str,
        ref: str,
        order_id: str | None = None,
    ) -> PaymentEvent:
        """Holds the event against your order, and returns it where it fits.

        Amounts are compared as exact numbers (`10.5` is `10.50`; not for a link that timed out), the
        currency without regard to case, the ref exactly, and the order id where you give it.

        What no signature can tell you: that this order id was not used before. Record it, and let it
        settle one order once. Otherwise a captured delivery with an edited ref pays for a second order
        of the same price.

        Args:
            amount: What the order costs.
            currency: The currency's code, as the link was made with.
            ref: The ref that the link was made with.
            order_id: The link's id, where it is known: `PaymentLink.id`.

        Raises:
            OrderMismatchError: with `field`, `expected` and `actual`, for the first of `order_id`,
                `ref`, `currency`, `amount` that does not fit. A currency or ref that the delivery lacks
                does not fit.
            ValidationError: the order's amount is no plain number.
            TypeError: the order's amount is a `float` or a `bool`.
        """

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """What was stored or sent elsewhere could be forged there: store `body`, and verify it again."""

    def __copy__(self) -> PaymentEvent: ...
    def __deepcopy__(self, memo: Any, /) -> PaymentEvent: ...

@final
class OrderLink:
    """The link of an order, to send the customer to."""

    @property
    def url(self) -> str:
        """Where to send the customer."""

    @property
    def id(self) -> str | None:
        """The link's id, which is very likely the webhook's `order_id`; `None` if the provider's answer
        had none."""

    @property
    def ref(self) -> str:
        """The order's ref."""

    @property
    def state(self) -> _OrderState:
        """The order's state: `open`, or `paid` where the customer has paid already."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> OrderLink: ...
    def __deepcopy__(self, memo: Any, /) -> OrderLink: ...

@final
class OrderRecord:
    """An order: what it must cost, and what became of it."""

    @property
    def ref(self) -> str:
        """The merchant's reference."""

    @property
    def amount(self) -> Decimal:
        """What it costs, as it was given."""

    @property
    def currency(self) -> str:
        """The currency's code, in capitals."""

    @property
    def state(self) -> _OrderState:
        """How far it has come: `creating` (it has no link yet), `open` (it has one, and no webhook told
        of its end), `timed_out` (the next `create_payment_link` makes another link), `paid`."""

    @property
    def url(self) -> str | None:
        """Its link's address, where it has one."""

    @property
    def link_id(self) -> str | None:
        """Its link's id, where it is known."""

    @property
    def paid_by(self) -> str | None:
        """The order id of the payment that settled it."""

    @property
    def created_at(self) -> datetime:
        """When it was first asked for, in UTC."""

    @property
    def link_at(self) -> datetime | None:
        """When its link was made, in UTC."""

    @property
    def paid_at(self) -> datetime | None:
        """When it was paid, as far as the ledger knows, in UTC."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> OrderRecord: ...
    def __deepcopy__(self, memo: Any, /) -> OrderRecord: ...

@final
class Receipt:
    """What `receive` did with a delivery. Where there is one, the delivery would survive a power cut.

    It holds a verified event, and so cannot be constructed or pickled.
    """

    @property
    def event(self) -> PaymentEvent:
        """The verified event. **Its status, currency and ref are not signed**: go by the decision."""

    @property
    def decision(self) -> _Decision:
        """What the ledger made of it: `paid`, `timed_out`, or what waits for a person: `mismatch`, `no_order`,
        `overpaid`; `dismissed` where one said so already; `conflict` where it contradicts the first
        delivery of its order id; `spooled` where the database could not be reached."""

    @property
    def duplicate(self) -> bool:
        """Whether the same delivery was received before. Then nothing was changed."""

    @property
    def problem(self) -> str | None:
        """The field that does not fit, where the decision is `mismatch` or `conflict`."""

    @property
    def link_ids(self) -> _LinkIds | None:
        """Whether the ids of links were proven when it was decided: `unproven`, `proven`, or `ignored`, since a
        person had switched their check off; see `Ledger.set_link_id_check`. `None` of one that is in the
        spool, or that a former version decided."""

    @property
    def link_ref(self) -> str | None:
        """The ref of the order whose link the signed id is, if the problem is `ref` and it is another order's
        than the delivery says."""

    @property
    def waits_for_person(self) -> bool:
        """Whether a person is to look at it: the ledger could not decide it alone (`mismatch`, `no_order`,
        `overpaid`), or it contradicts what was decided (`conflict`)."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """What was stored or sent elsewhere could be forged there: the ledger has it, under its order id."""

    def __copy__(self) -> Receipt: ...
    def __deepcopy__(self, memo: Any, /) -> Receipt: ...

@final
class Payment:
    """A payment as the ledger knows it: the first genuine delivery of an order id, and what was made of
    it."""

    @property
    def order_id(self) -> str:
        """The payment's identity. Signed."""

    @property
    def ref(self) -> str | None:
        """The ref of the order that it settled; else the one that the delivery says, **not signed**."""

    @property
    def amount(self) -> Decimal:
        """The amount. Signed."""

    @property
    def currency(self) -> str | None:
        """The currency that the delivery says. Where the decision is `paid`, it is the order's."""

    @property
    def status(self) -> str:
        """The status that the delivery says, `fulfilled` or `timed_out`. **Not signed**: go by the
        decision."""

    @property
    def decision(self) -> _Decision:
        """What was made of it: `paid`, `timed_out`, or what waits for a person: `mismatch`, `no_order`,
        `overpaid`; `dismissed` where one said that it pays for nothing."""

    @property
    def is_paid(self) -> bool:
        """Whether it paid its order. Otherwise what is handed to a handler is a link that timed out."""

    @property
    def problem(self) -> str | None:
        """The field that does not fit, where the decision is `mismatch`."""

    @property
    def link_ids(self) -> _LinkIds | None:
        """Whether the ids of links were proven when it was decided: `unproven`, `proven`, or `ignored`, since a
        person had switched their check off; see `Ledger.set_link_id_check`. `None` if a former version decided
        it."""

    @property
    def link_ref(self) -> str | None:
        """The ref of the order whose link the signed id is, if the problem is `ref` and it is another order's
        than the delivery says."""

    @property
    def received_at(self) -> datetime:
        """When the delivery came, in UTC."""

    @property
    def processing(self) -> _Processing | None:
        """Where it stands on its way to the handler: `waiting`, `done`, or `parked` after too many
        failures; `None` where it is not for the handler."""

    @property
    def tries(self) -> int:
        """How often it was handed to a handler, this time included."""

    @property
    def last_error(self) -> str | None:
        """How the handler failed the last time. May hold personal data."""

    @property
    def body(self) -> bytes | None:
        """The delivery's bytes, as they came; `None` once they were erased with `forget`."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Payment: ...
    def __deepcopy__(self, memo: Any, /) -> Payment: ...

@final
class Conflict:
    """A later delivery that contradicts the first one of its order id. It changed nothing."""

    @property
    def order_id(self) -> str:
        """The payment's identity. Signed."""

    @property
    def problem(self) -> str:
        """The field in which it differs."""

    @property
    def ref(self) -> str | None:
        """The ref that it says. **Not signed.**"""

    @property
    def amount(self) -> Decimal:
        """The amount that it says. Signed."""

    @property
    def currency(self) -> str | None:
        """The currency that it says. **Not signed.**"""

    @property
    def status(self) -> str:
        """The status that it says. **Not signed.**"""

    @property
    def received_at(self) -> datetime:
        """When it came, in UTC."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Conflict: ...
    def __deepcopy__(self, memo: Any, /) -> Conflict: ...

@final
class Payout:
    """A payout as the ledger knows it."""

    @property
    def reference(self) -> str:
        """The merchant's reference: the payout's identity."""

    @property
    def state(self) -> _PayoutState:
        """How far it has come: `not_sent` (asking again sends it), `sending`, `unknown` (a person looks in
        the wallet, and says so with `resolve`); final are `paid`, `rejected` and `not_paid`."""

    @property
    def amount(self) -> Decimal:
        """The amount, as it was given."""

    @property
    def currency(self) -> str:
        """The currency's code, in capitals."""

    @property
    def payment_method(self) -> str:
        """The id of the payment method."""

    @property
    def status(self) -> str | None:
        """The provider's status, such as `approved`."""

    @property
    def message(self) -> str | None:
        """The provider's message, or what its error said. May hold personal data."""

    @property
    def details(self) -> str | None:
        """The recipient's data and the note, for the person who looks in the wallet: JSON text. `None` once
        erased with `forget`."""

    @property
    def created_at(self) -> datetime:
        """When it was first asked for, in UTC."""

    @property
    def deadline(self) -> datetime | None:
        """Until when it may have left, of the last time that it was sent, in UTC."""

    @property
    def changed_at(self) -> datetime:
        """When its state became what it is, in UTC."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Payout: ...
    def __deepcopy__(self, memo: Any, /) -> Payout: ...

@final
class PersonDecision:
    """What a person decided. It is kept for ever."""

    @property
    def at(self) -> datetime:
        """When, in UTC."""

    @property
    def by(self) -> str:
        """Who."""

    @property
    def action(self) -> Literal["resolve", "settle", "retry", "link_ids"]:
        """`resolve`, `settle`, `retry` or `link_ids`."""

    @property
    def subject(self) -> str:
        """The payout's reference, or the payment's order id; empty for `link_ids`."""

    @property
    def decision(
        self,
    ) -> Literal["paid", "not_paid", "dismissed", "waiting", "ignored", "checked"]:
        """What: `paid`, `not_paid`, `dismissed`, `waiting` for a retry, `ignored` or `checked` for the ids of
        links."""

    @property
    def ref(self) -> str | None:
        """The ref of the order that a payment was said to pay."""

    @property
    def note(self) -> str | None:
        """Their note; `None` where there was none, or once it was erased with `forget`."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> PersonDecision: ...
    def __deepcopy__(self, memo: Any, /) -> PersonDecision: ...

@final
class Summary:
    """How many there are of everything."""

    @property
    def orders(self) -> dict[_OrderState, int]:
        """Orders by their state."""

    @property
    def payments(self) -> dict[_Decision, int]:
        """Payments by their decision."""

    @property
    def processing(self) -> dict[_Processing, int]:
        """Payments for the handler, by how far they are."""

    @property
    def payouts(self) -> dict[_PayoutState, int]:
        """Payouts by their state."""

    @property
    def conflicts(self) -> int:
        """Deliveries that contradict the first one of their order id."""

    @property
    def quarantined(self) -> int:
        """Deliveries in quarantine: their signature did not hold."""

    @property
    def spooled(self) -> int:
        """Deliveries in this machine's spool, which the database does not know yet."""

    @property
    def link_ids(self) -> _LinkIds:
        """Whether the ids of links are proven, for the provider or simulator that the ledger's client calls;
        without a client for the one that made the latest link: `unproven`, `proven`, or `ignored`, since a
        person has switched their check off. See `Ledger.set_link_id_check`."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Summary: ...
    def __deepcopy__(self, memo: Any, /) -> Summary: ...

@final
class OpenedLedger:
    """A ledger of the crate, as `Ledger` and `AsyncLedger` use it."""

    def __new__(
        cls,
        url: str | None,
        client: Connection | None,
        webhook: Webhook | None,
        spool: str | PathLike[str] | Literal[False] | None,
        clock_margin: float | timedelta | None,
    ) -> OpenedLedger: ...
    def open(self) -> LedgerCall[None]: ...
    def close(self) -> LedgerCall[None]: ...
    def create_payment_link(
        self,
        ref: str,
        amount: str | int | Decimal,
        currency: str,
        redirect_url: str | None,
        timeout: float | None,
    ) -> LedgerCall[OrderLink]: ...
    def order(self, ref: str) -> LedgerCall[OrderRecord | None]: ...
    def receive(self, body: bytes | bytearray | memoryview | str) -> LedgerCall[Receipt]: ...
    def payment(self, order_id: str) -> LedgerCall[Payment | None]: ...
    def settle(
        self,
        order_id: str,
        decision: Literal["paid", "dismissed"],
        ref: str | None,
        by: str,
        note: str | None,
    ) -> LedgerCall[Payment]: ...
    def set_link_id_check(self, check: bool, by: str, note: str | None) -> LedgerCall[None]: ...
    def reverify(self) -> LedgerCall[list[Receipt]]: ...
    def handover(
        self,
        max_tries: int,
        first_pause: float | timedelta,
        poll_interval: float | timedelta,
        lease: float | timedelta,
    ) -> Handover: ...
    def pending(self, limit: int) -> LedgerCall[list[Payment]]: ...
    def mark_processed(self, order_id: str) -> LedgerCall[None]: ...
    def retry(self, order_id: str, by: str, note: str | None) -> LedgerCall[Payment]: ...
    def withdraw(
        self,
        reference: str,
        amount: str | int | Decimal,
        currency: str,
        payment_method: PaymentMethod,
        note: str | None,
        timeout: float | None,
    ) -> LedgerCall[Payout]: ...
    def payout(self, reference: str) -> LedgerCall[Payout | None]: ...
    def resolve(
        self,
        reference: str,
        decision: Literal["paid", "not_paid"],
        by: str,
        note: str | None,
    ) -> LedgerCall[Payout]: ...
    def overdue(
        self, older_than: float | timedelta, limit: int
    ) -> LedgerCall[list[OrderRecord]]: ...
    def unsettled(self, limit: int) -> LedgerCall[list[Payment]]: ...
    def parked(self, limit: int) -> LedgerCall[list[Payment]]: ...
    def unresolved(self, limit: int) -> LedgerCall[list[Payout]]: ...
    def conflicts(self, limit: int) -> LedgerCall[list[Conflict]]: ...
    def decisions(self, limit: int) -> LedgerCall[list[PersonDecision]]: ...
    def summary(self) -> LedgerCall[Summary]: ...
    def forget(self, before: datetime) -> LedgerCall[int]: ...

@final
class LedgerCall(Generic[_T]):
    """A call of a ledger that is ready to be made, once. Nothing stops it half-way."""

    def wait(self) -> _T: ...
    def start(self) -> Future[_T]: ...

@final
class Handover:
    """Hands one payment after the other to a handler. Dropped, what it holds is given back."""

    def next(self) -> LedgerCall[Payment | None]: ...
    def done(self) -> LedgerCall[None]: ...
    def failed(self, kind: str, message: str) -> LedgerCall[None]: ...
    def broken_off(self) -> LedgerCall[None]: ...
    def stop(self) -> None: ...
    def stopped(self, timeout: float | None) -> LedgerCall[bool]: ...
    def leave(self, problem: str | None) -> None: ...

LONGEST_WEBHOOK_BODY: int

@final
class RouteAnswer:
    """What a delivery is answered."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> dict[str, str]: ...

@final
class Route:
    """The route of one receiver: what it answers, and what it tells in the log."""

    def __init__(self) -> None: ...
    def refused_by_head(self, method: str, length: int | None) -> RouteAnswer | None: ...
    def delivery(
        self, body: bytes, length: int | None, encoding: str | None
    ) -> bytes | RouteAnswer: ...
    def too_long(self) -> RouteAnswer: ...
    def broke_off(self, got: int | None, of: int | None) -> RouteAnswer: ...
    def read_before(self, way_out: str) -> RouteAnswer: ...
    def not_handed_on(self) -> RouteAnswer: ...
    def no_request(self, given: str, wanted: str) -> RouteAnswer: ...
    def verify(self, webhook: Webhook, body: bytes) -> PaymentEvent | RouteAnswer: ...
    def handled(self) -> RouteAnswer: ...
    def handler_failed(self, event: PaymentEvent, kind: str) -> RouteAnswer: ...
    def receive(self, ledger: OpenedLedger, body: bytes) -> LedgerCall[RouteAnswer]: ...
    def start(self, ledger: OpenedLedger) -> LedgerCall[None]: ...
    def not_opened(self, problem: str) -> RouteAnswer: ...
    def worker_not_started(self, problem: str) -> None: ...
    def started_late(self, way_out: str) -> None: ...

class SimulatorError(Exception):
    """The simulator cannot be used so: a setting, a fault or a link that it does not know."""

@final
class Delivery:
    """One webhook delivery, as it went out or would have gone out."""

    @property
    def order_id(self) -> str:
        """The payment link's id."""

    @property
    def url(self) -> str | None:
        """Where it went; `None` where no webhook URL is set."""

    @property
    def content_type(self) -> str:
        """`application/json` or `application/x-www-form-urlencoded`."""

    @property
    def body(self) -> bytes:
        """The body, byte for byte."""

    @property
    def fault(self) -> str | None:
        """The fault that changed it."""

    @property
    def outcome(self) -> str:
        """How it ended, in words: `answered 200`, `failed: …`, `not sent: …`, `on its way`."""

    @property
    def answered(self) -> int | None:
        """The HTTP status that the receiver answered."""

@final
class RecordedRequest:
    """An API request that the simulator received, with the key and the secret masked."""

    @property
    def method(self) -> str:
        """`GET`, `POST`, …"""

    @property
    def path(self) -> str:
        """The path and the query."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers in their order, names in lower case. Those that hold a key are `***`."""

    @property
    def body(self) -> str:
        """The body as text."""

    @property
    def status(self) -> int | None:
        """The status answered; `None` where there was no answer, or none yet."""

    @property
    def fault(self) -> str | None:
        """The fault that was played."""

@final
class RunningSimulator:
    """A simulator of the native crate, as `kazawallet.testing` uses it."""

    def __new__(
        cls,
        webhook_url: str | None,
        balances: dict[str, str | int | Decimal] | None,
        merchant_email: str | None,
        api_key: str | None,
        api_secret: str | None,
        dialect: str,
        tls: bool,
        port: int,
    ) -> RunningSimulator: ...
    @property
    def url(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def api_secret(self) -> str: ...
    @property
    def merchant_email(self) -> str: ...
    @property
    def dashboard_url(self) -> str: ...
    @property
    def webhook_url(self) -> str | None: ...
    @webhook_url.setter
    def webhook_url(self, url: str | None, /) -> None: ...
    @property
    def dialect(self) -> str: ...
    @dialect.setter
    def dialect(self, dialect: str, /) -> None: ...
    @property
    def root_certificate(self) -> str | None: ...
    @property
    def deliveries(self) -> list[Delivery]: ...
    @property
    def requests(self) -> list[RecordedRequest]: ...
    def pay(self, link: PaymentLink | OrderLink | str) -> list[Delivery]: ...
    def time_out(self, link: PaymentLink | OrderLink | str) -> list[Delivery]: ...
    def trigger(
        self,
        url: str,
        amount: str | int | Decimal,
        currency: str,
        ref: str | None,
        order_id: str | None,
        status: str,
    ) -> Delivery: ...
    def balance(self, currency: str) -> Decimal: ...
    def fault(self, fault: str, times: int | None) -> None: ...
    def clear_faults(self) -> None: ...
    def stop(self) -> None: ...

def _restored(kind: str, fields: tuple[Any, ...]) -> Any:
    """Makes a result that was pickled."""

def run_simulator(arguments: Sequence[str]) -> int:
    """Runs the simulator's program until it ends; returns the exit status."""

def run_ledger(arguments: Sequence[str]) -> int:
    """Runs the ledger's program until it ends; returns the exit status."""
