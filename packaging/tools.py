"""Tools of fixed versions, each installed into `.tools`, apart from what the machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from platforms import REPOSITORY, Failed
from run_tests import PROGRAMS

FOLDER = REPOSITORY / ".tools"

ZIG = ("ziglang==0.17.1", "cargo-zigbuild==0.24.0")
WHEEL_CHECKS = (
    "auditwheel==6.8.2",
    "abi3audit==0.0.26",
    "check-wheel-contents==0.6.3",
    "twine==7.0.0",
)
NPM_CHECKS = ("publint@0.3.25", "@arethetypeswrong/cli@0.18.5")


def from_pypi(name: str, packages: Sequence[str]) -> Path:
    """An environment of its own with these packages; returns the folder of its programs."""
    environment = FOLDER / name
    programs = environment / PROGRAMS
    if _is_ready(environment, packages):
        return programs
    run([sys.executable, "-m", "venv", environment])
    quietly = ("--quiet", "--disable-pip-version-check", "--no-input")
    run([programs / "python", "-m", "pip", "install", *quietly, *packages])
    _note_ready(environment, packages)
    return programs


def from_npm(name: str, packages: Sequence[str], *options: str) -> Path:
    """A folder with these packages; returns its `node_modules`."""
    folder = FOLDER / name
    modules = folder / "node_modules"
    if _is_ready(folder, packages):
        return modules
    folder.mkdir(parents=True)
    quietly = ("--no-audit", "--no-fund", "--loglevel=error", "--no-save", "--no-package-lock")
    run(["npm", "install", *quietly, *options, "--prefix", folder, *packages])
    _note_ready(folder, packages)
    return modules


def run(
    command: Sequence[str | Path],
    *,
    folder: Path = REPOSITORY,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs a command that must succeed."""
    status = subprocess.run(
        [_found(command[0]), *command[1:]],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode
    if status != 0:
        raise Failed(f"status {status} from: {' '.join(map(str, command))}")


def ended(command: Sequence[str | Path], *, folder: Path = REPOSITORY) -> tuple[int, str]:
    """Runs a command; returns its status, and all that it printed."""
    done = subprocess.run(
        [_found(command[0]), *command[1:]],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout


HOW_TO_GET = {
    "npm": "install Node.js 20 or later, which brings it: https://nodejs.org",
    "node": "install Node.js 20 or later: https://nodejs.org",
    "rustup": "install Rust: https://rustup.rs",
    "cargo": "install Rust: https://rustup.rs",
    "readelf": "it is in the package binutils of every Linux distribution",
    "qemu-aarch64": "on Debian and Ubuntu: apt-get install qemu-user",
    "apt-get": "programs for aarch64 and musl are had from Debian's packages: use Debian or Ubuntu",
    "dpkg-deb": "programs for aarch64 and musl are had from Debian's packages: use Debian or Ubuntu",
}


def _found(program: str | Path) -> str:
    """The whole path: on Windows `npm` is a script, which is not found without it."""
    path = shutil.which(program)
    if path is None:
        how = HOW_TO_GET.get(str(program), "it should be there")
        raise Failed(f"there is no {program}: {how}")
    return path


def _is_ready(folder: Path, packages: Sequence[str]) -> bool:
    """Whether just these were installed, to the end; whatever else is there is taken away."""
    ready = folder / "ready"
    if ready.is_file() and ready.read_text(encoding="utf-8").split() == list(packages):
        return True
    if folder.exists():
        shutil.rmtree(folder)
    print(f"== installing {', '.join(packages)} into .tools", flush=True)
    return False


def _note_ready(folder: Path, packages: Sequence[str]) -> None:
    (folder / "ready").write_text("\n".join(packages), encoding="utf-8")
