"""`python -m kazawallet`, in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from webhook_receivers import ReceiverOnAThread

import kazawallet
from kazawallet import Client, Webhook

# A guard, not a measure.
ENDS_WITHIN = 60
COMMAND = (sys.executable, "-m", "kazawallet")
KEY, SECRET = "sim_key_of_the_test", "sim_secret_of_the_test"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
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


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The simulator's process, and the variables that it printed."""
    with subprocess.Popen(
        [*COMMAND, "simulator", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            printed: dict[str, str] = {}
            for line in process.stdout:
                name, equals, value = line.strip().partition("=")
                if equals and name.startswith("KAZAWALLET_"):
                    printed[name] = value
                if name == "KAZAWALLET_MERCHANT_EMAIL":
                    break
            yield process, printed
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)], ids=str)
def test_it_lists_what_there_is(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    for command in ("simulator", "simulator trigger", "ledger", "version"):
        assert f"\n  {command} " in ended.stdout
    assert "not the provider's own product" in ended.stdout


def test_an_unknown_command_is_told() -> None:
    ended = run("simulate")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("unknown command: simulate\n")
    assert "usage: python -m kazawallet COMMAND" in ended.stderr


def test_the_version() -> None:
    ended = run("version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{kazawallet.__version__}\n"


def test_the_simulator_tells_its_options() -> None:
    ended = run("simulator", "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "python -m kazawallet simulator" in ended.stdout
    for option in ("--port", "--webhook-url", "--balance", "--fault", "trigger"):
        assert option in ended.stdout


def test_an_unknown_option_is_told() -> None:
    ended = run("simulator", "--colour")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--colour" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_setting_that_cannot_be_used_is_told() -> None:
    ended = run("simulator", "--api-key", "a_real_key")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "sim_" in ended.stderr
    assert "a_real_key" not in ended.stderr
    assert "Traceback" not in ended.stderr


def stops_on(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    rest, errors = process.communicate(timeout=ENDS_WITHIN)
    assert (process.returncode, errors) == (0, "")
    assert "Stopped." in rest


def test_the_simulator_prints_its_variables_and_stops_on_ctrl_c() -> None:
    with running("--balance", "USD=12.50") as (process, printed):
        assert printed.keys() == {
            "KAZAWALLET_BASE_URL",
            "KAZAWALLET_API_KEY",
            "KAZAWALLET_API_SECRET",
            "KAZAWALLET_MERCHANT_EMAIL",
        }
        with Client(
            api_key=printed["KAZAWALLET_API_KEY"],
            api_secret=printed["KAZAWALLET_API_SECRET"],
            merchant_email=printed["KAZAWALLET_MERCHANT_EMAIL"],
            base_url=printed["KAZAWALLET_BASE_URL"],
        ) as client:
            amounts = {wallet.currency: str(wallet.amount) for wallet in client.wallets.list()}
            assert amounts["USD"] == "12.50"
            stops_on(process, signal.SIGINT)


def test_the_simulator_stops_when_it_is_terminated() -> None:
    with running() as (process, _):
        stops_on(process, signal.SIGTERM)


def test_a_delivery_is_triggered() -> None:
    with ReceiverOnAThread() as shop:
        ended = run(
            *("simulator", "trigger", shop.url, "--amount", "7.50", "--ref", "order-7"),
            *("--api-key", KEY, "--api-secret", SECRET),
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "200" in ended.stdout
        event = Webhook(KEY, SECRET).verify(shop.bodies[0])
        assert (event.ref, str(event.amount)) == ("order-7", "7.50")


def test_a_delivery_is_signed_with_the_keys_of_the_environment() -> None:
    with ReceiverOnAThread() as shop:
        ended = run(
            *("simulator", "trigger", shop.url),
            KAZAWALLET_API_KEY=KEY,
            KAZAWALLET_API_SECRET=SECRET,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        Webhook(KEY, SECRET).verify(shop.bodies[0])


def test_a_delivery_that_is_refused_is_told() -> None:
    with ReceiverOnAThread(answers=401) as shop:
        ended = run("simulator", "trigger", shop.url, "--api-key", KEY, "--api-secret", SECRET)
        assert ended.returncode == 1
        assert "401" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_real_key_is_not_repeated() -> None:
    ended = run(
        *("simulator", "trigger", "http://127.0.0.1:9/webhook"),
        *("--api-key", "a_real_key", "--api-secret", SECRET),
    )
    assert ended.returncode == 1
    assert "a_real_key" not in ended.stdout + ended.stderr
