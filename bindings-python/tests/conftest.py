"""What all tests share: an environment without the SDK's variables, and the simulator's program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgers import opened, sqlite
from postgres_server import PostgresServer
from repository import REPOSITORY

from kazawallet import Ledger, Webhook
from kazawallet.testing import Simulator

# Names the program `kazawallet-simulator`, built with its feature `scripted`.
PROGRAM_VARIABLE = "KAZAWALLET_SIMULATOR_PROGRAM"
# Names the program `serve_postgres`.
POSTGRES_VARIABLE = "KAZAWALLET_SERVE_POSTGRES"


def pytest_configure() -> None:
    """Unsets what a client would read from the environment, for all tests and what they start."""
    for name in [name for name in os.environ if name.startswith("KAZAWALLET_")]:
        if name not in (PROGRAM_VARIABLE, POSTGRES_VARIABLE):
            del os.environ[name]


@pytest.fixture(scope="session")
def simulator_program() -> Path:
    """The program `kazawallet-simulator`, which `scripted_server.ScriptedServer` starts."""
    return built_program(
        PROGRAM_VARIABLE,
        "kazawallet-simulator",
        "--package kazawallet-simulator --features scripted",
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, which no test may stop."""
    with PostgresServer(postgres_program()) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of one test, which may stop it."""
    with PostgresServer(postgres_program()) as server:
        yield server


def postgres_program() -> Path:
    """The program that keeps a PostgreSQL server."""
    return built_program(
        POSTGRES_VARIABLE,
        "serve_postgres",
        "--package kazawallet-ledger-tests --bin serve_postgres",
    )


def built_program(variable: str, name: str, built_with: str) -> Path:
    """A program of this repository, which was built before."""
    suffix = ".exe" if os.name == "nt" else ""
    program = Path(os.environ.get(variable) or REPOSITORY / "target" / "debug" / f"{name}{suffix}")
    if not program.is_file():
        pytest.fail(
            f"there is no {program}: build it with `cargo build --locked {built_with}`, or name it "
            f"in {variable}",
            pytrace=False,
        )
    return program


@pytest.fixture
def shop() -> Iterator[Simulator]:
    """The provider of a shop that has a ledger."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def webhook(shop: Simulator) -> Webhook:
    """What signs as the provider does."""
    return shop.webhook()


@pytest.fixture(params=["sync", "async"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, shop: Simulator) -> Iterator[Ledger]:
    """A fresh ledger in a file: the blocking one, and the asyncio one with its calls run to their end."""
    with opened(request.param, sqlite(tmp_path), shop) as ledger:
        yield ledger


@pytest.fixture
def plain_ledger(tmp_path: Path, shop: Simulator) -> Iterator[Ledger]:
    """A fresh ledger in a file: the blocking one alone."""
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        yield ledger
