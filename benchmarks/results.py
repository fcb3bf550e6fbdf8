"""results.json: reading it, and holding it against what README.md documents.

The names that it may hold are read from README.md's tables, so that no figure goes undocumented and
no documented one is missing.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = 1
PARTS = ("rust", "ledger", "python", "node")
DOCUMENTATION = Path(__file__).resolve().parent / "README.md"

UNITS = ("ns", "µs", "ms", "KB", "MB")
RATIOS = ("baseline/ours", "ours/baseline")
# Medians of ratios and ratios of medians differ, but not by this much: that is a ratio turned over.
FARTHEST_FROM_MEDIANS = 3.0

ALWAYS = {"name", "title", "unit", "ours", "baseline", "goal", "met"}
WITH_BASELINE = {"ratio", "ratio_low", "ratio_high", "ratio_is"}
WITH_GOAL = {"goal_is", "of_goal"}

Result = dict[str, Any]


class Unfit(Exception):
    """What is wrong with a file of results, and what was expected."""


def empty() -> dict[str, Any]:
    return {"schema": SCHEMA, "machine": {}, "parts": {}, "results": []}


def load(file: Path) -> dict[str, Any]:
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unfit(f"{file} does not exist: `make bench` measures and writes it") from None
    except ValueError as error:
        raise Unfit(f"{file} is no JSON: {error}") from None
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        raise Unfit(f'{file} does not say "schema": {SCHEMA}: `make bench` writes it anew')
    return results


def part_of(result: Result) -> str:
    """A name begins with the part that measured it."""
    return str(result["name"]).partition(".")[0]


def documented_names() -> set[str]:
    """All names of README.md's tables, `{a,b}` in them expanded."""
    names: set[str] = set()
    begin = "|".join(PARTS)
    for line in DOCUMENTATION.read_text(encoding="utf-8").splitlines():
        found = re.match(rf"\| `((?:{begin})\.[^`]+)` \|", line)
        if found:
            names |= set(_expanded(found[1]))
    return names


def _expanded(pattern: str) -> Iterator[str]:
    pieces = [piece.split(",") for piece in re.split(r"[{}]", pattern)]
    return ("".join(chosen) for chosen in itertools.product(*pieces))


def problems(results: dict[str, Any]) -> list[str]:
    """What is wrong with the results of all parts: their shape, and their names."""
    found: list[str] = []
    if results.keys() != empty().keys():
        found.append(f"its keys are {sorted(results)}, and not {sorted(empty())}")
        return found
    machine = results["machine"]
    if machine.keys() != {"cpu", "cores", "memory_gb", "system"} or None in machine.values():
        found.append(f"`machine` is {machine}, and not cpu, cores, memory_gb and system")
    for part in PARTS:
        about = results["parts"].get(part)
        if about is None:
            found.append(f"the part {part} was never measured: `make bench` measures all of them")
        elif about.keys() != {"measured_at", "commit", "busy_before", "versions"}:
            found.append(f"the part {part} is told of by {sorted(about)}")
    names = [result.get("name") for result in results["results"]]
    found += [f"{name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    wanted = documented_names()
    found += [f"{name} is not documented in README.md" for name in names if name not in wanted]
    found += [
        f"{name} is documented in README.md and was not measured"
        for name in sorted(wanted - set(names))
        if name.partition(".")[0] in results["parts"]
    ]
    for result in results["results"]:
        of_one = problems_of_one(result)
        found += [f"{result.get('name')}: {problem}" for problem in of_one or _odd_figures(result)]
    return found


def problems_of_part(part: str, told: dict[str, Any]) -> list[str]:
    """What is wrong with what one part wrote."""
    if told.keys() != {"versions", "results"} or not told["results"]:
        return [f"it holds {sorted(told)}, and not versions and some results"]
    found = []
    for result in told["results"]:
        problems = problems_of_one(result)
        if not problems and part_of(result) != part:
            problems = [f"its name does not begin with {part}."]
        found += [f"{result.get('name')}: {problem}" for problem in problems]
    return found


def problems_of_one(result: Result) -> list[str]:
    """What is wrong with one result."""
    keys = set(result)
    wanted = set(ALWAYS)
    if result.get("baseline") is not None:
        wanted |= WITH_BASELINE
    if result.get("goal") is not None:
        wanted |= WITH_GOAL
    # Where there is nothing to tell, a key may be left out or null.
    told = {key for key in keys if result[key] is not None or key in wanted} - {"cpu_ratio"}
    if told != wanted:
        odd = sorted(told ^ wanted)
        return [f"{', '.join(odd)}: not as documented for a figure with this baseline and goal"]

    found = []
    if not re.fullmatch(r"[a-z]+(\.[a-z0-9_]+)+", result["name"]):
        found.append("its name is not lower-case words between dots")
    if result["unit"] not in UNITS:
        found.append(f"its unit is {result['unit']}, and none of {', '.join(UNITS)}")
    found += _problems_of_spread("ours", result["ours"], "median", "low", "high")
    if result["baseline"] is not None:
        found += _problems_of_spread("baseline", result["baseline"], "median", "low", "high")
        found += _problems_of_spread("the ratio", result, "ratio", "ratio_low", "ratio_high")
        if result["ratio_is"] not in RATIOS:
            found.append(f"`ratio_is` is {result['ratio_is']}, and none of {', '.join(RATIOS)}")
    if not found and result["goal"] is not None:
        found += _problems_of_goal(result)
    elif result["goal"] is None and result["met"] is not None:
        found.append(f"`met` is {result['met']} without a goal")
    return found


def _problems_of_spread(
    what: str, told: dict[str, Any], median: str, low: str, high: str
) -> list[str]:
    found = [told.get(key) for key in (low, median, high)]
    values = [each for each in found if isinstance(each, (int, float)) and math.isfinite(each)]
    if len(values) != len(found):
        return [f"{what}: {low}, {median}, {high} are {found}, and not three numbers"]
    if not values[0] <= values[1] <= values[2]:
        return [f"{what}: {low}, {median}, {high} are {values}, and not in their order"]
    return []


def _odd_figures(result: Result) -> list[str]:
    """What no full run measures. In a quick one few rounds can differ by any factor, and a process
    that loads the package can come out ahead of one that does nothing."""
    ours, theirs = result["ours"]["median"], (result["baseline"] or {}).get("median", 1)
    if ours <= 0 or theirs <= 0:
        return [f"its medians are {ours} and {theirs}, which nothing can take"]
    if result["baseline"] is None:
        return []
    of_medians = theirs / ours if result["ratio_is"] == RATIOS[0] else ours / theirs
    farthest = FARTHEST_FROM_MEDIANS
    if of_medians / farthest <= result["ratio"] <= of_medians * farthest:
        return []
    return [f"its ratio is {result['ratio']}, but {of_medians:.3g} by the medians: turned over?"]


def _problems_of_goal(result: Result) -> list[str]:
    bounds = {
        "ratio": [result.get("ratio")],
        "ratio_and_cpu_ratio": [result.get("ratio"), result.get("cpu_ratio")],
        "ours": [result["ours"]["median"]],
    }
    bounded = bounds.get(result["of_goal"])
    if bounded is None:
        return [f"`of_goal` is {result['of_goal']}, and none of {', '.join(bounds)}"]
    if None in bounded:
        return [f"its goal is one of {result['of_goal']}, which it does not tell"]
    if result["goal_is"] == "at_least":
        met = all(value >= result["goal"] for value in bounded)
    elif result["goal_is"] == "at_most":
        met = all(value <= result["goal"] for value in bounded)
    else:
        return [f"`goal_is` is {result['goal_is']}, and neither at_least nor at_most"]
    if result["met"] is not met:
        return [f"`met` is {result['met']}, but by its figures and its goal it is {met}"]
    return []


def missed(results: dict[str, Any]) -> list[Result]:
    return [result for result in results["results"] if result["met"] is False]
