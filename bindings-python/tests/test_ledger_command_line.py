"""`python -m kazawallet ledger`, in real processes: what it shows, and what a person decides with it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ledgers import ORDER, SALARY, delivery, opened, sqlite

from kazawallet import OutcomeUnknownError
from kazawallet.testing import Simulator

COMMAND = (sys.executable, "-m", "kazawallet", "ledger")
ENDS_WITHIN = 60


@pytest.fixture
def order_id(tmp_path: Path, shop: Simulator) -> str:
    """A ledger with a payment that does not fit, and a payout whose outcome is unknown."""
    with opened("sync", sqlite(tmp_path), shop, clock_margin=0.1) as ledger:
        link = ledger.create_payment_link(**ORDER)
        ledger.receive(delivery(shop.webhook(), link.id or "", currency="SYP"))
        shop.fault("close_after_acting")
        with pytest.raises(OutcomeUnknownError):
            ledger.withdraw(**SALARY, timeout=0.5)
        return link.id or ""


def run(folder: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {} if folder is None else {"KAZAWALLET_LEDGER": sqlite(folder)}
    return subprocess.run(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=ENDS_WITHIN,
        check=False,
    )


def shown(folder: Path, *arguments: str) -> str:
    ended = run(folder, *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def listed(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown(folder, *arguments, "--json").splitlines()]


def test_it_says_what_waits_for_a_person(tmp_path: Path, order_id: str) -> None:
    text = shown(tmp_path)
    assert "python -m kazawallet ledger unsettled" in text
    assert "python -m kazawallet ledger unresolved" in text
    [summary] = listed(tmp_path, "summary")
    assert (summary["payments"]["mismatch"], summary["payouts"]["unknown"]) == (1, 1)
    [payment] = listed(tmp_path, "unsettled")
    assert (payment["order_id"], payment["problem"]) == (order_id, "currency")
    [payout] = listed(tmp_path, "unresolved")
    assert (payout["reference"], payout["state"]) == ("salary-1", "unknown")


def test_a_person_decides_with_it(tmp_path: Path, order_id: str, shop: Simulator) -> None:
    shown(tmp_path, "settle", order_id, "paid", "--by", "amal", "--note", "called")
    [order] = listed(tmp_path, "order", "order-42")
    assert (order["state"], order["paid_by"]) == ("paid", order_id)
    [kept] = listed(tmp_path, "decisions")
    assert (kept["by"], kept["decision"], kept["note"]) == ("amal", "paid", "called")
    again = run(tmp_path, "settle", order_id, "paid", "--by", "amal")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("python -m kazawallet ledger: ")
    assert "Traceback" not in again.stderr
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        assert [kept.by for kept in ledger.decisions()] == ["amal"]


def test_without_a_ledger() -> None:
    ended = run(None)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "KAZAWALLET_LEDGER" in ended.stderr


def test_what_it_does_not_know() -> None:
    ended = run(None, "sattle")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "sattle" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("settle", "--help")], ids=str)
def test_it_tells_its_options(arguments: tuple[str, ...]) -> None:
    ended = run(None, *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "python -m kazawallet ledger" in ended.stdout


def test_ctrl_c_while_it_waits_for_the_database(tmp_path: Path, order_id: str) -> None:
    locked = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    with subprocess.Popen(
        [*COMMAND, "settle", order_id, "paid", "--by", "amal"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KAZAWALLET_LEDGER": sqlite(tmp_path)},
    ) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=5) == ("", "")
        assert process.returncode == -signal.SIGINT
    locked.execute("ROLLBACK")
    locked.close()
