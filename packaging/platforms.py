"""The platforms that there are artifacts for, and where those are."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BINDINGS_PYTHON = Path(__file__).resolve().parent.parent / "bindings-python"
sys.path.insert(0, str(BINDINGS_PYTHON))

from run_tests import REPOSITORY, TARGET, Failed  # noqa: E402 (it is beside the wheel's tests)

BINDINGS_NODE = REPOSITORY / "bindings-node"
DIST = TARGET / "dist"


@dataclass(frozen=True)
class Platform:
    """One that users have."""

    triple: str
    """What Rust calls it."""
    npm: str
    """What npm's packages call it."""
    wheel_tag: str
    """A pattern of the tags that wheels for it have."""
    compatibility: str | None = None
    """The tag that its wheels are built for; on Linux alone that is ours to choose."""
    newest_glibc: tuple[int, int] | None = None
    """The newest version of glibc that an artifact may ask for."""

    @property
    def system(self) -> str:
        """As Python's `platform.system` says it."""
        if "linux" in self.triple:
            return "Linux"
        return "Darwin" if "apple" in self.triple else "Windows"

    @property
    def machine(self) -> str:
        return self.triple.split("-")[0]

    @property
    def musl(self) -> bool:
        return self.triple.endswith("musl")

    @property
    def is_this_machine(self) -> bool:
        """Whether a program for it runs here, just so."""
        return (
            self.system == platform.system()
            and self.machine == _machine_of_this()
            and (self.system != "Linux" or self.musl == (platform.libc_ver()[0] != "glibc"))
        )

    @property
    def built_by_zig(self) -> bool:
        """Zig brings the C libraries of Linux along, in any version; others need their own system."""
        return self.system == "Linux" and platform.system() == "Linux"

    @property
    def can_be_built_here(self) -> bool:
        # Apple's own tools build for both of its processors.
        return self.built_by_zig or (
            self.system == platform.system()
            and (self.system == "Darwin" or self.machine == _machine_of_this())
        )

    def wheels(self, files: Iterable[Path]) -> list[Path]:
        """Those of the wheels that are for it."""
        return [
            file
            for file in files
            if file.suffix == ".whl"
            and re.fullmatch(self.wheel_tag, file.stem.rsplit("-", 1)[-1].split(".")[0])
        ]

    def addon(self, files: Iterable[Path]) -> Path | None:
        """The npm package of the native part for it."""
        pattern = rf"kazawallet-{self.npm}-\d.*\.tgz"
        return next((file for file in files if re.fullmatch(pattern, file.name)), None)


def _machine_of_this() -> str:
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


# glibc 2.17 is the oldest that Rust's standard library runs on.
GLIBC = {"compatibility": "manylinux_2_17", "newest_glibc": (2, 17)}
MUSL = {"compatibility": "musllinux_1_2"}

PLATFORMS = (
    Platform("x86_64-unknown-linux-gnu", "linux-x64-gnu", r"manylinux.*_x86_64", **GLIBC),
    Platform("aarch64-unknown-linux-gnu", "linux-arm64-gnu", r"manylinux.*_aarch64", **GLIBC),
    Platform("x86_64-unknown-linux-musl", "linux-x64-musl", r"musllinux.*_x86_64", **MUSL),
    Platform("aarch64-unknown-linux-musl", "linux-arm64-musl", r"musllinux.*_aarch64", **MUSL),
    Platform("x86_64-apple-darwin", "darwin-x64", r"macosx.*_x86_64"),
    Platform("aarch64-apple-darwin", "darwin-arm64", r"macosx.*_arm64"),
    Platform("x86_64-pc-windows-msvc", "win32-x64-msvc", r"win_amd64"),
    Platform("aarch64-pc-windows-msvc", "win32-arm64-msvc", r"win_arm64"),
)
TRIPLES = tuple(each.triple for each in PLATFORMS)


def named(triples: Iterable[str]) -> list[Platform]:
    return [each for each in PLATFORMS if each.triple in triples]


def files_in(folder: Path) -> list[Path]:
    """The artifacts in a folder."""
    files = sorted([*folder.glob("kazawallet-*.whl"), *folder.glob("kazawallet-*.t*gz")])
    if not files:
        raise Failed(f"there is no artifact in {folder}: build some by packaging/build.py")
    return files


def main_package(files: Iterable[Path]) -> Path | None:
    """The npm package itself, the same for every platform."""
    return next((file for file in files if re.fullmatch(r"kazawallet-\d.*\.tgz", file.name)), None)


def sdist(files: Iterable[Path]) -> Path | None:
    return next((file for file in files if file.name.endswith(".tar.gz")), None)


def rust_targets() -> set[str]:
    """Those that the installed Rust can build for."""
    root = _said_by_rust("--print", "sysroot")
    return {path.name for path in (Path(root) / "lib" / "rustlib").iterdir()}


def _said_by_rust(*arguments: str) -> str:
    try:
        said = subprocess.run(["rustc", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"rustc: {error}. Install Rust: https://rustup.rs") from None
    return said.stdout.strip()
