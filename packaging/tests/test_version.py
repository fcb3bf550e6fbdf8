from __future__ import annotations

import re
import unittest

import version

from tests.copied import CopiedTest


class VersionTest(CopiedTest):
    def setUp(self) -> None:
        super().setUp()
        # Whatever the project has reached: these tests are told in small numbers.
        now = str(version.present(self.root))
        for place in version.PLACES:
            series = place.written is version.Version.series
            old, new = (now.rpartition(".")[0], "0.1") if series else (now, "0.1.0")
            for match in reversed(list(re.finditer(place.pattern, self.read(place.file)))):
                self.assertEqual(match["version"], old)
                text = self.read(place.file)
                begin, end = match.span("version")
                self.write(place.file, text[:begin] + new + text[end:])

    def refused(self, *arguments: str) -> str:
        before = self.contents()
        status, printed = self.run_script(version.main, *arguments)
        self.assertEqual(status, 1, printed)
        self.assertEqual(self.contents(), before, "what is refused changes nothing")
        return printed

    def accepted(self, *arguments: str) -> str:
        status, printed = self.run_script(version.main, *arguments)
        self.assertEqual(status, 0, printed)
        return printed

    def test_a_version_is_set_everywhere_and_its_section_opened(self) -> None:
        self.accepted("1.20.3")
        self.assertIn("1.20.3", self.accepted("--check", "v1.20.3"))
        for place in version.PLACES:
            for match in re.finditer(place.pattern, self.read(place.file)):
                self.assertIn(match["version"], ("1.20.3", "1.20"))
        self.assertIn('kazawallet-simulator = "1.20"', self.read("README.md"))
        self.assertRegex(
            self.read("CHANGELOG.md"),
            r"## Unreleased\n\n## 1\.20\.3 \(\d{4}-\d\d-\d\d\)\n\n- What is new\.\n\n## 0\.0\.1 ",
        )
        url = "https://git.example/shop/sdk"
        self.assertEqual(self.accepted("--notes", url), "- What is new.\n")

    def test_links_of_the_notes_lead_from_anywhere(self) -> None:
        links = "[a](docs/errors.md#codes), [b](https://example.com/b), [c](#here)"
        self.replace("CHANGELOG.md", "- What is new.", links)
        self.accepted("1.0.0")
        self.assertEqual(
            self.accepted("--notes", "https://git.example/shop/sdk"),
            "[a](https://git.example/shop/sdk/blob/v1.0.0/docs/errors.md#codes), "
            "[b](https://example.com/b), [c](#here)\n",
        )

    def test_the_first_release_keeps_the_version_that_the_sources_have(self) -> None:
        self.accepted("0.1.0")
        self.accepted("--check", "v0.1.0")

    def test_other_versions_in_the_same_files_stay(self) -> None:
        before = self.read("bindings-node/package-lock.json").splitlines()
        self.accepted("0.2.0")
        after = self.read("bindings-node/package-lock.json").splitlines()
        changed = [line for line, old in zip(after, before, strict=True) if line != old]
        self.assertEqual([line.strip() for line in changed], ['"version": "0.2.0",'] * 2)
        self.assertIn(
            'name = "kazawallet-fuzz"\nversion = "0.0.0"', self.read("core/fuzz/Cargo.lock")
        )

    def test_nonsense_is_refused(self) -> None:
        for text in ("1", "1.2", "v1.2.3", "1.2.3-rc.1", "1.2.3.4", "01.2.3", "1.2.x", "1.2.3\n"):
            with self.subTest(text):
                self.assertIn("is not a version", self.refused(text))
        self.assertIn("make version VERSION=", self.refused())

    def test_going_back_is_refused(self) -> None:
        self.assertIn("a step back", self.refused("0.0.9"))
        self.accepted("2.0.0")
        self.write(
            "CHANGELOG.md",
            self.read("CHANGELOG.md").replace("Unreleased\n", "Unreleased\n\n- More.\n"),
        )
        self.assertIn("a step back", self.refused("1.9.9"))
        self.assertIn("already", self.refused("2.0.0"))

    def test_a_release_of_nothing_is_refused(self) -> None:
        self.replace("CHANGELOG.md", "- What is new.\n", "")
        self.assertIn("needs one heading '## Unreleased'", self.refused("0.2.0"))

    def test_a_heading_that_only_ends_alike_is_not_taken(self) -> None:
        self.replace("CHANGELOG.md", "# Changelog\n", "# Changelog\n\n### Unreleased\n\n- No.\n")
        self.accepted("0.2.0")
        self.assertRegex(self.read("CHANGELOG.md"), r"- No\.\n\n## Unreleased\n\n## 0\.2\.0 ")
        self.assertIn("needs one heading", self.refused("0.3.0"))

    def test_each_place_that_differs_is_found(self) -> None:
        self.accepted("--check")
        for place in version.PLACES:
            with self.subTest(place.file, pattern=place.pattern):
                whole = self.read(place.file)
                match = re.search(place.pattern, whole)
                assert match is not None
                begin, end = match.span("version")
                other = "9.9" if place.written is version.Version.series else "9.9.9"
                self.write(place.file, whole[:begin] + other + whole[end:])
                self.assertIn("9.9", self.refused("--check"))
                self.write(place.file, whole)

    def test_a_crate_with_a_version_of_its_own_is_found(self) -> None:
        self.replace("ledger/Cargo.toml", "version.workspace = true", 'version = "0.1.0"')
        self.assertIn("ledger/Cargo.toml does not say", self.refused("--check"))

    def test_a_place_that_is_gone_is_found(self) -> None:
        self.replace("README.md", 'kazawallet-simulator = "0.1"', "")
        self.assertIn("README.md states the version 3 times", self.refused("--check"))

    def test_a_tag_must_name_the_version(self) -> None:
        self.accepted("0.2.0")
        for tag in ("v0.1.0", "0.2.0", "v0.2", "v0.2.0-rc1"):
            with self.subTest(tag):
                self.assertIn("whose tag is v0.2.0", self.refused("--check", tag))

    def test_a_tag_must_stand_in_the_changelog(self) -> None:
        self.assertIn("no section of 0.1.0", self.refused("--check", "v0.1.0"))
        self.accepted("0.1.0")
        self.replace("CHANGELOG.md", "- What is new.\n", "")
        self.assertIn("says nothing of 0.1.0", self.refused("--check", "v0.1.0"))


if __name__ == "__main__":
    unittest.main()
