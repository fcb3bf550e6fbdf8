"""Publishes to a registry what is not there yet, so that a release that broke off can be run again.

    python3 packaging/publish.py crates          the three crates, each before those that need it
    python3 packaging/publish.py npm FOLDER      its .tgz files: the platforms', then the package itself
    python3 packaging/publish.py pypi FOLDER     uploads nothing, and fails where PyPI has other bytes

Credentials are the caller's affair: cargo and npm find them as they always do. A file of ours that a
registry has with other contents is never passed over in silence: what users get from there would not
be what was tested here.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import version
from version import Refused

# In the order of their dependencies.
CRATES = ("kazawallet", "kazawallet-simulator", "kazawallet-ledger")
CRATES_INDEX = "https://index.crates.io"
PYPI = "https://pypi.org"
# Trusted publishing came with it.
LEAST_NPM = (11, 5, 1)
LONGEST_ANSWER = 60.0  # seconds


def main(arguments: Sequence[str] | None = None, *, root: Path = version.REPOSITORY) -> int:
    parser = argparse.ArgumentParser(description="Publishes what is not published yet.")
    registries = parser.add_subparsers(dest="to", required=True)
    crates = registries.add_parser("crates")
    crates.add_argument("--index", default=CRATES_INDEX, help="the sparse index to look into")
    npm = registries.add_parser("npm")
    npm.add_argument("folder", type=Path)
    npm.add_argument("--registry", help="another than npm's own setting")
    pypi = registries.add_parser("pypi")
    pypi.add_argument("folder", type=Path)
    pypi.add_argument("--registry", default=PYPI)
    options = parser.parse_args(arguments)
    try:
        of = version.present(root)
        match options.to:
            case "crates":
                publish_crates(options.index, of, root)
            case "npm":
                publish_to_npm(options.registry or _registry_of_npm(), options.folder, of)
            case _:
                compare_with_pypi(options.registry, options.folder, of)
    except (OSError, Refused) as error:
        print(f"== FAILED: {error}", file=sys.stderr)
        return 1
    return 0


def publish_crates(index: str, of: version.Version, root: Path) -> None:
    """By their versions alone: cargo packs a crate anew each time, from the tagged commit."""
    for crate in CRATES:
        # The folders that every sparse index has for a name of four letters and more.
        entries = _get(f"{index}/{crate[:2]}/{crate[2:4]}/{crate}") or b""
        there = [json.loads(line)["vers"] for line in entries.splitlines()]
        if str(of) in there:
            _step(f"{crate} {of} is on crates.io already")
            continue
        _step(f"publishing {crate} {of}")
        # It returns when the index has it, so that the next one can depend on it. It does not build
        # the package: that was done before, by a job that holds no credentials.
        _run(["cargo", "publish", "--locked", "--no-verify", "--package", crate], root)


def publish_to_npm(registry: str, folder: Path, of: version.Version) -> None:
    tarballs = sorted(folder.glob("kazawallet-*.tgz"))
    itself = folder / f"kazawallet-{of}.tgz"
    if itself not in tarballs or len(tarballs) == 1:
        raise Refused(
            f"{folder} holds not {itself.name} and its platforms', but {len(tarballs)} .tgz"
        )
    _demand_npm()
    # Last, since whoever installs it in between would get no native part.
    for tarball in [*(each for each in tarballs if each != itself), itself]:
        name = tarball.name.removesuffix(f"-{of}.tgz")
        about = json.loads(_get(f"{registry}/{urllib.parse.quote(name, safe='')}") or b"{}")
        there = about.get("versions", {}).get(str(of))
        if there is None:
            _step(f"publishing {tarball.name}")
            # A path, since `kazawallet-….tgz` alone could be a package's name.
            command = ["npm", "publish", f"./{tarball.name}", "--registry", registry]
            # Of itself npm would go on without where it cannot make one.
            _run([*command, "--provenance", "--ignore-scripts"], folder)
        elif there["dist"]["integrity"] == _integrity(tarball):
            _step(f"{name} {of} is on npm already, with these very bytes")
        else:
            raise Refused(_other_bytes(f"npm's {name} {of}", of))


def compare_with_pypi(registry: str, folder: Path, of: version.Version) -> None:
    files = sorted([*folder.glob("kazawallet-*.whl"), *folder.glob("kazawallet-*.tar.gz")])
    if not files:
        raise Refused(f"{folder} holds neither a wheel nor an sdist")
    about = json.loads(_get(f"{registry}/pypi/kazawallet/{of}/json") or b"{}")
    there = {each["filename"]: each["digests"]["sha256"] for each in about.get("urls", [])}
    for file in files:
        digest = there.get(file.name)
        if digest is None:
            _step(f"{file.name} is not on PyPI")
        elif digest == hashlib.sha256(file.read_bytes()).hexdigest():
            _step(f"{file.name} is on PyPI already, with these very bytes")
        else:
            raise Refused(_other_bytes(f"PyPI's {file.name}", of))


def _other_bytes(what: str, of: version.Version) -> str:
    return (
        f"{what} holds other bytes than this build's. Builds are published whole: re-run only the "
        f"failed jobs of the workflow that published it, or release a version above {of}"
    )


def _registry_of_npm() -> str:
    """Where npm publishes to of itself."""
    asked = ["npm", "config", "get", "registry"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if not said:
        raise Refused(
            "npm does not say which registry it publishes to: see `npm config get registry`"
        )
    return said.removesuffix("/")


def _demand_npm() -> None:
    said = subprocess.run(["npm", "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", said)
    least = ".".join(map(str, LEAST_NPM))
    if numbers is None or tuple(map(int, numbers.groups())) < LEAST_NPM:
        raise Refused(
            f"npm {said.strip() or '(none)'} knows no trusted publishing: use {least} or later, "
            "which Node.js 24 brings"
        )


def _integrity(tarball: Path) -> str:
    digest = hashlib.sha512(tarball.read_bytes()).digest()
    return f"sha512-{base64.b64encode(digest).decode()}"


def _get(url: str) -> bytes | None:
    """What is at an address; `None` where there is nothing."""
    request = urllib.request.Request(url, headers={"User-Agent": "kazawallet-release"})
    try:
        with urllib.request.urlopen(request, timeout=LONGEST_ANSWER) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        # crates.io's index answers 403 or 410, too, for what it does not have.
        if error.code in (403, 404, 410):
            return None
        raise Refused(f"{url} answered {error.code}: run this again later") from None
    except OSError as error:
        raise Refused(f"{url} cannot be reached ({error}): run this again later") from None


def _run(command: Sequence[str], folder: Path) -> None:
    shown = " ".join(command)
    if subprocess.run(command, cwd=folder, check=False).returncode != 0:
        raise Refused(
            f"{shown} failed. What was published before stays so, and is skipped next time"
        )


def _step(text: str) -> None:
    print(f"== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
