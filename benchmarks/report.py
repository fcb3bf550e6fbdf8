#!/usr/bin/env python3
"""Writes RESULTS.md and chart.svg from results.json.

python3 benchmarks/report.py [--folder DIR]
python3 benchmarks/report.py --check    exit with 1 if one of the two is out of date, or if
                                        results.json is not what README.md documents
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chart
import results
from results import Result

HERE = Path(__file__).resolve().parent
HEADINGS = {"rust": "Rust", "ledger": "The ledger", "python": "Python", "node": "Node.js"}
SIZES = ("KB", "MB")

HOW_TO_READ = """\
# Results

What `make bench` measured last, side by side with what people would use instead. This page and the
chart are generated from [results.json](results.json); [README.md](README.md) tells how it is
measured, and what each key means.

![How many times as fast as what people would use instead](chart.svg)

- Figures are medians of rounds in which the contenders took turns. Less is better.
- *times* compares the two in each round, and is the median of that; in brackets is where four rounds
  in five lie. A wide bracket is a noisy figure.
- *CPU times* is the same of the process's CPU time, without what it waited.
- A server on the same machine shares its cores, and answers both sides alike: over loopback a ratio
  tells what a client costs, not how long the provider takes.
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and compare")
    parser.add_argument("--folder", type=Path, default=HERE, help="where results.json is")
    options = parser.parse_args()
    try:
        kept = results.load(options.folder / "results.json")
        if not options.check:
            write(options.folder, kept)
            return 0
        problems = results.problems(kept) or out_of_date(options.folder, kept)
    except results.Unfit as unfit:
        print(unfit, file=sys.stderr)
        return 1
    for problem in problems:
        print(f"{options.folder / 'results.json'}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def write(folder: Path, kept: dict[str, Any]) -> None:
    """results.json, and what is made from it."""
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")
    for name, text in generated(kept).items():
        (folder / name).write_text(text, encoding="utf-8")


def generated(kept: dict[str, Any]) -> dict[str, str]:
    return {"RESULTS.md": page(kept), "chart.svg": chart.svg(kept)}


def out_of_date(folder: Path, kept: dict[str, Any]) -> list[str]:
    problems = [
        f"the chart shows {name}, which is not measured"
        for name in sorted(chart.names() - {result["name"] for result in kept["results"]})
    ]
    for name, text in generated(kept).items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            problems.append(f"{name} is not made from it: run python3 benchmarks/report.py")
    return problems


# --- the page ----------------------------------------------------------------------------------


def page(kept: dict[str, Any]) -> str:
    lines = [HOW_TO_READ, *goals(kept), *machine(kept["machine"])]
    for part, about in kept["parts"].items():
        of_part = [result for result in kept["results"] if results.part_of(result) == part]
        lines += ["", f"## {HEADINGS[part]}", "", *measured(about)]
        for heading, head, rows in tables(of_part):
            lines += ["", f"### {heading}", "", *table(head, rows)]
    return "\n".join(lines) + "\n"


def goals(kept: dict[str, Any]) -> Iterator[str]:
    with_goal = [result for result in kept["results"] if result["goal"] is not None]
    missed = results.missed(kept)
    verdict = f"**{len(with_goal) - len(missed)} of {len(with_goal)} goals are met.**"
    yield f"{verdict} Missed:" if missed else verdict
    if missed:
        yield ""
    for result in missed:
        yield f"- `{result['name']}`: {against_goal(result)}"


def machine(told: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"Machine: {told['cpu']}, {told['cores']} cores, {told['memory_gb']} GB of memory; {told['system']}."


def measured(about: dict[str, Any]) -> Iterator[str]:
    when = about["measured_at"].replace("T", " ").replace("+00:00", " UTC")
    commit, _, changes = about["commit"].partition(" ")
    busy = about["busy_before"]
    others = "" if busy is None else f" Just before, others used {busy:.0%} of the machine."
    yield f"Measured {when}, commit `{commit[:12]}`{f' {changes}' if changes else ''}.{others}"
    yield ""
    yield ", ".join(f"{name} {version}" for name, version in about["versions"].items()) + "."


def tables(of_part: list[Result]) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Headings, heads and rows: what is held against others, against bare work, and what stands alone."""
    times = "how many times what kazawallet takes the other takes; more is better"
    over = "how many times what that takes kazawallet takes; less is better"
    both = ["", "kazawallet", "beside", "takes", "times", "CPU times", "goal"]
    for heading, ratio_is, sizes in (
        (f"Time: {times}", "baseline/ours", False),
        (f"Memory and size: {times}", "baseline/ours", True),
        (f"Over bare work: {over}", "ours/baseline", False),
    ):
        rows = [
            row_beside(result)
            for result in of_part
            if result["baseline"] is not None
            and result["ratio_is"] == ratio_is
            and (result["unit"] in SIZES) == sizes
        ]
        if rows:
            yield heading, both, rows
    rows = [row_alone(result) for result in of_part if result["baseline"] is None]
    if rows:
        yield "By itself", ["", "kazawallet", "goal"], rows


def row_beside(result: Result) -> list[str]:
    baseline, cpu_ratio = result["baseline"], result.get("cpu_ratio")
    between = spread(result["ratio_low"], result["ratio_high"])
    return [
        what(result),
        amount(result["ours"]["median"], result["unit"]),
        baseline["of"],
        amount(baseline["median"], result["unit"]),
        f"**{number(result['ratio'])}**{between}",
        "" if cpu_ratio is None else number(cpu_ratio),
        goal(result),
    ]


def row_alone(result: Result) -> list[str]:
    ours = result["ours"]
    between = spread(ours["low"], ours["high"])
    return [what(result), f"**{amount(ours['median'], result['unit'])}**{between}", goal(result)]


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    words = {"", "beside"}  # Columns of words; figures stand to the right.
    shown = [column for column in range(len(head)) if any(row[column] for row in rows)]
    yield f"| {' | '.join(head[column] for column in shown)} |"
    yield f"| {' | '.join('---' if head[column] in words else '--:' for column in shown)} |"
    for row in rows:
        yield f"| {' | '.join(row[column].replace('|', chr(92) + '|') for column in shown)} |"


def what(result: Result) -> str:
    baseline = result["baseline"]
    return str(result["title"]).removesuffix(f", beside {baseline['of']}" if baseline else "")


def amount(value: float, unit: str) -> str:
    return f"{number(value)} {unit}"


def number(value: float) -> str:
    """With three digits that say something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(low: float, high: float) -> str:
    """In brackets, where there is any."""
    return "" if number(low) == number(high) else f" ({number(low)} to {number(high)})"


def goal(result: Result) -> str:
    if result["goal"] is None:
        return ""
    sign = "≥" if result["goal_is"] == "at_least" else "≤"
    cpu = ", CPU too" if result["of_goal"] == "ratio_and_cpu_ratio" else ""
    verdict = "met" if result["met"] else "**missed**"
    return f"{sign} {result['goal']:g}{cpu}: {verdict}"


def against_goal(result: Result) -> str:
    """A figure beside its goal, in words."""
    of = result["of_goal"]
    if of == "ours":
        shown = amount(result["ours"]["median"], result["unit"])
    else:
        between = spread(result["ratio_low"], result["ratio_high"])
        shown = f"{number(result['ratio'])} times{between}"
        if of == "ratio_and_cpu_ratio":
            shown += f", of the CPU time {number(result['cpu_ratio'])}"
    bound = result["goal_is"].replace("_", " ")
    return f"{shown}; the goal is {bound} {result['goal']:g}"


if __name__ == "__main__":
    sys.exit(main())
