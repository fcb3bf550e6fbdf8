"""The pytest plugin, as pytest meets it in somebody's project: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAYS_WHAT_IS_IMPORTED = """
import sys

def pytest_unconfigure():
    print()
    for name in ("kazawallet", "kazawallet.testing", "asyncio"):
        print(f"{name} is imported: {name in sys.modules}")
"""


def run_pytest(
    folder: Path, test: str, *arguments: str, conftest: str = ""
) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    (folder / "test_shop.py").write_text(test, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folder,
        # Without what this pytest tells its own tests.
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        timeout=120,
        check=False,
    )


def test_the_fixture_gives_each_test_a_simulator_of_its_own(tmp_path: Path) -> None:
    ended = run_pytest(
        tmp_path,
        """
import pytest
from kazawallet import APIConnectionError, Client

seen = []


def test_pays(kazawallet_simulator):
    sim = kazawallet_simulator
    with sim.client() as client:
        link = client.payment_links.create(amount="10.50", currency="USD", ref="order-42")
    [delivery] = sim.pay(link)
    assert sim.webhook().verify(delivery.body).ref == "order-42"
    seen.append((sim.api_key, sim.merchant_email, sim.url))


def test_is_fresh_and_the_other_is_stopped(kazawallet_simulator):
    assert kazawallet_simulator.requests == []
    [(key, email, url)] = seen
    assert kazawallet_simulator.api_key != key
    with Client(api_key=key, merchant_email=email, base_url=url, max_retries=0) as client:
        with pytest.raises(APIConnectionError):
            client.payment_links.create(amount=1, currency="USD")
""",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout


def test_the_fixture_is_stopped_after_a_test_that_failed(tmp_path: Path) -> None:
    ended = run_pytest(
        tmp_path,
        """
def test_fails(kazawallet_simulator):
    assert kazawallet_simulator.url == ""
""",
    )
    assert ended.returncode == 1
    assert "1 failed" in ended.stdout
    assert "error" not in ended.stderr


@pytest.mark.parametrize("arguments", [(), ("--collect-only",), ("--fixtures",)], ids=str)
def test_it_costs_nothing_where_it_is_not_used(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = run_pytest(
        tmp_path, "def test_nothing():\n    pass\n", *arguments, conftest=SAYS_WHAT_IS_IMPORTED
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "kazawallet is imported: False" in ended.stdout
    assert "kazawallet.testing is imported: False" in ended.stdout


def test_it_is_imported_where_it_is_used(tmp_path: Path) -> None:
    """So that the test above can fail."""
    ended = run_pytest(
        tmp_path,
        "def test_something(kazawallet_simulator):\n    pass\n",
        conftest=SAYS_WHAT_IS_IMPORTED,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "kazawallet.testing is imported: True" in ended.stdout


def test_pytest_lists_the_fixture(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, "", "--fixtures")
    assert "kazawallet_simulator" in ended.stdout
    assert "A fresh `kazawallet.testing.Simulator`" in ended.stdout


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    ended = run_pytest(
        tmp_path, "def test_something(kazawallet_simulator):\n    pass\n", "-p", "no:kazawallet"
    )
    assert ended.returncode == 1
    assert "fixture 'kazawallet_simulator' not found" in ended.stdout


def test_asynchronous_tests_use_the_simulator_itself(tmp_path: Path) -> None:
    """As the README says it: without a plugin for asyncio, and with one."""
    ended = run_pytest(
        tmp_path,
        """
import asyncio

from kazawallet.testing import Simulator


def test_pays():
    async def pays():
        async with Simulator() as sim, sim.async_client() as client:
            link = await client.payment_links.create(amount="10.50", currency="USD")
            [delivery] = await sim.pay(link)
            assert sim.webhook().verify(delivery.body).order_id == link.id

    asyncio.run(pays())
""",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
