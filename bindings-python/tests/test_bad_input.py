"""What a Python user gets wrong: each is refused by name, before anything is sent.

A wrong type is a `TypeError` that says what to write; everything else is one of the documented errors.
"""

from __future__ import annotations

import array
import asyncio
import collections
import copy
import copyreg
import dataclasses
import enum
import gc
import inspect
import io
import json
import operator
import os
import pickle
import types
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from scripted_server import ScriptedServer

from kazawallet import (
    AsyncClient,
    Client,
    ConfigurationError,
    KazawalletError,
    OrderMismatchError,
    PaymentEvent,
    PaymentLink,
    PaymentMethod,
    ValidationError,
    Webhook,
    WebhookPayloadError,
)
from kazawallet.testing import Simulator

if TYPE_CHECKING:
    from pathlib import Path

KEY = "81A107141716"
SECRET = "888B6B8877F8"
EMAIL = "merchant@example.com"
RECIPIENT = "سعيد محمد حمدان"
PHONE = "0933123456"
NOTE = "salary of May"
USER_EMAIL = "user@example.com"
# Wrong calls are what this file is about, so a type checker must not know what these are.
AnyWebhook: Any = Webhook
AnyEvent: Any = PaymentEvent
registry: Any = copyreg
WEBHOOK: Any = Webhook(KEY, SECRET)
METHOD = PaymentMethod.haram_under_3m(name=RECIPIENT, phone=PHONE, governorate="دمشق")
NAN = float("nan")
INFINITY = float("inf")
HALF_A_CHARACTER = "\ud800"

# What each call takes, all of it; with these the simulator says yes.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "payment_links.create": {
        "amount": "10.50",
        "currency": "USD",
        "ref": "order-42",
        "redirect_url": "https://shop.example/thanks",
        "timeout": 20,
    },
    "withdrawals.create": {
        "amount": "500000",
        "currency": "SYP",
        "payment_method": METHOD,
        "note": NOTE,
        "timeout": 20.5,
    },
    "wallets.list": {"timeout": 20},
    "deposits.create": {
        "amount": "25",
        "currency": "USD",
        "user_email": USER_EMAIL,
        "payment_method": METHOD,
        "note": NOTE,
        "timeout": 20,
    },
    "request": {"json": {"currency": "USD"}, "timeout": 20},
}
OPERATIONS = list(ARGUMENTS)
OPTIONAL = {"ref", "redirect_url", "note", "timeout", "json"}
# What comes before the keywords.
LEADING = {"request": ("POST", "/wallet-cards/create")}

NOT_TEXT = [
    5,
    1.5,
    True,
    b"USD",
    bytearray(b"USD"),
    ["USD"],
    {"USD": "USD"},
    Decimal("1"),
    object(),
]
NOT_AN_AMOUNT = [
    10.5,
    10.0,
    1e300,
    NAN,
    INFINITY,
    True,
    False,
    b"10",
    ["10"],
    ("10",),
    {"amount": "10"},
    Fraction(1, 2),
    1 + 0j,
    object(),
]
NOT_SECONDS = ["20", "", True, False, b"20", [20], (1, 2), {"s": 20}, object()]
TOO_SHORT = [0, 0.0, -0.0, -1, -0.5, NAN, -INFINITY, -(10**400), 5e-324]
AGES = [1e300, INFINITY, 10**400]
NOT_A_METHOD = ["37", 37, {"id": "37", "fields": {}}, ("37", {}), PaymentMethod, object()]
WRONG_TYPES: dict[str, list[Any]] = {
    "amount": NOT_AN_AMOUNT,
    "timeout": NOT_SECONDS,
    "payment_method": NOT_A_METHOD,
}
# `json` takes nearly everything, and has tests of its own.
NAMED_IN_A_TYPE_ERROR = {"payment_method": "PaymentMethod", "timeout": "seconds", "amount": "text"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(balances={"SYP": "1000000000", "USD": "1000000"}) as running:
        yield running


class Caller:
    """Calls by name, blocking or awaited, that tells whether anything was sent."""

    def __init__(self, simulator: Simulator, client: Client | AsyncClient) -> None:
        self._simulator = simulator
        self._client = client

    def __call__(self, operation: str, *positional: Any, **arguments: Any) -> Any:
        made = operator.attrgetter(operation)(self._client)(*positional, **arguments)
        if inspect.iscoroutine(made):
            return asyncio.run(made)
        return made

    def give(self, operation: str, **arguments: Any) -> Any:
        """The call with good arguments, but for these."""
        return self(operation, *LEADING.get(operation, ()), **ARGUMENTS[operation] | arguments)

    def sends(self, call: Callable[[], object]) -> str:
        """The body that a call sends. The simulator need not like it."""
        before = len(self.sent)
        try:
            call()
        except KazawalletError as refusal:
            if refusal.outcome != "rejected":
                raise
        [body] = self.sent[before:]
        return body

    @property
    def sent(self) -> list[str]:
        """The bodies of all that was sent so far."""
        return [request.body for request in self._simulator.requests]

    def refuses(self, kind: type[Exception], call: Callable[[], object]) -> Any:
        """The error of a call that sends nothing."""
        before = len(self.sent)
        with pytest.raises(kind) as caught:
            call()
        assert type(caught.value) is kind
        assert len(self.sent) == before, "something was sent"
        return caught.value

    def refuses_value(self, field: str, operation: str, **arguments: Any) -> ValidationError:
        error = self.refuses(ValidationError, lambda: self.give(operation, **arguments))
        assert isinstance(error, ValidationError)
        assert (error.code, error.outcome, error.field) == ("validation", "not_sent", field)
        assert field in str(error)
        return error

    def refuses_type(self, name: str, operation: str, **arguments: Any) -> TypeError:
        error = self.refuses(TypeError, lambda: self.give(operation, **arguments))
        assert isinstance(error, TypeError)
        assert name in str(error)
        return error


@pytest.fixture(params=["blocking", "asyncio"])
def caller(request: pytest.FixtureRequest, simulator: Simulator) -> Iterator[Caller]:
    if request.param == "blocking":
        with simulator.client() as client:
            yield Caller(simulator, client)
    else:
        async_client = simulator.async_client()
        yield Caller(simulator, async_client)
        asyncio.run(async_client.aclose())


def short(value: object) -> str:
    """A name for a test."""
    text = hex(value) if isinstance(value, int) else ascii(value)
    return text[:32]


def with_each(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(operation, name) for operation in arguments for name in arguments[operation]]


EACH_ARGUMENT = pytest.mark.parametrize(("operation", "name"), with_each(ARGUMENTS))


# ---------------------------------------------------------------- how a call is written


@pytest.mark.parametrize("operation", OPERATIONS)
def test_good_arguments_are_taken(operation: str, caller: Caller) -> None:
    before = len(caller.sent)
    caller.give(operation)
    assert len(caller.sent) == before + 1


@EACH_ARGUMENT
def test_an_argument_is_keyword_only(operation: str, name: str, caller: Caller) -> None:
    arguments = dict(ARGUMENTS[operation])
    value = arguments.pop(name)
    leading = LEADING.get(operation, ())
    caller.refuses(TypeError, lambda: caller(operation, *leading, value, **arguments))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", ["reference", "redirectUrl", "amount_usd", "_connection", "self"])
def test_an_unknown_keyword_is_refused(operation: str, name: str, caller: Caller) -> None:
    caller.refuses(TypeError, lambda: caller.give(operation, **{name: "x"}))


@EACH_ARGUMENT
def test_a_missing_argument_is_named(operation: str, name: str, caller: Caller) -> None:
    arguments = {other: value for other, value in ARGUMENTS[operation].items() if other != name}
    leading = LEADING.get(operation, ())
    if name in OPTIONAL:
        caller.sends(lambda: caller(operation, *leading, **arguments))
        return
    error = caller.refuses(TypeError, lambda: caller(operation, *leading, **arguments))
    assert name in str(error)


@EACH_ARGUMENT
def test_none_is_nothing_given_where_that_is_allowed(
    operation: str, name: str, caller: Caller
) -> None:
    if name in OPTIONAL:
        caller.sends(lambda: caller.give(operation, **{name: None}))
    else:
        caller.refuses_type(name, operation, **{name: None})


@EACH_ARGUMENT
def test_a_wrong_type_is_a_type_error_that_says_what_to_write(
    operation: str, name: str, caller: Caller
) -> None:
    if name == "json":
        return
    for value in WRONG_TYPES.get(name, NOT_TEXT):
        error = caller.refuses_type(name, operation, **{name: value})
        assert NAMED_IN_A_TYPE_ERROR.get(name, "str") in str(error)


@EACH_ARGUMENT
def test_half_a_character_is_refused(operation: str, name: str, caller: Caller) -> None:
    if name in ("timeout", "payment_method", "json"):
        return
    caller.refuses_value(name, operation, **{name: f"1{HALF_A_CHARACTER}"})


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("seconds", TOO_SHORT, ids=short)
def test_a_timeout_that_is_no_time_is_refused(
    operation: str, seconds: float, caller: Caller
) -> None:
    caller.refuses_value("timeout", operation, timeout=seconds)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("seconds", AGES, ids=short)
def test_a_timeout_of_ages_is_one(operation: str, seconds: float, caller: Caller) -> None:
    caller.give(operation, timeout=seconds)


# ---------------------------------------------------------------- amounts

MONEY_OPERATIONS = [operation for operation in OPERATIONS if "amount" in ARGUMENTS[operation]]
# Custom, so that no limit of a payment method has a say.
ANY_METHOD = PaymentMethod.custom(id="118", fields={})


@pytest.mark.parametrize("operation", MONEY_OPERATIONS)
@pytest.mark.parametrize(
    "amount",
    [
        10**40,
        10**5000,
        -(10**5000),
        1 << 100_000,
        -1,
        0,
        Decimal("1E+999999999"),
        Decimal("-1E+999999999"),
        Decimal("1E-999999999"),
        Decimal("1E+999999999999999999"),
        Decimal("1" * 5000),
        Decimal("sNaN"),
        Decimal("-0"),
        "",
        " ",
        "10.50 ",
        "\u200b10",
        "10\x00",
        "1" * 100_000,
    ],
    ids=short,
)
def test_an_amount_that_is_none_is_refused(operation: str, amount: Any, caller: Caller) -> None:
    error = caller.refuses_value("amount", operation, amount=amount)
    assert len(str(error)) < 1000


class Lying:
    """Mixed into a number or a text that tells another one where it is shown."""

    def __str__(self) -> str:
        return "999999"

    __repr__ = __str__

    def __format__(self, spec: str, context: Any = None, /) -> str:
        return "999999"


class LyingInteger(Lying, int): ...


class LyingDecimal(Lying, Decimal):
    """As a `Decimal` with a currency has it, which shows what is good to read."""


class LyingText(Lying, str):
    __slots__ = ()


class Coins(enum.IntEnum):
    TEN = 10


class Currency(str, enum.Enum):
    DOLLAR = "USD"


@pytest.mark.parametrize(
    ("amount", "sent"),
    [
        (Coins.TEN, "10"),
        (LyingInteger(10), "10"),
        (LyingInteger(10**39), f"1{'0' * 39}"),
        (LyingText("10.50"), "10.50"),
        (LyingDecimal("10.50"), "10.50"),
        (Decimal("1E+1"), "10"),
    ],
    ids=["enum", "int", "long int", "str", "Decimal", "exponent"],
)
def test_what_is_sent_is_the_amounts_own_value(amount: Any, sent: str, caller: Caller) -> None:
    with localcontext() as context:
        context.prec = 1
        context.capitals = 0
        call = partial(caller.give, "payment_links.create", amount=amount, currency=Currency.DOLLAR)
        body = json.loads(caller.sends(call))
    assert (body["amount"], body["currency"]) == (sent, "USD")
    assert WEBHOOK.sign(amount=amount, order_id="1") == WEBHOOK.sign(amount=sent, order_id="1")


def test_a_long_amount_keeps_all_its_digits(caller: Caller) -> None:
    with localcontext() as context:
        context.prec = 1
        for digits in ("9" * 40, f"{'9' * 38}.99"):
            amount = Decimal(digits) if "." in digits else int(digits)
            arguments = {"amount": amount, "payment_method": ANY_METHOD}
            call = partial(caller.give, "withdrawals.create", **arguments)
            assert json.loads(caller.sends(call))["amount"] == digits


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("operation", "name", "value"),
    [
        ("payment_links.create", "currency", ""),
        ("payment_links.create", "currency", " \t"),
        ("payment_links.create", "ref", ""),
        ("payment_links.create", "ref", "a\x00b"),
        ("payment_links.create", "ref", "x" * 1025),
        ("payment_links.create", "redirect_url", ""),
        ("payment_links.create", "redirect_url", "/thanks"),
        ("withdrawals.create", "currency", ""),
        ("deposits.create", "currency", ""),
        ("deposits.create", "user_email", ""),
        ("deposits.create", "user_email", "user"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(
    operation: str, name: str, value: str, caller: Caller
) -> None:
    caller.refuses_value(name, operation, **{name: value})


METHODS: dict[str, dict[str, Any]] = {
    "haram_under_3m": {"name": RECIPIENT, "phone": PHONE, "governorate": "دمشق"},
    "haram_over_3m": {"name": RECIPIENT, "phone": PHONE, "governorate": "دمشق"},
    "sy_cash": {"phone": PHONE},
    "custom": {"id": "118", "fields": {"name": RECIPIENT}},
}
EACH_METHODS_ARGUMENT = pytest.mark.parametrize(("kind", "name"), with_each(METHODS))


def method_of(kind: str, **arguments: Any) -> PaymentMethod:
    made: PaymentMethod = getattr(PaymentMethod, kind)(**METHODS[kind] | arguments)
    return made


@EACH_METHODS_ARGUMENT
def test_a_payment_methods_argument_of_a_wrong_type(kind: str, name: str) -> None:
    for value in [None, *NOT_TEXT]:
        if name == "fields" and isinstance(value, dict):
            continue
        with pytest.raises(TypeError, match=name):
            method_of(kind, **{name: value})


@EACH_METHODS_ARGUMENT
def test_a_payment_methods_arguments_are_keyword_only_and_needed(kind: str, name: str) -> None:
    arguments = dict(METHODS[kind])
    value = arguments.pop(name)
    make = getattr(PaymentMethod, kind)
    with pytest.raises(TypeError):
        make(value, **arguments)
    with pytest.raises(TypeError, match=name):
        make(**arguments)
    with pytest.raises(TypeError, match="speed"):
        make(**METHODS[kind], speed=1)


@EACH_METHODS_ARGUMENT
def test_half_a_character_for_a_payment_method_is_refused(
    kind: str, name: str, caller: Caller
) -> None:
    if name == "fields":
        broken: list[Any] = [{"name": HALF_A_CHARACTER}, {HALF_A_CHARACTER: "x"}]
    else:
        broken = [HALF_A_CHARACTER]
    for value in broken:

        def call(value: Any = value) -> object:
            method = method_of(kind, **{name: value})
            return caller.give("withdrawals.create", payment_method=method)

        error = caller.refuses(ValidationError, call)
        assert (error.outcome, error.field) == ("not_sent", name)


@EACH_METHODS_ARGUMENT
def test_a_blank_field_of_a_payment_method_is_refused(kind: str, name: str, caller: Caller) -> None:
    if name == "fields":
        return
    field = "payment_method" if name == "id" else name
    for blank in ("", " ", "\n\t", "\u00a0"):
        method = method_of(kind, **{name: blank})
        caller.refuses_value(field, "withdrawals.create", payment_method=method)


@pytest.mark.parametrize(
    "fields",
    [
        None,
        "name",
        [("name", "n")],
        {"name"},
        {"name": 1},
        {"name": None},
        {"name": b"n"},
        {1: "n"},
        {None: "n"},
        {"name": {"first": "n"}},
    ],
    ids=short,
)
def test_fields_that_are_no_mapping_of_text(fields: Any) -> None:
    with pytest.raises(TypeError, match="fields"):
        PaymentMethod.custom(id="118", fields=fields)


def test_fields_may_be_any_mapping_of_text_and_keep_their_order(caller: Caller) -> None:
    fields = {"z": "1", "a": "2", "ملاحظة": "", "m": LyingText("3")}
    for mapping in (
        fields,
        types.MappingProxyType(fields),
        collections.OrderedDict(fields),
        collections.ChainMap(dict(fields)),
        collections.UserDict(fields),
    ):
        method = PaymentMethod.custom(id="118", fields=mapping)
        caller.give("withdrawals.create", payment_method=method)
        seen = json.loads(caller.sent[-1])["fields"]
        assert list(seen.items()) == [("z", "1"), ("a", "2"), ("ملاحظة", ""), ("m", "3")]


def test_a_mapping_that_fails_gives_its_own_error() -> None:
    class Failing(collections.UserDict[str, str]):
        def items(self) -> NoReturn:
            raise LookupError("the database is gone")

    with pytest.raises(LookupError, match="database"):
        PaymentMethod.custom(id="118", fields=Failing())


# ---------------------------------------------------------------- the raw request


@pytest.mark.parametrize("method", [None, *NOT_TEXT], ids=short)
def test_a_method_of_a_wrong_type(method: Any, caller: Caller) -> None:
    error = caller.refuses(TypeError, lambda: caller("request", method, "/wallet-cards/create"))
    assert "method" in str(error)


@pytest.mark.parametrize(
    "method",
    [
        "",
        " ",
        "get",
        "GE T",
        "HEAD",
        "TRACE",
        "CONNECT",
        "GET\r\nx: y",
        "جلب",
        "G\x00",
        HALF_A_CHARACTER,
    ],
    ids=short,
)
def test_a_method_that_cannot_be_used(method: str, caller: Caller) -> None:
    error = caller.refuses(ValidationError, lambda: caller("request", method, "/wallet-cards/list"))
    assert (error.field, error.outcome) == ("method", "not_sent")


@pytest.mark.parametrize("path", [None, *NOT_TEXT], ids=short)
def test_a_path_of_a_wrong_type(path: Any, caller: Caller) -> None:
    error = caller.refuses(TypeError, lambda: caller("request", "GET", path))
    assert "path" in str(error)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "wallets",
        "//elsewhere.example",
        "/../x",
        "/a/%2e%2E/x",
        "/a b",
        "/a\r\nb",
        "/a#b",
        "\\x",
        "/\x00",
        "https://elsewhere.example/",
        f"/{HALF_A_CHARACTER}",
    ],
    ids=short,
)
def test_a_path_that_cannot_be_used(path: str, caller: Caller) -> None:
    error = caller.refuses(ValidationError, lambda: caller("request", "GET", path))
    assert (error.field, error.outcome) == ("path", "not_sent")


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def endless() -> Any:
    value: dict[str, Any] = {}
    value["self"] = [value]
    return value


@pytest.mark.parametrize(
    "body",
    [
        1.5,
        NAN,
        {"amount": 10.5},
        {"a": [{"b": (1, 2.0)}]},
        {1: "a"},
        {None: "a"},
        {b"a": "a"},
        {"a": {"b"}},
        b"{}",
        {"a": object()},
        {"a": Fraction(1, 2)},
        (one for one in "ab"),
        types.MappingProxyType({"a": 1}),
    ],
    ids=lambda body: type(body).__name__,
)
def test_a_body_that_is_no_json_is_a_type_error(body: Any, caller: Caller) -> None:
    caller.refuses(TypeError, lambda: caller.give("request", json=body))


def test_a_float_in_a_body_is_refused_with_what_to_write(caller: Caller) -> None:
    error = caller.refuses(TypeError, lambda: caller.give("request", json={"amount": 10.5}))
    assert '"10.5"' in str(error)
    assert 'Decimal("10.5")' in str(error)


@pytest.mark.parametrize(
    "body",
    [
        nested(101),
        nested(100_000),
        endless(),
        Decimal("NaN"),
        {"a": Decimal("-Infinity")},
        HALF_A_CHARACTER,
        {HALF_A_CHARACTER: 1},
        {"a": [10**5000]},
    ],
    ids=[
        "deep",
        "very deep",
        "endless",
        "NaN",
        "infinite",
        "half a character",
        "half a key",
        "huge",
    ],
)
def test_a_body_that_cannot_be_written_is_refused(body: Any, caller: Caller) -> None:
    error = caller.refuses(ValidationError, lambda: caller.give("request", json=body))
    assert (error.field, error.outcome) == ("json", "not_sent")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (None, ""),
        (False, "false"),
        (0, "0"),
        ("", '""'),
        ([], "[]"),
        ({}, "{}"),
        ((1, True, None), "[1,true,null]"),
        ({"b": "ليرة", "a": Decimal("10.50")}, '{"b":"ليرة","a":10.50}'),
        (10**39, "1" + "0" * 39),
        ({"coins": Coins.TEN, "currency": Currency.DOLLAR}, '{"coins":10,"currency":"USD"}'),
        ([LyingInteger(10), LyingDecimal("10.50")], "[10,10.50]"),
        (collections.OrderedDict(a=LyingText('"')), '{"a":"\\""}'),
    ],
    ids=short,
)
def test_a_body_is_sent_as_it_is(body: Any, text: str, caller: Caller) -> None:
    call = partial(caller, "request", "POST", "/wallet-cards/create", json=body)
    assert caller.sends(call) == text


# ---------------------------------------------------------------- keys and other options

BAD_CREDENTIALS = [
    "",
    " ",
    "\t\n",
    f" {KEY}",
    f"{KEY} ",
    f"{KEY}\n",
    f"\r\n{KEY}",
    f"{KEY}\u00a0",
    f"\u3000{KEY}",
    f"{KEY}\u200b",
    f"\ufeff{KEY}",
    "81A1\u206007141716",
    "81A1\x0007141716",
    "81A1\n07141716",
    "81A1\x7f07141716",
    f"81A1{HALF_A_CHARACTER}07141716",
]
EACH_BAD_CREDENTIAL = pytest.mark.parametrize("text", BAD_CREDENTIALS, ids=short)


def misconfigured(make: Callable[[], object], *names: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        make()
    error = caught.value
    assert type(error) is ConfigurationError
    assert (error.code, error.outcome) == ("configuration", "not_sent")
    assert any(name in str(error) for name in names), str(error)
    assert KEY not in f"{error!s} {error!r} {error.__cause__!r}"
    return error


@EACH_BAD_CREDENTIAL
def test_a_key_that_was_copied_badly_is_refused(text: str) -> None:
    webhook = Webhook(KEY, SECRET)
    for kind in (Client, AsyncClient):
        misconfigured(partial(kind, api_key=text), "API key", "api_key")
        misconfigured(partial(kind, api_key="k", api_secret=text), "API secret", "api_secret")
    misconfigured(lambda: Webhook(text, "s"), "API key", "api_key")
    misconfigured(lambda: Webhook("k", text), "API secret", "api_secret")
    misconfigured(lambda: webhook.with_previous(text, "s"), "API key", "api_key")
    misconfigured(lambda: webhook.with_previous("k", text), "API secret", "api_secret")


@pytest.mark.parametrize("value", [None, *NOT_TEXT], ids=short)
def test_a_webhooks_key_of_a_wrong_type(value: Any) -> None:
    for make in (AnyWebhook, WEBHOOK.with_previous):
        with pytest.raises(TypeError, match="api_key"):
            make(value, SECRET)
        with pytest.raises(TypeError, match="api_secret"):
            make(KEY, value)
    with pytest.raises(TypeError):
        AnyWebhook(KEY)
    with pytest.raises(TypeError):
        AnyWebhook(KEY, SECRET, SECRET)
    with pytest.raises(TypeError, match="secret"):
        AnyWebhook(KEY, secret=SECRET)


OPTIONS: dict[str, Any] = {
    "api_key": KEY,
    "api_secret": SECRET,
    "merchant_email": EMAIL,
    "base_url": "http://127.0.0.1:9/wallet",
    "timeout": 20,
    "connect_timeout": 5.5,
    "max_retries": 1,
    "proxy": "http://127.0.0.1:9",
    "app_name": "shop/1.0",
}
NOT_A_COUNT = ["2", 2.0, True, b"2", [2], NAN, Decimal(2), object()]
NOT_PEM = [5, 1.5, True, ["pem"], {"pem": "pem"}, object()]
WRONG_OPTIONS: dict[str, list[Any]] = {
    "timeout": NOT_SECONDS,
    "connect_timeout": NOT_SECONDS,
    "max_retries": NOT_A_COUNT,
    "root_certificates": NOT_PEM,
}
EACH_CLIENT = pytest.mark.parametrize("kind", [Client, AsyncClient])


@EACH_CLIENT
def test_good_options_are_taken(kind: Any) -> None:
    kind(**OPTIONS)
    kind(**OPTIONS | {"timeout": INFINITY, "connect_timeout": 10**400, "max_retries": 10**400})


@EACH_CLIENT
@pytest.mark.parametrize("name", [*OPTIONS, "root_certificates"])
def test_an_option_of_a_wrong_type(kind: Any, name: str) -> None:
    for value in WRONG_OPTIONS.get(name, NOT_TEXT):
        with pytest.raises(TypeError, match=name) as caught:
            kind(**OPTIONS | {name: value})
        assert type(caught.value) is TypeError


@EACH_CLIENT
def test_options_are_keyword_only_and_known(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind(KEY)
    for name in ("apiKey", "key", "verify", "retries", "base", "self"):
        with pytest.raises(TypeError, match=name):
            kind(**OPTIONS, **{name: "x"})


@EACH_CLIENT
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *(("timeout", bad, "timeout") for bad in TOO_SHORT),
        *(("connect_timeout", bad, "connect_timeout") for bad in TOO_SHORT),
        *(("max_retries", bad, "max_retries") for bad in (-1, -(10**400))),
        *(
            ("merchant_email", bad, "email")
            for bad in (
                "",
                " ",
                "merchant",
                f" {EMAIL}",
                f"{EMAIL}\n",
                "تاجر@example.com",
                HALF_A_CHARACTER,
            )
        ),
        *(
            ("base_url", bad, "base URL")
            for bad in (
                "",
                "/wallet",
                "pay.shop.example",
                "ftp://shop.example",
                "javascript:alert(1)",
                "http://192.0.2.1/wallet",
                "http://shop.example/wallet",
                "https://user:password@shop.example/wallet",
                "https://shop.example/wallet?key=1",
                "https://shop.example/wallet#top",
                "http://[::1",
                "http://127.0.0.1:99999",
            )
        ),
        ("base_url", f"http://127.0.0.1/{HALF_A_CHARACTER}", "base_url"),
        *(("proxy", bad, "proxy") for bad in ("", "::", "gopher://127.0.0.1", HALF_A_CHARACTER)),
        *(
            ("root_certificates", bad, "root")
            for bad in (
                "no PEM",
                b"\xff\x00",
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            )
        ),
        *(("app_name", bad, "app") for bad in ("", " ", "a\nb", "متجر", HALF_A_CHARACTER)),
    ],
    ids=short,
)
def test_an_option_that_cannot_be_used(kind: Any, name: str, value: Any, said: str) -> None:
    misconfigured(lambda: kind(**OPTIONS | {name: value}), said, name)


@EACH_CLIENT
def test_a_simulators_key_is_not_for_the_provider(kind: Any) -> None:
    misconfigured(lambda: kind(api_key="sim_key"), "simulator")


# ---------------------------------------------------------------- the environment


@pytest.fixture
def environment(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """All four variables, for the simulator."""
    monkeypatch.setenv("KAZAWALLET_API_KEY", simulator.api_key)
    monkeypatch.setenv("KAZAWALLET_API_SECRET", simulator.api_secret)
    monkeypatch.setenv("KAZAWALLET_MERCHANT_EMAIL", simulator.merchant_email)
    monkeypatch.setenv("KAZAWALLET_BASE_URL", simulator.url)
    return monkeypatch


@EACH_CLIENT
def test_without_a_key_it_is_said_where_one_is_looked_for(kind: Any) -> None:
    misconfigured(kind, "KAZAWALLET_API_KEY")


def test_options_are_taken_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    with Client() as client:
        assert len(client.wallets.list()) == 2
        assert client.payment_links.create(amount="1", currency="USD").id


def test_what_is_given_goes_before_the_environment(
    environment: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    for name in ("API_KEY", "API_SECRET", "MERCHANT_EMAIL", "BASE_URL"):
        environment.setenv(f"KAZAWALLET_{name}", "http://127.0.0.1:9/not@used")
    with simulator.client() as client:
        assert len(client.wallets.list()) == 2


def test_the_environments_secret_is_for_the_environments_key(
    environment: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    before = len(simulator.requests)
    with Client(api_key=simulator.api_key) as client, pytest.raises(ValidationError) as caught:
        client.wallets.list()
    assert caught.value.outcome == "not_sent"
    assert "secret" in str(caught.value)
    assert len(simulator.requests) == before


def test_an_empty_variable_is_not_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KAZAWALLET_API_KEY", "")
    misconfigured(Client, "KAZAWALLET_API_KEY")


@pytest.mark.parametrize("name", ["API_KEY", "API_SECRET", "MERCHANT_EMAIL", "BASE_URL"])
def test_a_variable_that_cannot_be_used_is_refused(
    name: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(f"KAZAWALLET_{name}", f"{KEY}\n")
    for kind in (Client, AsyncClient):
        misconfigured(kind, "API key", "API secret", "merchant email", "base URL")


def test_a_variable_that_is_no_text_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KAZAWALLET_API_KEY", os.fsdecode(b"81A1\xff07141716"))
    for kind in (Client, AsyncClient):
        misconfigured(kind, "API key")


def test_a_blank_key_is_not_looked_up(environment: pytest.MonkeyPatch) -> None:
    misconfigured(lambda: Client(api_key=""), "API key")


# ---------------------------------------------------------------- a client that is closed


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_closed_client_says_so(operation: str, simulator: Simulator) -> None:
    client = simulator.client()
    caller = Caller(simulator, client)
    caller.give(operation)
    client.close()
    client.close()
    error = caller.refuses(RuntimeError, lambda: caller.give(operation))
    assert "closed" in str(error)
    assert simulator.api_key not in repr(client)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_closed_async_client_says_so(operation: str, simulator: Simulator) -> None:
    client = simulator.async_client()
    caller = Caller(simulator, client)
    caller.give(operation)

    async def close_twice() -> None:
        async with client:
            await client.aclose()

    asyncio.run(close_twice())
    error = caller.refuses(RuntimeError, lambda: caller.give(operation))
    assert "closed" in str(error)


def test_bad_arguments_do_not_hide_that_a_client_is_closed_or_the_other_way(
    simulator: Simulator,
) -> None:
    client = simulator.client()
    client.close()
    caller = Caller(simulator, client)
    with pytest.raises((RuntimeError, TypeError)):
        caller.give("withdrawals.create", amount=1.5)


@EACH_CLIENT
def test_a_client_that_was_never_built_is_no_crash(kind: Any) -> None:
    client = kind.__new__(kind)
    with pytest.raises(AttributeError):
        _ = client.payment_links
    assert "object" in repr(client)


@EACH_CLIENT
def test_a_client_is_neither_copied_nor_pickled(kind: Any) -> None:
    client = kind(**OPTIONS)
    for again in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            again(client)


# ---------------------------------------------------------------- the webhook


def delivery(**fields: str) -> bytes:
    secret = WEBHOOK.sign(amount="10.50", order_id="pl_1")
    known = {"order_id": "pl_1", "amount": "10.50", "status": "fulfilled", "secret": secret}
    return json.dumps(known | {"currency": "USD", "ref": "order-42"} | fields).encode()


BODY = delivery(note="a field of tomorrow")


class MultiDict(dict[str, Any]):
    """As the frameworks have one for a form that they have read."""


@pytest.mark.parametrize(
    "body",
    [
        None,
        json.loads(BODY),
        MultiDict(json.loads(BODY)),
        collections.UserDict(json.loads(BODY)),
        [BODY],
        (BODY,),
        5,
        1.5,
        True,
        object(),
        io.BytesIO(BODY),
        array.array("B", BODY),
        (part for part in [BODY]),
        bytes,
    ],
    ids=lambda body: type(body).__name__,
)
def test_a_body_that_was_parsed_is_a_type_error_that_says_where_the_raw_one_is(body: Any) -> None:
    with pytest.raises(TypeError) as caught:
        WEBHOOK.verify(body)
    assert type(caught.value) is TypeError
    for way in ("body", "raw", "request.body", "request.get_data()", "await request.body()"):
        assert way in str(caught.value)
    assert "order-42" not in str(caught.value)


def test_verify_wants_one_body() -> None:
    with pytest.raises(TypeError):
        WEBHOOK.verify()
    with pytest.raises(TypeError):
        WEBHOOK.verify(BODY, BODY)
    with pytest.raises(TypeError):
        WEBHOOK.verify(BODY, secret=SECRET)
    assert WEBHOOK.verify(body=BODY).order_id == "pl_1"


class Bytes(bytes): ...


def every_other(body: bytes) -> memoryview:
    """A view that does not stand in one piece."""
    view = memoryview(bytes(byte for one in body for byte in (one, 0)))[::2]
    assert not view.contiguous
    return view


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        Bytes(BODY),
        bytearray(BODY),
        BODY.decode(),
        LyingText(BODY.decode()),
        memoryview(BODY),
        memoryview(bytearray(BODY)),
        memoryview(BODY[::-1])[::-1],
        every_other(BODY),
        memoryview(array.array("H", BODY + b" " * (len(BODY) % 2))),
        memoryview(BODY + b" " * (len(BODY) % 2)).cast("B", [2, (len(BODY) + 1) // 2]),
        memoryview(array.array("b", BODY)),
    ],
    ids=lambda body: type(body).__name__,
)
def test_a_body_may_come_in_any_type_of_bytes(body: Any) -> None:
    event = WEBHOOK.verify(body)
    assert event.order_id == "pl_1"
    assert event.body.strip() == BODY
    assert type(event.body) is bytes


def test_a_body_can_change_afterwards_and_the_event_does_not() -> None:
    body = bytearray(BODY)
    event = WEBHOOK.verify(body)
    view_event = WEBHOOK.verify(memoryview(body))
    body[:] = b"x" * len(body)
    assert event.body == view_event.body == BODY
    body.clear()  # Nothing holds on to it.
    assert event.ref == "order-42"


def test_a_view_that_was_released_is_refused() -> None:
    view = memoryview(BODY)
    view.release()
    with pytest.raises((TypeError, ValueError)):
        WEBHOOK.verify(view)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        "",
        bytearray(),
        memoryview(b""),
        b" \n",
        b"null",
        b"[]",
        b"{}",
        b"order_id",
        b"\xff\xfe{}",
        BODY[:-1],
        BODY + b"x",
        b"{" * 60_000,
        HALF_A_CHARACTER,
        BODY.decode().replace("tomorrow", HALF_A_CHARACTER),
        BODY.decode().replace("pl_1", HALF_A_CHARACTER),
        repr(json.loads(BODY)),
    ],
    ids=short,
)
def test_a_body_that_is_no_delivery_is_refused(body: Any) -> None:
    with pytest.raises(WebhookPayloadError) as caught:
        WEBHOOK.verify(body)
    assert (caught.value.code, caught.value.outcome) == ("webhook_payload", None)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("as_type", [bytes, bytearray, memoryview, bytes.decode])
def test_a_body_has_at_most_65536_bytes(as_type: Callable[[bytes], Any]) -> None:
    assert WEBHOOK.verify(as_type(BODY.ljust(65_536))).order_id == "pl_1"
    for length in (65_537, 10_000_000):
        with pytest.raises(WebhookPayloadError, match=f"{length}"):
            WEBHOOK.verify(as_type(BODY.ljust(length)))


def test_a_body_is_measured_in_bytes_and_not_in_characters() -> None:
    text = json.dumps(json.loads(BODY) | {"note": "ل" * 40_000}, ensure_ascii=False)
    with pytest.raises(WebhookPayloadError):
        WEBHOOK.verify(text)


def event() -> Any:
    return WEBHOOK.verify(BODY)


ORDER: dict[str, Any] = {
    "amount": "10.50",
    "currency": "USD",
    "ref": "order-42",
    "order_id": "pl_1",
}


@pytest.mark.parametrize("name", ["currency", "ref", "order_id"])
def test_an_orders_text_of_a_wrong_type(name: str) -> None:
    for value in NOT_TEXT if name == "order_id" else [None, *NOT_TEXT]:
        with pytest.raises(TypeError, match=name):
            event().match_order(**ORDER | {name: value})


def test_an_order_is_given_by_keyword_and_whole() -> None:
    assert event().match_order(**ORDER).is_fulfilled
    with pytest.raises(TypeError):
        event().match_order("10.50", "USD", "order-42")
    with pytest.raises(TypeError, match="speed"):
        event().match_order(**ORDER, speed=1)
    for name in ("amount", "currency", "ref"):
        with pytest.raises(TypeError, match=name):
            event().match_order(**{other: ORDER[other] for other in ORDER if other != name})


@pytest.mark.parametrize("name", ["currency", "ref", "order_id"])
@pytest.mark.parametrize("value", ["", " ", "another", HALF_A_CHARACTER])
def test_an_order_that_does_not_fit(name: str, value: str) -> None:
    with pytest.raises((OrderMismatchError, ValidationError)) as caught:
        event().match_order(**ORDER | {name: value})
    assert vars(caught.value)["field"] == name


@pytest.mark.parametrize("order_id", [None, *NOT_TEXT], ids=short)
def test_an_order_id_to_sign_of_a_wrong_type(order_id: Any) -> None:
    with pytest.raises(TypeError, match="order_id"):
        WEBHOOK.sign(amount="10.50", order_id=order_id)


def test_what_to_sign_is_given_by_keyword() -> None:
    with pytest.raises(TypeError):
        WEBHOOK.sign("10.50", "pl_1")
    with pytest.raises(TypeError, match="order_id"):
        WEBHOOK.sign(amount="10.50")


# ---------------------------------------------------------------- an event comes from `verify` alone


def forged_pickle(how: Callable[..., object], *arguments: object) -> bytes:
    """A pickle that calls a function when it is read."""

    class Forged:
        def __reduce__(self) -> tuple[Any, ...]:
            return how, arguments

    return pickle.dumps(Forged())


FIELDS = {
    "order_id": "pl_1",
    "amount": Decimal("1000000"),
    "status": "fulfilled",
    "is_fulfilled": True,
}


@pytest.mark.parametrize(
    "make",
    [
        lambda: AnyEvent(),
        lambda: AnyEvent(BODY),
        lambda: AnyEvent(**FIELDS),
        lambda: AnyEvent.__new__(AnyEvent),
        lambda: AnyEvent.__new__(AnyEvent, BODY),
        lambda: object.__new__(AnyEvent),
        lambda: type(event())(),
        lambda: type.__call__(AnyEvent),
        lambda: registry.__newobj__(AnyEvent),
        lambda: registry.__newobj_ex__(AnyEvent, (), {}),
        lambda: registry._reconstructor(AnyEvent, object, None),
        lambda: type("Forged", (AnyEvent,), {}),
        lambda: types.new_class("Forged", (AnyEvent,)),
        lambda: dataclasses.replace(event(), status="fulfilled"),
        lambda: pickle.loads(forged_pickle(AnyEvent)),
        lambda: pickle.loads(forged_pickle(object.__new__, AnyEvent)),
        lambda: pickle.loads(forged_pickle(registry._reconstructor, AnyEvent, object, None)),
        lambda: pickle.loads(b"\x80\x02ckazawallet\nPaymentEvent\n)\x81."),
        lambda: pickle.loads(b"\x80\x02ckazawallet\nPaymentEvent\n)R."),
        lambda: pickle.loads(b"(ikazawallet\nPaymentEvent\n."),
    ],
)
def test_an_event_is_not_made(make: Callable[[], object]) -> None:
    with pytest.raises((TypeError, pickle.UnpicklingError)):
        make()
    gc.collect()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_event_is_not_pickled(protocol: int) -> None:
    for again in (pickle.dumps, AnyEvent.__reduce_ex__):
        with pytest.raises(TypeError, match="PaymentEvent"):
            again(event(), protocol)


def test_another_object_does_not_become_an_event() -> None:
    class Forged: ...

    forged = Forged()
    with pytest.raises(TypeError):
        forged.__class__ = AnyEvent
    genuine = event()
    with pytest.raises((TypeError, AttributeError)):
        genuine.__class__ = Forged
    for stand_in in (forged, None, WEBHOOK, AnyEvent):
        with pytest.raises(TypeError):
            AnyEvent.match_order(stand_in, **ORDER)
        with pytest.raises(TypeError):
            AnyEvent.amount.__get__(stand_in)
        with pytest.raises(TypeError):
            AnyEvent.__copy__(stand_in)


def test_a_copy_of_an_event_is_the_event() -> None:
    genuine = event()
    assert copy.copy(genuine) is genuine
    assert copy.deepcopy(genuine) is genuine
    assert copy.deepcopy({"events": [genuine]})["events"][0] is genuine


def test_an_event_does_not_change() -> None:
    genuine = event()
    for name in (
        "order_id",
        "amount",
        "status",
        "currency",
        "ref",
        "is_fulfilled",
        "extra",
        "body",
    ):
        with pytest.raises((AttributeError, TypeError)):
            setattr(genuine, name, "x")
        with pytest.raises((AttributeError, TypeError)):
            object.__setattr__(genuine, name, "x")
        with pytest.raises((AttributeError, TypeError)):
            delattr(genuine, name)
    with pytest.raises((AttributeError, TypeError)):
        genuine.verified = False
    with pytest.raises(TypeError):
        vars(genuine)
    with pytest.raises((AttributeError, TypeError)):
        genuine.__setstate__(FIELDS)
    genuine.extra["note"] = "changed"
    genuine.extra.clear()
    assert genuine.extra == {"note": "a field of tomorrow"}
    assert genuine.amount == Decimal("10.50")


def test_an_events_repr_shows_no_reference_and_no_body() -> None:
    genuine = WEBHOOK.verify(delivery(ref="lina@example.com", note="for Lina"))
    text = f"{genuine!r} {genuine} {[genuine]}"
    for private in ("lina@example.com", "for Lina", SECRET, genuine.body.decode()):
        assert private not in text
    assert "pl_1" in text


# ---------------------------------------------------------------- results

ANSWERS: dict[str, dict[str, Any]] = {
    "payment_links.create": {
        "success": True,
        "url": f"https://pay.example/l/1?email={USER_EMAIL}",
        "order_id": "pl_1",
    },
    "withdrawals.create": {
        "success": True,
        "status": "approved",
        "message": f"paid to {RECIPIENT}",
    },
    "wallets.list": {"success": True, "wallets": [{"currency": "USD", "amount": "1.50"}]},
    "deposits.create": {
        "success": True,
        "createdPayment": {
            "status": "pending",
            "transaction_id": "de-1",
            "note": NOTE,
            "message": f"for {USER_EMAIL}",
        },
    },
    "request": {"success": True, "holder": RECIPIENT},
}


def results(operation: str, program: Path) -> list[Any]:
    """What three calls gave: twice the same answer, and then another."""
    answers = [ANSWERS[operation]] * 2 + [ANSWERS[operation] | {"and": "more"}]
    steps = [{"do": "respond", "status": 200, "body": {"json": answer}} for answer in answers]
    with (
        ScriptedServer(program, {"steps": steps}) as server,
        Client(api_key=KEY, api_secret=SECRET, merchant_email=EMAIL, base_url=server.url) as client,
    ):
        call = operator.attrgetter(operation)(client)
        leading = LEADING.get(operation, ())
        return [call(*leading, **ARGUMENTS[operation]) for _ in answers]


EACH_OPERATION = pytest.mark.parametrize("operation", OPERATIONS)


def with_parts(result: Any) -> list[Any]:
    """A result, and the objects that it is made of."""
    parts = [result]
    if hasattr(result, "raw"):
        parts.append(result.raw)
    if hasattr(result, "wallets"):
        parts += result.wallets
    return parts


@EACH_OPERATION
def test_results_compare_by_what_they_hold(operation: str, simulator_program: Path) -> None:
    one, same, other = results(operation, simulator_program)
    assert one is not same
    assert one == same
    assert not one != same  # noqa: SIM202
    assert hash(one) == hash(same)
    assert one != other
    assert len({one, same, other}) == 2
    for part in with_parts(one):
        assert part == part
        for stranger in (None, 1, "x", {}, object(), PaymentLink, METHOD):
            assert part != stranger
            assert not part == stranger  # noqa: SIM201
        with pytest.raises(TypeError):
            _ = part < part
        hash(part)


@EACH_OPERATION
def test_results_do_not_change(operation: str, simulator_program: Path) -> None:
    for part in with_parts(results(operation, simulator_program)[0]):
        names = [name for name in dir(part) if not name.startswith("_")]
        for name in [*names, "another"]:
            with pytest.raises((AttributeError, TypeError)):
                setattr(part, name, "x")
            with pytest.raises((AttributeError, TypeError)):
                delattr(part, name)
        assert copy.copy(part) == copy.deepcopy(part) == part
        with pytest.raises(TypeError):
            type(part)()
        with pytest.raises(TypeError):
            type("Another", (type(part),), {})


@EACH_OPERATION
def test_a_results_repr_shows_no_personal_data(operation: str, simulator_program: Path) -> None:
    for part in with_parts(results(operation, simulator_program)[0]):
        text = f"{part!r} {part} {[part]}"
        assert type(part).__name__ in text
        for private in (KEY, SECRET, EMAIL, USER_EMAIL, RECIPIENT, PHONE, NOTE):
            assert private not in text


def test_wallets_are_indexed_as_a_tuple_is(simulator: Simulator) -> None:
    with simulator.client() as client:
        wallets: Any = client.wallets.list()
    assert len(wallets) == len(wallets.wallets) == 2
    for index in (0, 1, -1, -2, True):
        assert wallets[index] == wallets.wallets[index]
    for index in (2, -3, 10**30, -(10**30)):
        with pytest.raises(IndexError):
            wallets[index]
    for key in ("USD", 1.0, None):
        with pytest.raises(TypeError):
            wallets[key]


def test_payment_methods_compare_and_show_no_personal_data() -> None:
    for kind in METHODS:
        one, same = method_of(kind), method_of(kind)
        assert one == same
        assert hash(one) == hash(same)
        assert len({one, same}) == 1
        assert copy.copy(one) == copy.deepcopy(one) == one
        text = f"{one!r} {one} {[one]}"
        assert RECIPIENT not in text
        assert PHONE not in text
        with pytest.raises((AttributeError, TypeError)):
            setattr(one, "phone", "x")  # noqa: B010, since no type checker lets it pass
    assert method_of("haram_under_3m") != method_of("haram_over_3m")
    assert method_of("sy_cash") != method_of("sy_cash", phone="0944123456")
    assert method_of("sy_cash") != PHONE
    with pytest.raises(TypeError):
        PaymentMethod()


def test_a_webhook_shows_no_secret_and_does_not_change() -> None:
    text = f"{WEBHOOK!r} {WEBHOOK} {[WEBHOOK]}"
    assert KEY not in text
    assert SECRET not in text
    assert WEBHOOK.with_previous("k", "s") is not WEBHOOK
    with pytest.raises((AttributeError, TypeError)):
        WEBHOOK.api_secret = "x"
    with pytest.raises(TypeError):
        pickle.dumps(WEBHOOK)


@EACH_CLIENT
def test_a_clients_repr_shows_no_key(kind: Any) -> None:
    client = kind(**OPTIONS)
    text = f"{client!r} {client} {client.payment_links!r} {client._connection!r}"
    for private in (KEY, SECRET, EMAIL):
        assert private not in text


class Shifting(int):
    """An int of which the arithmetic is its own. What is read bit by bit would be another number."""

    def __rshift__(self, other: int) -> int:
        return 1

    def __and__(self, other: int) -> int:
        return 7

    def __index__(self) -> int:
        return 8


@pytest.mark.parametrize("number", [10, 2**64 + 10, 10**30])
def test_an_integer_with_arithmetic_of_its_own_is_sent_as_it_is(
    kazawallet_simulator: Simulator, number: int
) -> None:
    with kazawallet_simulator.client() as client:
        try:
            client.payment_links.create(amount=Shifting(number), currency="USD")
        except KazawalletError as refusal:
            # The simulated merchant need not take as much; what was sent counts.
            assert refusal.outcome == "rejected"
    assert json.loads(kazawallet_simulator.requests[-1].body)["amount"] == str(number)
