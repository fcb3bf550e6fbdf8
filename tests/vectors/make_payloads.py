#!/usr/bin/env python3
"""Writes payloads.json: webhook bodies, each with the event or the error it must give.

    python3 make_payloads.py            write payloads.json
    python3 make_payloads.py --check    exit with 1 if payloads.json is out of date

The signature is computed here with hashlib and hmac, in the steps of the provider's
documentation, and not by the SDK. So the SDK is held against something other than itself.
What a body must give is written out beside it, never read back from the body.
tests/README.md describes the format.
"""

import base64
import hashlib
import hmac
import json
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "payloads.json"
SIGNATURES = HERE / "signatures.json"

API_KEY = "81A107141716"
API_SECRET = "888B6B8877F8"
ORDER_ID = "pl_8f2a61c0"
AMOUNT = "10.50"
REF = "order-42"
BOUNDARY = "------------------------d74496d66958873e"
BOTH = "pl_8f2a61c1"  # an order id whose signature holds both + and /

BOM = b"\xef\xbb\xbf"
LIMIT = 65_536  # bytes of a whole body
FIELD_LIMIT = 1_024  # bytes of a known field, once decoded

cases = []


def sign(amount=AMOUNT, order_id=ORDER_ID, api_key=API_KEY, api_secret=API_SECRET):
    """base64(HMAC-SHA512(api_secret, SHA-256(amount ::: order_id ::: api_key)))."""
    text = f"{amount}:::{order_id}:::{api_key}"
    digest = hashlib.sha256(text.encode()).digest()
    signature = hmac.new(api_secret.encode(), digest, hashlib.sha512).digest()
    return base64.b64encode(signature).decode()


# ---------------------------------------------------------------- bodies


def quoted(text):
    """A JSON string."""
    return json.dumps(text, ensure_ascii=False)


def delivery(signed, wire, written=str):
    """The fields of a delivery, signed over the amount and order id in `signed`, as they are written.

    `wire` replaces fields by what stands on the wire; None leaves a field out.
    """
    fields = {
        "order_id": ORDER_ID,
        "secret": sign(*signed),
        "amount": AMOUNT,
        "ref": REF,
        "status": "fulfilled",
        "currency": "USD",
    }
    fields = {name: written(value) for name, value in fields.items()} | wire
    return {name: value for name, value in fields.items() if value is not None}


def json_body(signed=(AMOUNT, ORDER_ID), more="", **wire):
    """A JSON delivery. `wire` gives other JSON text. `more` is put behind the last field."""
    fields = delivery(signed, wire, quoted)
    return "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + more + "}"


def form_body(signed=(AMOUNT, ORDER_ID), more="", **wire):
    """The same, form-encoded."""
    fields = delivery(signed, wire, quote_plus)
    return "&".join(f"{name}={value}" for name, value in fields.items()) + more


def part(name, value, boundary, more=""):
    """A field of multipart/form-data."""
    head = f'Content-Disposition: form-data; name="{name}"{more}'
    return f"--{boundary}\r\n{head}\r\n\r\n{value}\r\n"


def multipart_body(signed=(AMOUNT, ORDER_ID), boundary=BOUNDARY, **wire):
    """The same as multipart/form-data, as PHP's cURL sends an array."""
    parts = (part(name, value, boundary) for name, value in delivery(signed, wire).items())
    return "".join(parts) + f"--{boundary}--\r\n"


# ---------------------------------------------------------------- cases


def event(
    order_id=ORDER_ID,
    amount=AMOUNT,
    status="fulfilled",
    currency="USD",
    ref=REF,
    extra=None,
):
    """What verify must return. The default is what the default bodies say."""
    return {
        "order_id": order_id,
        "amount": amount,
        "status": status,
        "currency": currency,
        "ref": ref,
        "fulfilled": status == "fulfilled",
        "extra": extra or {},
    }


def wire_form(body):
    """How payloads.json holds a body: as text, as repeated parts, or as base64."""
    if isinstance(body, list):
        return {"body_repeat": [{"text": t, "times": n} for t, n in body]}
    if isinstance(body, str):
        body = body.encode()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is None or body.startswith(BOM) or "\0" in text or len(body) > 8_192:
        return {"body_base64": base64.b64encode(body).decode()}
    return {"body": text}


def add(name, body, expected, api_key, api_secret, previous, note):
    case = {"name": name}
    if note:
        case["note"] = note
    case |= {"api_key": api_key, "api_secret": api_secret}
    if previous:
        case["previous"] = [{"api_key": k, "api_secret": s} for k, s in previous]
    cases.append(case | wire_form(body) | expected)


def good(
    name,
    body,
    expected=None,
    *,
    api_key=API_KEY,
    api_secret=API_SECRET,
    previous=(),
    note=None,
):
    """A body that verifies and gives the event."""
    outcome = {"event": expected or event()}
    add(name, body, outcome, api_key, api_secret, previous, note)


UNSTATED = object()


def refused(name, body, field=UNSTATED, note=None):
    """A body that is no delivery. `field=None` says that the error names no field."""
    error = {"code": "webhook_payload"}
    if field is not UNSTATED:
        error["field"] = field
    add(name, body, {"error": error}, API_KEY, API_SECRET, (), note)


def forged(
    name,
    body,
    *,
    api_key=API_KEY,
    api_secret=API_SECRET,
    previous=(),
    note=None,
):
    """A readable body whose signature does not hold."""
    error = {"code": "signature_verification"}
    add(name, body, {"error": error}, api_key, api_secret, previous, note)


def multipart():
    good("multipart", multipart_body())
    good("multipart with a short boundary", multipart_body(boundary="x"))
    good("multipart behind a BOM", BOM + multipart_body().encode())
    good("multipart without the last line break", multipart_body().rstrip("\r\n"))
    good(
        "multipart with an epilogue",
        multipart_body() + "what comes after the last boundary counts for nothing",
    )
    good(
        "the least there can be, multipart",
        multipart_body(ref=None, currency=None),
        event(ref=None, currency=None),
    )
    good(
        "a plus and a percent sign in multipart are what they are",
        multipart_body(signed=(AMOUNT, "a+b%20c"), order_id="a+b%20c"),
        event(order_id="a+b%20c"),
    )
    good("ref with Arabic, multipart", multipart_body(ref="زبون-١"), event(ref="زبون-١"))
    good(
        "a line break in a field of multipart",
        multipart_body(ref="order\r\n42"),
        event(ref="order\r\n42"),
    )
    good(
        "an unknown field, multipart",
        multipart_body(fee="0.10"),
        event(extra={"fee": '"0.10"'}),
    )
    good(
        "a file in multipart is no field",
        part("order_id", "pl_other", BOUNDARY, '; filename="a.txt"') + multipart_body(),
    )
    good(
        "multipart with more headers",
        multipart_body().replace(
            'name="amount"\r\n',
            'name="amount"\r\nContent-Type: text/plain; charset=utf-8\r\n'
            "content-transfer-encoding: 8BIT\r\n",
        ),
    )
    good(
        "id in place of order_id, multipart",
        multipart_body(order_id=None, id=ORDER_ID),
    )
    good(
        "signed over 10.500, sent as 10.5 in multipart",
        multipart_body(signed=("10.500", ORDER_ID), amount="10.5"),
        event(amount="10.5"),
    )
    forged("amount changed, multipart", multipart_body(amount="1.50"))
    refused(
        "a key twice, multipart", part("order_id", "pl_other", BOUNDARY) + multipart_body(), None
    )
    refused("amount is missing, multipart", multipart_body(amount=None), "amount")
    refused("order_id is empty, multipart", multipart_body(order_id=""), "order_id")
    refused(
        "multipart cut short in a field", multipart_body().split("fulfilled", maxsplit=1)[0], None
    )
    refused("multipart without its end", multipart_body().replace("--\r\n", "", 1)[:-2], None)
    refused(
        "a field of multipart without a name",
        multipart_body().replace('form-data; name="currency"', "form-data"),
        None,
    )
    refused(
        "a field of multipart in base64",
        multipart_body().replace(
            'name="ref"\r\n', 'name="ref"\r\nContent-Transfer-Encoding: base64\r\n'
        ),
        None,
    )


def plain_deliveries():
    good("json", json_body())
    good("form", form_body())
    good(
        "json without white space",
        json_body().replace(": ", ":").replace(", ", ","),
    )
    good("json over several lines", json_body().replace(", ", ",\r\n\t"))
    good("json with white space around", " \t\r\n" + json_body() + "\r\n\t ")
    good("json behind a BOM", BOM + json_body().encode())
    good("json behind a BOM and white space", BOM + b"\r\n " + json_body().encode())
    good("form behind a BOM", BOM + form_body().encode())
    good(
        "json with the fields in another order",
        f'{{"currency": "USD", "status": "fulfilled", "ref": "{REF}", '
        f'"amount": "{AMOUNT}", "secret": "{sign()}", "order_id": "{ORDER_ID}"}}',
    )
    good(
        "form with the fields in another order",
        f"currency=USD&status=fulfilled&ref={REF}&amount={AMOUNT}"
        f"&secret={quote_plus(sign())}&order_id={ORDER_ID}",
    )
    good(
        "the least there can be, json",
        json_body(ref=None, currency=None),
        event(ref=None, currency=None),
    )
    good(
        "the least there can be, form",
        form_body(ref=None, currency=None),
        event(ref=None, currency=None),
    )
    good(
        "ref and currency are null",
        json_body(ref="null", currency="null"),
        event(ref=None, currency=None),
    )
    good(
        "ref and currency are empty, json",
        json_body(ref='""', currency='""'),
        event(ref=None, currency=None),
    )
    good(
        "ref and currency are empty, form",
        form_body(ref="", currency=""),
        event(ref=None, currency=None),
    )


def order_ids():
    good("id in place of order_id, json", json_body(order_id=None, id=quoted(ORDER_ID)))
    good("id in place of order_id, form", form_body(order_id=None, id=ORDER_ID))
    good(
        "id in place of an order_id that is null",
        json_body(order_id="null", id=quoted(ORDER_ID)),
    )
    good(
        "order_id counts where id is there too, json",
        json_body(id='"12"'),
        event(extra={"id": '"12"'}),
    )
    good(
        "order_id counts where a number id is there too",
        json_body(id="12"),
        event(extra={"id": "12"}),
    )
    good(
        "order_id counts where id is there too, form",
        form_body(id="12"),
        event(extra={"id": '"12"'}),
    )
    good(
        "order_id counts where id stands before it",
        '{"id": "12", ' + json_body()[1:],
        event(extra={"id": '"12"'}),
    )
    # The provider's own code knows the link's id as `id`, its documentation as `order_id`.
    good(
        "order_id is not signed and id is, json",
        json_body(order_id='"pl_other"', id=quoted(ORDER_ID)),
        event(extra={"order_id": '"pl_other"'}),
    )
    good(
        "order_id is not signed and id is, form",
        form_body(order_id="pl_other", id=ORDER_ID),
        event(extra={"order_id": '"pl_other"'}),
    )
    good(
        "order_id is a number that is not signed, and id is a number that is",
        json_body(signed=(AMOUNT, "4711"), order_id="9007199254740993", id="4711"),
        event(order_id="4711", extra={"order_id": "9007199254740993"}),
    )
    good(
        "id is signed, with another form of the amount",
        json_body(signed=("10.500", ORDER_ID), order_id='"pl_other"', id=quoted(ORDER_ID)),
        event(extra={"order_id": '"pl_other"'}),
    )
    good(
        "id is signed with the previous key",
        json_body(
            order_id='"pl_other"',
            id=quoted(ORDER_ID),
            secret=quoted(sign(api_key="OLD0KEY", api_secret="OLD0SECRET")),
        ),
        event(extra={"order_id": '"pl_other"'}),
        previous=[("OLD0KEY", "OLD0SECRET")],
    )
    good(
        "order_id and id are the same",
        json_body(id=quoted(ORDER_ID)),
        event(extra={"id": quoted(ORDER_ID)}),
    )
    good(
        "id in place of an order_id that is empty, json",
        json_body(order_id='""', id=quoted(ORDER_ID)),
        event(extra={"order_id": '""'}),
    )
    good(
        "id in place of an order_id that is empty, form",
        form_body(order_id="", id=ORDER_ID),
        event(extra={"order_id": '""'}),
    )
    good(
        "id in place of an order_id that is no id",
        json_body(order_id='{"a": 1}', id=quoted(ORDER_ID)),
        event(extra={"order_id": '{"a": 1}'}),
    )
    good(
        "an id that is no id stays in extra",
        json_body(id='{"a": 1}'),
        event(extra={"id": '{"a": 1}'}),
    )
    good(
        "an id that is null stays in extra",
        json_body(id="null"),
        event(extra={"id": "null"}),
    )
    forged(
        "neither order_id nor id is signed",
        json_body(order_id='"pl_other"', id='"pl_another"'),
    )
    for number in ["4711", "0", "123456789012345678901234567890"]:
        good(
            f"order_id is the number {number}",
            json_body(signed=(AMOUNT, number), order_id=number),
            event(order_id=number),
        )
    good(
        "id is a number in place of order_id",
        json_body(signed=(AMOUNT, "4711"), order_id=None, id="4711"),
        event(order_id="4711"),
    )
    for name, order_id in [
        ("Arabic", "طلب-٤٢"),
        ("the separator inside", "a:::b"),
        ("an emoji", "pl_😀"),
        ("spaces around", " pl_1 "),
    ]:
        good(
            f"order_id with {name}, json",
            json_body(signed=(AMOUNT, order_id), order_id=quoted(order_id)),
            event(order_id=order_id),
        )
        good(
            f"order_id with {name}, form",
            form_body(signed=(AMOUNT, order_id), order_id=quote(order_id)),
            event(order_id=order_id),
        )
    good(
        "order_id with Arabic in escapes",
        json_body(
            signed=(AMOUNT, "طلب-٤٢"),
            order_id=r'"\u0637\u0644\u0628-\u0664\u0662"',
        ),
        event(order_id="طلب-٤٢"),
    )
    good(
        "order_id with an escaped surrogate pair",
        json_body(signed=(AMOUNT, "pl_😀"), order_id=r'"pl_\ud83d\ude00"'),
        event(order_id="pl_😀"),
    )
    good(
        "order_id with each short escape",
        json_body(signed=(AMOUNT, '"\\/\b\f\n\r\t'), order_id=r'"\"\\\/\b\f\n\r\t"'),
        event(order_id='"\\/\b\f\n\r\t'),
    )
    good(
        "a plus in a form is a space",
        form_body(signed=(AMOUNT, "order 42"), order_id="order+42"),
        event(order_id="order 42"),
    )
    good(
        "%20 in a form is a space",
        form_body(signed=(AMOUNT, "order 42"), order_id="order%2042"),
        event(order_id="order 42"),
    )
    good(
        "%2B in a form is a plus",
        form_body(signed=(AMOUNT, "order+42"), order_id="order%2B42"),
        event(order_id="order+42"),
    )
    good(
        "a plus in JSON is a plus",
        json_body(signed=(AMOUNT, "order+42"), order_id='"order+42"'),
        event(order_id="order+42"),
    )
    good(
        "%26 and %3D in a form",
        form_body(signed=(AMOUNT, "a&b=c"), order_id="a%26b%3Dc"),
        event(order_id="a&b=c"),
    )
    good(
        "an equals sign inside a form's value",
        form_body(signed=(AMOUNT, "a=b"), order_id="a=b"),
        event(order_id="a=b"),
    )
    good(
        "percent signs in lower-case hexadecimal",
        form_body(signed=(AMOUNT, "طلب"), order_id=quote("طلب").lower()),
        event(order_id="طلب"),
    )
    good(
        "a field's name in escapes, json",
        json_body().replace('"order_id"', r'"order\u005fid"'),
    )
    good(
        "a field's name in escapes, form",
        form_body().replace("order_id", "order%5Fid"),
    )

    refused("order_id is missing, json", json_body(order_id=None), "order_id")
    refused("order_id is missing, form", form_body(order_id=None), "order_id")
    refused("order_id is empty, json", json_body(order_id='""'), "order_id")
    refused("order_id is empty, form", form_body(order_id=""), "order_id")
    refused("order_id is null", json_body(order_id="null"), "order_id")
    refused(
        "names of fields have their case",
        json_body(order_id=None, more=f', "Order_Id": "{ORDER_ID}"'),
        "order_id",
    )
    for wire in ["-4711", "-0", "4711.0", "47e2", "true", "false", '{"a": 1}', "[1]"]:
        refused(f"order_id is {wire}", json_body(order_id=wire), "order_id")
    refused(
        "id is an object in place of order_id",
        json_body(order_id=None, id='{"a": 1}'),
    )


def amounts():
    for wire in ["10.50", "10", "10.5", "0.01", "3000000", "100.10"]:
        good(
            f"amount is the number {wire}",
            json_body(signed=(wire, ORDER_ID), amount=wire),
            event(amount=wire),
        )
    for name, wire in [
        ("40 digits", "1" * 40),
        ("40 digits and a point", "1" * 20 + "." + "2" * 20),
        ("a whole number no double can hold", "9007199254740993"),
        ("a fraction no double can hold", "0.30000000000000004441"),
        ("eight decimals", "0.00000001"),
    ]:
        good(
            f"amount is a number: {name}",
            json_body(signed=(wire, ORDER_ID), amount=wire),
            event(amount=wire),
        )
        good(
            f"amount is text: {name}",
            json_body(signed=(wire, ORDER_ID), amount=quoted(wire)),
            event(amount=wire),
        )
    good(
        "amount of 40 digits in a form",
        form_body(signed=("1" * 40, ORDER_ID), amount="1" * 40),
        event(amount="1" * 40),
    )
    good(
        "amount in escapes, json",
        json_body(amount=r'"\u0031\u0030.50"'),
    )
    good("amount in escapes, form", form_body(amount="%31%30%2E50"))

    # The signature over another text of the same number.
    for signed, wire in [
        ("10", "10.00"),
        ("10", "10.0"),
        ("10", "10.000"),
        ("10.00", "10"),
        ("10.00", "10.0"),
        ("10.5", "10.50"),
        ("10.50", "10.5"),
        ("10.5", "10.500"),
        ("10.50", "10.500"),
        ("10.505", "10.5050"),
        ("3000000", "3000000.00"),
        ("0.01", "0.010"),
        ("10.0", "10"),
        ("10.000", "10.00"),
        ("10.500", "10.5"),
        ("10.00000000", "10"),
        ("0.12345678", "0.123456780"),
        ("0.00000001", "0.000000010"),
    ]:
        good(
            f"signed over {signed}, sent as the text {wire}",
            json_body(signed=(signed, ORDER_ID), amount=quoted(wire)),
            event(amount=wire),
        )
    for signed, wire in [
        ("10.00", "10.0"),
        ("10.00", "10"),
        ("10", "10.00"),
        ("10.50", "10.5"),
        ("10.5", "10.50"),
        # A shop's decimals are its own, and a JSON number may have lost them.
        *((f"10.5{'0' * zeros}", "10.5") for zeros in range(2, 8)),
        *((f"10.{'0' * zeros}", "10") for zeros in range(3, 9)),
        ("0.100", "0.1"),
        ("10.505000", "10.505"),
    ]:
        good(
            f"signed over {signed}, sent as the number {wire}",
            json_body(signed=(signed, ORDER_ID), amount=wire),
            event(amount=wire),
        )
    good(
        "signed over 10, sent as 10.00 in a form",
        form_body(signed=("10", ORDER_ID), amount="10.00"),
        event(amount="10.00"),
    )
    good(
        "signed over 10.500, sent as 10.5 in a form",
        form_body(signed=("10.500", ORDER_ID), amount="10.5"),
        event(amount="10.5"),
    )
    for signed in ["0010.50", "10.5", "10.50", "10.500"]:
        good(
            f"leading zeros: signed over {signed}, sent as 0010.50",
            json_body(signed=(signed, ORDER_ID), amount='"0010.50"'),
            event(amount="0010.50"),
        )

    for signed, wire in [
        ("10.51", "10.505"),
        ("10.50", "10.505"),
        ("10.5", "10.505"),
        ("10.50", "10.504"),
        ("10.00", "10.001"),
        ("10", "10.001"),
        ("10", "9.999"),
        ("10.00", "9.999"),
        ("0.00", "0.001"),
        ("10", "10.4"),
        ("9007199254740992", "9007199254740993"),
    ]:
        forged(
            f"an amount is not rounded: signed over {signed}, sent as {wire}",
            json_body(signed=(signed, ORDER_ID), amount=quoted(wire)),
        )
    for signed, wire in [
        ("10.000000000", "10"),
        ("10.500000000", "10.5"),
        ("0.1234567890", "0.12345678900"),
        ("010", "10"),
        ("010.50", "10.5"),
    ]:
        forged(
            f"signed over {signed}, sent as {wire}: equal, but no form that is tried",
            json_body(signed=(signed, ORDER_ID), amount=quoted(wire)),
        )
    forged("amount changed", json_body(amount='"1050"'))
    forged("amount changed to ten times as much", json_body(amount='"105.0"'))
    forged("amount changed, form", form_body(amount="1.50"))

    refused("amount is missing, json", json_body(amount=None), "amount")
    refused("amount is missing, form", form_body(amount=None), "amount")
    refused("amount is empty, json", json_body(amount='""'), "amount")
    refused("amount is empty, form", form_body(amount=""), "amount")
    for wire in [
        "1e3",
        "1E3",
        "1.5e-7",
        "-0",
        "-0.0",
        "-5",
        "-10.50",
        "1" * 41,
        "0." + "1" * 40,
        "true",
        "false",
        "null",
        '["10.50"]',
        '{"value": "10.50"}',
    ]:
        refused(f"amount is {wire}", json_body(amount=wire), "amount")
    for text in [
        "1e3",
        "-0",
        "-5",
        "+5",
        "10.",
        ".5",
        ".",
        "1.2.3",
        "1" * 41,
        " 10.50",
        "10.50 ",
        "10 000",
        "1,000",
        "10,50",
        "1_000",
        "0x1F",
        "NaN",
        "Infinity",
        "$10.50",
        "10.50\n",
        "١٠.٥٠",
        "۱۰",
        "１０",
    ]:
        refused(
            f"amount is the text {quoted(text)}",
            json_body(signed=(text, ORDER_ID), amount=quoted(text)),
            "amount",
            note="signed over this very text",
        )
    for wire in ["%2B5", "+5", "-5", "10.", "1e3", "10.50+", quote("١٠")]:
        refused(f"amount is {wire} in a form", form_body(amount=wire), "amount")
    for wire in ["10.", ".5", "+5", "0010", "-", "0x1F", "NaN", "Infinity", "1_000"]:
        refused(
            f"amount is {wire} without quotes, which is not JSON",
            json_body(amount=wire),
            None,
        )


def statuses():
    good(
        "timed out",
        json_body(status='"timed_out"'),
        event(status="timed_out"),
    )
    good(
        "timed out, form",
        form_body(status="timed_out"),
        event(status="timed_out"),
    )
    for signed, wire, text in [
        ("0", '"0"', "0"),
        ("0.00", '"0.00"', "0.00"),
        ("0", '"0.00"', "0.00"),
        ("0.00", '"0"', "0"),
        ("0", "0", "0"),
        ("0", "0.0", "0.0"),
        ("0.000", "0", "0"),
        ("000", '"000"', "000"),
    ]:
        good(
            f"timed out with the amount {wire}, signed over {signed}",
            json_body(signed=(signed, ORDER_ID), amount=wire, status='"timed_out"'),
            event(amount=text, status="timed_out"),
        )
    for status in ["Fulfilled", "FULFILLED", "fulfilled ", "refunded", "مكتمل"]:
        good(
            f"status {quoted(status)} is not known, and kept",
            json_body(status=quoted(status)),
            event(status=status),
        )
    good(
        "status in escapes",
        json_body(status=r'"\u0066ulfilled"'),
    )
    refused("status is missing, json", json_body(status=None), "status")
    refused("status is missing, form", form_body(status=None), "status")
    refused("status is empty, json", json_body(status='""'), "status")
    refused("status is empty, form", form_body(status=""), "status")
    for wire in ["null", "true", "1", '["fulfilled"]', '{"is": "fulfilled"}']:
        refused(f"status is {wire}", json_body(status=wire), "status")


def refs_and_currencies():
    good("ref is a number", json_body(ref="42"), event(ref="42"))
    good(
        "ref is a number no double can hold",
        json_body(ref="9007199254740993"),
        event(ref="9007199254740993"),
    )
    good("ref with Arabic, json", json_body(ref='"زبون-١"'), event(ref="زبون-١"))
    good(
        "ref with Arabic, form",
        form_body(ref=quote("زبون-١")),
        event(ref="زبون-١"),
    )
    good("ref with spaces around", json_body(ref='" 42 "'), event(ref=" 42 "))
    good("currency in lower case", json_body(currency='"usd"'), event(currency="usd"))
    good("currency is SYP", json_body(currency='"SYP"'), event(currency="SYP"))
    for wire in ["4.2", "-42", "4e2", "true", "false", "[]", '{"a": "b"}']:
        refused(f"ref is {wire}", json_body(ref=wire), "ref")
    for wire in ["840", "true", '["USD"]', '{"code": "USD"}']:
        refused(f"currency is {wire}", json_body(currency=wire), "currency")


def what_the_signature_does_not_cover():
    note = "the signature covers the amount and the order id only: match the order"
    good(
        "timed out changed to fulfilled",
        json_body(status='"fulfilled"'),
        note=note,
    )
    good(
        "fulfilled changed to timed out",
        json_body(status='"timed_out"'),
        event(status="timed_out"),
        note=note,
    )
    good(
        "currency changed",
        json_body(currency='"SYP"'),
        event(currency="SYP"),
        note=note,
    )
    good(
        "ref changed",
        json_body(ref='"order-43"'),
        event(ref="order-43"),
        note=note,
    )
    good(
        "a field added",
        json_body(more=', "paid": true'),
        event(extra={"paid": "true"}),
        note=note,
    )


def signatures():
    assert "+" in sign(AMOUNT, BOTH) and "/" in sign(AMOUNT, BOTH)
    good(
        "signature with + and /, json",
        json_body(signed=(AMOUNT, BOTH), order_id=quoted(BOTH)),
        event(order_id=BOTH),
    )
    good(
        "signature with / escaped, as PHP writes it",
        json_body(signed=(AMOUNT, BOTH), order_id=quoted(BOTH)).replace("/", r"\/"),
        event(order_id=BOTH),
    )
    good(
        "signature with + and / percent-encoded, form",
        form_body(signed=(AMOUNT, BOTH), order_id=BOTH),
        event(order_id=BOTH),
    )
    good(
        "signature with only + percent-encoded, form",
        form_body(secret=sign(AMOUNT, BOTH).replace("+", "%2B"), order_id=BOTH),
        event(order_id=BOTH),
    )
    forged(
        "a bare + in a form's signature is a space",
        form_body(secret=sign(AMOUNT, BOTH), order_id=BOTH),
    )
    for name, key, secret in [
        ("Arabic", "مفتاح", "سر"),
        ("the separator in the key", "k:::v", "secret"),
        ("a secret of one HMAC block", "key", "s" * 128),
        ("a secret longer than one HMAC block", "key", "s" * 129),
        ("short", "k", "s"),
    ]:
        good(
            f"credentials: {name}",
            json_body(secret=quoted(sign(api_key=key, api_secret=secret))),
            api_key=key,
            api_secret=secret,
        )

    whole = sign(AMOUNT, BOTH)
    raw = base64.b64decode(whole)
    longer = base64.b64encode(raw + b"\0").decode()
    shorter = base64.b64encode(raw[:-1]).decode()
    last = chr(ord(whole[-3]) + 1)  # the same bytes to a lenient base64 reader
    for name, wrong in [
        ("in lower case", whole.lower()),
        ("without padding", whole.rstrip("=")),
        ("with half its padding", whole[:-1]),
        ("with more padding", whole + "="),
        ("in the url-safe alphabet", whole.replace("+", "-").replace("/", "_")),
        ("with a line break behind it", whole + "\n"),
        ("with a space before it", " " + whole),
        ("with a line break inside", whole[:44] + "\r\n" + whole[44:]),
        (
            "with a last character that only a lenient reader takes",
            whole[:-3] + last + "==",
        ),
        ("in hexadecimal", raw.hex()),
        ("of 65 bytes", longer),
        ("of 63 bytes", shorter),
        ("without its last character", whole[:-4]),
        ("twice", whole + whole),
        ("that is one letter", "A"),
        ("that is only padding", "=="),
        ("that is not base64", "not a signature!"),
        ("that is Arabic", "توقيع"),
        ("that is a blank", " "),
        ("of 64 zero bytes", base64.b64encode(bytes(64)).decode()),
        ("with its first character changed", "A" + whole[1:]),
    ]:
        forged(
            f"signature {name}",
            json_body(secret=quoted(wrong), order_id=quoted(BOTH)),
        )
    text = f"{AMOUNT}:::{ORDER_ID}:::{API_KEY}"
    digest = hashlib.sha256(text.encode())
    for name, wrong in [
        (
            "made over the hexadecimal digest",
            hmac.new(API_SECRET.encode(), digest.hexdigest().encode(), hashlib.sha512),
        ),
        (
            "made over the text, not its digest",
            hmac.new(API_SECRET.encode(), text.encode(), hashlib.sha512),
        ),
        (
            "made with the key in the secret's place",
            hmac.new(API_KEY.encode(), digest.digest(), hashlib.sha512),
        ),
        (
            "made with SHA-256 alone",
            hmac.new(API_SECRET.encode(), digest.digest(), hashlib.sha256),
        ),
    ]:
        forged(
            f"signature {name}",
            json_body(secret=quoted(base64.b64encode(wrong.digest()).decode())),
        )
    forged(
        "signed with another key",
        json_body(secret=quoted(sign(api_key="81A107141717"))),
    )
    forged(
        "signed with another secret",
        json_body(secret=quoted(sign(api_secret="888B6B8877F9"))),
    )
    forged(
        "signed with key and secret exchanged",
        json_body(secret=quoted(sign(api_key=API_SECRET, api_secret=API_KEY))),
    )
    forged("order_id changed, json", json_body(order_id='"pl_8f2a61c1"'))
    forged("order_id changed, form", form_body(order_id="pl_8f2a61c1"))
    forged("order_id in another case", json_body(order_id=quoted(ORDER_ID.upper())))
    forged("order_id with a space behind it", json_body(order_id=quoted(ORDER_ID + " ")))
    forged(
        "a number order_id is taken literally",
        json_body(signed=(AMOUNT, "04711"), order_id="4711"),
    )
    forged(
        "text moved from the order id to the amount",
        json_body(signed=("1", "0:::a"), amount='"10"', order_id='"a"'),
    )
    refused("secret is missing, json", json_body(secret=None), "secret")
    refused("secret is missing, form", form_body(secret=None), "secret")
    refused("secret is empty, json", json_body(secret='""'), "secret")
    refused("secret is empty, form", form_body(secret=""), "secret")
    for wire in ["null", "true", "1", '["a"]', '{"a": 1}']:
        refused(f"secret is {wire}", json_body(secret=wire), "secret")
    refused(
        "the signature in a field named signature",
        json_body(secret=None, more=f', "signature": "{sign()}"'),
        "secret",
    )


def previous_credentials():
    old, older = ("OLDKEY000001", "OLDSECRET001"), ("OLDKEY000000", "OLDSECRET000")

    def by(pair, amount=AMOUNT):
        return quoted(sign(amount, ORDER_ID, *pair))

    good("signed with the present one of two", json_body(), previous=[old])
    good("signed with the previous one", json_body(secret=by(old)), previous=[old])
    good(
        "signed with the last of two previous ones",
        json_body(secret=by(older)),
        previous=[old, older],
    )
    good(
        "signed with the previous one over another form of the amount",
        json_body(secret=by(old, "10"), amount='"10.00"'),
        event(amount="10.00"),
        previous=[old],
    )
    good(
        "signed with the previous one, form",
        form_body(secret=quote_plus(sign(api_key=old[0], api_secret=old[1]))),
        previous=[old],
    )
    forged("signed with one that is not given", json_body(secret=by(older)), previous=[old])
    forged("signed with the previous one that is not given", json_body(secret=by(old)))
    forged(
        "signed with the present key and the previous secret",
        json_body(secret=by((API_KEY, old[1]))),
        previous=[old],
    )
    forged(
        "signed with the previous key and the present secret",
        json_body(secret=by((old[0], API_SECRET))),
        previous=[old],
    )
    forged(
        "signed with the previous one over a rounded amount",
        json_body(secret=by(old, "10.51"), amount='"10.505"'),
        previous=[old],
    )


def unknown_fields():
    for name, wire in [
        ("a string", '"x"'),
        ("an empty string", '""'),
        ("a string with escapes", r'"\u0627\n\/\u0000"'),
        ("a string in Arabic", '"سوريا"'),
        ("a number", "-1.50e+10"),
        ("true", "true"),
        ("null", "null"),
        ("an object with white space", '{ "a" :\t[ 1 ,2 ],  "b":{} }'),
        ("an array", '[1, "2", null, {"order_id": "x"}]'),
        ("2,000 characters", '"' + "x" * 2_000 + '"'),
        ("200 arrays deep", "[" * 200 + "]" * 200),
        ("200 objects deep", '{"a":' * 200 + "1" + "}" * 200),
    ]:
        good(
            f"unknown field: {name}",
            json_body(more=f', "note": {wire}'),
            event(extra={"note": wire}),
        )
    good(
        "several unknown fields",
        '{"z": 1, ' + json_body(more=', "a": 2, "paid_at": "2025-01-01"')[1:],
        event(extra={"z": "1", "a": "2", "paid_at": '"2025-01-01"'}),
    )
    good(
        "unknown fields with awkward names",
        json_body(more=', "__proto__": 1, "constructor": 2, "": 3, "ملاحظة": 4'),
        event(extra={"__proto__": "1", "constructor": "2", "": "3", "ملاحظة": "4"}),
    )
    good(
        "an unknown field's name in escapes",
        json_body(more=r', "n\u006fte": 1'),
        event(extra={"note": "1"}),
    )
    good(
        "a known field's name nested in an unknown field is not that field",
        json_body(more=', "data": {"order_id": "pl_other", "amount": "1"}'),
        event(extra={"data": '{"order_id": "pl_other", "amount": "1"}'}),
    )
    for name, wire, text in [
        ("a word", "x", '"x"'),
        ("empty", "", '""'),
        ("a number", "10", '"10"'),
        ("a quotation mark", "%22", r'"\""'),
        ("Arabic", quote("سوريا"), '"سوريا"'),
        ("a space", "a+b", '"a b"'),
        ("a JSON object", quote('{"a":1}'), r'"{\"a\":1}"'),
        ("2,000 characters", "x" * 2_000, '"' + "x" * 2_000 + '"'),
    ]:
        good(
            f"unknown field in a form: {name}",
            form_body(more=f"&note={wire}"),
            event(extra={"note": text}),
        )
    refused(
        "the delivery nested in another object",
        '{"data": ' + json_body() + "}",
    )


def repeated_keys():
    for name, more in [
        ("order_id", f', "order_id": "{ORDER_ID}"'),
        ("order_id, another value", ', "order_id": "pl_other"'),
        ("order_id through an escape", rf', "order\u005fid": "{ORDER_ID}"'),
        ("secret", f', "secret": "{sign()}"'),
        ("amount", f', "amount": "{AMOUNT}"'),
        ("amount, another value", ', "amount": "1000000"'),
        ("amount, text and number", f', "amount": {AMOUNT}'),
        ("status", ', "status": "timed_out"'),
        ("currency", ', "currency": "SYP"'),
        ("currency, null", ', "currency": null'),
        ("ref", ', "ref": "order-43"'),
        ("an unknown field", ', "note": 1, "note": 1'),
        ("an unknown field through an escape", r', "note": 1, "\u006eote": 2'),
        ("id", ', "id": 1, "id": 1'),
    ]:
        refused(f"repeated, json: {name}", json_body(more=more))
    for name, more in [
        ("order_id", f"&order_id={ORDER_ID}"),
        ("order_id through an escape", f"&order%5Fid={ORDER_ID}"),
        ("amount", "&amount=1000000"),
        ("status", "&status=timed_out"),
        ("an unknown field", "&note=1&note=1"),
    ]:
        refused(f"repeated, form: {name}", form_body(more=more))


def lengths():
    for name, text in [("ASCII", "x" * 1_024), ("Arabic", "ط" * 512)]:
        assert len(text.encode()) == FIELD_LIMIT
        good(
            f"order_id of 1,024 bytes, {name}",
            json_body(signed=(AMOUNT, text), order_id=quoted(text)),
            event(order_id=text),
        )
        refused(
            f"order_id of more than 1,024 bytes, {name}",
            json_body(signed=(AMOUNT, text + text[0]), order_id=quoted(text + text[0])),
            "order_id",
        )
    long = "x" * FIELD_LIMIT
    good("ref of 1,024 bytes", json_body(ref=quoted(long)), event(ref=long))
    good(
        "currency of 1,024 bytes",
        json_body(currency=quoted(long)),
        event(currency=long),
    )
    good("status of 1,024 bytes", json_body(status=quoted(long)), event(status=long))
    good("ref of 1,024 bytes, form", form_body(ref=long), event(ref=long))
    good(
        "the limit is on what is read, not on its escapes, json",
        json_body(ref='"' + r"\u0078" * 200 + '"'),
        event(ref="x" * 200),
    )
    good(
        "the limit is on what is read, not on its escapes, form",
        form_body(ref="%78" * 400),
        event(ref="x" * 400),
    )
    for field in ["ref", "currency", "status", "secret"]:
        refused(
            f"{field} of 1,025 bytes, json",
            json_body(**{field: quoted(long + "x")}),
            field,
        )
        refused(
            f"{field} of 1,025 bytes, form",
            form_body(**{field: long + "x"}),
            field,
        )
    refused(
        "ref is a number of 1,025 digits",
        json_body(ref="1" * 1_025),
        "ref",
    )
    forged("secret of 1,024 bytes", json_body(secret=quoted("A" * FIELD_LIMIT)))

    body = json_body()
    room = LIMIT - len(body)
    good("a body of 65,536 bytes", [(body, 1), (" ", room)])
    refused("a body of 65,537 bytes", [(body, 1), (" ", room + 1)], None)
    start = json_body(more=', "note": "')[:-1]
    refused(
        "a body of 65,537 bytes, all of it in one field",
        [(start, 1), ("x", LIMIT - len(start) - 1), ('"}', 1)],
        None,
    )
    form = form_body(more="&note=")
    refused(
        "a form of 65,537 bytes",
        [(form, 1), ("x", LIMIT - len(form) + 1)],
        None,
    )
    refused("a body of a mebibyte", [(body, 1), (" ", 1_048_576)], None)
    start = json_body(more=', "note": ')[:-1]
    refused("60,000 brackets that are never closed", [(start, 1), ("[", 60_000)], None)
    refused("60,000 braces that are never closed", [('{"a":', 12_000)], None)


def neither_json_nor_form():
    for name, body in [
        ("empty", ""),
        ("white space", " \r\n\t "),
        ("a BOM", BOM),
        ("an empty array", "[]"),
        ("an array", "[1, 2]"),
        ("a string", '"order_id"'),
        ("a number", "10.50"),
        ("true", "true"),
        ("null", "null"),
        ("a word", "fulfilled"),
        ("HTML", "<!doctype html><title>502 Bad Gateway</title>"),
        ("NUL bytes", b"\0\0\0\0"),
        ("a closing brace", "}"),
    ]:
        refused(f"the body is {name}", body)
    refused("the body is an empty object", "{}")
    refused("the body is the delivery inside an array", f"[{json_body()}]")
    refused("the body is the delivery inside a string", quoted(json_body()))
    refused("the body is XML", f'<a order_id="{ORDER_ID}" secret="{sign()}"/>')
    refused(
        "the body is a multipart form",
        f'--b\r\nContent-Disposition: form-data; name="order_id"\r\n\r\n{ORDER_ID}\r\n--b--\r\n',
    )
    refused("the body is a form with other fields", "a=1&b=2")


def broken_json():
    body = json_body()
    for name, broken in [
        ("one brace", "{"),
        ("cut before the last brace", body[:-1]),
        ("cut inside a string", body[:-5]),
        ("cut behind a name", body[: body.index('"ref"') + 5]),
        ("cut behind a comma", body[: body.index('"ref"')]),
        ("cut inside an escape", body[:-1] + r', "note": "\u06'),
        ("a letter behind it", body + "x"),
        ("a brace behind it", body + "}"),
        ("a second object behind it", body + body),
        ("a comma behind it", body + ","),
        ("a comma behind the last field", body[:-1] + ",}"),
        ("two commas", body.replace(",", ",,", 1)),
        ("no comma", body.replace(",", "", 1)),
        ("no colon", body.replace(":", "", 1)),
        ("a line comment", body.replace(",", ", // paid\n", 1)),
        ("a block comment", body.replace(",", ", /* paid */", 1)),
        ("single quotes", body.replace('"', "'")),
        ("names without quotes", body.replace('"amount"', "amount")),
        ("an escape that does not exist", json_body(more=r', "note": "\x41"')),
        ("an escape without its digits", json_body(more=r', "note": "\u12"')),
        ("True with a capital", json_body(more=', "note": True')),
        ("undefined", json_body(more=', "note": undefined')),
        ("NaN in an unknown field", json_body(more=', "note": NaN')),
        ("a leading zero in an unknown field", json_body(more=', "note": 01')),
        ("a line break in a string", json_body(order_id='"pl_\n1"')),
        ("a tab in a string", json_body(order_id='"pl_\t1"')),
        ("a control byte in a string", json_body(order_id='"pl_\x011"')),
        ("a control byte in an unknown field", json_body(more=', "note": "\x1f"')),
        ("a NUL in a string", json_body(order_id='"pl_\x001"')),
        ("a NUL between the fields", body.replace(", ", ",\0", 1)),
        ("a NUL behind it", body + "\0"),
        ("a vertical tab between the fields", body.replace(", ", ",\v", 1)),
        ("a no-break space between the fields", body.replace(", ", ",\u00a0", 1)),
    ]:
        refused(f"not JSON: {name}", broken, None)
    for half in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\ud83d", r"\ude00\ud83d"]:
        refused(
            f"half a surrogate pair in order_id: {half}",
            json_body(order_id=f'"pl_{half}"'),
        )
    refused("half a surrogate pair in ref", json_body(ref=r'"\ud800"'))
    refused("half a surrogate pair in a name", json_body(more=r', "\ud800": 1'))


def bytes_that_are_not_text():
    def with_bytes(body, raw):
        return body.encode().replace(b"HERE", raw)

    for name, raw in [
        ("a byte of Latin-1", b"\xe9"),
        ("a byte of Windows-1256", b"\xd8"),
        ("a lone continuation byte", b"\x80"),
        ("a cut sequence", b"\xd8\xb7\xd9"),
        ("an overlong NUL", b"\xc0\x80"),
        ("an overlong slash", b"\xe0\x80\xaf"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("a code point past the last", b"\xf4\x90\x80\x80"),
        ("the byte FF", b"\xff"),
    ]:
        refused(
            f"not UTF-8, json: {name}",
            with_bytes(json_body(ref='"HERE"'), raw),
        )
        percent = "".join(f"%{byte:02X}" for byte in raw)
        refused(f"not UTF-8, percent-encoded: {name}", form_body(ref=percent))
    refused(
        "not UTF-8 in an unknown field, json",
        with_bytes(json_body(more=', "note": "HERE"'), b"\xff"),
    )
    refused("not UTF-8, raw in a form", with_bytes(form_body(ref="HERE"), b"\xff"))
    refused("not UTF-8 in an unknown field, form", form_body(more="&note=%FF"))
    refused("not UTF-8 beside a plus, form", form_body(ref="a+%FF"))
    refused("not UTF-8 in a name, form", form_body(more="&n%FFte=1"))
    refused("not UTF-8 in a name beside a plus, form", form_body(more="&n+%FF=1"))
    refused("two BOMs, json", BOM + BOM + json_body().encode())
    refused("two BOMs, form", BOM + BOM + form_body().encode())
    refused(
        "UTF-16 with a BOM, little end first",
        b"\xff\xfe" + json_body().encode("utf-16-le"),
    )
    refused(
        "UTF-16 with a BOM, big end first",
        b"\xfe\xff" + json_body().encode("utf-16-be"),
    )
    refused("UTF-16 without a BOM, little end first", json_body().encode("utf-16-le"))
    refused("UTF-16 without a BOM, big end first", json_body().encode("utf-16-be"))
    refused("UTF-32", json_body().encode("utf-32"))

    for field in ["order_id", "secret", "status", "currency", "ref"]:
        refused(
            f"a NUL in {field}, json",
            json_body(**{field: r'"x\u0000"'}),
            field,
        )
        refused(f"a NUL in {field}, form", form_body(**{field: "x%00"}), field)
    refused("a NUL in amount, json", json_body(amount=r'"10.50\u0000"'), "amount")
    refused("a NUL in amount, form", form_body(amount="10.50%00"), "amount")
    refused(
        "a NUL behind the whole order_id",
        json_body(order_id=quoted(ORDER_ID)[:-1] + r'\u0000"'),
        "order_id",
    )


# ---------------------------------------------------------------- the file


def check_own_signature():
    """The signature made here is the one that PHP made."""
    for case in json.loads(SIGNATURES.read_text(encoding="utf-8"))["cases"]:
        made = sign(case["amount"], case["order_id"], case["api_key"], case["api_secret"])
        if made != case["secret"]:
            sys.exit(f"{SIGNATURES.name}, {case['name']}: the signature differs")


def printable(text):
    """Characters that cannot be seen become JSON escapes; the others stay."""

    def shown(char):
        if char == "\n" or char.isprintable():
            return char
        units = char.encode("utf-16-be")
        pairs = (units[i : i + 2].hex() for i in range(0, len(units), 2))
        return "".join(f"\\u{pair}" for pair in pairs)

    return "".join(map(shown, text))


def render():
    check_own_signature()
    plain_deliveries()
    multipart()
    order_ids()
    amounts()
    statuses()
    refs_and_currencies()
    what_the_signature_does_not_cover()
    signatures()
    previous_credentials()
    unknown_fields()
    repeated_keys()
    lengths()
    neither_json_nor_form()
    broken_json()
    bytes_that_are_not_text()

    names = [case["name"] for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        sys.exit(f"two cases have one name: {sorted(twice)}")
    whole = {"made_with": "make_payloads.py", "cases": cases}
    return printable(json.dumps(whole, indent=2, ensure_ascii=False)) + "\n"


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    made = render()
    if not arguments:
        OUTPUT.write_text(made, encoding="utf-8", newline="\n")
        print(f"{OUTPUT.name}: {len(cases)} cases")
    elif not OUTPUT.exists() or OUTPUT.read_text(encoding="utf-8") != made:
        sys.exit(f"{OUTPUT.name} is out of date: run make_payloads.py")


if __name__ == "__main__":
    main(sys.argv[1:])
