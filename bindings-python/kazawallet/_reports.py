"""What a person should hear, through the standard library."""

from __future__ import annotations

import logging

_logger = logging.getLogger("kazawallet")


def log(level: int, code: str, text: str, order_id: str | None) -> None:
    """Logs one report. If nobody has set up `logging`, Python writes warnings and errors to standard error."""
    _logger.log(level, "%s", text, extra={"code": code, "order_id": order_id})
