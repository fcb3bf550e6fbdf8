"""A real PostgreSQL in a temporary folder, which the program `serve_postgres` keeps."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType


class PostgresServer:
    """A server on a free loopback port. It goes with the `with` block, or with this process."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._answer()

    def new_database(self) -> str:
        """The URL of an empty database."""
        return self._command("create")

    def stop(self) -> None:
        """Stops it as a crash does."""
        assert self._command("stop") == "done"

    def start_again(self) -> None:
        """Starts it on the same port."""
        assert self._command("start") == "done"

    def __enter__(self) -> PostgresServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _command(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the PostgreSQL server ended; what it said is above"
        return line.strip()
