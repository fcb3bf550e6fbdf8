from __future__ import annotations

import json
import unittest

import repository

from tests.copied import CopiedTest

URL = "https://github.com/owner/kazawallet"


class RepositoryTest(CopiedTest):
    def run_it(self, *arguments: str) -> tuple[int, str]:
        return self.run_script(repository.main, *arguments)

    def test_it_is_written_into_every_package(self) -> None:
        self.assertEqual(self.run_it(f"{URL}.git")[0], 0)
        self.assertEqual(self.run_it("--check", URL)[0], 0)
        self.assertIn(f'\nrepository = "{URL}"\n', self.read("Cargo.toml"))
        self.assertIn(
            f'[project.urls]\nRepository = "{URL}"\n', self.read("bindings-python/pyproject.toml")
        )
        named = json.loads(self.read("bindings-node/package.json"))["repository"]["url"]
        self.assertEqual(named, f"git+{URL}.git")

    def test_another_takes_its_place(self) -> None:
        self.run_it(URL)
        once = self.contents()
        self.run_it("https://github.com/owner/other")
        self.assertNotIn(URL, "".join(self.contents().values()))
        self.run_it(URL)
        self.assertEqual(self.contents(), once)

    def test_each_package_that_names_another_is_found(self) -> None:
        self.run_it(URL)
        for name in (
            "Cargo.toml",
            "core/Cargo.toml",
            "simulator/Cargo.toml",
            "ledger/Cargo.toml",
            "bindings-python/pyproject.toml",
            "bindings-node/package.json",
        ):
            with self.subTest(name):
                whole = self.read(name)
                self.write(
                    name, whole.replace(URL, f"{URL}2").replace("repository.workspace = true", "")
                )
                status, printed = self.run_it("--check", URL)
                self.assertEqual(status, 1)
                self.assertIn(f" {name} ", printed)
                self.assertIn(f"packaging/repository.py {URL}", printed)
                self.write(name, whole)

    def test_what_is_no_address_is_refused(self) -> None:
        before = self.contents()
        for text in (
            "owner/name",
            "http://github.com/o/n",
            "https://github.com/o",
            'https://g.com/o/n"',
        ):
            with self.subTest(text):
                status, printed = self.run_it(text)
                self.assertEqual(status, 1)
                self.assertIn("is not of the form", printed)
        self.assertEqual(self.contents(), before)


if __name__ == "__main__":
    unittest.main()
