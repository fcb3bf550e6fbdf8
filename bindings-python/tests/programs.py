"""Small Python programs, each run in a real process of its own with this interpreter.

What a process does at its start, at a fork, at a signal and at its end is seen only from outside.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

GUARD = 60.0
"""Seconds after which a wait counts as a hang. Hardly anything here takes nearly that long."""

SLOW_MACHINES_ARE_FINE = """
        import logging
        # In its debug mode asyncio warns of whatever took 100 ms; errors it still tells.
        logging.getLogger("asyncio").setLevel(logging.ERROR)
"""
"""For a program with asyncio that runs in debug mode, and must say nothing."""

KEY, SECRET, EMAIL = "sim_key_of_the_tests", "sim_secret_of_the_tests", "merchant@example.com"

# Settings of whoever runs the tests must not leak into the programs.
_FOREIGN = ("KAZAWALLET_", "PYTHONWARNINGS", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE")


class Provider(Protocol):
    """What a program's client needs to know: a simulator, or a server of the tests."""

    @property
    def url(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def api_secret(self) -> str: ...
    @property
    def merchant_email(self) -> str: ...


@dataclass(frozen=True)
class ProviderAt:
    """A provider that takes any key."""

    url: str
    api_key: str = KEY
    api_secret: str = SECRET
    merchant_email: str = EMAIL


def environment_for(provider: Provider) -> dict[str, str]:
    """The environment in which `Client()` in a program reaches `provider`."""
    return {
        "KAZAWALLET_API_KEY": provider.api_key,
        "KAZAWALLET_API_SECRET": provider.api_secret,
        "KAZAWALLET_MERCHANT_EMAIL": provider.merchant_email,
        "KAZAWALLET_BASE_URL": provider.url,
    }


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    status: int
    """The exit status; below zero, the signal that ended it."""
    stdout: str
    """What it printed and nobody read before."""
    stderr: str

    def check_is_clean(self) -> None:
        """The program ended well, and said nothing on standard error."""
        assert (self.status, self.stderr) == (0, ""), self


class Program:
    """A program that runs. Leave it through a `with` block, which leaves no process behind."""

    def __init__(
        self,
        source: str,
        *arguments: str,
        provider: Provider | None = None,
        options: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kazawallet-program-")
        # A file, and not `-c`: multiprocessing imports the main program again in its processes.
        path = Path(self._folder.name) / "program.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)
        }
        given = environment_for(provider) if provider is not None else {}
        self._process = subprocess.Popen(
            # faulthandler: a program that hangs is aborted, and says where it hung.
            [sys.executable, "-X", "faulthandler", *options, str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=self._folder.name,
            env={**inherited, **given, **(environment or {})},
            # A group of its own: the processes that it forked can be ended with it.
            start_new_session=True,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_lines, args=(self._process.stdout,)),
            threading.Thread(target=self._read_errors, args=(self._process.stderr,)),
        ]
        for reader in self._readers:
            reader.start()

    def line(self) -> str:
        """The next line that it prints."""
        try:
            line = self._lines.get(timeout=GUARD)
        except queue.Empty:
            raise AssertionError(f"the program hangs:\n{self._abort()}") from None
        assert line is not None, f"the program ended early: {self.end()}"
        return line.rstrip("\n")

    def tell(self, text: str = "") -> None:
        """Writes a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process alone, not to those that it forked."""
        self._process.send_signal(number)

    def end(self, *, within: float = GUARD) -> Ended:
        """Waits until it has ended."""
        try:
            status = self._process.wait(timeout=within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the program hangs:\n{self._abort()}") from None
        for reader in self._readers:
            reader.join(GUARD)
            assert not reader.is_alive(), "a process that the program started outlives it"
        rest = []
        while not self._lines.empty():
            rest.append(self._lines.get() or "")
        return Ended(status, "".join(rest), "".join(self._errors))

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for reader in self._readers:
            reader.join(GUARD)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()
        self._folder.cleanup()

    def _read_lines(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self, stream: IO[str]) -> None:
        for line in stream:
            self._errors.append(line)

    def _abort(self) -> str:
        """Ends it, and gives what it said: where each of its threads was."""
        self._process.send_signal(signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for reader in self._readers:
            reader.join(GUARD)
        return "".join(self._errors)


def run(
    source: str,
    *arguments: str,
    provider: Provider | None = None,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    within: float = GUARD,
) -> Ended:
    """Runs a program to its end."""
    with Program(
        source, *arguments, provider=provider, options=options, environment=environment
    ) as program:
        return program.end(within=within)
