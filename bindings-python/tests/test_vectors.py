"""The vectors of tests/vectors, as tests/README.md says: signatures, amounts and webhook bodies.

The phones are in test_phones.py.
"""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal, localcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from repository import SHARED_TESTS, NotUnderstood, hold_keys, read_file, read_json, same_json

from kazawallet import (
    Client,
    KazawalletError,
    OrderMismatchError,
    PaymentEvent,
    PaymentMethod,
    SignatureVerificationError,
    ValidationError,
    Webhook,
    WebhookError,
    WebhookPayloadError,
)
from kazawallet.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VECTORS = SHARED_TESTS / "vectors"
KNOWN_FILES = {"amounts.json", "payloads.json", "phones.json", "signatures.json"}


def cases_of(name: str, required: str, optional: str = "") -> list[dict[str, Any]]:
    file = hold_keys(name, read_file(VECTORS / name), "made_with cases")
    return [hold_keys(name, case, required, optional) for case in file["cases"]]


def by_name(cases: list[dict[str, Any]]) -> list[Any]:
    """The cases as parameters, under their own names."""
    return [pytest.param(case, id=case["name"]) for case in cases]


def test_every_file_is_known() -> None:
    assert {path.name for path in VECTORS.glob("*.json")} == KNOWN_FILES


# ---------------------------------------------------------------- signatures

SIGNATURES = cases_of("signatures.json", "name amount order_id api_key api_secret secret")


def delivery(amount: str, order_id: str, secret: str) -> bytes:
    fields = {"order_id": order_id, "amount": amount, "secret": secret, "status": "fulfilled"}
    return json.dumps(fields).encode()


def each_character_changed(text: str) -> Iterator[str]:
    """The text with one character replaced by another, once for each character. A digit stays a
    digit, so that a changed amount is still an amount."""
    for at, old in enumerate(text):
        new = str((int(old) + 1) % 10) if old in "0123456789" else "0" if old == "." else "x"
        yield f"{text[:at]}{'y' if new == old else new}{text[at + 1 :]}"


def test_no_signature_is_missing() -> None:
    assert len(SIGNATURES) >= 33


@pytest.mark.parametrize("case", by_name(SIGNATURES))
def test_a_signature_is_made_and_holds(case: dict[str, str]) -> None:
    webhook = Webhook(case["api_key"], case["api_secret"])
    assert webhook.sign(amount=case["amount"], order_id=case["order_id"]) == case["secret"]
    event = webhook.verify(delivery(case["amount"], case["order_id"], case["secret"]))
    assert same_decimal(event.amount, case["amount"])
    assert event.order_id == case["order_id"]
    assert event.is_fulfilled


@pytest.mark.parametrize("case", by_name(SIGNATURES))
def test_any_changed_character_breaks_a_signature(case: dict[str, str]) -> None:
    for changed_part in ("amount", "order_id", "api_key", "api_secret", "secret"):
        for text in each_character_changed(case[changed_part]):
            changed = case | {changed_part: text}
            webhook = Webhook(changed["api_key"], changed["api_secret"])
            body = delivery(changed["amount"], changed["order_id"], changed["secret"])
            with pytest.raises(SignatureVerificationError) as caught:
                webhook.verify(body)
            assert caught.value.code == "signature_verification"
            assert caught.value.outcome is None


# ---------------------------------------------------------------- amounts

AMOUNTS = hold_keys("amounts.json", read_file(VECTORS / "amounts.json"), "good bad typed")
GOOD = [
    hold_keys("good", case, "text shortest two_decimals", "equal_to not_equal_to")
    for case in AMOUNTS["good"]
]
BAD = [hold_keys("bad", case, "text why", "message_contains") for case in AMOUNTS["bad"]]
WEBHOOK = Webhook("81A107141716", "888B6B8877F8")


def by_text(cases: list[dict[str, Any]]) -> list[Any]:
    """The cases as parameters, under a text that a terminal can show."""
    return [
        pytest.param(case, id=f"{number}-{case['text'][:24]!a}")
        for number, case in enumerate(cases)
    ]


def same_decimal(value: object, text: str) -> bool:
    """Whether a value is the `Decimal` with the very digits of the text. (Leading zeros are no part
    of one.)"""
    return type(value) is Decimal and value.as_tuple() == Decimal(text).as_tuple()


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def client(simulator: Simulator) -> Iterator[Client]:
    with simulator.client() as made:
        yield made


class Taker(NamedTuple):
    """A call that takes an amount. `outcome` is what its refusal has."""

    name: str
    give: Callable[[Client, Any], object]


WITHDRAWALS = Taker(
    "withdrawals",
    lambda client, amount: client.withdrawals.create(
        amount=amount,
        currency="USD",
        payment_method=PaymentMethod.custom(id="37", fields={"name": "n"}),
    ),
)
TAKERS = [
    WITHDRAWALS,
    Taker(
        "links", lambda client, amount: client.payment_links.create(amount=amount, currency="USD")
    ),
    Taker(
        "deposits",
        lambda client, amount: client.deposits.create(
            amount=amount,
            currency="USD",
            user_email="user@example.com",
            payment_method=PaymentMethod.custom(id="118", fields={}),
        ),
    ),
    Taker("sign", lambda _, amount: WEBHOOK.sign(amount=amount, order_id="pl_1")),
    Taker(
        "match_order",
        lambda _, amount: event_of("1").match_order(amount=amount, currency="USD", ref="1"),
    ),
]


def event_of(amount: str, signed_over: str | None = None) -> PaymentEvent:
    """The event of a delivery with this amount; the signature may be over another form of it."""
    secret = WEBHOOK.sign(amount=signed_over or amount, order_id="pl_1")
    fields = {"order_id": "pl_1", "amount": amount, "secret": secret, "status": "fulfilled"}
    return WEBHOOK.verify(json.dumps(fields | {"currency": "USD", "ref": "1"}))


def sent_amount(simulator: Simulator, call: Callable[[], object]) -> object:
    """The amount that a call sends, once; it is text in its JSON."""
    seen_before = len(simulator.requests)
    try:
        call()
    except KazawalletError as refusal:
        # The simulated merchant need not take, or own, as much; what was sent counts.
        assert refusal.outcome == "rejected"
    [request] = simulator.requests[seen_before:]
    return json.loads(request.body)["amount"]


def test_no_amount_is_missing() -> None:
    assert len(GOOD) >= 39
    assert len(BAD) >= 114
    assert len(AMOUNTS["typed"]) >= 45


@pytest.mark.parametrize("case", by_text(GOOD))
def test_a_good_amount_is_sent_as_it_is(
    case: dict[str, Any], client: Client, simulator: Simulator
) -> None:
    # A payment link takes fewer: those that its webhook's signature can be found by.
    assert sent_amount(simulator, partial(WITHDRAWALS.give, client, case["text"])) == case["text"]


@pytest.mark.parametrize("case", by_text(GOOD))
def test_a_good_amount_compares_by_its_value(case: dict[str, Any]) -> None:
    # The caller's own decimal context has no say in what an amount is.
    with localcontext() as context:
        context.prec = 2
        event = event_of(case["text"])
        assert same_decimal(event.amount, case["text"])
        for text in [case["text"], *case.get("equal_to", [])]:
            for amount in (text, Decimal(text)):
                assert event.match_order(amount=amount, currency="usd", ref="1") is event
        for text in case.get("not_equal_to", []):
            with pytest.raises(OrderMismatchError) as caught:
                event.match_order(amount=text, currency="USD", ref="1")
            error = caught.value
            assert (error.field, error.expected, error.actual) == ("amount", text, case["text"])
            assert (error.code, error.outcome) == ("order_mismatch", None)


@pytest.mark.parametrize("case", by_text(GOOD))
def test_a_signature_over_an_equal_form_of_the_amount_holds(case: dict[str, Any]) -> None:
    for form in (case["shortest"], case["two_decimals"]):
        # With two decimals it may have more digits than an amount may have.
        if form is not None and sum(map(str.isdigit, form)) <= 40:
            assert same_decimal(event_of(case["text"], form).amount, case["text"])
    if case["two_decimals"] is None:
        whole, _, fraction = case["shortest"].partition(".")
        cut = f"{whole}.{fraction[:2]}"
        if Decimal(cut):  # Zero is no amount to sign.
            with pytest.raises(SignatureVerificationError):
                event_of(case["text"], cut)


@pytest.mark.parametrize("taker", TAKERS, ids=lambda taker: taker.name)
@pytest.mark.parametrize("case", by_text(BAD))
def test_a_bad_amount_is_refused(
    case: dict[str, Any], taker: Taker, client: Client, simulator: Simulator
) -> None:
    seen_before = len(simulator.requests)
    if taker.name == "sign" and case["why"] == "zero":
        signed = delivery(case["text"], "pl_1", str(taker.give(client, case["text"])))
        assert same_decimal(WEBHOOK.verify(signed).amount, case["text"])
        return
    with pytest.raises(ValidationError) as caught:
        taker.give(client, case["text"])
    assert len(simulator.requests) == seen_before
    error = caught.value
    assert (error.code, error.field, error.outcome) == ("validation", "amount", "not_sent")
    assert case.get("message_contains", "") in str(error)


@pytest.mark.parametrize("case", by_text([case for case in BAD if case["why"] != "zero"]))
def test_a_delivery_with_a_bad_amount_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(WebhookPayloadError) as caught:
        WEBHOOK.verify(delivery(case["text"], "pl_1", "x"))
    assert (caught.value.code, caught.value.field) == ("webhook_payload", "amount")


def typed_value(kind: str, written: Any) -> object:
    """The value of the Python type that the case names."""
    match kind:
        case "integer":
            return int(written)
        case "decimal":
            return Decimal(written)
        case "float":
            return float(written)
        case "boolean" | "null" | "object" | "list":
            return written
        case _:
            raise NotUnderstood(f"typed: what is {kind!r}?")


def typed_cases() -> Iterator[Any]:
    for number, case in enumerate(AMOUNTS["typed"]):
        expected = {"text", "error"} & case.keys()
        kinds = case.keys() - expected - {"signed"}
        if len(expected) != 1 or len(kinds) != 1 or case.get("error", "validation") not in ERRORS:
            raise NotUnderstood(f"typed: {case}")
        [kind] = kinds
        value = typed_value(kind, case[kind])
        yield pytest.param(
            value,
            case.get("text"),
            case.get("error"),
            case.get("signed"),
            id=f"{number}-{kind}-{str(case[kind])[:24]}",
        )


ERRORS: dict[str, type[Exception]] = {"validation": ValidationError, "type_error": TypeError}


@pytest.mark.parametrize("taker", TAKERS, ids=lambda taker: taker.name)
@pytest.mark.parametrize(("value", "text", "error", "signed"), list(typed_cases()))
def test_an_amount_of_another_type(
    value: object,
    text: str | None,
    error: str | None,
    signed: str | None,
    taker: Taker,
    client: Client,
    simulator: Simulator,
) -> None:
    seen_before = len(simulator.requests)
    if signed is not None and taker.name == "sign":
        assert taker.give(client, value) == WEBHOOK.sign(amount=signed, order_id="pl_1")
        return
    if error is not None:
        with pytest.raises(ERRORS[error]) as caught:
            taker.give(client, value)
        assert len(simulator.requests) == seen_before
        assert type(caught.value) is ERRORS[error]
        if isinstance(caught.value, ValidationError):
            assert (caught.value.field, caught.value.outcome) == ("amount", "not_sent")
        else:
            assert "amount" in str(caught.value)
        if isinstance(value, (bool, float)):
            assert re.search(r'"[0-9.]+"', str(caught.value)), "the text form to use is not shown"
        return
    assert text is not None
    match taker.name:
        case "sign":
            assert taker.give(client, value) == WEBHOOK.sign(amount=text, order_id="pl_1")
        case "match_order":
            event = event_of(text)
            assert event.match_order(amount=value, currency="USD", ref="1") is event  # type: ignore[arg-type]
        case "links" if len(text.partition(".")[2]) > 8:
            # Its signature could not be found again.
            with pytest.raises(ValidationError) as refused:
                taker.give(client, value)
            assert (refused.value.field, refused.value.outcome) == ("amount", "not_sent")
        case _:
            assert sent_amount(simulator, partial(taker.give, client, value)) == text


# ---------------------------------------------------------------- payloads

PAYLOADS = cases_of(
    "payloads.json",
    "name api_key api_secret",
    "note previous body body_base64 body_repeat event error",
)
BODY_KEYS = {"body", "body_base64", "body_repeat"}
EVENT_KEYS = "order_id amount status currency ref fulfilled extra"
ERROR_CLASSES = {
    "webhook_payload": WebhookPayloadError,
    "signature_verification": SignatureVerificationError,
}


def body_of(case: dict[str, Any]) -> bytes:
    if len(BODY_KEYS & case.keys()) != 1 or ("event" in case) == ("error" in case):
        raise NotUnderstood(f"{case['name']}: one body, and one of `event` and `error`")
    if "body_base64" in case:
        return base64.b64decode(case["body_base64"], validate=True)
    parts = case.get("body_repeat", [{"text": case.get("body"), "times": 1}])
    parts = [hold_keys(f"{case['name']}, a part", part, "text times") for part in parts]
    return "".join(part["text"] * part["times"] for part in parts).encode()


def webhook_of(case: dict[str, Any]) -> Webhook:
    webhook = Webhook(case["api_key"], case["api_secret"])
    for previous in case.get("previous", []):
        hold_keys(f"{case['name']}, previous", previous, "api_key api_secret")
        webhook = webhook.with_previous(previous["api_key"], previous["api_secret"])
    return webhook


def bodies_of(case: dict[str, Any]) -> Iterator[bytes | bytearray | memoryview | str]:
    """The body in each type in which a framework hands one over."""
    body = body_of(case)
    yield body
    yield bytearray(body)
    yield memoryview(body)
    try:
        yield body.decode()
    except UnicodeDecodeError:
        return


def test_no_payload_is_missing() -> None:
    names = [case["name"] for case in PAYLOADS]
    assert len(names) >= 460
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", by_name([case for case in PAYLOADS if "event" in case]))
def test_a_payload_verifies(case: dict[str, Any]) -> None:
    wanted = hold_keys(case["name"], case["event"], EVENT_KEYS)
    webhook = webhook_of(case)
    for body in bodies_of(case):
        event = webhook.verify(body)
        assert event.order_id == wanted["order_id"]
        assert same_decimal(event.amount, wanted["amount"])
        assert (event.status, event.currency, event.ref) == tuple(
            wanted[name] for name in ("status", "currency", "ref")
        )
        assert event.is_fulfilled is wanted["fulfilled"]
        extra = {key: read_json(text, parse_float=Decimal) for key, text in wanted["extra"].items()}
        assert same_json(event.extra, extra), event.extra
        assert event.body == body_of(case)
        assert type(event.body) is bytes


@pytest.mark.parametrize("case", by_name([case for case in PAYLOADS if "error" in case]))
def test_a_payload_is_refused(case: dict[str, Any]) -> None:
    wanted = hold_keys(case["name"], case["error"], "code", "field")
    webhook = webhook_of(case)
    for body in bodies_of(case):
        with pytest.raises(WebhookError) as caught:
            webhook.verify(body)
        error = caught.value
        assert type(error) is ERROR_CLASSES[wanted["code"]]
        assert error.code == wanted["code"]
        if "field" in wanted:
            assert getattr(error, "field", None) == wanted["field"]
        assert error.outcome is None
        assert case["api_secret"] not in f"{error!s} {error!r} {error.__cause__!r}"
