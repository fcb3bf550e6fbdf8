"""mypy, pyright and stubtest over the installed package, and over programs that use it.

They come from type_checkers.txt. run_tests.py runs this folder on one interpreter.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import readme_programs

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
PACKAGE = TESTS.parent
ACCEPTED = HERE / "accepted.py"
REJECTED = HERE / "rejected.py"
NEWEST = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSIONS = ["3.10"] if NEWEST == "3.10" else ["3.10", NEWEST]
# A guard, not a measure: a checker takes some seconds.
ENDS_WITHIN = 300


@dataclass(frozen=True)
class Complaint:
    """An error that a checker found."""

    file: str
    line: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message} [{self.code}]"


@dataclass(frozen=True)
class Refusal:
    """What `rejected.py` says of one of its lines."""

    line: int
    mypy: str
    pyright: str
    text: str


def run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a checker from an empty folder, so that it sees the installed package alone."""
    environment = dict(os.environ)
    # Where pyright looks for the interpreter, and with it for the package.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    # Pyright's package on PyPI would else ask the network for a newer version of itself.
    environment["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env=environment,
        timeout=ENDS_WITHIN,
        check=False,
    )


def mypy(folder: Path, *arguments: str | Path) -> list[Complaint]:
    """Runs `mypy --strict`; returns its errors."""
    ended = run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--output", "json"),
            *("--cache-dir", folder / "mypy-cache", *arguments),
        ],
        folder,
    )
    assert ended.returncode in (0, 1), f"mypy failed:\n{ended.stdout}{ended.stderr}"
    found = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    complaints = [
        Complaint(Path(each["file"]).name, each["line"], str(each["code"]), each["message"])
        for each in found
        if each["severity"] == "error"
    ]
    assert bool(complaints) == (ended.returncode == 1), f"{ended.stdout}{ended.stderr}"
    return complaints


def pyright(folder: Path, *arguments: str | Path) -> list[Complaint]:
    """Runs pyright, strict where the file says so; returns its errors."""
    ended = run([sys.executable, "-m", "pyright", "--outputjson", *arguments], folder)
    assert ended.returncode in (0, 1), f"pyright failed:\n{ended.stdout}{ended.stderr}"
    return [
        Complaint(
            Path(each["file"]).name,
            each["range"]["start"]["line"] + 1,
            each.get("rule", "syntax"),
            each["message"],
        )
        for each in json.loads(ended.stdout)["generalDiagnostics"]
        if each["severity"] == "error"
    ]


def refusals() -> Iterator[Refusal]:
    """What must be refused: each `# E:` speaks of the line below it."""
    for number, line in enumerate(REJECTED.read_text(encoding="utf-8").splitlines(), start=1):
        marked = re.match(r"\s*# E: (\S+) (\S+) (.+)$", line)
        if marked:
            yield Refusal(number + 1, marked[1], marked[2], marked[3])


def hold_against_refusals(complaints: Sequence[Complaint], checker: str) -> None:
    wanted = list(refusals())
    assert len(wanted) > 25, "rejected.py was not understood"
    wrong = []
    for refusal in wanted:
        code = refusal.mypy if checker == "mypy" else refusal.pyright
        here = [each for each in complaints if each.line == refusal.line]
        if not any(each.code == code and refusal.text in each.message for each in here):
            seen = "; ".join(map(str, here)) or "nothing"
            wrong.append(f"line {refusal.line}: {code} {refusal.text} was expected, not {seen}")
    lines = {refusal.line for refusal in wanted}
    wrong += [f"not expected: {each}" for each in complaints if each.line not in lines]
    assert not wrong, "\n".join(wrong)


def told(complaints: Sequence[Complaint]) -> str:
    return "\n".join(map(str, complaints))


@pytest.mark.parametrize("version", VERSIONS)
def test_mypy_accepts_what_is_right(tmp_path: Path, version: str) -> None:
    complaints = mypy(tmp_path, "--python-version", version, ACCEPTED)
    assert not complaints, told(complaints)


@pytest.mark.parametrize("version", VERSIONS)
def test_pyright_accepts_what_is_right(tmp_path: Path, version: str) -> None:
    complaints = pyright(tmp_path, "--pythonversion", version, ACCEPTED)
    assert not complaints, told(complaints)


def test_mypy_refuses_what_is_wrong(tmp_path: Path) -> None:
    hold_against_refusals(mypy(tmp_path, REJECTED), "mypy")


def test_pyright_refuses_what_is_wrong(tmp_path: Path) -> None:
    hold_against_refusals(pyright(tmp_path, REJECTED), "pyright")


@pytest.mark.parametrize("version", VERSIONS)
def test_mypy_is_content_with_the_package(tmp_path: Path, version: str) -> None:
    complaints = mypy(
        tmp_path, "--python-version", version, "-p", "kazawallet", "-p", "pytest_kazawallet"
    )
    assert not complaints, told(complaints)


def test_mypy_is_content_with_these_tests(tmp_path: Path) -> None:
    files = [file for file in sorted(TESTS.rglob("*.py")) if file != REJECTED]
    complaints = mypy(tmp_path, *files)
    # By itself: mypy would take the package's sources, which lie beside it, for the package.
    complaints += mypy(tmp_path, PACKAGE / "run_tests.py")
    assert not complaints, told(complaints)


def test_the_checkers_accept_what_the_readmes_show(tmp_path: Path) -> None:
    files = []
    programs = [program for program in readme_programs.ALL if not program.is_excerpt]
    for number, program in enumerate(programs):
        # A name that says where it comes from, and that is a module's.
        name = re.sub(r"\W", "_", f"program_{number}_{program.name}")
        files.append(tmp_path / f"{name}.py")
        files[-1].write_text(program.text, encoding="utf-8")
    assert files
    complaints = mypy(tmp_path, *files) + pyright(tmp_path, *files)
    assert not complaints, told(complaints)


@pytest.mark.parametrize("package", ["kazawallet", "pytest_kazawallet"])
def test_pyright_knows_the_type_of_everything_public(tmp_path: Path, package: str) -> None:
    ended = run(
        [
            *(sys.executable, "-m", "pyright", "--outputjson"),
            *("--verifytypes", package, "--ignoreexternal"),
        ],
        tmp_path,
    )
    report = json.loads(ended.stdout)["typeCompleteness"]
    unknown = [
        f"{symbol['name']}: {[each['message'] for each in symbol['diagnostics']]}"
        for symbol in report["symbols"]
        if not symbol["isTypeKnown"]
    ]
    assert report["pyTypedPath"], "py.typed was not found"
    assert report["symbols"]
    assert not unknown, "\n".join(unknown)


def test_the_stubs_fit_the_module(tmp_path: Path) -> None:
    ended = run(
        [
            *(sys.executable, "-m", "mypy.stubtest", "kazawallet", "pytest_kazawallet"),
            *("--allowlist", HERE / "stubtest_allowlist.txt"),
        ],
        tmp_path,
    )
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"
