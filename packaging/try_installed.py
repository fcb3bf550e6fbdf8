"""Tries what is in `target/dist`, as users get it: installed into clean places.

    python3 packaging/try_installed.py [--dist FOLDER] [--target TRIPLE]... [--strict]

Each package for a platform that runs here is installed, and the vectors, the scenarios and the programs
of the READMEs are run with it: on this machine's own platform the wheel, a wheel made of the sdist, and
the npm packages; on Linux, aarch64 too, under qemu-user, without the scenarios, and musl, as far as
there is a Node.js or a Python for it. What could not be run is said at the end. What stands in for the
provider in the scenarios is built first, which needs Rust; without it they are left out, and that is
said, too. With --strict what could not be run is a failure.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import other_machines
import platforms
import tools
from platforms import BINDINGS_NODE, BINDINGS_PYTHON, DIST, PLATFORMS, Failed, Platform
from run_tests import (
    build_servers_of_the_tests,
    find_interpreters,
    install_build_tools,
    step,
)

# What is run, as pytest chooses tests, and as the names of files of tests for Node.js.
VECTORS = ("test_vectors or test_phones", ["vectors", "phones"])
SCENARIOS = ("test_scenarios", ["scenarios"])
QUICK_START = ("program_of_a_document and README", ["documentation"])
# The oldest and the newest.
NODES = ("node20", "node26")


Kinds = list[tuple[str, list[str]]]


@dataclass
class Trial:
    """The packages, what is run with them, and what became of it."""

    files: list[Path]
    kinds: Kinds
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)

    def run(self, what: str, command: list[str | Path]) -> None:
        step(f"TRYING {what}")
        started = time.monotonic()
        try:
            tools.run(command)
        except Failed as failure:
            self.failed.append(f"{what}: {failure}")
        else:
            self.passed.append(f"{what} ({time.monotonic() - started:.0f} s)")


def main() -> int:
    parser = argparse.ArgumentParser(description="Installs and tries the packages in target/dist.")
    parser.add_argument("--dist", type=Path, default=DIST, help="the folder of the packages")
    parser.add_argument(
        "--target",
        action="append",
        choices=platforms.TRIPLES,
        help="only those for this platform (may be repeated)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="what could not be run is a failure, too"
    )
    options = parser.parse_args()
    try:
        trial = Trial(platforms.files_in(options.dist.resolve()), [VECTORS, SCENARIOS, QUICK_START])
        targets = platforms.named(options.target) if options.target else list(PLATFORMS)
        if shutil.which("cargo") is None:
            trial.kinds.remove(SCENARIOS)
            trial.not_run.append("the scenarios: cargo, which builds their server, is not here")
        else:
            build_servers_of_the_tests()
        try_all(trial, targets)
    except Failed as failure:
        print(f"== FAILED: {failure}", file=sys.stderr)
        return 1
    for word in ("passed", "not_run", "failed"):
        for line in getattr(trial, word):
            print(f"   {word.replace('_', ' ')}: {line}")
    if trial.failed or not trial.passed or (options.strict and trial.not_run):
        print("== FAILED: not every package does what it should", file=sys.stderr)
        return 1
    step(f"{len(trial.passed)} installations passed")
    return 0


def try_all(trial: Trial, targets: list[Platform]) -> None:
    for target in targets:
        wheels, addon = target.wheels(trial.files), target.addon(trial.files)
        if not wheels and addon is None:
            continue
        if target.is_this_machine:
            try_here(trial, target)
        elif runs_emulated(target):
            try_emulated(trial, target)
        else:
            trial.not_run.append(f"{target.triple}: it takes a machine of its own")


def runs_emulated(target: Platform) -> bool:
    # x86_64 is what they are all run from.
    return target.system == platform.system() == "Linux" and platform.machine() == "x86_64"


def try_here(trial: Trial, target: Platform) -> None:
    wheels = target.wheels(trial.files)
    interpreters = find_interpreters(None) if wheels else []
    for wheel in wheels:
        if not any(interpreter.runs(wheel) for interpreter in interpreters):
            trial.not_run.append(f"{wheel.name}: no CPython that it is for is here")
    if wheels:
        trial.run(f"the wheels for {target.triple}", _python(trial.kinds, wheels))
    sdist = platforms.sdist(trial.files)
    if sdist is not None and shutil.which("cargo"):
        try_sdist(trial, sdist)
    if target.addon(trial.files) is not None:
        chosen = [f"--runtime={name}" for name in NODES]
        if target.musl or target.system != "Linux":
            # npm's builds of Node.js are for glibc, and for other systems not of every version.
            chosen = ["--program", shutil.which("node") or "node"]
        try_npm(trial, target, chosen, trial.kinds)


def try_sdist(trial: Trial, sdist: Path) -> None:
    """Makes a wheel of it, as pip does where there is none for the platform, and tries that."""
    with tempfile.TemporaryDirectory(prefix="kazawallet-sdist-") as folder:
        what = f"{sdist.name}, built by pip"
        step(f"building {sdist.name} as pip does (some minutes)")
        try:
            tools.run(
                [
                    *(install_build_tools(), "wheel", "--quiet", "--disable-pip-version-check"),
                    *("--no-deps", "--wheel-dir", folder, sdist),
                ]
            )
        except Failed as failure:
            trial.failed.append(f"{what}: {failure}")
            return
        trial.run(what, _python(trial.kinds, sorted(Path(folder).glob("*.whl"))))


def try_emulated(trial: Trial, target: Platform) -> None:
    kinds = trial.kinds
    if target.machine == "aarch64":
        kinds = [kind for kind in kinds if kind is not SCENARIOS]
        trial.not_run.append(
            f"the scenarios for {target.triple}: under an emulator they take too long; "
            "run this program on such a machine"
        )
    if wheels := target.wheels(trial.files):
        python = other_machines.python_for(target)
        if python is None:
            trial.not_run.append(f"the wheels for {target.triple}: there is no Python for it here")
        else:
            plain = [wheel for wheel in wheels if "-abi3-" in wheel.name]
            what = f"the wheel for {target.triple}, under {_emulator(target)}"
            trial.run(what, [*_python(kinds, plain), "--interpreter", python])
    if target.addon(trial.files) is not None:
        node = other_machines.node_for(target)
        try_npm(trial, target, ["--program", node], kinds)


def _emulator(target: Platform) -> str:
    return "qemu-user" if target.machine == "aarch64" else "musl's loader"


def _python(kinds: Kinds, wheels: list[Path]) -> list[str | Path]:
    chosen = " or ".join(f"({expression})" for expression, _ in kinds)
    return [
        *(sys.executable, BINDINGS_PYTHON / "run_tests.py", "-k", chosen),
        *(part for wheel in wheels for part in ("--wheel", wheel)),
    ]


def try_npm(
    trial: Trial,
    target: Platform,
    runtimes: list[str | Path],
    kinds: Kinds,
) -> None:
    main, addon = platforms.main_package(trial.files), target.addon(trial.files)
    if main is None or addon is None:
        trial.not_run.append(f"the npm packages for {target.triple}: not both are there")
        return
    with tempfile.TemporaryDirectory(prefix="kazawallet-npm-") as folder:
        for file in (main, addon):
            shutil.copy(file, folder)
        filters = [f"--filter={name}" for _, names in kinds for name in names]
        script = BINDINGS_NODE / "run-tests.mjs"
        where = "" if target.is_this_machine else f", under {_emulator(target)}"
        trial.run(
            f"the npm packages for {target.triple}{where}",
            ["node", script, "--tarballs", folder, *runtimes, *filters],
        )


if __name__ == "__main__":
    sys.exit(main())
