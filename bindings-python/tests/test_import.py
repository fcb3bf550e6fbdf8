"""What `import kazawallet` brings with it, and that it is the installed package that is tested."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import kazawallet
import pytest_kazawallet

# What would cost time at every start of a program. Each is imported when it is first needed.
NOT_IMPORTED = (
    "asyncio",
    "logging",
    "decimal",
    "json",
    "typing",
    "ssl",
    "re",
    "enum",
    "dataclasses",
    "pytest",
    "kazawallet.contrib",
    "kazawallet.testing",
    "kazawallet._ledger",
    "kazawallet._async_ledger",
    "threading",
)


def modules_after(program: str) -> set[str]:
    """The modules that a fresh interpreter has after a program."""
    ended = subprocess.run(
        # Without the environment, the current folder and the user's own packages.
        [sys.executable, "-I", "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return set(ended.stdout.split())


@pytest.mark.parametrize("module", [kazawallet, pytest_kazawallet], ids=["package", "plugin"])
def test_the_installed_package_is_tested(module: object) -> None:
    """And not the sources beside these tests."""
    installed = Path(sysconfig.get_path("platlib")).resolve()
    file = getattr(module, "__file__", None)
    assert isinstance(file, str)
    assert Path(file).resolve().is_relative_to(installed)


def test_importing_imports_nothing_that_is_heavy() -> None:
    bare = modules_after("")
    after = modules_after("import kazawallet")
    assert "kazawallet" in after
    assert not after.intersection(NOT_IMPORTED) - bare


def test_verifying_imports_nothing_of_the_network() -> None:
    after = modules_after(
        "import kazawallet\n"
        "webhook = kazawallet.Webhook('key', 'secret')\n"
        "webhook.sign(amount='10.50', order_id='pl_1')"
    )
    assert not after & {"asyncio", "ssl", "json", "logging", "socket"}


def test_a_star_import_gives_what_is_public() -> None:
    program = "from kazawallet import *; print(*globals())"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert set(kazawallet.__all__) <= set(ended.stdout.split())
    assert kazawallet.__all__ == sorted(kazawallet.__all__)
    assert len(kazawallet.__all__) == len(set(kazawallet.__all__))


def test_the_version_is_the_distribution_s() -> None:
    assert importlib.metadata.version("kazawallet") == kazawallet.__version__


def test_it_needs_no_other_package() -> None:
    assert not importlib.metadata.requires("kazawallet")


def test_the_types_and_the_licences_are_there() -> None:
    files = {str(file) for file in importlib.metadata.files("kazawallet") or ()}
    assert {"kazawallet/py.typed", "kazawallet/_kazawallet.pyi"} <= files
    for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
        assert any(file.endswith(f".dist-info/licenses/{licence}") for file in files)


def test_the_resources_of_the_async_client_are_exported() -> None:
    """A program that names the type of `client.wallets` finds it."""
    for name in ("AsyncPaymentLinks", "AsyncWithdrawals", "AsyncWallets", "AsyncDeposits"):
        assert hasattr(kazawallet, name)


def test_importing_leaves_the_gil_as_it_is() -> None:
    """A module that needed it would switch it on, with a warning, on a free-threaded CPython."""
    program = "import kazawallet, sys; print(getattr(sys, '_is_gil_enabled', lambda: True)())"
    ended = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    is_free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert (ended.stdout.strip(), ended.stderr) == (str(not is_free_threaded), "")
