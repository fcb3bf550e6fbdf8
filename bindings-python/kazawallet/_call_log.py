"""One log record a call, through the standard library. It is imported once `logging` is."""

from __future__ import annotations

import logging

_logger = logging.getLogger("kazawallet")


def record(endpoint: str, status: int | None, duration: float, attempts: int, outcome: str) -> None:
    """Logs one call: at INFO where it went well, else at WARNING. No person's data is in it."""
    level = logging.INFO if outcome == "ok" else logging.WARNING
    # Where no logging is set up, Python writes warnings to standard error. Calls do not belong there; what
    # receivers and workers say does, so a NullHandler would be too much.
    if not (_logger.isEnabledFor(level) and _logger.hasHandlers()):
        return
    answer = "no answer" if status is None else f"HTTP {status}"
    _logger.log(
        level,
        "%s: %s, %s, %d %s, %.0f ms",
        endpoint,
        outcome if outcome in ("ok", "cancelled") else f"outcome {outcome}",
        answer,
        attempts,
        "try" if attempts == 1 else "tries",
        duration * 1000,
        extra={
            "endpoint": endpoint,
            "status": status,
            "duration": duration,
            "attempts": attempts,
            "outcome": outcome,
        },
    )
