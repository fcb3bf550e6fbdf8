"""The package held against tests/surface.json, both ways: what is public and not listed fails, and so
does what is listed and missing.

Public is what is in `kazawallet.__all__`, in `kazawallet.testing.__all__`, or is found in them or in
their classes under a name that does not begin with an underscore.
"""

from __future__ import annotations

import asyncio
import builtins
import importlib.metadata
import inspect
import json
import pkgutil
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from repository import SHARED_TESTS, NotUnderstood, hold_keys, read_file

import kazawallet
import kazawallet.testing
from kazawallet import Ledger, PaymentMethod
from kazawallet._errors import from_core
from kazawallet.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

# ---------------------------------------------------------------- the list

# What the guides show as positional; it may be given by keyword, too. All else is keyword-only.
POSITIONAL = {
    "LedgerWorker.stop": ["timeout"],
    "Client.request": ["method", "path"],
    "Webhook.new": ["api_key", "api_secret"],
    "Webhook.with_previous": ["api_key", "api_secret"],
    "Webhook.verify": ["body"],
    "Simulator.pay": ["link"],
    "Simulator.time_out": ["link"],
    "Simulator.trigger": ["url"],
    "Simulator.balance": ["currency"],
    "Simulator.fault": ["fault"],
    "Ledger.open": ["url"],
    "Ledger.order": ["ref"],
    "Ledger.receive": ["body"],
    "Ledger.payment": ["order_id"],
    "Ledger.settle": ["order_id", "decision"],
    "Ledger.set_link_id_check": ["check"],
    "Ledger.process": ["handler"],
    "Ledger.pending": ["limit"],
    "Ledger.mark_processed": ["order_id"],
    "Ledger.retry": ["order_id"],
    "Ledger.payout": ["reference"],
    "Ledger.resolve": ["reference", "decision"],
    "Ledger.overdue": ["older_than"],
    "Ledger.forget": ["before"],
}
# Of a type that is `like` another and asynchronous, what does no waiting and is not awaited.
NOT_AWAITED = {
    "AsyncSimulator": {"client", "async_client", "webhook", "balance", "fault", "clear_faults"},
    "AsyncLedger": {"process"},
}
# An argument of this type stands for `**options`.
OPTIONS = "options of "

TYPE_KEYS = "only rust like reached_through iterable constructible arguments_of open note"
MEMBER_KEYS = "only async rust node type arguments returns value"
ARGUMENT_KEYS = "only optional default rust environment"
KINDS = {"constructor", "method", "property", "value"}
LANGUAGES = {"rust", "python", "node"}


@dataclass(frozen=True)
class Argument:
    name: str
    type: str
    optional: bool


@dataclass(frozen=True)
class Member:
    name: str
    kind: str
    type: str | None
    arguments: list[Argument]
    value: str | None
    # What it is called in an asynchronous type that is `like` this one.
    name_in_async: str


@dataclass(frozen=True)
class ListedType:
    name: str
    members: list[Member]
    like: str | None
    reached_through: str | None
    iterable: str | None
    constructible: bool

    @property
    def constructors(self) -> list[Member]:
        return [member for member in self.members if member.kind == "constructor"]


@dataclass(frozen=True)
class ListedError:
    name: str
    parent: str | None
    codes: list[str]
    outcomes: list[str]
    properties: list[str] = field(default_factory=list)
    bases: list[str] = field(default_factory=list)


def in_python(entry: dict[str, Any]) -> bool:
    only = entry.get("only", ["python"])
    if not only or set(only) - LANGUAGES:
        raise NotUnderstood(f"{entry['name']}: only {only}?")
    return "python" in only


def read_argument(where: str, value: object) -> Argument | None:
    """The argument, or `None` where Python has not got it."""
    argument = hold_keys(where, value, "name type", ARGUMENT_KEYS)
    if not in_python(argument):
        return None
    optional = argument.get("optional", False) or "default" in argument
    return Argument(argument["name"], argument["type"], optional)


def read_type(value: object) -> ListedType:
    listed = hold_keys("a type", value, "name members", TYPE_KEYS)
    members = []
    for entry in listed["members"]:
        where = f"{listed['name']}, a member"
        hold_keys(where, entry, "name kind", MEMBER_KEYS)
        if entry["kind"] not in KINDS:
            raise NotUnderstood(f"{where}: what is the kind {entry['kind']!r}?")
        arguments = [
            argument
            for one in entry.get("arguments", [])
            if (argument := read_argument(where, one)) is not None
        ]
        if in_python(entry):
            members.append(
                Member(
                    name=entry["name"],
                    kind=entry["kind"],
                    type=entry.get("type"),
                    arguments=arguments,
                    value=entry.get("value"),
                    name_in_async=entry.get("async", entry["name"]),
                )
            )
    return ListedType(
        name=listed["name"],
        members=members,
        like=listed.get("like"),
        reached_through=listed.get("reached_through"),
        iterable=listed.get("iterable"),
        constructible=listed.get("constructible", True),
    )


def read_types(values: Iterable[dict[str, Any]]) -> dict[str, ListedType]:
    """The types that Python has; those that are `like` another with its members, too."""
    read = [(read_type(value), in_python(value)) for value in values]
    types = {listed.name: listed for listed, is_ours in read if is_ours}
    for name, listed in types.items():
        if listed.like is not None:
            for member in types[listed.like].members:
                # What is reached through another is not made by a constructor.
                if member.kind != "constructor" or listed.reached_through is None:
                    listed.members.append(as_in(name, member))
    return types


def as_in(name: str, member: Member) -> Member:
    """A member as a type called `name` has it, where that type is like another."""
    if not name.startswith("Async"):
        return member
    is_resource = member.kind == "property" and f"Async{member.type}" in LISTED_NAMES
    return Member(
        name=member.name_in_async,
        kind=member.kind,
        type=f"Async{member.type}" if is_resource else member.type,
        arguments=member.arguments,
        value=member.value,
        name_in_async=member.name_in_async,
    )


def read_error(value: object) -> ListedError:
    optional = "code codes outcome properties rust python_bases"
    error = hold_keys("an error", value, "name parent", optional)
    return ListedError(
        name=error["name"],
        parent=error["parent"],
        codes=[error["code"]] if "code" in error else list(error.get("codes", {}).values()),
        outcomes=error.get("outcome", []),
        properties=error.get("properties", []),
        bases=error.get("python_bases", []),
    )


LIST = hold_keys(
    "surface.json",
    read_file(SHARED_TESTS / "surface.json"),
    "description types errors ledger testing",
)
LISTED_NAMES = {entry["name"] for entry in [*LIST["types"], *LIST["ledger"], *LIST["testing"]]}
TYPES = read_types([*LIST["types"], *LIST["ledger"]])
TESTING = read_types(LIST["testing"])
ERRORS = {error.name: error for error in map(read_error, LIST["errors"])}
ALL_TYPES = TYPES | TESTING
# Of the ledger's states and decisions, the texts.
LEDGER_TEXTS = {
    entry["name"]: {member["value"] for member in entry["members"] if member["kind"] == "value"}
    for entry in LIST["ledger"]
    if entry["members"] and entry["members"][0]["kind"] == "value"
}


# ---------------------------------------------------------------- the package


def found(listed: ListedType) -> Any:
    """The class, or `None` where it is missing."""
    module = kazawallet if listed.name in TYPES else kazawallet.testing
    return getattr(module, listed.name, None)


def public(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def own_names(kind: type) -> set[str]:
    """The public names of a class, without those of the builtin classes that it stands on."""
    builtin = [base for base in kind.__mro__ if getattr(builtins, base.__name__, None) is base]
    return public(dir(kind)) - {name for base in builtin for name in dir(base)}


def constant(name: str) -> str:
    """A value's name in Python: `TimedOut` is `TIMED_OUT`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def python_name(member: Member) -> str:
    return constant(member.name) if member.kind == "value" else member.name


def is_the_class_itself(member: Member) -> bool:
    return member.kind == "constructor" and member.name == "new"


def types_as_parameters(types: dict[str, ListedType]) -> list[Any]:
    return [pytest.param(listed, id=name) for name, listed in types.items()]


EVERY_TYPE = pytest.mark.parametrize("listed", types_as_parameters(ALL_TYPES))
EVERY_ERROR = pytest.mark.parametrize(
    "error", [pytest.param(error, id=n) for n, error in ERRORS.items()]
)


def test_the_list_holds_together() -> None:
    for section in ("types", "errors", "ledger", "testing"):
        names = [entry["name"] for entry in LIST[section]]
        assert len(set(names)) == len(names), f"{section}: something is listed twice"
    for name in POSITIONAL:
        type_name, _, member = name.partition(".")
        assert member in {one.name for one in ALL_TYPES[type_name].members}, name
    for listed in ALL_TYPES.values():
        names = [member.name for member in listed.members]
        assert len(set(names)) == len(names), f"{listed.name}: a member is listed twice"
        assert listed.constructible or not listed.constructors, listed.name


def test_the_package_gives_what_is_listed_and_no_more() -> None:
    given = set(kazawallet.__all__)
    assert len(given) == len(kazawallet.__all__)
    # Modules are in `dir` once they were imported; they are looked at below.
    seen = public(name for name in dir(kazawallet) if not is_module(kazawallet, name))
    assert seen == given - {"__version__"}
    assert seen == TYPES.keys() | ERRORS.keys()


def test_the_testing_module_gives_what_is_listed_and_no_more() -> None:
    given = set(kazawallet.testing.__all__)
    assert len(given) == len(kazawallet.testing.__all__)
    assert given == TESTING.keys()
    # What it was made with can be seen in it, too, and has a home elsewhere.
    seen = {name: getattr(kazawallet.testing, name) for name in public(dir(kazawallet.testing))}
    at_home = {name for name, value in seen.items() if of_module(value) == "kazawallet.testing"}
    assert at_home <= given


def test_there_is_no_other_public_module() -> None:
    modules = {module.name for module in pkgutil.iter_modules(kazawallet.__path__)}
    assert public(modules) == {"contrib", "testing"}


def test_the_version_is_the_distributions() -> None:
    assert kazawallet.__version__ == importlib.metadata.version("kazawallet")


def of_module(value: object) -> str:
    return str(getattr(value, "__module__", ""))


def is_module(module: ModuleType, name: str) -> bool:
    return inspect.ismodule(getattr(module, name))


@EVERY_TYPE
def test_a_type_has_the_members_that_are_listed_and_no_more(listed: ListedType) -> None:
    kind = found(listed)
    assert isinstance(kind, type)
    wanted = {python_name(member) for member in listed.members if not is_the_class_itself(member)}
    assert own_names(kind) == wanted


@EVERY_TYPE
def test_a_member_is_of_the_kind_that_is_listed(listed: ListedType) -> None:
    kind = found(listed)
    wrong = []
    for member in listed.members:
        if is_the_class_itself(member):
            continue
        seen = inspect.getattr_static(kind, python_name(member))
        match member.kind:
            case "constructor":
                fits = isinstance(seen, (staticmethod, classmethod)) or inspect.isbuiltin(seen)
            case "method":
                fits = inspect.isroutine(seen) and not isinstance(seen, (staticmethod, classmethod))
            case "property":
                fits = inspect.isdatadescriptor(seen)
            case _:
                fits = seen == member.value
        if not fits:
            wrong.append(f"{listed.name}.{member.name} is listed as {member.kind}, and is {seen!r}")
    assert wrong == []


@EVERY_TYPE
def test_a_method_takes_the_arguments_that_are_listed_and_no_more(listed: ListedType) -> None:
    kind = found(listed)
    wrong = []
    for member in listed.members:
        if member.kind not in ("constructor", "method"):
            continue
        callee = kind if is_the_class_itself(member) else getattr(kind, member.name)
        parameters = list(inspect.signature(callee).parameters.values())
        if member.kind == "method":
            assert parameters.pop(0).name == "self"
        positional = POSITIONAL.get(f"{listed.like or listed.name}.{member.name}", [])
        wanted = [wanted_parameter(argument, positional) for argument in member.arguments]
        seen = [
            (parameter.name, parameter.kind, parameter.default is not parameter.empty)
            for parameter in parameters
        ]
        # The order of keyword arguments is nothing that a caller could see.
        if (
            sorted(seen) != sorted(wanted)
            or [name for name, *_ in seen][: len(positional)] != positional
        ):
            wrong.append(f"{listed.name}.{member.name}: listed {wanted}, seen {seen}")
    assert wrong == []


def wanted_parameter(argument: Argument, positional: list[str]) -> tuple[str, Any, bool]:
    if argument.type.startswith(OPTIONS):
        return argument.name, inspect.Parameter.VAR_KEYWORD, False
    if argument.name in positional:
        return argument.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, argument.optional
    return argument.name, inspect.Parameter.KEYWORD_ONLY, argument.optional


@EVERY_TYPE
def test_a_method_is_awaited_in_an_asynchronous_type_alone(listed: ListedType) -> None:
    kind = found(listed)
    asynchronous = listed.name.startswith("Async")
    for member in listed.members:
        if member.kind == "method":
            awaited = asynchronous and member.name not in NOT_AWAITED.get(listed.name, set())
            method = getattr(kind, member.name)
            assert inspect.iscoroutinefunction(method) == awaited, member.name


@EVERY_TYPE
def test_a_type_and_its_members_are_documented(listed: ListedType) -> None:
    kind = found(listed)
    assert inspect.getdoc(kind)
    # `help`, a traceback and a log name it after where it is imported from.
    assert of_module(kind).startswith("kazawallet")
    for member in listed.members:
        if member.kind in ("method", "property"):
            described = getattr(kind, member.name)
            # A slot cannot have a docstring: the source and the stubs document it.
            assert inspect.ismemberdescriptor(described) or inspect.getdoc(described), member.name


# ---------------------------------------------------------------- what the members hold


Check = Callable[[object], bool]


def checks() -> dict[str, Check]:
    """For each type that the list names: whether a value is one."""
    plain: dict[str, Check] = {
        "text": lambda value: type(value) is str,
        "amount": lambda value: type(value) is Decimal,
        "bytes": lambda value: type(value) is bytes,
        "count": lambda value: type(value) is int,
        "flag": lambda value: type(value) is bool,
        "object": lambda value: type(value) is dict,
        "list": lambda value: type(value) is list,
        "list of Wallet": lambda value: type(value) is tuple,
        "list of text pairs": lambda value: type(value) is list and type(value[0]) is tuple,
        "Status": lambda value: type(value) is str,
        "Dialect": lambda value: value in ("documented", "plugin", "both"),
        "time": lambda value: type(value) is datetime and value.tzinfo is timezone.utc,
        **{name: is_text_of(name) for name in LEDGER_TEXTS},
    }
    classes = {name: is_a(found(listed)) for name, listed in ALL_TYPES.items()}
    certain = classes | plain
    return certain | {f"{name} or none": or_none(check) for name, check in certain.items()}


def is_a(kind: type) -> Check:
    return lambda value: type(value) is kind


def is_text_of(name: str) -> Check:
    return lambda value: value in LEDGER_TEXTS[name]


def or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def instances() -> Iterator[object]:
    """One of each type that has properties."""
    method = PaymentMethod.custom(id="118", fields={})
    with Simulator(balances={"USD": "250.00"}) as simulator, simulator.client() as client:
        link = client.payment_links.create(amount="10.50", currency="USD", ref="order-42")
        [delivery] = simulator.pay(link)
        yield simulator
        yield client
        yield asyncio.run(simulator.__aenter__())
        async_client = simulator.async_client()
        yield async_client
        asyncio.run(async_client.aclose())
        yield link
        yield link.raw
        yield delivery
        yield simulator.webhook().verify(delivery.body)
        yield client.withdrawals.create(amount="1", currency="USD", payment_method=method)
        yield client.deposits.create(
            amount="1", currency="USD", user_email="user@example.com", payment_method=method
        )
        wallets = client.wallets.list()
        yield wallets
        yield wallets.wallets[0]
        yield simulator.requests[0]
        yield from instances_of_the_ledger(simulator, client)


def instances_of_the_ledger(simulator: Simulator, client: kazawallet.Client) -> Iterator[object]:
    method = PaymentMethod.custom(id="118", fields={})
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.open(f"sqlite://{folder}/ledger.db", client=client) as ledger,
    ):
        link = ledger.create_payment_link(ref="order-43", amount="10.50", currency="USD")
        yield link
        simulator.fault("currency_changed")
        [delivery] = simulator.pay(link.url)
        yield ledger.receive(delivery.body)
        [payment] = ledger.unsettled()
        yield payment
        again = {**json.loads(delivery.body), "currency": "USD"}
        assert ledger.receive(json.dumps(again).encode()).decision == "conflict"
        yield ledger.conflicts()[0]
        ledger.settle(payment.order_id, "paid", by="somebody")
        yield ledger.decisions()[0]
        yield ledger.order("order-43")
        yield ledger.withdraw(
            reference="payout-1", amount="1", currency="USD", payment_method=method
        )
        yield ledger.summary()


def test_the_properties_hold_what_is_listed() -> None:
    is_one = checks()
    seen = set()
    wrong = []
    for instance in instances():
        listed = ALL_TYPES[type(instance).__name__]
        seen.add(listed.name)
        for member in listed.members:
            if member.kind == "property":
                assert member.type is not None, (
                    f"{listed.name}.{member.name} is listed without a type"
                )
                value = getattr(instance, member.name)
                if not is_one[member.type](value):
                    wrong.append(f"{listed.name}.{member.name} is {value!r}, and no {member.type}")
    assert wrong == []
    with_properties = {
        listed.name
        for listed in ALL_TYPES.values()
        if any(member.kind == "property" for member in listed.members)
    }
    assert seen == with_properties


def test_a_type_is_reached_as_listed() -> None:
    with Simulator() as simulator, simulator.client() as client:
        async_client = simulator.async_client()
        through = {"Client": client, "AsyncClient": async_client}
        for listed in TYPES.values():
            if listed.reached_through is not None:
                start, _, attribute = listed.reached_through.partition(".")
                assert type(getattr(through[start], attribute)) is found(listed)
        asyncio.run(async_client.aclose())


def test_the_asynchronous_simulator_is_reached_as_listed() -> None:
    reached = {listed.name: listed.reached_through for listed in TESTING.values()}
    assert reached.pop("AsyncSimulator") == "async with Simulator"
    assert set(reached.values()) == {None}

    async def enter() -> object:
        async with Simulator() as simulator:
            return simulator

    assert type(asyncio.run(enter())) is kazawallet.testing.AsyncSimulator


def test_a_loop_gives_what_is_listed() -> None:
    looped_over = {listed.name: listed.iterable for listed in TYPES.values() if listed.iterable}
    assert looped_over == {"WalletList": "Wallet"}
    with Simulator(balances={"USD": "1", "SYP": "2"}) as simulator, simulator.client() as client:
        wallets = client.wallets.list()
    assert [type(wallet) for wallet in wallets] == [kazawallet.Wallet] * len(wallets.wallets)


@EVERY_TYPE
def test_what_is_not_constructible_is_not_constructed(listed: ListedType) -> None:
    kind = found(listed)
    only_values = all(member.kind == "value" for member in listed.members)
    made_by_call = any(is_the_class_itself(member) for member in listed.constructors)
    if made_by_call or only_values or issubclass(kind, BaseException):
        return
    with pytest.raises(TypeError):
        kind()
    if not listed.constructible:
        assert_final(kind)
        for make in (kind, kind.__new__, object.__new__):
            for arguments in ((kind,), (kind, "a"), (kind, "a", "b")):
                with pytest.raises(TypeError):
                    make(*arguments)


def assert_final(kind: type) -> None:
    with pytest.raises(TypeError):
        type("Another", (kind,), {})


# ---------------------------------------------------------------- errors


@EVERY_ERROR
def test_an_error_is_what_is_listed(error: ListedError) -> None:
    kind = getattr(kazawallet, error.name)
    parents = [
        kazawallet.__dict__.get(error.parent or ""),
        *(getattr(builtins, b) for b in error.bases),
    ]
    assert set(kind.__bases__) == {parent or Exception for parent in parents}
    if len(error.codes) == 1:
        assert kind.code == error.codes[0]
    for code in error.codes:
        made = from_core(code, "no", {}, None, None)
        assert (type(made), made.code) == (kind, code)
        assert type(made.code) is str
    if error.outcomes:
        assert kind("no").outcome in error.outcomes
    elif error.codes or error.name == "WebhookError":
        assert kind("no").outcome is None
    assert inspect.getdoc(kind)


@EVERY_ERROR
def test_an_error_has_the_properties_that_are_listed_and_no_more(error: ListedError) -> None:
    wanted = set()
    above: ListedError | None = error
    while above is not None:
        wanted |= set(above.properties)
        above = ERRORS[above.parent] if above.parent else None
    assert own_names(getattr(kazawallet, error.name)) == wanted


def test_the_codes_are_all_different_and_the_roots_have_none() -> None:
    codes = [code for error in ERRORS.values() for code in error.codes]
    assert len(set(codes)) == len(codes)
    for error in ERRORS.values():
        if not error.codes:
            assert getattr(kazawallet, error.name).code not in codes


def test_every_outcome_is_a_known_one() -> None:
    outcomes = {member.value for member in TYPES["Outcome"].members}
    for error in ERRORS.values():
        assert set(error.outcomes) <= outcomes


# ---------------------------------------------------------------- the test itself


def test_a_difference_is_seen() -> None:
    class Box:
        lid = True

        def open(self) -> None: ...

        def _hide(self) -> None: ...

    assert own_names(Box) == {"lid", "open"}
    with pytest.raises(NotUnderstood):
        read_type({"name": "Box", "members": [], "colour": "red"})
    with pytest.raises(NotUnderstood):
        read_type({"name": "Box", "members": [{"name": "open", "kind": "door"}]})
    with pytest.raises(NotUnderstood):
        read_type(
            {"name": "Box", "members": [{"name": "open", "kind": "method", "only": ["perl"]}]}
        )
    assert constant("TimedOut") == "TIMED_OUT"
