"""A copy of the files that state versions and addresses, to be changed by a test."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = (
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "bindings-node/Cargo.toml",
    "bindings-node/package-lock.json",
    "bindings-node/package.json",
    "bindings-python/Cargo.toml",
    "bindings-python/pyproject.toml",
    "core/Cargo.toml",
    "core/fuzz/Cargo.lock",
    "ledger/Cargo.toml",
    "simulator/Cargo.toml",
)
# Under Unreleased, whatever the project's own says at the moment.
CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n- What is new.\n\n## 0.0.1 (2026-01-01)\n\n- The first.\n"
)


class CopiedTest(unittest.TestCase):
    """Has `self.root`, a copy of the project of version 0.1.0."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in FILES:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, self.root / name)
        self.write("CHANGELOG.md", CHANGELOG)

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def contents(self) -> dict[str, str]:
        return {name: self.read(name) for name in FILES}

    def replace(self, name: str, old: str, new: str) -> None:
        text = self.read(name)
        self.assertIn(old, text)
        self.write(name, text.replace(old, new, 1))

    def run_script(self, main: Callable[..., int], *arguments: str) -> tuple[int, str]:
        """Its exit status, and all it prints."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            status = main(arguments, root=self.root)
        return status, printed.getvalue()
