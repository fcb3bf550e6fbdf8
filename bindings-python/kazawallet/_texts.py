"""The texts that an outcome and a status can have, by name."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class Outcome:
    """Whether a call that failed may have moved money: the values of an error's `outcome`."""

    NOT_SENT: Final = "not_sent"
    """Nothing left this machine. Calling again is safe."""
    REJECTED: Final = "rejected"
    """The provider answered no. Nothing happened."""
    UNKNOWN: Final = "unknown"
    """Bytes may have left and no conclusive answer was read. It may have happened."""


class Status:
    """What a delivery says of its link: the known values of `PaymentEvent.status`.

    Any other text is kept as it came. Treat it as not paid.
    """

    FULFILLED: Final = "fulfilled"
    """The customer paid (documented)."""
    TIMED_OUT: Final = "timed_out"
    """The link was not paid in time (documented)."""
