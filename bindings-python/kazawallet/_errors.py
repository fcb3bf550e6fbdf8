"""The exceptions, and how the core's errors become them: by their stable code, in a table."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    _OutcomeText: TypeAlias = Literal["not_sent", "rejected", "unknown"] | None


class KazawalletError(Exception):
    """The root of everything that this package raises of its own.

    `str(error)` says what was wrong, what was expected and what to do. It never shows a key, a
    secret or the personal data that you sent. Errors can be pickled and copied.
    """

    code: str = "kazawallet"
    """The stable lower-case code, the same in every language."""

    outcome: _OutcomeText = None
    """Whether money may have moved: `not_sent`, `rejected` or `unknown`. `None` for the webhook
    side, which sends nothing. Look at it before you repeat a call that moves money."""

    def __init__(self, message: str = "", /, **attributes: Any) -> None:
        super().__init__(message)
        for name, value in attributes.items():
            is_attribute = hasattr(type(self), name) and not callable(getattr(type(self), name))
            if name.startswith("_") or name == "message" or not is_attribute:
                raise TypeError(f"{type(self).__name__} has no attribute {name!r}")
            setattr(self, name, value)

    @property
    def message(self) -> str:
        """What was wrong, what was expected, what to do."""
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        # The default forgets what an error was raised from.
        return _restored, (type(self), self.args, dict(self.__dict__), self.__cause__)


def _restored(
    kind: type[KazawalletError],
    args: tuple[Any, ...],
    attributes: dict[str, Any],
    cause: BaseException | None,
) -> KazawalletError:
    error = kind(*args)
    error.__dict__.update(attributes)
    if cause is not None:
        error.__cause__ = cause
    return error


class ConfigurationError(KazawalletError):
    """A client or a webhook that cannot be built from what it was given."""

    code = "configuration"
    outcome: _OutcomeText = "not_sent"


class ValidationError(KazawalletError):
    """An argument that was refused before anything was sent."""

    code = "validation"
    outcome: _OutcomeText = "not_sent"
    field: str | None = None
    """The argument that is at fault."""


class APIConnectionError(KazawalletError, ConnectionError):
    """No answer came: the connection failed. Never for a payout that may have left.

    It is also a builtin `ConnectionError`. What the system said is in `__cause__`.
    """

    code = "connection"
    outcome: _OutcomeText = "unknown"


class APITimeoutError(APIConnectionError, TimeoutError):
    """No answer came in time. Never for a payout that may have left.

    It is also a builtin `TimeoutError`.
    """

    code = "timeout"


class OutcomeUnknownError(KazawalletError):
    """A withdrawal or a deposit was sent, and no conclusive answer came.

    A time-out, a broken connection, a 5xx, 408 or 3xx, an answer that is unreadable, over-long or
    contradicts itself. **Money may have moved**: look in the wallet before you do it again. It is
    no builtin connection or timeout error, so that no retry decorator catches it.
    """

    code = "outcome_unknown"
    outcome: _OutcomeText = "unknown"
    status: int | None = None
    """The HTTP status, where an answer came."""
    key: str | None = None
    """The provider's own key of the error, where an answer held one."""
    request_id: str | None = None
    """The request's id, where the answer carried one. Give it to the provider's support."""
    body: str | None = None
    """The first 4 KiB of the answer, as it came. May hold personal data."""


class APIError(KazawalletError):
    """The provider said no. The classes below say how; this one is for what has none of its own.

    It may come with any HTTP status: an error inside a 200 is one, too (seen). A 408 is one whose
    outcome is unknown.
    """

    code = "api"
    outcome: _OutcomeText = "rejected"
    status: int | None = None
    """The HTTP status, or the error's own status where one came inside a 2xx."""
    key: str | None = None
    """The provider's own key, such as `USER_NOT_FOUND`."""
    details: Any = None
    """The `details` of the provider's error, read from JSON. May hold personal data."""
    retry_after: float | None = None
    """How many seconds the provider asked to wait before the next call."""
    request_id: str | None = None
    """The request's id, where the answer carried one. Give it to the provider's support."""
    body: str | None = None
    """The first 4 KiB of the answer, as it came. May hold personal data."""


class AuthenticationError(APIError):
    """401: the key or the secret is wrong."""

    code = "authentication"


class PermissionDeniedError(APIError):
    """403: the key may not do this."""

    code = "permission_denied"


class NotFoundError(APIError):
    """404, or the key `USER_NOT_FOUND`: no Kazawallet account has that email."""

    code = "not_found"


class RateLimitError(APIError):
    """429: too many calls. `retry_after` says how long to wait, where the provider did."""

    code = "rate_limit"


class AccountBlockedError(APIError):
    """The account was blocked because calls came from a new address.

    Ask the provider's support to allow the server's address.
    """

    code = "account_blocked"


class ServerError(APIError):
    """5xx: the provider failed, and may have acted first."""

    code = "server"
    outcome: _OutcomeText = "unknown"


class UnexpectedResponseError(KazawalletError):
    """An answer to a call that moves no money which cannot be relied on.

    It cannot be read, contradicts itself, or redirects.
    """

    code = "unexpected_response"
    outcome: _OutcomeText = "unknown"
    status: int | None = None
    """The HTTP status."""
    request_id: str | None = None
    """The request's id, where the answer carried one. Give it to the provider's support."""
    body: str | None = None
    """The first 4 KiB of the answer, as it came. May hold personal data."""


class WebhookError(KazawalletError):
    """The root of the webhook side."""

    code = "webhook"


class WebhookPayloadError(WebhookError):
    """A webhook body that cannot be read.

    It may be a delivery of a form that this version does not know, and there is no second one:
    keep the body.
    """

    code = "webhook_payload"
    field: str | None = None
    """The field that is at fault, where it is one."""


class SignatureVerificationError(WebhookError):
    """A webhook whose signature does not hold. It proves nothing: change no order because of it."""

    code = "signature_verification"


class OrderMismatchError(WebhookError):
    """A genuine webhook that does not fit the order it was held against.

    Do not fulfil the order; keep the delivery and look into it.
    """

    code = "order_mismatch"
    field: str | None = None
    """What does not fit: `order_id`, `ref`, `currency` or `amount`."""
    expected: str | None = None
    """What the order says."""
    actual: str | None = None
    """What the delivery says; `None` where it says nothing."""


class LedgerError(KazawalletError):
    """The ledger cannot do what it was asked. Its `code` says why, its `outcome` whether money may have
    moved:

    - `ledger_unavailable`: its database cannot be reached, was lost, or was locked for too long; or the
      ledger is closed. Try again.
    - `ledger_full`: the disk is full.
    - `ledger_read_only`: the database, or the folder that it is in, cannot be written.
    - `ledger_version`: the database was made by a newer version of this package.
    - `ledger_damaged`: the database is damaged, or is not one.
    - `ledger_state`: what was asked does not fit what is recorded.
    - `ledger_not_found`: there is no such order, payment or payout.
    """

    code = "ledger_unavailable"
    outcome: _OutcomeText = "not_sent"


_LEDGER_CODES = frozenset(
    {
        "ledger_unavailable",
        "ledger_full",
        "ledger_read_only",
        "ledger_version",
        "ledger_damaged",
        "ledger_state",
        "ledger_not_found",
    }
)

_BY_CODE: dict[str, type[KazawalletError]] = {
    kind.code: kind
    for kind in (
        ConfigurationError,
        ValidationError,
        APIConnectionError,
        APITimeoutError,
        OutcomeUnknownError,
        APIError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        RateLimitError,
        AccountBlockedError,
        ServerError,
        UnexpectedResponseError,
        WebhookPayloadError,
        SignatureVerificationError,
        OrderMismatchError,
    )
}


def from_core(
    code: str,
    message: str,
    attributes: dict[str, Any],
    details: str | None,
    cause: BaseException | None,
) -> KazawalletError:
    """The exception for an error of the core. A code that is not known gives the root class."""
    if code in _LEDGER_CODES:
        error: KazawalletError = LedgerError(message, code=code)
    else:
        error = _BY_CODE.get(code, KazawalletError)(message)
    error.__dict__.update(
        {name: value for name, value in attributes.items() if hasattr(type(error), name)}
    )
    if details is not None and hasattr(error, "details"):
        from ._json_text import read

        error.__dict__["details"] = read(details)
    if cause is not None:
        error.__cause__ = cause
    return error
