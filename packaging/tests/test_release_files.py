from __future__ import annotations

import hashlib
import json
import re
import unittest
from pathlib import Path

import release_files
import version
from platforms import PLATFORMS

from tests.copied import CopiedTest

TAGS = {
    "linux-x64-gnu": "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "linux-arm64-gnu": "manylinux_2_28_aarch64",
    "linux-x64-musl": "musllinux_1_2_x86_64",
    "linux-arm64-musl": "musllinux_1_2_aarch64",
    "darwin-x64": "macosx_10_12_x86_64",
    "darwin-arm64": "macosx_11_0_arm64",
    "win32-x64-msvc": "win_amd64",
    "win32-arm64-msvc": "win_arm64",
}


class ReleaseFilesTest(CopiedTest):
    def setUp(self) -> None:
        super().setUp()
        of = version.present(self.root)
        self.folder = self.root / "dist"
        self.folder.mkdir()
        self.names = [f"kazawallet-{of}.tar.gz", f"kazawallet-{of}.tgz"]
        for platform, tag in TAGS.items():
            self.names.append(f"kazawallet-{platform}-{of}.tgz")
            for python in ("cp310-abi3", "cp314-cp314t", "cp315-cp315t"):
                self.names.append(f"kazawallet-{of}-{python}-{tag}.whl")
        for name in self.names:
            (self.folder / name).write_text(name)

    def run_it(self) -> tuple[int, str]:
        return self.run_script(release_files.main, str(self.folder))

    def test_a_whole_release_gets_its_checksums(self) -> None:
        status, printed = self.run_it()
        self.assertEqual(status, 0, printed)
        lines = (self.folder / "SHA256SUMS").read_text().splitlines()
        digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in self.names}
        self.assertEqual(lines, [f"{digests[name]}  {name}" for name in sorted(self.names)])
        self.assertEqual(self.run_it()[0], 0, "it may be run again")

    def test_each_missing_file_is_told(self) -> None:
        for name in self.names:
            with self.subTest(name):
                (self.folder / name).unlink()
                status, printed = self.run_it()
                self.assertEqual(status, 1)
                self.assertIn("missing", printed)
                (self.folder / name).write_text(name)

    def test_what_is_no_part_of_it_is_told(self) -> None:
        twice = self.names[3].replace(
            "manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_28_x86_64"
        )
        for name in (
            twice,
            "kazawallet-9.9.9.tgz",
            "kazawallet-darwin-x64-9.9.9.tgz",
            "notes.txt",
        ):
            with self.subTest(name):
                (self.folder / name).touch()
                status, printed = self.run_it()
                self.assertEqual(status, 1)
                self.assertIn(name, printed)
                (self.folder / name).unlink()

    def test_the_platforms_are_those_of_the_npm_package(self) -> None:
        source = Path(version.REPOSITORY, "bindings-node/lib/native.ts").read_text(encoding="utf-8")
        for platform in PLATFORMS:
            self.assertIn(f"require.resolve('kazawallet-{platform.npm}')", source)
        self.assertEqual(source.count("require.resolve('kazawallet-"), len(PLATFORMS))

    def test_the_workflow_builds_and_tries_every_platform(self) -> None:
        manifest = Path(version.REPOSITORY, "bindings-node/package.json").read_text(
            encoding="utf-8"
        )
        triples = json.loads(manifest)["napi"]["targets"]
        self.assertEqual(triples, [each.triple for each in PLATFORMS])
        workflow = Path(version.REPOSITORY, ".github/workflows/release.yml").read_text(
            encoding="utf-8"
        )
        # Once to build for it, and once to try that there.
        rows = re.findall(r"(?m)^ +- \{ target: ([a-z0-9_-]+), ", workflow)
        self.assertEqual(sorted(rows), sorted([*triples, *triples]))

    def test_the_workflow_builds_every_free_threaded_wheel(self) -> None:
        workflow = Path(version.REPOSITORY, ".github/workflows/release.yml").read_text(
            encoding="utf-8"
        )
        built = re.findall(r"--free-threaded (3\.\d+t)", workflow)
        tags = [f"cp{each.replace('.', '')}" for each in built]
        self.assertEqual([each.split("-")[1] for each in release_files.PYTHONS], ["abi3", *tags])


if __name__ == "__main__":
    unittest.main()
