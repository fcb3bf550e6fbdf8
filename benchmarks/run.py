#!/usr/bin/env python3
"""Measures the packages side by side with what people would use instead: `make bench`.

    python3 benchmarks/run.py [--only PART]... [--quick] [--folder DIR]

It builds everything first, so that nothing is measured beside a compiler, then runs the parts one
after the other: rust, ledger, python, node. Each part's figures go into results.json as soon as it
has ended; RESULTS.md and chart.svg are made from that. Ends with the goals that were missed, and
fails only where something could not be measured. README.md beside this file tells the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import report
import results

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
SIMULATOR = TARGET / "release" / "kazawallet-simulator"
QUICK_FOLDER = TARGET / "quick-benchmarks"
# 500 calls in flight, and four clients with 256 connections each; macOS gives a shell 256 files.
OPEN_FILES = 4096
OLDEST_PYTHON = (3, 11)
# The share of the machine that others may use before it is said so.
BUSY = 0.05
GENERATED = ("results.json", "RESULTS.md", "chart.svg")

Command = list[str | Path]
CARGO_RELEASE: Command = ["--locked", "--release"]
FIVE_HUNDRED: Command = [
    *("cargo", "test", *CARGO_RELEASE, "--package", "kazawallet-tests", "--test", "concurrency"),
    "five_hundred",
]
WEBHOOK: Command = ["cargo", "bench", "--locked", "--package", "kazawallet", "--bench", "webhook"]
SIMULATOR_PACKAGE: Command = ["--package", "kazawallet-simulator"]


class Failed(Exception):
    """What could not be done, and what may help."""


def main() -> int:
    options = arguments()
    parts = [part for part in results.PARTS if not options.only or part in options.only]
    folder = options.folder or (QUICK_FOLDER if options.quick else HERE)
    if options.quick and folder.resolve() == HERE:
        sys.exit("a quick run's figures mean nothing: give it another --folder")
    allow_open_files()
    file = folder / "results.json"
    failed = []
    try:
        check_tools(parts)
        folder.mkdir(parents=True, exist_ok=True)
        kept = earlier_results(file, parts)
        build(parts)
        for part in parts:
            try:
                about, figures = measure(part, quick=options.quick)
            except Failed as failure:
                failed.append(f"the {part} part: {failure}")
                continue
            merge(kept, part, about, figures)
            report.write(folder, kept)
        tell_missed(kept)
    except (Failed, results.Unfit) as failure:
        failed.append(str(failure))
    for line in failed:
        print(f"FAILED  {line}", file=sys.stderr)
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        choices=results.PARTS,
        action="append",
        help="measure this part alone (may be repeated); the others keep their earlier results",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a few rounds, to see that all of it runs; writes to {QUICK_FOLDER.name} in target",
    )
    parser.add_argument("--folder", type=Path, help="where to write, instead of benchmarks/")
    return parser.parse_args()


def step(text: str) -> None:
    print(f"\n== {text}", flush=True)


def run(command: Sequence[str | Path]) -> None:
    shown = " ".join(map(str, command))
    try:
        ended = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise Failed(f"{shown}: {error}") from None
    if ended.returncode != 0:
        raise Failed(f"status {ended.returncode} from: {shown}")


def allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def check_tools(parts: Sequence[str]) -> None:
    """Before minutes go into building, what one of the parts would be missing."""
    wanted = {"cargo": "Rust, through https://rustup.rs"}
    if "node" in parts:
        wanted |= {"node": "Node.js 20 or later", "npm": "npm, which comes with Node.js"}
    missing = [f"{tool} ({how})" for tool, how in wanted.items() if shutil.which(tool) is None]
    if "python" in parts and sys.version_info < OLDEST_PYTHON:
        missing.append("Python 3.11 or later, to run this with: pyreqwest needs it")
    if "ledger" in parts and not has_postgresql():
        missing.append("PostgreSQL's initdb (apt install postgresql, or brew install postgresql)")
    if missing:
        raise Failed(f"not on this machine: {'; '.join(missing)}")


def has_postgresql() -> bool:
    """In PATH, or where Debian puts it."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return shutil.which("initdb") is not None or any(debian)


# --- building, all of it before anything is measured -------------------------------------------


def build(parts: Sequence[str]) -> None:
    step("building what will be measured (the first time takes some minutes)")
    cargo_build: Command = ["cargo", "build", "--quiet", *CARGO_RELEASE]
    if "rust" in parts:
        run([*WEBHOOK, "--no-run"])
        run([*FIVE_HUNDRED, "--no-run"])
    if "rust" in parts or "python" in parts:
        run([*cargo_build, "--package", "kazawallet-benchmarks"])
    if "ledger" in parts:
        run([*cargo_build, "--package", "kazawallet-ledger-benchmarks"])
    run([*cargo_build, *SIMULATOR_PACKAGE])
    if "python" in parts:
        run([sys.executable, "bindings-python/run_tests.py", "--build-only"])
    if "node" in parts:
        run(["node", "bindings-node/run-tests.mjs", "--build-only"])


# --- measuring ---------------------------------------------------------------------------------


def commands_of(part: str) -> list[Command]:
    """What measures a part. Each takes --quick, and --json with the file that it writes."""
    cargo_run: Command = ["cargo", "run", "--quiet", *CARGO_RELEASE, "--package"]
    with_simulator: Command = ["--simulator-program", SIMULATOR]
    return {
        "rust": [[*WEBHOOK, "--"], [*cargo_run, "kazawallet-benchmarks", "--"]],
        "ledger": [[*cargo_run, "kazawallet-ledger-benchmarks", "--"]],
        "python": [
            [
                *(sys.executable, "benchmarks/python/run.py", *with_simulator),
                *("--replaying-program", TARGET / "release" / "kazawallet-benchmarks"),
            ]
        ],
        "node": [["node", "benchmarks/node/run.mjs", *with_simulator]],
    }[part]


def measure(part: str, *, quick: bool) -> tuple[dict[str, Any], list[results.Result]]:
    """What a part is told by, and its figures."""
    step(f"the {part} part")
    busy = busy_share()
    if busy is not None and busy > BUSY:
        print(
            f"THE MACHINE IS BUSY: others use {busy:.0%} of it, and the spread shows it", flush=True
        )
    about: dict[str, Any] = {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "busy_before": busy,
        "versions": {},
    }
    figures: list[results.Result] = []
    for command in commands_of(part):
        told = told_by(part, [*command, *(["--quick"] if quick else [])])
        about["versions"] |= told["versions"]
        figures += told["results"]
    if part == "rust":
        step("500 calls in flight at once against the simulator")
        run([*FIVE_HUNDRED, "--", "--nocapture", "--test-threads=1"])
    return about, figures


def told_by(part: str, command: Command) -> dict[str, Any]:
    """Runs what measures, and reads what it wrote."""
    with tempfile.TemporaryDirectory(prefix="kazawallet-bench-") as folder:
        written = Path(folder) / "part.json"
        shown = " ".join(map(str, command))
        run([*command, "--json", written])
        try:
            told: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Failed(f"{shown} wrote no JSON: {error}") from None
    problems = results.problems_of_part(part, told)
    if problems:
        raise Failed(f"{shown} wrote what is not fit to be kept:\n  " + "\n  ".join(problems))
    return told


def commit() -> str:
    """The commit that is measured, and whether there were changes beside it."""

    def git(*arguments: str) -> str:
        ended = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return ended.stdout.strip()

    head = git("rev-parse", "HEAD")
    others = [f":(exclude)benchmarks/{name}" for name in GENERATED]
    changed = git("status", "--porcelain", "--", ".", *others)
    return (f"{head} with changes" if changed else head) or "unknown: not in a clone"


# --- what is kept ------------------------------------------------------------------------------


def earlier_results(file: Path, parts: Sequence[str]) -> dict[str, Any]:
    """What is kept: nothing if all parts are measured, else what the others had. Figures of two
    machines never stand in one file."""
    here = machine()
    if len(parts) == len(results.PARTS) or not file.exists():
        return results.empty() | {"machine": here}
    kept = results.load(file)
    if kept["machine"] != here:
        raise Failed(
            f"{file} was measured on another machine ({kept['machine']}, and not {here}): "
            "measure all parts, or give another --folder"
        )
    return kept


def merge(kept: dict[str, Any], part: str, about: dict[str, Any], figures: list[Any]) -> None:
    kept["parts"][part] = about
    others = [result for result in kept["results"] if results.part_of(result) != part]
    order = results.PARTS.index
    kept["parts"] = dict(sorted(kept["parts"].items(), key=lambda item: order(item[0])))
    kept["results"] = sorted([*others, *figures], key=lambda each: order(results.part_of(each)))


def machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kernel = re.match(r"[\d.]*\d", platform.release())
    system = [platform.system(), kernel[0] if kernel else "", platform.machine()]
    name = f"{system_name()}, " if system_name() else ""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": name + " ".join(system),
    }


def system_name() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return ""


def cpu_model() -> str:
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else f"unnamed {platform.machine()}"


def busy_share(seconds: float = 2.0) -> float | None:
    """How much of the machine others use while we do nothing, from 0 to 1, where Linux tells it."""

    def ticks() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        return sum(fields[:8]), fields[3] + fields[4]  # Idle, and waiting for a disk.

    if not Path("/proc/stat").exists():
        return None
    all_before, idle_before = ticks()
    time.sleep(seconds)
    all_after, idle_after = ticks()
    passed = max(1, all_after - all_before)
    return round(1 - (idle_after - idle_before) / passed, 3)


def tell_missed(kept: dict[str, Any]) -> None:
    goals = [result for result in kept["results"] if result["goal"] is not None]
    missed = results.missed(kept)
    step(f"{len(goals) - len(missed)} of {len(goals)} goals met")
    for result in missed:
        print(f"MISSED  {result['name']}: {report.against_goal(result)}")


if __name__ == "__main__":
    sys.exit(main())
