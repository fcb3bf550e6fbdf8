"""The exceptions: their tree, what they carry and keep, and what they never show."""

from __future__ import annotations

import asyncio
import copy
import errno
import pickle
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import kazawallet
from kazawallet import (
    AccountBlockedError,
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    Client,
    ConfigurationError,
    KazawalletError,
    LedgerError,
    NotFoundError,
    OrderMismatchError,
    OutcomeUnknownError,
    PaymentMethod,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    SignatureVerificationError,
    UnexpectedResponseError,
    ValidationError,
    WebhookError,
    WebhookPayloadError,
)
from kazawallet.testing import Simulator

Bases = tuple[type[BaseException], ...]

# Each class with its bases, its code, and its outcome where nothing else is said.
TREE: dict[type[KazawalletError], tuple[Bases, str, str | None]] = {
    KazawalletError: ((Exception,), "kazawallet", None),
    ConfigurationError: ((KazawalletError,), "configuration", "not_sent"),
    ValidationError: ((KazawalletError,), "validation", "not_sent"),
    APIConnectionError: ((KazawalletError, ConnectionError), "connection", "unknown"),
    APITimeoutError: ((APIConnectionError, TimeoutError), "timeout", "unknown"),
    OutcomeUnknownError: ((KazawalletError,), "outcome_unknown", "unknown"),
    APIError: ((KazawalletError,), "api", "rejected"),
    AuthenticationError: ((APIError,), "authentication", "rejected"),
    PermissionDeniedError: ((APIError,), "permission_denied", "rejected"),
    NotFoundError: ((APIError,), "not_found", "rejected"),
    RateLimitError: ((APIError,), "rate_limit", "rejected"),
    AccountBlockedError: ((APIError,), "account_blocked", "rejected"),
    ServerError: ((APIError,), "server", "unknown"),
    UnexpectedResponseError: ((KazawalletError,), "unexpected_response", "unknown"),
    WebhookError: ((KazawalletError,), "webhook", None),
    WebhookPayloadError: ((WebhookError,), "webhook_payload", None),
    SignatureVerificationError: ((WebhookError,), "signature_verification", None),
    OrderMismatchError: ((WebhookError,), "order_mismatch", None),
    LedgerError: ((KazawalletError,), "ledger_unavailable", "not_sent"),
}

OF_AN_ANSWER = {"status": 404, "request_id": "r-1", "body": '{"error":"…"}'}
OF_AN_API_ERROR = {
    **OF_AN_ANSWER,
    "key": "USER_NOT_FOUND",
    "details": {"field": ["email"]},
    "retry_after": 1.5,
}
ATTRIBUTES: dict[type[KazawalletError], dict[str, Any]] = {
    ValidationError: {"field": "amount"},
    OutcomeUnknownError: {**OF_AN_ANSWER, "key": "KEY"},
    APIError: OF_AN_API_ERROR,
    UnexpectedResponseError: OF_AN_ANSWER,
    WebhookPayloadError: {"field": "amount"},
    OrderMismatchError: {"field": "amount", "expected": "10.50", "actual": None},
    LedgerError: {"code": "ledger_full"},
}

every_class = pytest.mark.parametrize("kind", TREE, ids=lambda kind: str(kind.__name__))


def attributes_of(kind: type[KazawalletError]) -> dict[str, Any]:
    found: dict[str, Any] = {"outcome": "unknown"}
    for each in kind.__mro__:
        found.update(ATTRIBUTES.get(each, {}))
    return found


def example(kind: type[KazawalletError]) -> KazawalletError:
    """An error as a call raises it: with attributes, a cause, and a note of somebody's."""
    error = kind("what was wrong", **attributes_of(kind))
    error.__cause__ = ConnectionResetError(errno.ECONNRESET, "the connection was reset")
    # As add_note does, which Python 3.10 does not have.
    error.__dict__["__notes__"] = ["while order-42 was handled"]
    return error


def hold_same(one: BaseException, other: BaseException) -> None:
    assert type(one) is type(other)
    assert isinstance(one, KazawalletError) and isinstance(other, KazawalletError)
    assert (str(one), one.message, one.args) == (str(other), other.message, other.args)
    assert repr(one) == repr(other)
    for name in (*attributes_of(type(one)), "code", "__notes__"):
        assert getattr(one, name) == getattr(other, name), name
    assert type(one.__cause__) is type(other.__cause__)
    assert one.__cause__ is not None and other.__cause__ is not None
    assert one.__cause__.args == other.__cause__.args


def test_the_tree_has_every_class() -> None:
    public = {
        value
        for value in (getattr(kazawallet, name) for name in kazawallet.__all__)
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert public == TREE.keys()


@every_class
def test_bases_code_and_outcome(kind: type[KazawalletError]) -> None:
    bases, code, outcome = TREE[kind]
    assert kind.__bases__ == bases
    assert kind.code == code
    assert kind("x").outcome == outcome
    assert kind("x").message == str(kind("x")) == "x"
    assert kind.__module__.split(".")[0] == "kazawallet"


@every_class
def test_is_caught_as_a_builtin_only_where_that_is_right(kind: type[KazawalletError]) -> None:
    connection = kind in (APIConnectionError, APITimeoutError)
    assert issubclass(kind, ConnectionError) == issubclass(kind, OSError) == connection
    assert issubclass(kind, TimeoutError) == (kind is APITimeoutError)


@every_class
def test_has_its_attributes(kind: type[KazawalletError]) -> None:
    bare = kind("x")
    for name, value in attributes_of(kind).items():
        assert getattr(kind("x", **{name: value}), name) == value
        if name not in ("outcome", "code"):
            assert getattr(bare, name) is None
    with pytest.raises(TypeError, match="colour"):
        kind("x", colour="red")


@every_class
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_everything(kind: type[KazawalletError], protocol: int) -> None:
    error = example(kind)
    hold_same(pickle.loads(pickle.dumps(error, protocol)), error)


@every_class
def test_copies_keep_everything(kind: type[KazawalletError]) -> None:
    error = example(kind)
    hold_same(copy.copy(error), error)
    deep = copy.deepcopy(error)
    hold_same(deep, error)
    if isinstance(error, APIError):
        assert isinstance(deep, APIError)
        assert deep.details is not error.details


@every_class
def test_an_error_without_a_cause_has_none_afterwards(kind: type[KazawalletError]) -> None:
    error = pickle.loads(pickle.dumps(kind("x")))
    assert error.__cause__ is None
    assert error.__suppress_context__ is False


def test_an_error_can_go_to_another_process() -> None:
    """As Celery and multiprocessing do it."""
    error = example(OutcomeUnknownError)
    program = """
import pickle, sys
error = pickle.load(sys.stdin.buffer)
print(type(error).__name__, error, error.outcome, error.status, repr(error.__cause__))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps(error),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.decode().strip() == (
        f"OutcomeUnknownError what was wrong unknown 404 {error.__cause__!r}"
    )


# --- errors of real calls ------------------------------------------------------------------------

RECIPIENT = PaymentMethod.haram_under_3m(
    name="سعيد محمد حمدان", phone="0933123456", governorate="دمشق"
)
NOTE = "salary of a person, May"


@contextmanager
def port_that_refuses() -> Iterator[int]:
    """A port that nobody else can take, and on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def client_of(port: int) -> Client:
    return Client(
        api_key="sim_a_key_of_the_test",
        api_secret="sim_a_secret_of_the_test",
        merchant_email="shop@example.com",
        base_url=f"http://127.0.0.1:{port}",
        max_retries=0,
    )


def pay_out(client: Client, timeout: float | None = None) -> None:
    client.withdrawals.create(
        amount="500000", currency="SYP", payment_method=RECIPIENT, note=NOTE, timeout=timeout
    )


def test_a_refused_connection_says_so_in_its_cause() -> None:
    with (
        port_that_refuses() as port,
        client_of(port) as client,
        pytest.raises(APIConnectionError) as caught,
    ):
        client.wallets.list()
    assert caught.value.outcome == "not_sent"
    cause = caught.value.__cause__
    assert isinstance(cause, ConnectionRefusedError)
    assert cause.errno == errno.ECONNREFUSED
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.outcome == "not_sent"
    assert isinstance(again.__cause__, ConnectionRefusedError)
    assert again.__cause__.errno == errno.ECONNREFUSED


def test_a_refused_connection_says_so_in_its_cause_awaited() -> None:
    async def call(port: int) -> None:
        async with kazawallet.AsyncClient(
            api_key="sim_a_key_of_the_test",
            merchant_email="shop@example.com",
            base_url=f"http://127.0.0.1:{port}",
            max_retries=0,
        ) as client:
            await client.payment_links.create(amount="1", currency="USD")

    with port_that_refuses() as port, pytest.raises(APIConnectionError) as caught:
        asyncio.run(call(port))
    assert caught.value.outcome == "not_sent"
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert caught.value.__cause__.errno == errno.ECONNREFUSED


def test_a_refused_payout_moved_nothing() -> None:
    with (
        port_that_refuses() as port,
        client_of(port) as client,
        pytest.raises(ConnectionError) as caught,
    ):
        pay_out(client)
    assert type(caught.value) is APIConnectionError
    assert caught.value.outcome == "not_sent"


def test_the_builtins_catch_a_broken_connection() -> None:
    with Simulator() as sim, sim.client(max_retries=0) as client:
        sim.fault("close_after_acting")
        with pytest.raises(ConnectionError) as caught:
            client.wallets.list()
    assert type(caught.value) is APIConnectionError
    assert caught.value.outcome == "unknown"


def test_the_builtins_catch_a_time_out() -> None:
    with Simulator() as sim, sim.client(max_retries=0) as client:
        sim.fault("answer_late:20000")
        with pytest.raises(TimeoutError) as caught:
            client.wallets.list(timeout=0.5)
    assert type(caught.value) is APITimeoutError
    assert isinstance(caught.value, ConnectionError)


def test_the_builtins_catch_a_time_out_awaited() -> None:
    async def call() -> None:
        async with Simulator() as sim, sim.async_client(max_retries=0) as client:
            sim.fault("answer_late:20000")
            await client.wallets.list(timeout=0.5)

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(call())
    assert type(caught.value) is APITimeoutError


@pytest.mark.parametrize(
    ("fault", "timeout"), [("close_after_acting", None), ("answer_late:20000", 3)]
)
def test_a_payout_whose_outcome_is_unknown_is_no_builtin(fault: str, timeout: float | None) -> None:
    """A retry decorator that catches `OSError` or `TimeoutError` must not repeat it."""
    # The timeout leaves time for the request to be sent, also on a machine that is busy.
    with Simulator() as sim, sim.client() as client:
        sim.fault(fault)
        with pytest.raises(OutcomeUnknownError) as caught:
            pay_out(client, timeout)
        assert len(sim.requests) == 1
    assert not isinstance(caught.value, OSError)
    assert caught.value.outcome == "unknown"


def test_an_answer_that_is_no_tells_what_it_said() -> None:
    with (
        Simulator() as sim,
        sim.client(api_key="sim_another_key") as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.wallets.list()
    error = caught.value
    assert (error.status, error.code, error.outcome) == (401, "authentication", "rejected")
    assert error.body
    assert error.message


def test_details_of_an_error_are_exact_numbers() -> None:
    """They are read from JSON without floats, and the error is still pickled."""
    with Simulator() as sim, sim.client(max_retries=0) as client:
        sim.fault("error_inside_200")
        with pytest.raises(APIError) as caught:
            client.wallets.list()
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.details == caught.value.details
    assert again.body == caught.value.body


FAULTS = (
    "close_after_acting",
    "close_before_acting",
    "answer_status:400",
    "answer_status:401",
    "answer_status:403",
    "answer_status:404",
    "answer_status:429",
    "answer_status:500",
    "html_answer",
    "half_body",
    "error_inside_200",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_shows_a_secret_or_a_person(fault: str) -> None:
    with Simulator() as sim, sim.client(max_retries=0) as client:
        sim.fault(fault)
        with pytest.raises(KazawalletError) as caught:
            pay_out(client)
        hidden = [sim.api_key, sim.api_secret, sim.merchant_email]
    hidden += ["سعيد محمد حمدان", "0933123456", NOTE]
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        shown += repr(error) + str(error)
        error = error.__cause__
    # The lines of this file that the traceback quotes hold none of them as text.
    for value in hidden:
        assert value not in shown


def test_a_wrong_argument_is_not_repeated_where_it_is_a_secret() -> None:
    for key in ("sim_key with a space\n", " sim_a_key_that_is_secret"):
        with pytest.raises(ConfigurationError) as caught:
            Client(api_key=key)
        assert key.strip() not in str(caught.value) + repr(caught.value)
