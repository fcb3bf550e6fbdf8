"""Measures contenders in turns within one run, so that a noisy machine is noisy for each of them.

What counts is each contender's time beside the package's of the same round: a machine that is slow
for half of a run does not change that. Of these ratios the median is told, and the spread.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles


@dataclass
class Rounds:
    """What one contender took, round by round, in one unit."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """This process's CPU time, all threads, waiting excluded."""
    server_cpu: list[float] = field(default_factory=list)
    """The server's CPU time; empty where it cannot be seen."""

    @property
    def server_busy(self) -> float | None:
        """The share of the time that the server worked. Close to 1, it was what held us up."""
        if not self.server_cpu:
            return None
        return sum(self.server_cpu) / sum(self.wall)


@dataclass(frozen=True)
class Ratio:
    """How many times what the subject took the other took."""

    value: float
    low: float
    """What one round in ten lies under."""
    high: float
    """What one round in ten lies over."""

    @classmethod
    def of(cls, other: Sequence[float], subject: Sequence[float]) -> Ratio:
        by_round = [b / a for a, b in zip(subject, other, strict=True)]
        return cls(median(by_round), *deciles(by_round))


def deciles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the ninth: four values in five lie between."""
    if len(values) == 1:
        return values[0], values[0]
    tenths = quantiles(values, n=10, method="inclusive")
    return tenths[0], tenths[-1]


class ServerClock:
    """The CPU time of the server's process, as Linux tells it; elsewhere nothing is told."""

    def __init__(self, process: int | None) -> None:
        self._tasks = Path(f"/proc/{process}/task")
        self.works = process is not None and self.now() is not None

    def now(self) -> int | None:
        try:
            # Its first number is the time on a CPU, in nanoseconds.
            return sum(
                int(task.joinpath("schedstat").read_text().split()[0])
                for task in self._tasks.iterdir()
            )
        except (OSError, IndexError, ValueError):
            return None


@dataclass(frozen=True)
class Contender:
    """What is measured: something that makes so many calls."""

    make: Callable[[int], None]
    fewest: int = 1
    """How many calls it takes to be itself."""

    def calls_in(self, seconds: float) -> int:
        """About how many calls it makes in that time."""
        calls = self.fewest
        while True:
            start = time.perf_counter()
            self.make(calls)
            took = time.perf_counter() - start
            if took >= seconds / 4:
                return max(self.fewest, round(calls * seconds / took))
            calls *= 2


def measure(
    contenders: Mapping[str, Contender], *, rounds: int, seconds: float, server: ServerClock
) -> dict[str, Rounds]:
    """Lets each contender work once a round, for about so many seconds: as long for the quick as
    for the slow, since what else the machine does hits a longer turn more. The order changes from
    round to round. In microseconds a call."""
    calls = {name: contender.calls_in(seconds) for name, contender in contenders.items()}
    measured = {name: Rounds() for name in contenders}
    for number in range(rounds):
        for name in in_turn(list(contenders), number):
            gc.collect()  # Nobody pays for what the one before left behind.
            server_before = server.now() if server.works else None
            cpu, wall = time.process_time_ns(), time.perf_counter_ns()
            contenders[name].make(calls[name])
            wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
            server_after = server.now() if server.works else None
            a_call = 1000 * calls[name]
            measured[name].wall.append(wall / a_call)
            measured[name].cpu.append(cpu / a_call)
            if server_before is not None and server_after is not None:
                measured[name].server_cpu.append((server_after - server_before) / a_call)
    return measured


def in_turn(names: list[str], round_number: int) -> list[str]:
    """All of them, beginning with another one every second round, and each second round backwards: what
    the one before leaves the machine like is not always left to the same."""
    first = round_number // 2 % len(names)
    order = names[first:] + names[:first]
    return order[::-1] if round_number % 2 else order
