"""Writes the address of the project's repository into every package's metadata, or checks it.

    python3 packaging/repository.py https://github.com/OWNER/NAME           write it; once is enough
    python3 packaging/repository.py --check https://github.com/OWNER/NAME   change nothing

npm refuses a package with provenance whose metadata names another repository than the one it was
built in, or none. On crates.io and PyPI it is where a reader finds the source.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from version import REPOSITORY, Refused, read, write

WORKSPACE = "Cargo.toml"
CRATES = ("core", "simulator", "ledger")
PYTHON = "bindings-python/pyproject.toml"
NPM = "bindings-node/package.json"
FROM_THE_WORKSPACE = "repository.workspace = true"


def main(arguments: Sequence[str] | None = None, *, root: Path = REPOSITORY) -> int:
    parser = argparse.ArgumentParser(description="Writes or checks the repository's address.")
    parser.add_argument("url", metavar="https://github.com/OWNER/NAME")
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args(arguments)
    url = options.url.removesuffix("/").removesuffix(".git")
    try:
        if re.fullmatch(r"https://[a-z0-9.-]+(/[A-Za-z0-9._-]+){2}", url) is None:
            raise Refused(f"{options.url!r} is not of the form https://github.com/OWNER/NAME")
        if options.check:
            check(root, url)
        else:
            name_everywhere(root, url)
            check(root, url)
    except Refused as refused:
        print(f"== FAILED: {refused}", file=sys.stderr)
        return 1
    print(f"== every package names {url}")
    return 0


def check(root: Path, url: str) -> None:
    """Fails unless every package names this repository."""
    problems = []
    stated = re.search(r'(?m)^repository = "(.*)"$', read(root, WORKSPACE))
    if stated is None or stated[1] != url:
        problems.append(f"{WORKSPACE} names {stated[1] if stated else 'none'}")
    for crate in CRATES:
        if FROM_THE_WORKSPACE not in read(root, f"{crate}/Cargo.toml").splitlines():
            problems.append(f"{crate}/Cargo.toml does not say `{FROM_THE_WORKSPACE}`")
    named = re.search(r'(?m)^\[project\.urls\]\nRepository = "(.*)"$', read(root, PYTHON))
    if named is None or named[1] != url:
        problems.append(f"{PYTHON} names {named[1] if named else 'none'}")
    for_npm = json.loads(read(root, NPM)).get("repository", {}).get("url", "none")
    if for_npm != _for_npm(url):
        problems.append(f"{NPM} names {for_npm}")
    if problems:
        raise Refused(
            f"the packages are to name the repository {url}, but {'; '.join(problems)}. "
            f"Run: python3 packaging/repository.py {url}, and commit what it changes"
        )


def name_everywhere(root: Path, url: str) -> None:
    """Writes it beside the licence, or, for Python, into a table of its own."""
    texts = {WORKSPACE: _beside_the_licence(root, WORKSPACE, f'repository = "{url}"')}
    for crate in CRATES:
        name = f"{crate}/Cargo.toml"
        texts[name] = _beside_the_licence(root, name, FROM_THE_WORKSPACE)
    without = re.sub(r"(?m)^\[project\.urls\]\n(?:.+\n)*\n", "", read(root, PYTHON))
    texts[PYTHON] = without.replace(
        "[project.entry-points", f'[project.urls]\nRepository = "{url}"\n\n[project.entry-points', 1
    )
    manifest = json.loads(read(root, NPM))
    repository = {"type": "git", "url": _for_npm(url), "directory": "bindings-node"}
    ordered = {}
    for key, value in manifest.items():
        if key != "repository":
            ordered[key] = value
        if key == "license":
            ordered["repository"] = repository
    texts[NPM] = f"{json.dumps(ordered, indent=2, ensure_ascii=False)}\n"
    write(root, texts)


def _beside_the_licence(root: Path, name: str, line: str) -> str:
    text = re.sub(r"(?m)^repository\b.*\n", "", read(root, name))
    changed, times = re.subn(r"(?m)^license\b.*\n", lambda match: f"{match[0]}{line}\n", text)
    if times != 1:
        raise Refused(f"{name} has {times} lines that begin with `license`: one is known")
    return changed


def _for_npm(url: str) -> str:
    return f"git+{url}.git"


if __name__ == "__main__":
    sys.exit(main())
