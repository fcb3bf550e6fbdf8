"""What is measured from outside of a process: how soon it is at work, and what memory it takes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent / "links_on_request.py"


class Process:
    """A running `links_on_request.py`."""

    def __init__(self, popen: subprocess.Popen[str], client: str) -> None:
        self._popen = popen
        self._client = client

    def make(self, links: int) -> None:
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._popen.stdin.write(f"{links}\n")
        self._popen.stdin.flush()
        answer = self._popen.stdout.readline()
        if not answer.endswith("\n") or (links > 0 and "/pay/" not in answer):
            sys.exit(f"the process with {self._client} made no payment link: {answer!r}")

    def resident_mb(self) -> float:
        """The memory that it holds, shared pages and all."""
        try:
            pages = int(Path(f"/proc/{self._popen.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        except FileNotFoundError:  # macOS has no /proc.
            ps = ["ps", "-o", "rss=", "-p", str(self._popen.pid)]
            shown = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
            return int(shown) * 1024 / 1e6


@contextmanager
def process_with(client: str) -> Iterator[Process]:
    command: list[str | Path] = [sys.executable, PROGRAM, client]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as popen:
        yield Process(popen, client)
    if popen.returncode != 0:
        sys.exit(f"the process with {client} ended with status {popen.returncode}")


def first_answer(client: str) -> tuple[float, float]:
    """From the start of a process to its first payment link, and its CPU time to its end, in ms."""
    cpu_before = _cpu_of_ended_processes()
    start = time.perf_counter()
    with process_with(client) as process:
        process.make(1)
        took = time.perf_counter() - start
    return took * 1000, (_cpu_of_ended_processes() - cpu_before) * 1000


def memory(client: str, calls: int) -> tuple[float, float]:
    """The memory of a fresh process with a fresh client, and after so many calls, in MB."""
    with process_with(client) as process:
        process.make(0)
        fresh = process.resident_mb()
        process.make(calls)
        return fresh, process.resident_mb()


def added_by(statement: str) -> tuple[float, float]:
    """What a statement adds to an interpreter that starts and ends, and that one's time, in ms."""
    alone, with_it = _interpreter("pass"), _interpreter(statement)
    return with_it - alone, alone


def _interpreter(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", statement], check=True)
    return (time.perf_counter() - start) * 1000


def _cpu_of_ended_processes() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
