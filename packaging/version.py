"""Sets the version of everything that is published, or checks that all places agree on it.

    python3 packaging/version.py X.Y.Z          set it, and open its section in the CHANGELOG
    python3 packaging/version.py --check        every place says the same version
    python3 packaging/version.py --check v1.2.3 and this tag names it, and the CHANGELOG tells of it
    python3 packaging/version.py --notes URL    print the CHANGELOG's section of the present version,
                                                its links as they lead from the repository at URL

Three crates, the Python package and the npm package are released together under one number.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CHANGELOG = "CHANGELOG.md"
UNRELEASED = "## Unreleased"
RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:)([^)#]+)")
# Each takes its version from the workspace, by this line. For PyPI, maturin reads the last one.
PUBLISHED_CRATES = ("core", "simulator", "ledger", "bindings-node", "bindings-python")
FROM_THE_WORKSPACE = "version.workspace = true"

NUMBER = r"\d+\.\d+\.\d+"


class Refused(Exception):
    """What was asked for cannot be done; the message says why, and what to do."""


@dataclass(frozen=True, order=True)
class Version:
    """Three numbers. A pre-release is written differently by crates.io, PyPI and npm, so there is none."""

    major: int
    minor: int
    patch: int

    @staticmethod
    def parse(text: str) -> Version:
        if re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", text) is None:
            raise Refused(f"{text!r} is not a version: write three plain numbers, such as 1.2.3")
        return Version(*map(int, text.split(".")))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def series(self) -> str:
        """What a user writes into a Cargo.toml to get this version's compatible successors too."""
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True)
class Place:
    """A file that states the version: the pattern's group `version` is it, each time it matches."""

    file: str
    pattern: str
    # `None` for at least once.
    times: int | None
    written: Callable[[Version], str] = str


# The entries of a Cargo.lock for this project's own crates: they have no `source`.
LOCKED = r'\[\[package\]\]\nname = "kazawallet(-[a-z-]+)?"\nversion = "(?P<version>{})"\n(?!source)'
PLACES = (
    Place("Cargo.toml", rf'(?m)^version = "(?P<version>{NUMBER})"$', 1),
    Place("Cargo.toml", rf'(?m)^kazawallet.*\bpath = .*\bversion = "(?P<version>{NUMBER})"', 3),
    # One for each crate of the workspace: where one is missed, cargo's --locked fails.
    Place("Cargo.lock", LOCKED.format(NUMBER), None),
    # The fuzzing crate itself, in the same file, is never published and stays at 0.0.0.
    Place("core/fuzz/Cargo.lock", LOCKED.replace("(-[a-z-]+)?", "").format(NUMBER), 1),
    Place("bindings-node/package.json", rf'(?m)^  "version": "(?P<version>{NUMBER})"', 1),
    Place("bindings-node/package-lock.json", rf'\A{{\n.*\n  "version": "(?P<version>{NUMBER})"', 1),
    Place(
        "bindings-node/package-lock.json",
        rf'    "": {{\n      "name": "kazawallet",\n      "version": "(?P<version>{NUMBER})"',
        1,
    ),
    Place(
        "README.md",
        r'(?m)kazawallet(-[a-z]+)? = (\{ version = )?"(?P<version>\d+\.\d+)"',
        4,
        Version.series,
    ),
)


def main(arguments: Sequence[str] | None = None, *, root: Path = REPOSITORY) -> int:
    parser = argparse.ArgumentParser(description="Sets or checks the version of every package.")
    parser.add_argument("version", nargs="?", metavar="X.Y.Z", help="the version to set")
    parser.add_argument("--check", nargs="?", const="", metavar="TAG", help="change nothing")
    parser.add_argument("--notes", metavar="URL", help="print what the CHANGELOG says of it")
    options = parser.parse_args(arguments)
    try:
        if options.notes:
            version = present(root)
            # A release's page is not where the file is.
            there = rf"]({options.notes}/blob/v{version}/\1"
            print(RELATIVE_LINK.sub(there, notes(root, version)))
        elif options.check is not None:
            print(f"== every place says {check(root, options.check)}")
        elif options.version:
            change(root, Version.parse(options.version))
            print(f"== every place says {options.version}: read CHANGELOG.md over, and commit")
        else:
            raise Refused("which version? make version VERSION=X.Y.Z")
    except Refused as refused:
        print(f"== FAILED: {refused}", file=sys.stderr)
        return 1
    return 0


def present(root: Path) -> Version:
    """The version that the workspace has."""
    found = _found(root, PLACES[0])
    return Version.parse(found[0])


def check(root: Path, tag: str) -> Version:
    """Fails unless every place says the same version, and the tag too where there is one."""
    version = present(root)
    problems = []
    for place in PLACES:
        expected = place.written(version)
        for found in _found(root, place):
            if found != expected:
                problems.append(f"{place.file} says {found}")
    for crate in PUBLISHED_CRATES:
        if FROM_THE_WORKSPACE not in read(root, f"{crate}/Cargo.toml").splitlines():
            problems.append(f"{crate}/Cargo.toml does not say `{FROM_THE_WORKSPACE}`")
    if 'dynamic = ["version"]' not in read(root, "bindings-python/pyproject.toml").splitlines():
        problems.append("bindings-python/pyproject.toml does not leave the version to Cargo.toml")
    if problems:
        raise Refused(
            f"the workspace's Cargo.toml says {version}, but {'; '.join(problems)}. "
            f"Set all of them with: make version VERSION={version}"
        )
    if tag and tag != f"v{version}":
        raise Refused(
            f"the tag is {tag}, but the packages are of version {version}, whose tag is v{version}. "
            "Delete the tag, run make version, commit, and tag that commit"
        )
    if tag:
        notes(root, version)
    return version


def notes(root: Path, version: Version) -> str:
    """What the CHANGELOG says of a version; it must say something."""
    heading = re.search(
        rf"(?m)^## {re.escape(str(version))} \(\d{{4}}-\d\d-\d\d\)$", read(root, CHANGELOG)
    )
    if heading is None:
        raise Refused(
            f"{CHANGELOG} has no section of {version}: make version VERSION={version} opens it"
        )
    text = _section(read(root, CHANGELOG)[heading.end() :])
    if not text:
        raise Refused(f"{CHANGELOG} says nothing of {version}: write what a user should know")
    return text


def change(root: Path, version: Version) -> None:
    """Sets the version everywhere, or nowhere."""
    changelog = read(root, CHANGELOG)
    released = [Version.parse(text) for text in re.findall(rf"(?m)^## ({NUMBER})\b", changelog)]
    newest = max([present(root), *released])
    if version < newest:
        raise Refused(f"{version} would be a step back from {newest}: versions only grow")
    if version in released:
        raise Refused(f"{CHANGELOG} has a section of {version} already: take a higher version")
    before, *after = re.split(rf"(?m)^{UNRELEASED}[ ]*$", changelog)
    if len(after) != 1 or not _section(after[0]):
        raise Refused(
            f"{CHANGELOG} needs one heading {UNRELEASED!r}, and under it what a user should know of {version}"
        )
    # The heading itself stays, for what comes next.
    today = datetime.datetime.now(datetime.timezone.utc).date()
    texts = {CHANGELOG: f"{before}{UNRELEASED}\n\n## {version} ({today}){after[0]}"}
    for place in PLACES:
        text = texts.get(place.file) or read(root, place.file)
        _matches(text, place)
        texts[place.file] = re.sub(place.pattern, _rewritten(place, version), text)
    write(root, texts)


def _rewritten(place: Place, version: Version) -> Callable[[re.Match[str]], str]:
    def rewrite(match: re.Match[str]) -> str:
        begin, end = (at - match.start() for at in match.span("version"))
        return match[0][:begin] + place.written(version) + match[0][end:]

    return rewrite


def _found(root: Path, place: Place) -> list[str]:
    return [match["version"] for match in _matches(read(root, place.file), place)]


def _matches(text: str, place: Place) -> list[re.Match[str]]:
    """As many as there ought to be, so that no place is overlooked in silence."""
    matches = list(re.finditer(place.pattern, text))
    wanted = place.times or max(len(matches), 1)
    if len(matches) != wanted:
        raise Refused(
            f"{place.file} states the version {len(matches)} times where {wanted} are known, "
            f"by the pattern {place.pattern}: correct the file, or PLACES in packaging/version.py"
        )
    return matches


def _section(text: str) -> str:
    """The text up to the next heading of a version."""
    return re.split(r"(?m)^## ", text, maxsplit=1)[0].strip()


def read(root: Path, name: str) -> str:
    """What a file of the project says."""
    try:
        return (root / name).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"{name} cannot be read: {error}") from None


def write(root: Path, texts: Mapping[str, str]) -> None:
    """Writes what the files are to say, by their names; the same bytes on every system."""
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
