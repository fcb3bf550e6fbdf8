#!/usr/bin/env python3
"""Runs the parts of a command side by side, and says how long each took.

    python3 development/parts.py COMMAND PART[:NEEDED,NEEDED...]...

A part of `test` is the Makefile's target `test-PART`, which also works by itself. It begins once the
parts that it needs have passed and a place is free, in the order in which they are given. What it
prints is shown in one piece when it ends. A failure keeps only those from running that need the
part. Nothing but Python's standard library is needed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import IO

# Most of a part is waiting, or uses one core; more at once would only slow each other down.
AT_ONCE = 2


@dataclass
class Part:
    """A part, and how it went."""

    name: str
    needs: tuple[str, ...]
    began: float = 0.0
    ended: float = 0.0
    status: int | None = None  # `None`: it was not run
    output: IO[bytes] = field(default_factory=tempfile.TemporaryFile)

    @staticmethod
    def read(text: str) -> Part:
        name, _, needs = text.partition(":")
        return Part(name, tuple(filter(None, needs.split(","))))

    def passed(self) -> bool:
        return self.status == 0


class Run:
    """All parts of one command."""

    def __init__(self, command: str, parts: list[Part]) -> None:
        self._command = command
        self._parts = {part.name: part for part in parts}
        for part in parts:
            unknown = set(part.needs) - self._parts.keys()
            if unknown:
                raise SystemExit(
                    f"parts.py: {part.name} needs {', '.join(unknown)}, which is no part"
                )
        self._started = time.monotonic()

    def all(self) -> None:
        """Runs every part that can be run."""
        waiting = list(self._parts.values())
        running: dict[Future[None], Part] = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while waiting or running:
                for part in [part for part in waiting if self._can_begin(part)]:
                    if len(running) < AT_ONCE:
                        waiting.remove(part)
                        print(f"== {self._command}, {part.name}: begins", flush=True)
                        running[pool.submit(self._run, part)] = part
                if not running:
                    break  # what is left needs something that failed
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
                    self._tell(running.pop(future))

    def passed(self) -> bool:
        return all(part.passed() for part in self._parts.values())

    def _can_begin(self, part: Part) -> bool:
        return all(self._parts[name].passed() for name in part.needs)

    def _run(self, part: Part) -> None:
        part.began = time.monotonic()
        make = os.environ.get("MAKE", "make")
        part.status = subprocess.run(
            [make, "--no-print-directory", f"{self._command}-{part.name}"],
            stdin=subprocess.DEVNULL,
            stdout=part.output,
            stderr=subprocess.STDOUT,
            # Without the flags of the make that started this: they speak of that one's own jobs.
            env={name: value for name, value in os.environ.items() if "MAKEFLAGS" not in name},
            check=False,
        ).returncode
        part.ended = time.monotonic()

    def _tell(self, part: Part) -> None:
        part.output.seek(0)
        sys.stdout.buffer.write(part.output.read())
        word = "passed" if part.passed() else "FAILED"
        print(
            f"== {self._command}, {part.name}: {word}, in {part.ended - part.began:.0f} s\n",
            flush=True,
        )

    def table(self) -> str:
        """A line for each part: what it took, when it began."""
        width = max(len(name) for name in self._parts)
        lines = []
        for part in self._parts.values():
            if part.status is None:
                lines.append(f"   {part.name:{width}}  not run")
                continue
            took, began = part.ended - part.began, part.began - self._started
            failed = "" if part.passed() else ", FAILED"
            lines.append(f"   {part.name:{width}}  {took:5.0f} s, from {began:.0f} s on{failed}")
        took = time.monotonic() - self._started
        word = "passed" if self.passed() else "FAILED"
        return "\n".join([f"== make {self._command} {word}, in {took:.0f} s", *lines])


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    # A shell's job in the background ignores it, and so would the parts, among them tests of Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run = Run(sys.argv[1], [Part.read(text) for text in sys.argv[2:]])
    # Ctrl-C reaches the parts, too, since they are of the same terminal; then nothing more begins.
    with contextlib.suppress(KeyboardInterrupt):
        run.all()
    print(run.table(), flush=True)
    return 0 if run.passed() else 1


if __name__ == "__main__":
    sys.exit(main())
