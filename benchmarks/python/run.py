"""Measures the built Python wheel beside what people would use instead, and prints ratios.

Needs a release build of the wheel in target/wheels, or --wheel. Makes an environment of its own in
.tools/, starts the simulator in a process of its own, and runs bench.py.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# pyreqwest needs it.
OLDEST_PYTHON = (3, 11)


def main() -> None:
    options = arguments()
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"the benchmarks need Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later")
    wheel = options.wheel or newest_wheel()
    print(f"== {wheel.name}: setting up its environment", flush=True)
    python = environment(wheel)
    program = options.simulator_program or build_simulator()
    command: list[str | Path] = [python, HERE / "bench.py", "--wheel", wheel]
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
    parser.add_argument("--json", type=Path, help="writes the figures there, too")
    return parser.parse_args()


def newest_wheel() -> Path:
    wheels = (ROOT / "target" / "wheels").glob("kazawallet-*.whl")
    newest = max(wheels, key=lambda wheel: wheel.stat().st_mtime, default=None)
    if newest is None:
        sys.exit("no wheel in target/wheels: build one, or name it with --wheel")
    return newest


def environment(wheel: Path) -> Path:
    """An environment that holds the wheel and the others; what it already has stays."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = ROOT / ".tools" / f"python-bench-{version}"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet"]
    pip.append("--disable-pip-version-check")
    # Nothing is compiled: an old compiler on the machine should not decide about a benchmark.
    only_binary = ["--only-binary", ":all:"]
    subprocess.run([*pip, *only_binary, "--requirement", HERE / "requirements.txt"], check=True)
    subprocess.run([*pip, "--no-deps", "--force-reinstall", wheel], check=True)
    return python


def build_simulator() -> Path:
    print("== building the simulator (the first time takes some minutes)", flush=True)
    package = ["--package", "kazawallet-simulator"]
    build = ["cargo", "build", "--quiet", "--release", "--locked", *package]
    subprocess.run(build, cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return ROOT / target / "release" / "kazawallet-simulator"


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
