"""The parts of a command, run as `make` runs them: a small Makefile and the script, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "parts.py"


class Parts(unittest.TestCase):
    def run_parts(self, makefile: str, *parts: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "Makefile").write_text(makefile.replace("    ", "\t"))
            return subprocess.run(
                [sys.executable, SCRIPT, "try", *parts],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )

    def test_all_pass_and_each_has_its_line(self) -> None:
        makefile = "try-one:\n    @echo first\ntry-two:\n    @echo second\n"
        ended = self.run_parts(makefile, "one", "two:one")
        self.assertEqual(ended.returncode, 0, ended.stdout)
        self.assertLess(ended.stdout.index("first"), ended.stdout.index("second"))
        table = ended.stdout[ended.stdout.index("== make try passed, in ") :]
        self.assertRegex(table, r"\n   one +\d+ s, from 0 s on\n   two +\d+ s, from \d+ s on\n$")

    def test_two_run_side_by_side_and_each_is_told_in_one_piece(self) -> None:
        # Each waits for the other's line: alone, neither would end.
        meet = "    @mkfifo $@; echo begins; {}; echo ends\n"
        makefile = (
            "try-one:\n" + meet.format("cat $@ >/dev/null") + "try-two:\n"
            "    @echo begins; until test -p try-one; do :; done; echo met > try-one; echo ends\n"
        )
        ended = self.run_parts(makefile, "one", "two")
        self.assertEqual(ended.returncode, 0, ended.stdout)
        self.assertEqual(ended.stdout.count("begins\nends\n"), 2, ended.stdout)

    def test_a_failure_keeps_from_running_what_needs_it_and_nothing_else(self) -> None:
        makefile = (
            "try-bad:\n    @echo why; false\ntry-after:\n    @echo no\ntry-other:\n    @echo yes\n"
        )
        ended = self.run_parts(makefile, "bad", "after:bad", "other")
        self.assertEqual(ended.returncode, 1, ended.stdout)
        for wanted in ("why\n", "yes\n", "== make try FAILED, in "):
            self.assertIn(wanted, ended.stdout)
        self.assertRegex(ended.stdout, r"\n   bad +\d+ s, from 0 s on, FAILED\n   after +not run\n")
        self.assertNotIn("no\n", ended.stdout.replace("not run\n", ""))

    def test_a_part_that_is_none_is_refused(self) -> None:
        ended = self.run_parts("", "one:two")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("one needs two, which is no part", ended.stdout)


if __name__ == "__main__":
    unittest.main()
