"""JSON without floats: numbers with a fraction are `decimal.Decimal` in both directions."""

from __future__ import annotations

import json
from decimal import Decimal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def loads(text: str | bytes) -> Any:
    """Reads JSON text.

    Raises:
        ValueError: it is not JSON, is nested too deeply for Python's reader, or holds `NaN` or
            `Infinity`, which are no JSON.
    """
    try:
        return json.loads(
            text, parse_float=Decimal, parse_int=_integer, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def read(text: str) -> Any:
    """As `loads`, but gives the text itself where Python's reader cannot read it."""
    try:
        return loads(text)
    except ValueError:
        return text


def dumps(value: Any, _depth: int = 0) -> str:
    """Writes JSON text, money exactly: a `Decimal` becomes a number with the same digits.

    Raises:
        TypeError: a float, or anything else that is no JSON.
        ValueError: it is nested too deeply, or holds a number that is not finite.
    """
    if _depth > 100:
        raise ValueError("the JSON value is nested deeper than 100 levels")
    if value is None or isinstance(value, (bool, str, int)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no JSON number")
        return Decimal.__str__(value)
    if isinstance(value, dict):
        members = []
        for key, member in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a JSON object's keys are str, not {type(key).__name__}")
            members.append(f"{json.dumps(key, ensure_ascii=False)}:{dumps(member, _depth + 1)}")
        return "{" + ",".join(members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(dumps(item, _depth + 1) for item in value) + "]"
    if isinstance(value, float):
        raise TypeError(
            f"a float is not exact and is never sent: write {value!r} as text or as a Decimal, "
            f'such as "{value!r}" or Decimal("{value!r}")'
        )
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _integer(digits: str) -> int | Decimal:
    # Python refuses to read integers that are longer than this, by default.
    return int(digits) if len(digits) < 4300 else Decimal(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
