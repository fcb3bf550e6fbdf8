"""What a release consists of: one file for each platform, no more and no less.

    python3 packaging/release_files.py FOLDER    check it, and write FOLDER/SHA256SUMS

The crates are not among them: cargo packs those while it publishes.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import version
from platforms import PLATFORMS

# One for all of CPython from 3.10 up, and one for each free-threaded CPython, which cannot load that.
# There is none for 3.13t: it was an experiment, and PyO3 supports it no longer.
PYTHONS = ("cp310-abi3", "cp314-cp314t", "cp315-cp315t")
CHECKSUMS = "SHA256SUMS"


def expected(of: version.Version) -> dict[str, str]:
    """Every file of a release: what it is for people, and the pattern of its name."""
    number = re.escape(str(of))
    files = {
        "the sdist": rf"kazawallet-{number}\.tar\.gz",
        "the npm package": rf"kazawallet-{number}\.tgz",
    }
    for platform in PLATFORMS:
        npm = rf"kazawallet-{platform.npm}-{number}\.tgz"
        files[f"the npm package of {platform.npm}"] = npm
        for python in PYTHONS:
            # A wheel may have a second tag, an older name of the first.
            wheel = rf"kazawallet-{number}-{python}-({platform.wheel_tag})(\.[a-z0-9_]+)?\.whl"
            files[f"the {python} wheel of {platform.npm}"] = wheel
    return files


def problems_of(names: Sequence[str], of: version.Version) -> list[str]:
    """What is missing, there twice, or not part of a release."""
    unknown = set(names)
    problems = []
    for what, pattern in expected(of).items():
        found = [name for name in names if re.fullmatch(pattern, name)]
        unknown.difference_update(found)
        if len(found) != 1:
            problems.append(f"{what} {of}: {' and '.join(found) or 'missing'}")
    return problems + [f"{name} is no file of release {of}" for name in sorted(unknown)]


def main(arguments: Sequence[str] | None = None, *, root: Path = version.REPOSITORY) -> int:
    parser = argparse.ArgumentParser(description="Checks the files of a release.")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    try:
        files = sorted(path for path in folder.iterdir() if path.name != CHECKSUMS)
        problems = problems_of(
            [path.relative_to(folder).as_posix() for path in files], version.present(root)
        )
        contents = [(path, path.read_bytes()) for path in files]
    except (OSError, version.Refused) as error:
        problems = [str(error)]
    if problems:
        print(f"== FAILED: the files in {folder} are no release:", file=sys.stderr)
        for problem in problems:
            print(f"   {problem}", file=sys.stderr)
        return 1
    lines = []
    for path, content in contents:
        print(f"{len(content) / 1e6:6.2f} MB  {path.name}")
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8", newline="\n")
    print(f"== a whole release: {len(files)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
