"""Tests the Python package as its users get it: a built wheel, in a clean environment.

    python3 bindings-python/run_tests.py [--wheel PATH | --module PATH | --build-only]
                                         [--python 3.12 | --interpreter PATH] [pytest's own arguments]

It builds the release wheel, looks at what is in it, finds every CPython from 3.10 up on this
machine, installs the wheel into a fresh environment of each, and runs the tests there, away from
the source tree: all of them on the newest and the oldest, and on those between what differs from
one CPython to the next. The type checkers and the load test run once, on the newest. Where pytest is
given arguments, they choose the tests on each. Nothing but Python's standard library is needed to
start it, besides Rust; what else it takes is installed into `.tools`, and stays there. With --module
there is no wheel: a native module that Cargo left, of a debug build perhaps, is tried beside the
package's Python files as they stand.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent
TESTS = PACKAGE / "tests"
# What need not be run on more than one interpreter: the type checkers, and a measure under load.
ON_THE_NEWEST = (TESTS / "type_checking", TESTS / "test_frameworks_load.py")
# What is run between the newest and the oldest: how modules are loaded, threads, signals, forks, event
# loops and the end of a process are each version's own affair, and no rule of ours is seen twice.
ON_EACH = (
    *(
        TESTS / f"test_{name}.py"
        for name in (
            *("import", "event_loops", "exit", "fork", "interrupt", "threads"),
            *("scenarios", "vectors"),
        )
    ),
    f"{TESTS / 'test_frameworks.py'}::test_every_route_answers_as_the_table_says[starlette-documented]",
)
ADAPTERS = ("aiohttp", "asgi", "django", "flask", "starlette")
TARGET = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")
PROGRAM_SUFFIX = ".exe" if os.name == "nt" else ""
SCRIPTED_SIMULATOR = TARGET / "debug" / f"kazawallet-simulator{PROGRAM_SUFFIX}"
SERVE_POSTGRES = TARGET / "debug" / f"serve_postgres{PROGRAM_SUFFIX}"
WHEEL = ".whl"
# Where an environment has its programs.
PROGRAMS = "Scripts" if os.name == "nt" else "bin"

MATURIN_VERSION = "1.16.0"
# Its `--python` installs into an environment that has no pip of its own.
PIP_VERSION = "26.3"
BUILD_TOOLS = REPOSITORY / ".tools" / f"maturin-{MATURIN_VERSION}"

OLDEST = (3, 10)
LARGEST_WHEEL = 5_000_000  # bytes
SHORTEST_LICENCE = 1_000  # bytes
# Far more than the tests need; it is there so that one that hangs is told of.
LONGEST_RUN = 1800.0  # seconds
# Some tests hold the processor for a while; more at once would only slow each other down.
RUNS_AT_ONCE = 2

ABOUT_AN_INTERPRETER = """
import json, platform, sys, sysconfig
print(json.dumps({
    "implementation": platform.python_implementation(),
    "version": list(sys.version_info[:3]),
    "final": sys.version_info.releaselevel == "final",
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


class Failed(Exception):
    """A step that the following ones cannot do without."""


@dataclass(frozen=True)
class Interpreter:
    """A CPython of this machine."""

    path: Path
    version: tuple[int, int, int]
    final: bool
    free_threaded: bool

    @property
    def minor(self) -> str:
        return f"{self.version[0]}.{self.version[1]}{'t' if self.free_threaded else ''}"

    def __str__(self) -> str:
        version = ".".join(map(str, self.version))
        return f"CPython {version}{' free-threaded' if self.free_threaded else ''}"

    def runs(self, wheel: Path) -> bool:
        """Whether the wheel was built for it, by the tags in the wheel's name; a module always is abi3."""
        if wheel.suffix != WHEEL:
            return not self.free_threaded
        python, abi = wheel.stem.split("-")[-3:-1]
        if self.free_threaded:
            return abi == f"cp{self.version[0]}{self.version[1]}t"
        least = re.fullmatch(r"cp3(\d+)", python)
        return abi == "abi3" and least is not None and self.version[1] >= int(least[1])


def main() -> int:
    """Does everything; returns the exit status."""
    options, pytest_arguments = _options()
    started = time.monotonic()
    failures: list[str] = []
    try:
        interpreters = (
            [judged(path) for path in options.interpreter]
            if options.interpreter
            else find_interpreters(options.python)
        )
        pip = install_build_tools()
        wheels = [*(options.wheel or ()), *(options.module or ())]
        built_before = bool(wheels)
        if not built_before:
            wheels = build_wheels(interpreters)
        if options.build_only:
            return 0
        if not built_before:
            build_servers_of_the_tests()
        for wheel in (each for each in wheels if each.suffix == WHEEL):
            problems = problems_of(wheel)
            step(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB, {told(problems)}")
            failures += [f"the wheel: {problem}" for problem in problems]
        failures += run_everywhere(
            *(pip, wheels, interpreters, pytest_arguments),
            slow=bool(options.interpreter),
        )
    except Failed as failure:
        failures.append(str(failure))
    took = f"{time.monotonic() - started:.0f} s"
    if failures:
        step(f"the Python package FAILED, after {took}:")
        for line in failures:
            print(f"   {line}", flush=True)
        return 1
    step(f"the Python package passed, in {took}")
    return 0


def _options() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description="Tests the Python package's wheel on every CPython of this machine.",
        epilog="Anything else is given to pytest, such as -k simulator.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--wheel",
        type=lambda text: Path(text).resolve(strict=True),
        action="append",
        metavar="PATH",
        help="test this wheel and build nothing (may be repeated)",
    )
    parser.add_argument(
        "--module",
        type=lambda text: Path(text).resolve(strict=True),
        action="append",
        metavar="PATH",
        help="test this native module, which Cargo left, and build nothing",
    )
    parser.add_argument(
        "--build-only",
        action="store_true",
        help="build the release wheel into target/wheels, and stop",
    )
    parser.add_argument(
        "--python",
        action="append",
        metavar="3.N",
        help="only on this version, such as 3.12 (may be repeated)",
    )
    parser.add_argument(
        "--interpreter",
        type=Path,
        action="append",
        metavar="PATH",
        help="only on this interpreter, wherever it is, and without the type checkers (may be repeated)",
    )
    return parser.parse_known_args()


def step(text: str) -> None:
    print(f"== {text}", flush=True)


def told(problems: Sequence[str]) -> str:
    return "its contents are as they should be" if not problems else f"FAILED: {problems}"


# --- what is on this machine -----------------------------------------------------------------


def find_interpreters(wanted: Sequence[str] | None) -> list[Interpreter]:
    """One a minor version, newest first; the free-threaded ones count by themselves."""
    best: dict[str, Interpreter] = {}
    for path in _candidates():
        found = _judged(path)
        if found is None or found.version < OLDEST:
            continue
        known = best.get(found.minor)
        if known is None or (found.final, found.version) > (known.final, known.version):
            best[found.minor] = found
    if wanted:
        missing = set(wanted) - best.keys()
        if missing:
            raise Failed(f"no CPython {', '.join(sorted(missing))} on this machine")
        best = {minor: best[minor] for minor in wanted}
    if not best:
        raise Failed("no CPython from 3.10 up on this machine")
    interpreters = sorted(best.values(), key=lambda each: each.version, reverse=True)
    step("found " + ", ".join(map(str, interpreters)))
    return interpreters


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable)
    folders = [Path(folder) for folder in os.get_exec_path()]
    versions = _pyenv_root() / "versions"
    if versions.is_dir():
        folders += [version / "bin" for version in sorted(versions.iterdir())]
    seen = set()
    for folder in folders:
        if not folder.is_dir():
            continue
        # On Windows most are called python.exe, whatever their version.
        for path in sorted([*folder.glob("python3.*"), *folder.glob("python.exe")]):
            name = path.name.removesuffix(PROGRAM_SUFFIX)
            if re.fullmatch(r"python(3\.\d+t?)?", name) and path not in seen:
                seen.add(path)
                yield path


def _pyenv_root() -> Path:
    pyenv = shutil.which("pyenv")
    if pyenv is not None:
        answer = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return Path(answer.stdout.strip())
    return Path.home() / ".pyenv"


def judged(path: Path) -> Interpreter:
    """An interpreter that must be one."""
    found = _judged(path)
    if found is None:
        raise Failed(f"{path} does not run, or is no CPython")
    return found


def _judged(path: Path) -> Interpreter | None:
    """What an interpreter says of itself; `None` for one that does not run, as a shim may."""
    try:
        answer = subprocess.run(
            [path, "-I", "-c", ABOUT_AN_INTERPRETER],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        about = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if about["implementation"] != "CPython":
        return None
    major, minor, micro = about["version"]
    return Interpreter(path, (major, minor, micro), about["final"], about["free_threaded"])


# --- building ----------------------------------------------------------------------------------


def install_build_tools() -> Path:
    """Maturin and pip, of fixed versions, in an environment of their own; returns pip."""
    pip = BUILD_TOOLS / PROGRAMS / "pip"
    ready = BUILD_TOOLS / f"ready-with-pip-{PIP_VERSION}"
    if not ready.exists():
        step(f"installing maturin {MATURIN_VERSION} into .tools")
        if BUILD_TOOLS.exists():
            shutil.rmtree(BUILD_TOOLS)
        run([sys.executable, "-m", "venv", BUILD_TOOLS])
        run(
            [
                BUILD_TOOLS / PROGRAMS / "python",
                *("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
                *(f"maturin=={MATURIN_VERSION}", f"pip=={PIP_VERSION}"),
            ]
        )
        ready.touch()
    return pip


def build_wheels(interpreters: Sequence[Interpreter]) -> list[Path]:
    """The wheel for all, and one for each free-threaded interpreter, which cannot use that one."""
    folder = TARGET / "wheels"
    for old in folder.glob("kazawallet-*.whl"):
        old.unlink()
    plain = [each for each in interpreters if not each.free_threaded]
    # By name, as the Node package's build has it: so Cargo keeps both in one place, and builds what
    # both stand on once.
    asked = ("rustc", "--print", "host-tuple")
    host = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    for interpreter in [*plain[:1], *(each for each in interpreters if each.free_threaded)]:
        step(f"building the release wheel with {interpreter} (a few minutes the first time)")
        run(
            [
                BUILD_TOOLS / PROGRAMS / "maturin",
                *("build", "--quiet", "--release", "--locked", "--target", host),
                *("--interpreter", str(interpreter.path), "--out", str(folder)),
            ],
            folder=PACKAGE,
        )
    wheels = sorted(folder.glob("kazawallet-*.whl"))
    if not wheels:
        raise Failed(f"maturin left no wheel in {folder}")
    return wheels


def build_servers_of_the_tests() -> None:
    """The program that plays the server's part in the scenarios, and the one that keeps a PostgreSQL."""
    step("building the scripted simulator and the keeper of a PostgreSQL")
    # As the workspace's tests are built, of which one comes along for that: nearly all is there already.
    alike = ("--workspace", "--all-features", "--test", "surface")
    programs = ["--bin", "kazawallet-simulator"]
    if os.name == "nt":
        step(
            "not built: the keeper of a PostgreSQL is for Unix, so tests with PostgreSQL cannot run"
        )
    else:
        programs += ["--bin", "serve_postgres"]
    run(["cargo", "build", "--quiet", "--locked", *alike, *programs])


def problems_of(wheel: Path) -> list[str]:
    """What is wrong with the wheel: too large, something missing, something that is not wanted."""
    problems = []
    size = wheel.stat().st_size
    if size > LARGEST_WHEEL:
        problems.append(f"{size:,} bytes is more than {LARGEST_WHEEL:,}")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
        wanted = [
            "kazawallet/py.typed",
            "kazawallet/_kazawallet.pyi",
            *(f"kazawallet/contrib/{name}.py" for name in ADAPTERS),
            "pytest_kazawallet/py.typed",
            f"{metadata}/licenses/LICENSE-APACHE",
            f"{metadata}/licenses/LICENSE-MIT",
            f"{metadata}/entry_points.txt",
        ]
        problems += [f"{name} is missing" for name in wanted if name not in names]
        libraries = [name for name in names if name.endswith((".so", ".pyd", ".dylib"))]
        if len(libraries) != 1 or not libraries[0].startswith("kazawallet/_kazawallet."):
            problems.append(f"not one native module alone: {libraries}")
        if "musllinux" in wheel.name and any("-linux-gnu" in name for name in libraries):
            problems.append(f"a CPython for musl does not look for {libraries}")
        for licence in (name for name in names if "/licenses/" in name):
            # Where a checkout has no symbolic links, there is a line with a path in its place.
            if archive.getinfo(licence).file_size < SHORTEST_LICENCE:
                problems.append(f"{licence} is no licence")
        allowed = re.compile(
            r"(kazawallet|pytest_kazawallet)/(contrib/)?[^/]+\.(py|pyi|typed|so|pyd)"
            rf"|{re.escape(metadata)}/.+"
        )
        for name in names:
            parts = name.lower().split("/")
            if any(part.startswith("test_") or part in ("test", "tests") for part in parts):
                problems.append(f"{name} is a test")
            elif not allowed.fullmatch(name):
                problems.append(f"{name} does not belong into a wheel")
        if f"{metadata}/METADATA" not in names:
            return [*problems, "there is no METADATA"]
        about = archive.read(f"{metadata}/METADATA").decode()
    if "Requires-Dist:" in about:
        problems.append("it depends on another package")
    if "Description-Content-Type: text/markdown" not in about:
        problems.append("it has no README for PyPI")
    return problems


# --- running -----------------------------------------------------------------------------------


def run_everywhere(
    pip: Path,
    wheels: Sequence[Path],
    interpreters: Sequence[Interpreter],
    arguments: Sequence[str],
    *,
    slow: bool,
) -> list[str]:
    """Runs the tests on each interpreter; returns what failed.

    An interpreter may be slow, as one under an emulator is. So what need not be done on it is not.
    """
    runs: list[tuple[Interpreter, Path]] = []
    failures = []
    for interpreter in interpreters:
        fitting = [wheel for wheel in wheels if interpreter.runs(wheel)]
        if fitting:
            runs.append((interpreter, fitting[-1]))
        elif interpreter.free_threaded:
            step(f"{interpreter}: no wheel for it was given, so nothing is run on it")
        else:
            failures.append(f"{interpreter}: there is no wheel for it")
    chosen = [interpreter for interpreter, _ in runs]
    plain = [interpreter for interpreter in chosen if not interpreter.free_threaded]
    wholly_tested = {
        *(plain[:1] + plain[-1:]),
        *(each for each in chosen if each.free_threaded),
    }
    statuses: list[int] = []
    with (
        tempfile.TemporaryDirectory(prefix="kazawallet-tests-") as folder,
        ThreadPoolExecutor(RUNS_AT_ONCE) as pool,
    ):
        pending = [
            pool.submit(
                run_on,
                *(interpreter, wheel, pip, Path(folder) / interpreter.minor, arguments),
                # The newest comes first, and has the most to do.
                newest=number == 0 and not slow,
                compiled=not slow,
                whole=interpreter in wholly_tested,
            )
            for number, (interpreter, wheel) in enumerate(runs)
        ]
        for (interpreter, _), each in zip(runs, pending, strict=True):
            try:
                status = each.result()
            except Failed as failure:
                failures.append(f"{interpreter}: {failure}")
                continue
            statuses.append(status)
            # 5 is pytest's "no tests ran", which a -k of the caller's can bring about.
            if status != 0 and not (status == 5 and arguments):
                failures.append(f"{interpreter}: pytest ended with status {status}")
    if arguments and statuses and set(statuses) == {5}:
        failures.append("pytest's arguments chose no test on any interpreter")
    return failures


def run_on(
    interpreter: Interpreter,
    wheel: Path,
    pip: Path,
    folder: Path,
    arguments: Sequence[str],
    *,
    newest: bool,
    compiled: bool,
    whole: bool,
) -> int:
    """Installs the wheel into a fresh environment and runs pytest; returns pytest's status."""
    started = time.monotonic()
    step(f"{interpreter} ({interpreter.path}): begins")
    environment = folder / "environment"
    # An empty folder of its own: `python -m` looks for modules in the current one.
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(parents=True)
    run([interpreter.path, "-m", "venv", "--without-pip", environment])
    python = environment / PROGRAMS / f"python{PROGRAM_SUFFIX}"
    install: list[str | Path] = [
        *(str(pip), "--python", str(python)),
        *("install", "--quiet", "--disable-pip-version-check", "--no-input"),
    ]
    if wheel.suffix == WHEEL:
        # Without an index: it stands on nothing but Python.
        run([*install, "--no-index", wheel])
    else:
        lay_out(wheel, environment / "lib" / f"python{interpreter.minor}" / "site-packages")
    how = [] if compiled else ["--no-compile"]
    run([*install, *how, "--requirement", TESTS / "requirements.txt"])
    if newest:
        run([*install, "--requirement", TESTS / "type_checkers.txt"])
    command: list[str | Path] = [
        python,
        *("-m", "pytest", "--quiet", "--tb=short", "--color=no", "-p", "no:cacheprovider"),
        *("-c", str(PACKAGE / "pyproject.toml"), "--rootdir", str(PACKAGE)),
        *([] if newest else [f"--ignore={path}" for path in ON_THE_NEWEST]),
        *arguments,
        *([TESTS] if whole or arguments else ON_EACH),
    ]
    report = folder / "pytest.txt"
    with report.open("wb") as output:
        try:
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=elsewhere,
                env=_clean_environment(),
                timeout=LONGEST_RUN,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            print(report.read_text(errors="replace"), flush=True)
            raise Failed(f"pytest was not done after {LONGEST_RUN:.0f} s") from None
    text = report.read_text(errors="replace").strip()
    if status != 0:
        # In one piece: another interpreter may be at its end, too.
        print(f"\n{text}\n", flush=True)
    last = text.splitlines()[-1] if text else "no output"
    word = "" if status == 0 else f"FAILED ({status}): "
    part = "" if whole or arguments else "a part: "
    step(f"{interpreter}: {word}{part}{last} ({time.monotonic() - started:.0f} s in all)")
    return status


def lay_out(module: Path, packages: Path) -> None:
    """Puts a native module beside the package's Python files, where modules are found."""
    for name in ("kazawallet", "pytest_kazawallet"):
        shutil.copytree(
            PACKAGE / name, packages / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(module, packages / "kazawallet" / "_kazawallet.abi3.so")


def _clean_environment() -> Mapping[str, str]:
    """The environment without what would change the tests: the client's own variables, Python's."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KAZAWALLET_", "PYTHON", "PYTEST_", "VIRTUAL_ENV", "MYPY"))
    }
    return {
        **inherited,
        "KAZAWALLET_SIMULATOR_PROGRAM": str(SCRIPTED_SIMULATOR),
        "KAZAWALLET_SERVE_POSTGRES": str(SERVE_POSTGRES),
    }


def run(command: Sequence[str | Path], *, folder: Path = REPOSITORY) -> None:
    """Runs a command that must succeed."""
    shown = " ".join(map(str, command))
    try:
        ended = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise Failed(f"{shown}: {error}") from None
    if ended.returncode != 0:
        raise Failed(f"status {ended.returncode} from: {shown}")


if __name__ == "__main__":
    sys.exit(main())
