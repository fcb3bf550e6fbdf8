#!/usr/bin/env python3
"""Tries the packages with the real tools that people put around them: servers, bundlers, poolers.

    python3 tests/field/run.py [TOOL]...

Each `test_TOOL.py` beside this file is one tool. All that is Python's is installed from
requirements.txt, all that is npm's from package-lock.json, each once, into `.tools/field`; the
packages under test are those of target/wheels and target/npm, which are built where there are none.
A tool that is skipped, has no test, or takes longer than it may has failed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
TARGET = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")
HOME = REPOSITORY / ".tools" / "field"
PYTHON = HOME / "python" / "bin" / "python"
NODE_FOLDER = HOME / "node"

LONGEST_TOOL = 30.0  # seconds, with everything installed
LONGEST_RUN = 480.0  # seconds, all tools together
# Far more than that; it is there so that one that hangs is told of.
GUARD = 120.0  # seconds

# Runs one module of tests. What is skipped has not been tried.
ONE_TOOL = """
import sys, unittest
tests = unittest.defaultTestLoader.loadTestsFromName(sys.argv[1])
result = unittest.TextTestRunner(sys.stdout, verbosity=2).run(tests)
sys.exit(not (result.wasSuccessful() and result.testsRun and not result.skipped))
"""


class Failed(Exception):
    """A step that the tests cannot do without."""


def run(command: Sequence[str | Path], folder: Path = REPOSITORY) -> None:
    ended = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False)
    if ended.returncode != 0:
        raise Failed(f"status {ended.returncode} from: {' '.join(map(str, command))}")


def only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise Failed(f"not one file {pattern} in {folder}, but {len(found)}")
    return found[0]


def build() -> None:
    """The packages, unless they are there, and the simulator, as the workspace's tests are built."""
    if not list((TARGET / "wheels").glob("kazawallet-*.whl")):
        run([sys.executable, "bindings-python/run_tests.py", "--build-only"])
    if not list((TARGET / "npm").glob("kazawallet-*.tgz")):
        run(["node", "bindings-node/run-tests.mjs", "--build-only"])
    alike = ("--workspace", "--all-features", "--test", "surface", "--bin", "kazawallet-simulator")
    run(["cargo", "build", "--quiet", "--locked", *alike])


def install_python() -> None:
    wanted = HERE / "requirements.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    ready = HOME / "python" / f"ready-{digest}"
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input")
    if not ready.exists():
        run([sys.executable, "-m", "venv", "--clear", HOME / "python"])
        run([*pip, "--requirement", wanted])
        ready.touch()
    wheel = only(TARGET / "wheels", "kazawallet-*-abi3-*.whl")
    run([*pip, "--no-index", "--no-deps", "--force-reinstall", wheel])


def install_node() -> None:
    lock = (HERE / "package-lock.json").read_bytes()
    ready = NODE_FOLDER / f"ready-{hashlib.sha256(lock).hexdigest()}"
    quiet = ("--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts")
    if not ready.exists():
        shutil.rmtree(NODE_FOLDER, ignore_errors=True)
        NODE_FOLDER.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, NODE_FOLDER)
        run(["npm", "ci", *quiet], NODE_FOLDER)
        ready.touch()
    tarballs = [
        only(TARGET / "npm", "kazawallet-[0-9]*.tgz"),
        only(TARGET / "npm", "kazawallet-[a-z]*.tgz"),
    ]
    run(["npm", "install", "--offline", "--no-save", *quiet, *tarballs], NODE_FOLDER)


def try_tool(tool: str) -> str | None:
    """Runs the tests of one tool; says what is wrong, if something is."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KAZAWALLET_")},
        "PYTHONPATH": str(HERE),
    }
    command = (PYTHON, "-W", "error", "-c", ONE_TOOL, f"test_{tool}")
    try:
        ended = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=GUARD,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        print(late.output, flush=True)
        return f"not done after {GUARD:.0f} s"
    if ended.returncode != 0:
        print(ended.stdout, flush=True)
        return "failed, or was skipped"
    return None


def main() -> int:
    tools = [path.stem.removeprefix("test_") for path in sorted(HERE.glob("test_*.py"))]
    unknown = set(sys.argv[1:]) - set(tools)
    if unknown:
        print(f"no tool {', '.join(sorted(unknown))}: there is {', '.join(tools)}", file=sys.stderr)
        return 2
    try:
        build()
        install_python()
        install_node()
    except Failed as failure:
        print(f"== FAILED: {failure}")
        return 1
    began = time.monotonic()
    lines, failures = [], 0
    for tool in sys.argv[1:] or tools:
        started = time.monotonic()
        problem = try_tool(tool)
        took = time.monotonic() - started
        if problem is None and took > LONGEST_TOOL:
            problem = f"longer than {LONGEST_TOOL:.0f} s"
        failures += problem is not None
        lines.append(
            f"   {tool:20} {took:5.1f} s{'' if problem is None else f', FAILED: {problem}'}"
        )
    took = time.monotonic() - began
    if took > LONGEST_RUN:
        failures += 1
        lines.append(f"   FAILED: all together longer than {LONGEST_RUN:.0f} s")
    print(
        f"== in the field: {'FAILED' if failures else 'passed'}, in {took:.0f} s", *lines, sep="\n"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
