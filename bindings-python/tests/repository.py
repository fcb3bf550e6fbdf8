"""Where the repository's parts are, and its language-neutral test data, read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_TESTS = REPOSITORY / "tests"


class NotUnderstood(Exception):
    """A file of the shared tests that says something that no test here knows. Skipping it would
    be failing unseen."""


def read_json(text: str, **how: Any) -> Any:
    """Reads JSON; a key that stands twice in an object is an error."""
    return json.loads(text, object_pairs_hook=_object, **how)


def read_file(path: Path, **how: Any) -> Any:
    """Reads a JSON file; without a BOM, and without repeated keys."""
    return read_json(path.read_text(encoding="utf-8"), **how)


def hold_keys(where: str, value: object, required: str, optional: str = "") -> dict[str, Any]:
    """The object itself, where it has the required keys and none but those and the optional ones."""
    if not isinstance(value, dict):
        raise NotUnderstood(f"{where}: an object was expected, not {value!r}")
    if unknown := value.keys() - set(f"{required} {optional}".split()):
        raise NotUnderstood(f"{where}: what is {sorted(unknown)}?")
    if missing := set(required.split()) - value.keys():
        raise NotUnderstood(f"{where}: {sorted(missing)} is missing")
    return value


def same_json(a: object, b: object) -> bool:
    """Whether two JSON values are the same; `True` is not `1` here."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_json, a, b))
    return type(a) is type(b) and a == b


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotUnderstood(f"a key stands twice among {[key for key, _ in pairs]}")
    return value
