"""Measures the built Python wheel beside what people would use instead, and prints ratios.

Needs a release build of the wheel in target/wheels, or --wheel. Makes an environment of its own in
.tools/, starts the simulator in a process of its own, and runs bench.py.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# pyreqwest needs it.
OLDEST_PYTHON = (3, 11)
OTHERS = ("requests", "httpx", "aiohttp", "pyreqwest")
OPEN_FILES = 4096
SIMULATOR = "kazawallet-simulator"
# The Rust part: one of the servers that it is measured with is used here, too.
REPLAYING = "kazawallet-benchmarks"
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")


def main() -> None:
    options = arguments()
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"the benchmarks need Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later")
    wheel = options.wheel or newest_wheel()
    allow_open_files()
    program = options.simulator_program or build(SIMULATOR)
    replaying = options.replaying_program or build(REPLAYING)
    print(f"== {wheel.name}: setting up its environment", flush=True)
    folder = ROOT / ".tools" / f"python-bench-{sys.version_info.major}.{sys.version_info.minor}"
    python = environment(folder, wheel)
    installed = install_each_alone(python, folder / "alone", wheel)
    command: list[str | Path] = [python, HERE / "bench.py", "--wheel", wheel]
    command += ["--installed", installed, "--replaying-program", replaying]
    if options.quick:
        command.append("--quick")
    if options.json is not None:
        command += ["--json", options.json.resolve()]
    with simulator(program) as (process, settings):
        print("== the Python package beside what people would use instead", flush=True)
        command += ["--simulator-pid", str(process.pid)]
        ended = subprocess.run(command, check=False, env=os.environ | settings)
    sys.exit(ended.returncode)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, help="else the newest in target/wheels")
    parser.add_argument("--simulator-program", type=Path, help="else a release build is made")
    parser.add_argument("--replaying-program", type=Path, help="else a release build is made")
    parser.add_argument("--json", type=Path, help="writes the figures there, too")
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it runs")
    return parser.parse_args()


def newest_wheel() -> Path:
    """The one for all interpreters; those of free-threaded ones lie beside it."""
    wheels = (TARGET / "wheels").glob("kazawallet-*-abi3-*.whl")
    newest = max(wheels, key=lambda wheel: wheel.stat().st_mtime, default=None)
    if newest is None:
        sys.exit(
            f"no wheel in {TARGET / 'wheels'}: python3 bindings-python/run_tests.py --build-only makes one, "
            "or name it with --wheel"
        )
    return newest


def allow_open_files() -> None:
    """Four clients with 256 connections each, at most; macOS gives a shell 256 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def environment(folder: Path, wheel: Path) -> Path:
    """An environment that holds the wheel and the others; what it already has stays."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    requirements: list[str | Path] = ["--requirement", HERE / "requirements.txt"]
    subprocess.run([*pip_install(python), *requirements], check=True)
    subprocess.run([*pip_install(python), "--no-deps", "--force-reinstall", wheel], check=True)
    return python


def install_each_alone(python: Path, folder: Path, wheel: Path) -> Path:
    """A folder for the wheel and for each of the others, with all that it draws in: for its size."""
    shutil.rmtree(folder, ignore_errors=True)
    versions: list[str | Path] = ["--constraint", HERE / "requirements.txt"]
    packages: dict[str, str | Path] = {"kazawallet": wheel} | {other: other for other in OTHERS}
    for name, what in packages.items():
        target: list[str | Path] = ["--target", folder / name]
        subprocess.run([*pip_install(python), *versions, *target, what], check=True)
    return folder


def pip_install(python: Path) -> list[str | Path]:
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet"]
    # Nothing is compiled: an old compiler on the machine should not decide about a benchmark.
    return [*pip, "--disable-pip-version-check", "--no-input", "--only-binary", ":all:"]


def build(package: str) -> Path:
    print(f"== building {package} (the first time takes some minutes)", flush=True)
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--package", package]
    subprocess.run(command, cwd=ROOT, check=True)
    return TARGET / "release" / package


@contextmanager
def simulator(program: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A running simulator, and the settings that it prints for a client's environment."""
    last = "KAZAWALLET_MERCHANT_EMAIL"
    with subprocess.Popen([program.resolve()], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            settings: dict[str, str] = {}
            for line in process.stdout:
                name, found, value = line.strip().partition("=")
                if found:
                    settings[name] = value
                if name == last:
                    break
            if last not in settings:
                sys.exit(f"{program} did not start")
            yield process, settings
        finally:
            process.terminate()
            process.communicate()  # It says that it stopped: somebody has to listen.


if __name__ == "__main__":
    main()
