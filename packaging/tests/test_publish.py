"""Against registries on loopback, with programs called cargo and npm that only write down what they were told."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import threading
import unittest
from pathlib import Path
from unittest import mock

import publish
import version

from tests.copied import CopiedTest

SAID = "said.txt"
PROGRAM = """#!/bin/sh
if [ "$1" = --version ]; then echo "$NPM_VERSION"; exit; fi
echo "$(basename "$0") $*" >> "$SAID"
case "$*" in *"$FAILS_AT"*) exit 1 ;; esac
"""


class Registry(http.server.ThreadingHTTPServer):
    """Answers what `pages` holds, with 404 for the rest."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.pages: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(http.server.BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path)
        self.send_response(404 if page is None else 200)
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@unittest.skipIf(
    os.name == "nt", "the programs are shell scripts; releases are published from Linux"
)
class PublishTest(CopiedTest):
    def setUp(self) -> None:
        super().setUp()
        self.of = version.present(self.root)
        self.registry = Registry()
        serving = threading.Thread(target=self.registry.serve_forever)
        serving.start()
        self.addCleanup(self.registry.server_close)
        self.addCleanup(serving.join)
        self.addCleanup(self.registry.shutdown)
        programs = self.root / "programs"
        programs.mkdir()
        for name in ("cargo", "npm"):
            (programs / name).write_text(PROGRAM)
            (programs / name).chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "SAID": str(self.root / SAID),
            "NPM_VERSION": "11.5.1",
            "FAILS_AT": "nothing",
        }
        self.folder = self.root / "dist"
        self.folder.mkdir()
        self.tarballs = [
            self.file(f"kazawallet-{name}{self.of}.tgz")
            for name in ("", "darwin-x64-", "linux-x64-gnu-")
        ]

    def file(self, name: str) -> Path:
        path = self.folder / name
        path.write_text(f"the contents of {name}")
        return path

    def publish(self, *arguments: str) -> tuple[int, str, list[str]]:
        """The exit status, what was printed, and the programs that were run."""
        (self.root / SAID).write_text("")
        with mock.patch.dict(os.environ, self.environment):
            status, printed = self.run_script(publish.main, *arguments)
        return status, printed, (self.root / SAID).read_text().splitlines()

    def to_crates(self) -> tuple[int, str, list[str]]:
        return self.publish("crates", "--index", self.registry.url)

    def to_npm(self) -> tuple[int, str, list[str]]:
        return self.publish("npm", str(self.folder), "--registry", self.registry.url)

    def on_npm(self, tarball: Path, content: bytes | None = None) -> None:
        digest = hashlib.sha512(tarball.read_bytes() if content is None else content).digest()
        name = tarball.name.removesuffix(f"-{self.of}.tgz")
        dist = {"integrity": f"sha512-{base64.b64encode(digest).decode()}"}
        self.registry.pages[f"/{name}"] = json.dumps(
            {"versions": {str(self.of): {"dist": dist}}}
        ).encode()

    def test_crates_in_the_order_of_their_dependencies(self) -> None:
        status, printed, said = self.to_crates()
        self.assertEqual(status, 0, printed)
        names = ("kazawallet", "kazawallet-simulator", "kazawallet-ledger")
        self.assertEqual(
            said, [f"cargo publish --locked --no-verify --package {name}" for name in names]
        )

    def test_a_crate_that_is_there_is_passed_over(self) -> None:
        lines = [
            json.dumps({"name": "kazawallet", "vers": each}) for each in ("0.0.1", str(self.of))
        ]
        self.registry.pages["/ka/za/kazawallet"] = "\n".join(lines).encode()
        self.registry.pages["/ka/za/kazawallet-ledger"] = lines[0].encode()
        status, printed, said = self.to_crates()
        self.assertEqual(status, 0, printed)
        self.assertEqual(
            [each.split()[-1] for each in said], ["kazawallet-simulator", "kazawallet-ledger"]
        )

    def test_after_a_crate_that_fails_nothing_more_is_published(self) -> None:
        self.environment["FAILS_AT"] = "kazawallet-simulator"
        status, printed, said = self.to_crates()
        self.assertEqual((status, len(said)), (1, 2))
        self.assertIn("skipped next time", printed)

    def test_npm_gets_the_package_itself_last(self) -> None:
        status, printed, said = self.to_npm()
        self.assertEqual(status, 0, printed)
        end = f" --registry {self.registry.url} --provenance --ignore-scripts"
        names = ("darwin-x64-", "linux-x64-gnu-", "")
        self.assertEqual(
            said, [f"npm publish ./kazawallet-{name}{self.of}.tgz{end}" for name in names]
        )

    def test_what_npm_has_is_passed_over(self) -> None:
        self.on_npm(self.tarballs[1])
        status, printed, said = self.to_npm()
        self.assertEqual((status, len(said)), (0, 2), printed)
        for tarball in self.tarballs:
            self.on_npm(tarball)
        status, printed, said = self.to_npm()
        self.assertEqual((status, said), (0, []), printed)

    def test_other_bytes_on_npm_are_not_passed_over(self) -> None:
        self.on_npm(self.tarballs[1], b"of another build")
        status, printed, said = self.to_npm()
        self.assertEqual((status, said), (1, []))
        self.assertIn("re-run only the failed jobs", printed)

    def test_an_npm_that_is_too_old(self) -> None:
        self.environment["NPM_VERSION"] = "10.9.2"
        status, printed, said = self.to_npm()
        self.assertEqual((status, said), (1, []))
        self.assertIn("11.5.1", printed)

    def test_a_folder_without_the_package_itself(self) -> None:
        self.tarballs[0].unlink()
        status, _, said = self.to_npm()
        self.assertEqual((status, said), (1, []))

    def test_files_are_compared_with_those_on_pypi(self) -> None:
        wheel = self.file(f"kazawallet-{self.of}-cp310-abi3-win_amd64.whl")
        arguments = ("pypi", str(self.folder), "--registry", self.registry.url)
        status, printed, _ = self.publish(*arguments)
        self.assertEqual(status, 0, printed)
        self.assertIn("is not on PyPI", printed)
        for content, expected in ((wheel.read_bytes(), 0), (b"of another build", 1)):
            digests = {"sha256": hashlib.sha256(content).hexdigest()}
            urls = {"urls": [{"filename": wheel.name, "digests": digests}]}
            self.registry.pages[f"/pypi/kazawallet/{self.of}/json"] = json.dumps(urls).encode()
            status, printed, _ = self.publish(*arguments)
            self.assertEqual(status, expected, printed)

    def test_a_registry_that_is_away(self) -> None:
        status, printed, said = self.publish("crates", "--index", "http://127.0.0.1:1")
        self.assertEqual((status, said), (1, []))
        self.assertIn("run this again later", printed)


if __name__ == "__main__":
    unittest.main()
