"""The documentation is complete, and what it shows is run: docstrings, help, READMEs."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import pydoc
import re
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import documents
import programs
import pytest
import readme_programs
from repository import REPOSITORY

import kazawallet
import pytest_kazawallet
from kazawallet import (
    Ledger,
    _async_client,
    _async_ledger,
    _client,
    _errors,
    _kazawallet,
    _ledger,
    _texts,
    testing,
)
from kazawallet.testing import Simulator

DOCUMENTED_MODULES: tuple[types.ModuleType, ...] = (
    kazawallet,
    testing,
    pytest_kazawallet,
    _kazawallet,
    _client,
    _async_client,
    _ledger,
    _async_ledger,
)


def public_classes() -> dict[str, type]:
    """Every class that a user is told of, by its name."""
    found: dict[str, type] = {}
    for module in (kazawallet, testing):
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type):
                found[name] = value
    return found


def members(owner: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties, those of its own base classes too, but no builtin's."""
    seen: set[str] = set()
    for each in owner.__mro__:
        if each.__module__ == "builtins":
            continue
        for name, value in vars(each).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            if isinstance(value, (staticmethod, classmethod)) or callable(value):
                yield name, getattr(owner, name)
            elif isinstance(value, (property, types.GetSetDescriptorType)):
                yield name, value


CLASSES = public_classes()
MEMBERS = {f"{owner}.{name}": value for owner in CLASSES for name, value in members(CLASSES[owner])}
CALLABLES: dict[str, Callable[..., Any]] = {
    name: value for name, value in MEMBERS.items() if callable(value)
}


def stub() -> ast.Module:
    """The stub of the native module, as it was installed."""
    path = Path(_kazawallet.__file__ or "").parent / "_kazawallet.pyi"
    return ast.parse(path.read_text(encoding="utf-8"))


def stub_classes() -> list[ast.ClassDef]:
    return [node for node in stub().body if isinstance(node, ast.ClassDef)]


# The native classes that the package alone makes, such as a result: the stub gives them no `__new__`.
MADE_BY_THE_PACKAGE = {
    node.name
    for node in stub_classes()
    if not any(isinstance(each, ast.FunctionDef) and each.name == "__new__" for each in node.body)
}


def test_everything_public_is_found() -> None:
    assert len(CLASSES) > 40
    assert {"Webhook.verify", "PaymentEvent.match_order", "AsyncWallets.list"} <= CALLABLES.keys()
    assert {"PaymentLink.url", "Delivery.body", "Simulator.url"} <= MEMBERS.keys()


# --- docstrings --------------------------------------------------------------------------------


@pytest.mark.parametrize("module", DOCUMENTED_MODULES, ids=lambda module: str(module.__name__))
def test_every_module_is_documented(module: types.ModuleType) -> None:
    assert module.__doc__


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_documented(name: str) -> None:
    own = vars(CLASSES[name]).get("__doc__")
    assert own, f"{name} has no docstring of its own"


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_is_documented(name: str) -> None:
    assert MEMBERS[name].__doc__, f"{name} has no docstring"


@pytest.mark.parametrize(
    "module",
    [_errors, _client, _async_client, _ledger, _async_ledger, _texts],
    ids=lambda module: str(module.__name__),
)
def test_every_attribute_is_documented(module: types.ModuleType) -> None:
    """A text stands below each attribute, where editors look for it."""
    bare = []
    for node in ast.parse(inspect.getsource(module)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for attribute, following in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(attribute, ast.AnnAssign):
                continue
            told = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if not told:
                bare.append(f"{node.name}.{ast.unparse(attribute.target)}")
    # A subclass gives what its base class documents another value.
    documented_above = {"code", "outcome"}
    bare = [
        name
        for name in bare
        if name.startswith("KazawalletError.") or name.split(".")[1] not in documented_above
    ]
    assert not bare


# What takes arguments, and needs no word about errors.
RAISES_NOTHING_OF_ITS_OWN = {
    "Simulator.balance": "any text may be asked for",
    "AsyncSimulator.balance": "any text may be asked for",
    "Simulator.client": "the options are the client's, and so are the errors",
    "Simulator.async_client": "the options are the client's, and so are the errors",
    "AsyncSimulator.client": "the options are the client's, and so are the errors",
    "AsyncSimulator.async_client": "the options are the client's, and so are the errors",
    "PaymentMethod.haram_under_3m": "the class says when it is refused: as the call is made",
    "PaymentMethod.haram_over_3m": "the class says when it is refused: as the call is made",
    "PaymentMethod.sy_cash": "the class says when it is refused: as the call is made",
    "PaymentMethod.custom": "the class says when it is refused: as the call is made",
}


def explanation(name: str, seen: tuple[str, ...] = ()) -> str:
    """A docstring, with those that it refers to: "see `Client.request`"."""
    owner = name.split(".")[0]
    value = MEMBERS.get(name) or CLASSES[name]
    text = inspect.getdoc(value) or ""
    for reference in re.findall(r"`([A-Za-z_]+(?:\.[a-z_]+)?)`", text):
        full = reference if reference in CLASSES else f"{owner}.{reference}"
        for candidate in (reference, full):
            known = candidate in CALLABLES or candidate in CLASSES
            if known and candidate != name and candidate not in seen:
                text += "\n" + explanation(candidate, (*seen, name))
                break
    return text


def arguments(value: Callable[..., Any]) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(value).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]


def is_named(argument: str, text: str) -> bool:
    """Whether a text names an argument: as it is, or in prose, `user_email` as "email"."""
    words = [argument, argument.split("_")[-1]]
    return any(re.search(rf"\b{re.escape(word)}\b", text) for word in words)


EXPLAINED = [
    *(name for name in CALLABLES if arguments(CALLABLES[name])),
    *(
        name
        for name in CLASSES
        if name not in MADE_BY_THE_PACKAGE and not issubclass(CLASSES[name], BaseException)
    ),
]
# Nobody makes these: they are reached through a client.
RESOURCES = {name for name in CLASSES if "Reached as `client." in (CLASSES[name].__doc__ or "")}
# Nor these, whose arguments are no user's affair.
GIVEN = {"AsyncSimulator", "Ledger", "AsyncLedger", "LedgerWorker", "AsyncLedgerWorker"}


@pytest.mark.parametrize("name", [name for name in EXPLAINED if name not in RESOURCES | GIVEN])
def test_a_docstring_names_the_arguments(name: str) -> None:
    value = CALLABLES[name] if name in CALLABLES else CLASSES[name]
    text = explanation(name)
    missing = [argument for argument in arguments(value) if not is_named(argument, text)]
    assert not missing, f"the docstring of {name} does not name {missing}"


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in EXPLAINED
        if name not in RESOURCES | GIVEN
        and name not in RAISES_NOTHING_OF_ITS_OWN
        and name not in ("Outcome", "Status")
        and not name.endswith(".with_traceback")
    ],
)
def test_a_docstring_names_the_errors(name: str) -> None:
    assert "Raises:" in explanation(name), f"the docstring of {name} does not name its errors"


def test_the_stub_says_what_the_module_says() -> None:
    """Editors show the stub's docstrings, `help()` the module's."""
    differing = []

    def compare(name: str, node: Any, value: Any) -> None:
        wanted = ast.get_docstring(node)
        if wanted is not None and inspect.cleandoc(value.__doc__ or "") != wanted:
            differing.append(f"{name}: {value.__doc__!r}")

    compare("the module", stub(), _kazawallet)
    for node in stub().body:
        if isinstance(node, ast.FunctionDef):
            compare(node.name, node, getattr(_kazawallet, node.name))
        if not isinstance(node, ast.ClassDef):
            continue
        owner = getattr(_kazawallet, node.name)
        compare(node.name, node, owner)
        for member in node.body:
            if isinstance(member, ast.FunctionDef) and ast.get_docstring(member) is not None:
                compare(f"{node.name}.{member.name}", member, getattr(owner, member.name))
    assert not differing, "\n".join(differing)


def test_the_stub_documents_what_is_public() -> None:
    bare = []
    for node in stub_classes():
        if node.name not in CLASSES:
            continue
        for member in node.body:
            if (
                isinstance(member, ast.FunctionDef)
                and not member.name.startswith("_")
                and ast.get_docstring(member) is None
            ):
                bare.append(f"{node.name}.{member.name}")
    assert not bare


# --- signatures and help -----------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLABLES)
def test_every_method_has_a_signature(name: str) -> None:
    signature = inspect.signature(CALLABLES[name])
    assert "args" not in signature.parameters, f"{name}{signature} tells nothing"


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in MADE_BY_THE_PACKAGE])
def test_every_class_that_can_be_made_has_a_signature(name: str) -> None:
    inspect.signature(CLASSES[name])


def help_of(value: object) -> str:
    """What `help()` shows, on one line and without its margin: Python 3.13 breaks signatures."""
    shown = pydoc.plain(pydoc.render_doc(value))
    return re.sub(r"\( ", "(", re.sub(r"[\s|]+", " ", shown))


@pytest.mark.parametrize("name", CLASSES)
def test_help_shows_every_class(name: str) -> None:
    text = help_of(CLASSES[name])
    assert f"class {name}" in text
    first_line = inspect.cleandoc(CLASSES[name].__doc__ or "").splitlines()[0]
    assert first_line in text


def test_help_of_the_client_reads_well() -> None:
    text = help_of(kazawallet.Client)
    for told in (
        "Client(*, api_key:",
        "A merchant's connection to the Kazawallet API.",
        "api_key: The merchant's API key",
        "timeout: Seconds for a whole call",
        "Raises:",
        "ConfigurationError",
        "request(self, method:",
        "close(self)",
        "payment_links",
        "withdrawals",
    ):
        assert told in text


def test_help_of_a_native_class_reads_well() -> None:
    text = help_of(kazawallet.Webhook)
    for told in ("verify(self, /, body)", "sign(self, /, *, amount, order_id)", "Raises:"):
        assert told in text
    text = help_of(kazawallet.PaymentEvent)
    assert "match_order(self, /, *, amount, currency, ref, order_id=None)" in text


# --- examples ----------------------------------------------------------------------------------


def examples() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every docstring with an example: its name, its text, and the names that it can use."""
    for module in DOCUMENTED_MODULES:
        yield module.__name__, module.__doc__ or "", vars(module)
    for name, value in (CLASSES | MEMBERS).items():
        module = testing if name.startswith(("Simulator", "AsyncSimulator")) else kazawallet
        yield name, inspect.getdoc(value) or "", vars(module)


EXAMPLES = {name: (text, names) for name, text, names in examples() if ">>>" in text}


def test_what_matters_has_an_example() -> None:
    wanted = {
        "kazawallet",
        "Client",
        "Client.request",
        "AsyncClient",
        "PaymentLinks.create",
        "Withdrawals.create",
        "Wallets.list",
        "Deposits.create",
        "Webhook",
        "Simulator",
        "Ledger",
        "Ledger.open",
        "Ledger.process",
        "Ledger.withdraw",
        "AsyncLedger",
        "AsyncLedger.process",
    }
    assert wanted <= EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_do_what_they_show(name: str) -> None:
    text, names = EXAMPLES[name]
    test = doctest.DocTestParser().get_doctest(text, dict(names), name, None, None)
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(said)


# --- the READMEs and the guides ------------------------------------------------------------------


def test_what_shows_python_is_read() -> None:
    guides = ("deploying", "errors", "going-live", "ledger", "migrating", "payouts", "testing")
    wanted = {f"docs/{guide}.md" for guide in (*guides, "webhooks")}
    wanted |= {"README.md", "bindings-python/README.md"}
    assert wanted <= {program.document for program in readme_programs.ALL}


@pytest.mark.parametrize(
    "program", readme_programs.of_kind("program"), ids=lambda program: str(program.name)
)
def test_a_program_of_a_document_runs(
    program: readme_programs.ReadmeProgram, tmp_path: Path
) -> None:
    """Against a fresh simulator and a fresh ledger that the environment names; a warning is an error."""
    with Simulator() as sim:
        programs.run(
            program.text,
            provider=sim,
            options=("-W", "error"),
            environment=environment_of_a_shop(tmp_path),
        ).check_is_clean()


def environment_of_a_shop(folder: Path) -> dict[str, str]:
    return {
        "KAZAWALLET_LEDGER": f"sqlite://{folder}/kazawallet.db",
        "KAZAWALLET_PREVIOUS_API_KEY": "sim_key_of_before",
        "KAZAWALLET_PREVIOUS_API_SECRET": "sim_secret_of_before",
    }


@pytest.mark.parametrize(
    "application", readme_programs.of_kind("application"), ids=lambda program: str(program.name)
)
def test_an_application_of_a_document_receives_a_payment(
    application: readme_programs.ReadmeProgram, tmp_path: Path
) -> None:
    """Behind a real server; a customer pays at the simulator, and the handler tells of it."""
    environment = environment_of_a_shop(tmp_path)
    source = readme_programs.served(application)
    with (
        Simulator() as sim,
        sim.client() as client,
        Ledger.open(environment["KAZAWALLET_LEDGER"], client=client) as ledger,
        programs.Program(source, provider=sim, environment=environment) as shop,
    ):
        link = ledger.create_payment_link(ref="order-42", amount="10.50", currency="USD")
        sim.webhook_url = f"http://127.0.0.1:{shop.line()}/webhooks/kazawallet"
        [delivery] = sim.pay(link)
        assert delivery.outcome == "answered 200"
        assert shop.line() == "order-42 is paid"
        shop.send_signal(signal.SIGTERM)
        ended = shop.end()
    # Once it has stopped, uvicorn ends by the signal that it was sent.
    assert (ended.stdout, ended.stderr) == ("", "")
    assert ended.status in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    "worker", readme_programs.of_kind("worker"), ids=lambda program: str(program.name)
)
def test_a_worker_of_a_document_is_handed_a_payment(
    worker: readme_programs.ReadmeProgram, tmp_path: Path
) -> None:
    environment = environment_of_a_shop(tmp_path)
    with (
        Simulator() as sim,
        sim.client() as client,
        Ledger.open(environment["KAZAWALLET_LEDGER"], client=client) as ledger,
        programs.Program(worker.text, provider=sim, environment=environment) as process,
    ):
        link = ledger.create_payment_link(ref="order-42", amount="10.50", currency="USD")
        [delivery] = sim.pay(link)
        ledger.receive(delivery.body)
        assert process.line() == "order-42 is paid"
        process.send_signal(signal.SIGTERM)
        process.end().check_is_clean()


@pytest.mark.parametrize(
    "tests", readme_programs.of_kind("tests"), ids=lambda program: str(program.name)
)
def test_the_tests_of_a_document_pass(tests: readme_programs.ReadmeProgram, tmp_path: Path) -> None:
    file = tmp_path / "test_shop.py"
    file.write_text(tests.text, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, *("-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider"), file],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=programs.GUARD,
        check=False,
    )
    number = tests.text.count("def test_")
    assert ran.returncode == 0 and f"{number} passed" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "excerpt", readme_programs.of_kind("excerpt"), ids=lambda program: str(program.name)
)
def test_an_excerpt_of_a_document_is_python(excerpt: readme_programs.ReadmeProgram) -> None:
    ast.parse(excerpt.text)


def test_every_kind_is_shown() -> None:
    shown = {program.kind for program in readme_programs.ALL}
    assert shown == set(get_args(readme_programs.Kind))


@pytest.mark.parametrize(
    "document", documents.DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY))
)
def test_the_links_of_a_document_lead_somewhere(document: Path) -> None:
    assert not documents.broken_links(document)


def test_every_guide_is_in_the_index() -> None:
    index = REPOSITORY / "docs" / "README.md"
    shown = set(re.findall(r"\]\(([a-z-]+\.md)\)", index.read_text(encoding="utf-8")))
    assert shown == {path.name for path in index.parent.glob("*.md")} - {"README.md"}


def test_the_guide_to_errors_tells_of_each() -> None:
    """Its class, its code and its outcomes, as `tests/surface.json` lists them; and of no other."""
    surface = json.loads((REPOSITORY / "tests" / "surface.json").read_text(encoding="utf-8"))
    wanted: set[tuple[str, str, frozenset[str]]] = set()
    of_the_ledger: set[str] = set()
    for error in surface["errors"]:
        if "codes" in error:
            of_the_ledger |= set(error["codes"].values())
        elif error["parent"] is not None:
            outcomes = frozenset(error.get("outcome", ()))
            wanted.add((error["name"], error.get("code", ""), outcomes))
    told: set[tuple[str, str, frozenset[str]]] = set()
    told_of_the_ledger: set[str] = set()
    for cells in documents.rows(REPOSITORY / "docs" / "errors.md"):
        name = re.match(r"`([A-Z]\w+Error)`", cells[0])
        if name is not None and len(cells) >= 4 and re.fullmatch(r"(`\w+`)?", cells[1]):
            outcomes = frozenset(re.findall(r"not_sent|rejected|unknown", cells[2]))
            of_webhooks = "Webhook" in name[1] or len(cells) == 4
            told.add((name[1], cells[1].strip("`"), frozenset() if of_webhooks else outcomes))
        elif cells[0].startswith("`ledger_"):
            told_of_the_ledger.add(cells[0].strip("`"))
    assert told == wanted
    assert told_of_the_ledger == of_the_ledger
