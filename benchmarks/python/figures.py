"""One figure of the Python part: what is printed of it, and what the JSON file holds.

The shape is the one that benchmarks/README.md documents, the same in every language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from measuring import Ratio, Rounds, deciles

DIGITS = 5


@dataclass(frozen=True)
class Taken:
    """What one contender took: the median of its rounds, and its first and ninth decile."""

    median: float
    low: float
    high: float
    cpu: float | None = None

    @classmethod
    def of(cls, rounds: Sequence[float], cpu: Sequence[float] = ()) -> Taken:
        low, high = deciles(rounds)
        return cls(median(rounds), low, high, median(cpu) if cpu else None)

    def as_json(self) -> dict[str, Any]:
        shown = {"median": self.median, "low": self.low, "high": self.high}
        if self.cpu is not None:
            shown["cpu"] = self.cpu
        return {key: rounded(value) for key, value in shown.items()}


@dataclass(frozen=True)
class Goal:
    """A bound: how many times what we take the other takes at least, or our own figure at most."""

    value: float
    of: str = "ratio"
    """`ratio`, `ratio_and_cpu_ratio` where it holds for the CPU time too, or `ours`."""

    @property
    def at(self) -> str:
        return "at_most" if self.of == "ours" else "at_least"

    def is_met(self, figure: Figure) -> bool:
        if self.of == "ours":
            return rounded(figure.ours.median) <= self.value
        bounded = [figure.ratio, figure.cpu_ratio] if self.of != "ratio" else [figure.ratio]
        return all(ratio is not None and rounded(ratio.value) >= self.value for ratio in bounded)


@dataclass(frozen=True)
class Figure:
    """One object of the JSON file, and one line of a table."""

    name: str
    title: str
    unit: str
    ours: Taken
    other: str | None = None
    theirs: Taken | None = None
    ratio: Ratio | None = None
    """How many times what we took the other took, round by round."""
    cpu_ratio: Ratio | None = None
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.is_met(self)

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "ours": self.ours.as_json(),
            "baseline": None,
        }
        if self.theirs is not None and self.ratio is not None:
            shown["baseline"] = {"of": self.other} | self.theirs.as_json()
            shown["ratio"] = rounded(self.ratio.value)
            shown["ratio_low"] = rounded(self.ratio.low)
            shown["ratio_high"] = rounded(self.ratio.high)
            shown["ratio_is"] = "baseline/ours"
        if self.cpu_ratio is not None:
            shown["cpu_ratio"] = rounded(self.cpu_ratio.value)
        shown["goal"] = None if self.goal is None else self.goal.value
        if self.goal is not None:
            shown |= {"goal_is": self.goal.at, "of_goal": self.goal.of}
        return shown | {"met": self.met}

    def as_line(self) -> str:
        shown = f"{self.other or '':<28}{self.ours.median:>9.2f}"
        if self.theirs is not None and self.ratio is not None:
            spread = f"({self.ratio.low:.2f} to {self.ratio.high:.2f})"
            shown += f"{self.theirs.median:>10.2f}{self.ratio.value:>8.2f}  {spread:<17}"
        else:
            spread = f"({self.ours.low:.2f} to {self.ours.high:.2f})"
            shown += f"{'':>18}  {spread:<17}"
        shown += f"{'' if self.cpu_ratio is None else f'{self.cpu_ratio.value:.2f}':>6}"
        if self.goal is not None:
            both = ", CPU too" if self.goal.of == "ratio_and_cpu_ratio" else ""
            verdict = "met" if self.met else "MISSED"
            shown += f"  {self.goal.at.replace('_', ' ')} {self.goal.value:g}{both}: {verdict}"
        return shown.rstrip()


def beside(
    name: str,
    title: str,
    unit: str,
    ours: Rounds,
    other: str,
    theirs: Rounds,
    goal: Goal | None = None,
) -> Figure:
    """A figure from the rounds of two contenders."""
    has_cpu = bool(ours.cpu and theirs.cpu)
    return Figure(
        name=name,
        title=f"{title}, beside {other}",
        unit=unit,
        ours=Taken.of(ours.wall, ours.cpu),
        other=other,
        theirs=Taken.of(theirs.wall, theirs.cpu),
        ratio=Ratio.of(theirs.wall, ours.wall),
        cpu_ratio=Ratio.of(theirs.cpu, ours.cpu) if has_cpu else None,
        goal=goal,
    )


def report(section: str, figures: Sequence[Figure], note: str = "") -> list[Figure]:
    """Prints a table of figures that have one unit."""
    unit = figures[0].unit
    print(f"\n== {section}")
    print(f"{f'({unit})':<28}{'ours':>9}{'theirs':>10}{'times':>8}{'':<19}{'CPU':>6}  goal")
    for figure in figures:
        print(figure.as_line(), flush=True)
    if note:
        print(note, flush=True)
    return list(figures)


def rounded(value: float) -> float:
    """Without digits that say nothing. What is held against a goal is what is written."""
    return float(f"{value:.{DIGITS}g}")
