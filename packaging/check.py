"""Checks what is in `target/dist`, without installing it.

    python3 packaging/check.py [--dist FOLDER]

Wheels and sdist: what is in them, the metadata, the stable ABI, and what they ask of a Linux system.
npm packages: what is in them, how they are loaded, and their types. Native files of Linux: for which
processor they are, which libraries they need, and which version of glibc. And the sizes.
It runs on Linux, and takes files for every system.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import platforms
import tools
from platforms import DIST, PLATFORMS, Failed, Platform
from run_tests import LARGEST_WHEEL, problems_of, step

LARGEST_ADDON = 4_500_000  # bytes, gzipped
# The packages that a wheel installs: the second is pytest's plugin.
TOP_LEVEL = "kazawallet,pytest_kazawallet"

# The libraries that are there wherever the C library is.
GLIBC_LIBRARIES = re.compile(
    r"lib(c|m|dl|rt|util|pthread)\.so\.\d+|libgcc_s\.so\.1|ld-linux[a-z0-9-]*\.so\.\d+"
)
# What musl's loader takes for itself, under whatever name it was linked.
MUSL_LIBRARIES = re.compile(r"libc\.(so|musl-\w+\.so\.1)")
ELF_MACHINES = {"x86_64": "Advanced Micro Devices X86-64", "aarch64": "AArch64"}


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks the packages in target/dist.")
    parser.add_argument("--dist", type=Path, default=DIST, help="the folder of the packages")
    folder: Path = parser.parse_args().dist.resolve()
    try:
        files = platforms.files_in(folder)
        problems = [*python_problems(files), *npm_problems(files), *native_problems(files)]
        problems += size_problems(files)
    except Failed as failure:
        problems = [str(failure)]
    if problems:
        print("== FAILED:", file=sys.stderr)
        for problem in problems:
            print(f"   {problem}", file=sys.stderr)
        return 1
    step(f"{len(files)} packages are as they should be")
    return 0


def python_problems(files: list[Path]) -> Iterator[str]:
    wheels = [file for file in files if file.suffix == ".whl"]
    sdist = platforms.sdist(files)
    programs = tools.from_pypi("wheel-checks", tools.WHEEL_CHECKS)
    if distributions := [*wheels, *([sdist] if sdist else [])]:
        step("twine check --strict")
        yield from _complaints([programs / "twine", "check", "--strict", *distributions])
    if wheels:
        step("what is in the wheels, and check-wheel-contents")
        for wheel in wheels:
            yield from (f"{wheel.name}: {problem}" for problem in problems_of(wheel))
        # W009 is about more than one package in a wheel, which is meant: they are named here.
        names = ("--ignore", "W009", "--toplevel", TOP_LEVEL)
        yield from _complaints([programs / "check-wheel-contents", "--no-config", *names, *wheels])
    for wheel in wheels:
        if "-abi3-" in wheel.name:
            step(f"abi3audit --strict {wheel.name}")
            yield from _complaints([programs / "abi3audit", "--strict", wheel])
    for wheel in wheels:
        if "linux" in wheel.name:
            step(f"auditwheel show {wheel.name}")
            yield from auditwheel_problems(programs / "auditwheel", wheel)


def auditwheel_problems(auditwheel: Path, wheel: Path) -> Iterator[str]:
    """What its tag does not allow: a newer C library, or one that not every system has."""
    command: list[str | Path] = [auditwheel, "show", "--json", wheel]
    if "musllinux" in wheel.name:
        # Else it takes what this machine has for musl's `libc.so`: for glibc that is a text.
        command += ["--ldpaths", Path(__file__).parent]
    status, said = tools.ended(command)
    try:
        # Its warnings come before: that it is on a machine without musl.
        about = json.loads(said[said.index("{") :])
        found, external = about["sym_tag"], set(about["external_libs"])
    except (ValueError, KeyError):
        yield f"{wheel.name}: auditwheel ended with status {status}: {said}"
        return
    tags = wheel.stem.rsplit("-", 1)[-1].split(".")
    if found not in tags:
        yield f"{wheel.name}: by its contents it is {found}"
    if "musllinux" in wheel.name:
        # auditwheel knows it by Alpine's name alone; musl's loader takes itself for it under any.
        external.discard("libc.so")
    if external:
        yield f"{wheel.name}: it needs libraries that it does not bring: {sorted(external)}"


def npm_problems(files: list[Path]) -> Iterator[str]:
    packages = [file for file in files if file.suffix == ".tgz"]
    if not packages:
        return
    modules = tools.from_npm("npm-checks", tools.NPM_CHECKS)
    for package in packages:
        step(f"npm pack --dry-run and publint --strict {package.name}")
        yield from _complaints(["npm", "pack", "--dry-run", "--loglevel=error", package])
        publint = ("node", modules / "publint" / "src" / "cli.js", "run", "--strict", package)
        yield from _complaints([*publint], clean="All good!")
    if main_package := platforms.main_package(files):
        step(f"attw {main_package.name}")
        attw = modules / "@arethetypeswrong" / "cli" / "dist" / "index.js"
        yield from _complaints(
            ["node", attw, "--format", "ascii", "--no-emoji", "--no-color", main_package]
        )


def native_problems(files: list[Path]) -> Iterator[str]:
    """What readelf sees in the files for Linux that a runtime loads."""
    with tempfile.TemporaryDirectory(prefix="kazawallet-native-") as folder:
        for target in PLATFORMS:
            if target.system != "Linux":
                continue
            for package in [*target.wheels(files), *filter(None, [target.addon(files)])]:
                step(f"readelf: what {package.name} asks for")
                native = Path(folder) / "native"
                native.write_bytes(native_file(package))
                yield from (f"{package.name}: {each}" for each in elf_problems(native, target))


def native_file(package: Path) -> bytes:
    """The native file of a wheel or of an npm package."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            [name] = [name for name in wheel.namelist() if name.endswith((".so", ".pyd"))]
            return wheel.read(name)
    with tarfile.open(package) as tarball:
        [member] = [each for each in tarball.getmembers() if each.name.endswith(".node")]
        content = tarball.extractfile(member)
        if content is None:
            raise Failed(f"{package.name}: {member.name} is no file")
        return content.read()


def elf_problems(native: Path, target: Platform) -> Iterator[str]:
    header, dynamic, versions = (
        _readelf(option, native) for option in ("--file-header", "--dynamic", "--version-info")
    )
    if ELF_MACHINES[target.machine] not in header:
        yield f"it is not for {target.machine}"
    allowed = MUSL_LIBRARIES if target.musl else GLIBC_LIBRARIES
    for library in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
        if not allowed.fullmatch(library):
            yield f"it needs {library}, which not every such system has"
    if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
        yield "it says where libraries are on the machine that built it"
    asked = {
        (int(major), int(minor)) for major, minor in re.findall(r"\bGLIBC_(\d+)\.(\d+)", versions)
    }
    if target.newest_glibc is None:
        if asked or "GLIBC" in versions:
            yield f"it is for musl, and asks for glibc's symbols: {sorted(asked)}"
    elif not asked:
        yield "it is for glibc, and asks for none of its symbols"
    elif max(asked) > target.newest_glibc:
        yield f"it asks for glibc {max(asked)}, newer than {target.newest_glibc}"
    else:
        print("   glibc {}.{} or newer".format(*max(asked)))


def _readelf(option: str, native: Path) -> str:
    status, said = tools.ended(["readelf", "--wide", option, native])
    if status != 0:
        raise Failed(f"readelf {option}: {said}")
    return said


def size_problems(files: list[Path]) -> Iterator[str]:
    step("sizes")
    width = max(len(file.name) for file in files)
    print(f"   {'':{width}}  packed      native file, gzipped   limit")
    for file in files:
        size = file.stat().st_size
        line = f"   {file.name:{width}}  {_megabytes(size)}"
        if file.suffix == ".whl":
            line += f"   {'':18}  {_megabytes(LARGEST_WHEEL)} packed"
            if size > LARGEST_WHEEL:
                yield f"{file.name}: {size:,} bytes is more than {LARGEST_WHEEL:,}"
        elif any(file == target.addon([file]) for target in PLATFORMS):
            native = native_file(file)
            gzipped = len(gzip.compress(native, 9))
            sizes = f"{_megabytes(len(native))}, {_megabytes(gzipped)}"
            line += f"   {sizes:18}  {_megabytes(LARGEST_ADDON)} gzipped"
            if gzipped > LARGEST_ADDON:
                yield f"{file.name}: {gzipped:,} bytes, gzipped, is more than {LARGEST_ADDON:,}"
        print(line)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:5.2f} MB"


def _complaints(command: list[str | Path], clean: str = "") -> Iterator[str]:
    """What a tool said, where it was not content."""
    status, said = tools.ended(command)
    if status != 0 or clean not in said:
        yield f"status {status} from {Path(command[0]).name}:\n{said}"


if __name__ == "__main__":
    sys.exit(main())
