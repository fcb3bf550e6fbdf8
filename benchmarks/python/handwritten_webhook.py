"""What a shop writes that verifies its deliveries by hand: json, hashlib, hmac and Decimal.

It does less than the package: no form-encoded body, no repeated keys, no check that the amount is
an amount in the provider's manner, no limit on the body's size, no errors that tell these apart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation


class BadDelivery(Exception):
    """The delivery cannot be read, or its signature does not hold."""


@dataclass(slots=True)
class PaymentEvent:
    order_id: str
    amount: Decimal
    status: str
    currency: str | None
    ref: str | None

    @property
    def is_fulfilled(self) -> bool:
        return self.status == "fulfilled"


class HandwrittenWebhook:
    """Verifies the deliveries of one merchant."""

    def __init__(self, api_key: str, api_secret: str) -> None:
        self._api_key = api_key
        self._secret = api_secret.encode()

    def verify(self, body: bytes) -> PaymentEvent:
        order_id, amount, claimed, delivery = _read(body)
        signed = hashlib.sha256(f"{amount}:::{order_id}:::{self._api_key}".encode()).digest()
        tag = hmac.new(self._secret, signed, hashlib.sha512).digest()
        if not hmac.compare_digest(base64.b64encode(tag), claimed.encode()):
            raise BadDelivery("the signature does not hold")
        return _event(order_id, amount, delivery)


def _read(body: bytes) -> tuple[str, str, str, dict[str, object]]:
    try:
        delivery = json.loads(body)
        order_id, amount = delivery["order_id"], delivery["amount"]
        claimed = delivery["secret"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadDelivery("the body cannot be read") from error
    if not (isinstance(order_id, str) and isinstance(amount, str) and isinstance(claimed, str)):
        raise BadDelivery("a field is no text")
    return order_id, amount, claimed, delivery


def _event(order_id: str, amount: str, delivery: dict[str, object]) -> PaymentEvent:
    status, currency, ref = delivery.get("status"), delivery.get("currency"), delivery.get("ref")
    if not isinstance(status, str):
        raise BadDelivery("a field is no text")
    if not (currency is None or isinstance(currency, str)):
        raise BadDelivery("a field is no text")
    if not (ref is None or isinstance(ref, str)):
        raise BadDelivery("a field is no text")
    try:
        return PaymentEvent(order_id, Decimal(amount), status, currency, ref)
    except InvalidOperation as error:
        raise BadDelivery("the amount is no number") from error
