"""Builds what users install: wheels, the sdist, and the npm packages, into `target/dist`.

    python3 packaging/build.py [--target TRIPLE]... [--free-threaded 3.14t]... [--portable]

Without options it builds all that this machine can: on Linux the packages for its two processors and
both of its C libraries, with Zig as the linker and C compiler; elsewhere those for the system that it
runs on. Rust, Node.js and npm must be there; what else it takes is installed into `.tools`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zipfile
from pathlib import Path

import platforms
import tools
from platforms import BINDINGS_NODE, BINDINGS_PYTHON, DIST, PLATFORMS, Failed, Platform
from run_tests import BUILD_TOOLS, PROGRAMS, find_interpreters, install_build_tools, step


def main() -> int:
    options = _options()
    started = time.monotonic()
    try:
        build(options)
    except Failed as failure:
        print(f"== FAILED: {failure}", file=sys.stderr)
        return 1
    step(f"built, in {time.monotonic() - started:.0f} s:")
    for file in platforms.files_in(DIST):
        print(f"   {file.relative_to(DIST.parent)}  {file.stat().st_size / 1e6:.2f} MB")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Builds the packages into target/dist.")
    parser.add_argument(
        "--target",
        action="append",
        choices=platforms.TRIPLES,
        help="only for this platform (may be repeated)",
    )
    parser.add_argument(
        "--free-threaded",
        action="append",
        default=[],
        metavar="PYTHON",
        help="a wheel for this free-threaded CPython, too: 3.14t, found on PATH, or its path",
    )
    parser.add_argument(
        "--portable",
        action="store_true",
        help="the sdist and the npm package itself, too, which are the same for every platform",
    )
    return parser.parse_args()


def build(options: argparse.Namespace) -> None:
    everything = not options.target
    if everything:
        targets = [each for each in PLATFORMS if each.can_be_built_here]
    else:
        targets = platforms.named(options.target)
    foreign = [each.triple for each in targets if not each.can_be_built_here]
    if foreign:
        raise Failed(f"{', '.join(foreign)} cannot be built here: it takes a machine of its own")
    portable = options.portable or everything
    this = next((each for each in targets if each.is_this_machine), None)
    if portable and this is None:
        raise Failed(
            "the npm package itself is compiled with a native part that runs here: "
            "add --target for this machine to --portable"
        )

    install_build_tools()
    _install_targets(targets)
    DIST.mkdir(parents=True, exist_ok=True)
    if portable:
        step("the sdist")
        _remove(platforms.sdist(DIST.glob("*")))
        _run([_maturin(), "sdist", "--out", DIST])
    # This machine's comes last: what it leaves behind is what the source tree is tried with.
    for target in sorted(targets, key=lambda each: each.is_this_machine):
        for old in target.wheels(DIST.glob("*.whl")):
            old.unlink()
        step(f"the wheel for {target.triple} (some minutes)")
        _build_wheel(target)
        for interpreter in _free_threaded(target, options.free_threaded, everything):
            step(f"the wheel for {target.triple} and {interpreter} (some minutes)")
            _build_wheel(target, interpreter)
        if target.musl:
            for wheel in target.wheels(DIST.glob("*.whl")):
                name_for_musl(wheel)
        step(f"the npm package for {target.triple} (some minutes)")
        _build_npm(target, native_only=not (portable and target is this))


def _free_threaded(target: Platform, wanted: list[str], everything: bool) -> list[str]:
    """The free-threaded interpreters that get a wheel: they cannot load the one for all others."""
    if wanted or not everything:
        return [name if os.sep in name else f"python{name}" for name in wanted]
    if not target.is_this_machine:
        return []
    found = [str(each.path) for each in find_interpreters(None) if each.free_threaded]
    if not found:
        step("no free-threaded CPython is here, so no wheel for one: the release builds those")
    return found


def _install_targets(targets: list[Platform]) -> None:
    missing = {each.triple for each in targets} - platforms.rust_targets()
    if missing:
        tools.run(["rustup", "target", "add", *sorted(missing)])


def _build_wheel(target: Platform, interpreter: str | None = None) -> None:
    command = [
        *(_maturin(), "build", "--quiet", "--release", "--locked"),
        *("--target", target.triple, "--out", DIST),
    ]
    if target.compatibility:
        command += ["--compatibility", target.compatibility]
    if target.built_by_zig:
        command += ["--zig"]
    if interpreter:
        command += ["--interpreter", interpreter]
    _run(command)


def name_for_musl(wheel: Path) -> None:
    """Gives the native module the name that a CPython for musl looks for.

    maturin names it as the interpreter that runs it would, and that one is for glibc.
    """
    renamed = wheel.with_suffix(".renamed")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(renamed, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                content = content.replace(b"-linux-gnu.so,", b"-linux-musl.so,")
            entry.filename = entry.filename.replace("-linux-gnu.so", "-linux-musl.so")
            new.writestr(entry, content)
    renamed.replace(wheel)


def _build_npm(target: Platform, *, native_only: bool) -> None:
    triple = target.triple
    if target.built_by_zig and target.newest_glibc:
        # So cargo-zigbuild is told which glibc to link for.
        triple += ".{}.{}".format(*target.newest_glibc)
    _remove(target.addon(DIST.glob("*")))
    if not native_only:
        _remove(platforms.main_package(DIST.glob("*")))
    command = [
        *("node", BINDINGS_NODE / "scripts" / "build.mjs", "--check"),
        *("--target", triple, "--out", DIST),
    ]
    if target.built_by_zig:
        command += ["--zig"]
    if native_only:
        command += ["--native-only"]
    _run(command)


def _remove(file: os.PathLike[str] | None) -> None:
    if file is not None:
        os.unlink(file)


def _maturin() -> str:
    return str(BUILD_TOOLS / PROGRAMS / "maturin")


def _run(command: list[str | os.PathLike[str]]) -> None:
    """Runs a build, which finds Zig and cargo-zigbuild."""
    searched = os.environ["PATH"]
    if sys.platform == "linux":
        searched = f"{tools.from_pypi('zig', tools.ZIG)}{os.pathsep}{searched}"
    tools.run(
        command,  # type: ignore[arg-type]
        folder=BINDINGS_PYTHON,
        environment={"PATH": searched},
    )


if __name__ == "__main__":
    sys.exit(main())
