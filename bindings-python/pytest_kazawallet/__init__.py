"""The pytest plugin of the kazawallet package. It imports the package only where it is used."""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kazawallet.testing import Simulator


@pytest.fixture
def kazawallet_simulator() -> Iterator[Simulator]:
    """A fresh `kazawallet.testing.Simulator`, stopped when the test ends."""
    from kazawallet.testing import Simulator

    with Simulator() as simulator:
        yield simulator
