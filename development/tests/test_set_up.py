"""What the set-up finds missing, and says, for someone who may install nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import set_up


class SetUp(unittest.TestCase):
    def test_all_that_is_missing_is_said_in_one_line(self) -> None:
        said = set_up.told([set_up.POSTGRES, set_up.PHP, set_up.CHROMIUM])
        self.assertEqual(
            said,
            "== missing: PostgreSQL 15 or later, PHP 8.1 or later, Chromium. Debian, Ubuntu: "
            "sudo apt-get install postgresql php-cli chromium fonts-noto-core. macOS: brew install "
            "postgresql@17, and its bin in PATH; brew install php; brew install --cask google-chrome",
        )

    def test_what_no_package_brings_is_said_too(self) -> None:
        self.assertEqual(
            set_up.told([set_up.RUST]), "== missing: Rust with rustup. https://rustup.rs"
        )

    def test_a_program_that_is_too_old_counts_as_missing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            php = Path(folder) / "php"
            for version, enough in (("7.4.33", False), ("8.0.30", False), ("8.1.0", True)):
                php.write_text(f"#!/bin/sh\necho {version}\n")
                php.chmod(0o755)
                with mock.patch.dict("os.environ", PHP=str(php)):
                    self.assertEqual(set_up.has_php(), enough, version)

    def test_the_line_comes_before_anything_is_installed_or_built(self) -> None:
        # Root may install, so the question of whether it may is answered for it.
        program = (
            "import set_up, sys; set_up.may_install = lambda: False; "
            "set_up.NEEDS = {'test': [set_up.Need('a thing', lambda: False, ['thing'], 'brew thing')]}; "
            "sys.argv = ['set_up.py', 'test']; sys.exit(set_up.main())"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(set_up.__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertEqual(
            ended.stderr,
            "== missing: a thing. Debian, Ubuntu: sudo apt-get install thing. macOS: brew thing\n",
        )


if __name__ == "__main__":
    unittest.main()
