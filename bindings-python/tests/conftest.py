"""What all tests share: an environment without the SDK's variables, and the simulator's program."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from repository import REPOSITORY

# Names the program `kazawallet-simulator`, built with its feature `scripted`.
PROGRAM_VARIABLE = "KAZAWALLET_SIMULATOR_PROGRAM"


def pytest_configure() -> None:
    """Unsets what a client would read from the environment, for all tests and what they start."""
    for name in [name for name in os.environ if name.startswith("KAZAWALLET_")]:
        if name != PROGRAM_VARIABLE:
            del os.environ[name]


@pytest.fixture(scope="session")
def simulator_program() -> Path:
    """The program `kazawallet-simulator`, which `scripted_server.ScriptedServer` starts."""
    named = os.environ.get(PROGRAM_VARIABLE)
    suffix = ".exe" if os.name == "nt" else ""
    program = Path(named or REPOSITORY / "target" / "debug" / f"kazawallet-simulator{suffix}")
    if not program.is_file():
        pytest.fail(
            f"there is no {program}: build it with `cargo build --locked --package "
            f"kazawallet-simulator --features scripted`, or name it in {PROGRAM_VARIABLE}",
            pytrace=False,
        )
    return program
