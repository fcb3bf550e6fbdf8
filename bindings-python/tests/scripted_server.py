"""The scripted server of the scenarios, driven as tests/README.md says: one process a script."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from repository import hold_keys, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

# Longer than any end of the program takes; a guard, not a measure.
_ENDS_WITHIN = 30


class ScriptedServerError(Exception):
    """The program did not do its part: above all, it did not understand the script."""


@dataclass(frozen=True)
class ObservedRequest:
    """A request that the server read whole."""

    connection: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: str
    unexpected: bool

    def header(self, name: str) -> str | None:
        """A header's value; one that came twice has both, so that it equals neither."""
        values = [value for header, value in self.headers if header == name]
        return ", ".join(values) if values else None


@dataclass(frozen=True)
class Observed:
    """What the server saw."""

    connections: int
    requests: tuple[ObservedRequest, ...]
    incomplete_requests: int
    steps_left: int


@final
class ScriptedServer:
    """A server that does what the script says, until the `with` block ends.

    with ScriptedServer(simulator_program, {"steps": [...]}) as server:
        ...  # Make calls to server.url, close the client.
        observed = server.finish()
    """

    def __init__(self, program: Path, script: Mapping[str, object]) -> None:
        self._program = program
        self._script = json.dumps(script)
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.root_certificate: str | None = None

    def start(self) -> ScriptedServer:
        """Starts the program, and waits until it listens."""
        self._process = process = subprocess.Popen(
            [str(self._program), "scripted"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert process.stdin is not None
        # A program that has ended already says why on standard error, which is read below.
        with suppress(BrokenPipeError):
            process.stdin.write(self._script + "\n")
            process.stdin.flush()
        ready = hold_keys("the server", self._read_line(), "url root_certificate")
        self.url, self.root_certificate = ready["url"], ready["root_certificate"]
        return self

    def finish(self) -> Observed:
        """Ends the server, and tells what it saw. Close the client first."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        keys = "connections requests incomplete_requests steps_left"
        seen = hold_keys("the server", self._read_line(), keys)
        request_keys = "connection method path headers body unexpected"
        requests = [hold_keys("a request", one, request_keys) for one in seen["requests"]]
        self._process.wait(_ENDS_WITHIN)
        return Observed(
            connections=seen["connections"],
            requests=tuple(
                ObservedRequest(
                    connection=one["connection"],
                    method=one["method"],
                    path=one["path"],
                    headers=tuple((name, value) for name, value in one["headers"]),
                    body=one["body"],
                    unexpected=one["unexpected"],
                )
                for one in requests
            ),
            incomplete_requests=seen["incomplete_requests"],
            steps_left=seen["steps_left"],
        )

    def stop(self) -> None:
        """Ends the program, whether or not it was asked what it saw. Stopping twice does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        if process.poll() is None:
            process.kill()
        with process:  # Closes the other pipes, and waits.
            pass

    def _read_line(self) -> object:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        if not line:
            said = process.stderr.read().strip()
            raise ScriptedServerError(f"exit status {process.wait(_ENDS_WITHIN)}: {said}")
        value: object = read_json(line)
        return value

    def __enter__(self) -> ScriptedServer:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
