from __future__ import annotations

import tempfile
import unittest
import zipfile
from pathlib import Path

import build

FREE_THREADED = "_kazawallet.cpython-314t-aarch64-linux-{}.so"


class WheelForMuslTest(unittest.TestCase):
    def test_its_module_is_named_as_musl_s_python_looks_for_it(self) -> None:
        for written, expected in (
            (FREE_THREADED.format("gnu"), FREE_THREADED.format("musl")),
            ("_kazawallet.abi3.so", "_kazawallet.abi3.so"),
        ):
            with self.subTest(written), tempfile.TemporaryDirectory() as folder:
                wheel = Path(folder, "kazawallet-1.2.3-py3-none-any.whl")
                record = "kazawallet/{},sha256=abc,3\nkazawallet-1.2.3.dist-info/RECORD,,\n"
                with zipfile.ZipFile(wheel, "w") as archive:
                    archive.writestr(f"kazawallet/{written}", "elf")
                    archive.writestr("kazawallet-1.2.3.dist-info/RECORD", record.format(written))
                build.name_for_musl(wheel)
                with zipfile.ZipFile(wheel) as archive:
                    self.assertEqual(archive.read(f"kazawallet/{expected}"), b"elf")
                    self.assertEqual(len(archive.namelist()), 2)
                    said = archive.read("kazawallet-1.2.3.dist-info/RECORD").decode()
                self.assertEqual(said, record.format(expected))
                self.assertEqual([wheel], list(Path(folder).iterdir()))


if __name__ == "__main__":
    unittest.main()
