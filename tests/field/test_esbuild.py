"""The README's Node program, made into one file by esbuild, without the package beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from around import NODE_FOLDER, program_shown, simulator

# What gives an ES module the `require` by which the native part is found.
BANNER = (
    "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
)


class Esbuild(unittest.TestCase):
    def test_a_bundle_makes_a_link(self) -> None:
        program = program_shown("README.md", "js", "paymentLinks.create")
        with tempfile.TemporaryDirectory() as name, simulator(Path(name)) as account:
            folder = Path(name)
            (folder / "node_modules").symlink_to(NODE_FOLDER / "node_modules")
            (folder / "shop.mjs").write_text(program, encoding="utf-8")
            subprocess.run(
                [
                    *(NODE_FOLDER / "node_modules" / ".bin" / "esbuild", "shop.mjs", "--bundle"),
                    *("--platform=node", "--format=esm", f"--banner:js={BANNER}"),
                    *("--log-level=warning", "--outfile=bundle.mjs"),
                ],
                cwd=folder,
                check=True,
            )
            # The native part alone is still needed.
            (folder / "node_modules").unlink()
            for part in (NODE_FOLDER / "node_modules").glob("kazawallet-*"):
                shutil.copytree(part, folder / "node_modules" / part.name)
            said = subprocess.run(
                ["node", "bundle.mjs"],
                cwd=folder,
                env={**os.environ, **account},
                capture_output=True,
                text=True,
                check=True,
            )
            self.assertRegex(
                said.stdout, r"^Send the customer to http://127\.0\.0\.1:\d+/pay/\S+\n$"
            )
            self.assertEqual(said.stderr, "")
