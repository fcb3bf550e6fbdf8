"""What the tools are tried with: the simulator, programs that the READMEs show, ports that are free."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from run import NODE_FOLDER, REPOSITORY, TARGET

__all__ = ["NODE_FOLDER", "free_port", "program_shown", "running", "simulator", "trigger"]


def program_shown(document: str, language: str, mark: str) -> str:
    """The first block of a language in a document that holds a text."""
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    for block in re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if mark in block:
            return str(block)
    raise AssertionError(f"{document} shows no {language} with {mark!r}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A program with its output at hand; it is killed at the end, if it still runs."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def simulator(folder: Path) -> Iterator[dict[str, str]]:
    """The simulator's program; gives what a client reads from its environment."""
    with running([TARGET / "debug" / "kazawallet-simulator"], folder, {}) as process:
        assert process.stdout is not None
        said: dict[str, str] = {}
        for line in process.stdout:
            name, equals, value = line.strip().partition("=")
            if equals and name.startswith("KAZAWALLET_"):
                said[name] = value
            if "KAZAWALLET_MERCHANT_EMAIL" in said:
                break
        yield said


def trigger(url: str, account: Mapping[str, str], order_id: str | None, ref: str) -> str:
    """Sends what the provider sends when an order is paid; says what was answered."""
    order = () if order_id is None else ("--order-id", order_id)
    return subprocess.run(
        [TARGET / "debug" / "kazawallet-simulator", "trigger", url, "--ref", ref, *order],
        env={**os.environ, **account},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
