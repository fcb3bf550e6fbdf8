"""Every scenario of tests/scenarios, through `Client` and through `AsyncClient`.

Most of a scenario's time is waiting, so they run side by side, each with a server of its own. Each is
then a test, and one that fails hides no other.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from repository import SHARED_TESTS, NotUnderstood, hold_keys, read_json, same_json
from scripted_server import Observed, ObservedRequest, ScriptedServer

import kazawallet
from kazawallet import (
    AsyncClient,
    Client,
    Deposit,
    KazawalletError,
    PaymentLink,
    PaymentMethod,
    Response,
    WalletList,
    Withdrawal,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FILES = sorted((SHARED_TESTS / "scenarios").iterdir())
NAMES = [path.stem for path in FILES]
AT_ONCE = 24
# A scenario that takes longer than this hangs.
NEVER_LONGER_THAN = 60
# Values shorter than this are in a text by chance.
TELLING = 4

Outcomes = dict[str, list[str]]
"""What did not fit, by the scenario's name."""


# ---------------------------------------------------------------- a scenario as it stands in its file

# What an operation is called with: what it must have, and what it may.
OPERATIONS = {
    "payment_links.create": ("amount currency", "ref redirect_url"),
    "withdrawals.create": ("amount currency payment_method", "note"),
    "wallets.list": ("", ""),
    "deposits.create": ("amount currency user_email payment_method", "note"),
    "request": ("method path", "json"),
}
PAYMENT_METHODS = {
    "haram_under_3m": "kind name phone governorate",
    "haram_over_3m": "kind name phone governorate",
    "sy_cash": "kind phone",
    "custom": "kind id fields",
}
ERROR_PROPERTIES = ("code", "outcome", "status", "key", "field", "request_id", "details")
ERROR_KEYS = (
    "status key field request_id retry_after_ms details "
    "message_contains message_lacks body_contains body_max_bytes"
)
RESULT_KEYS = "url id status message transaction_id note wallets http_status request_id text"


@dataclass(frozen=True)
class Call:
    operation: str
    arguments: dict[str, Any]
    timeout: float | None
    pause_after: float


@dataclass(frozen=True)
class Scenario:
    client: dict[str, Any]
    earlier_calls: list[Call]
    call: Call
    server: dict[str, Any]
    expect: dict[str, Any]


def read_scenario(name: str, text: str) -> Scenario:
    """The scenario, or `NotUnderstood`. The script is read by the server itself."""
    file = hold_keys(
        "the file", read_json(text), "name why client call server expect", "earlier_calls"
    )
    if file["name"] != name:
        raise NotUnderstood("`name` is not the file's name")
    return Scenario(
        client=hold_keys(
            "client",
            file["client"],
            "api_key",
            "api_secret merchant_email base_path base_url timeout_ms connect_timeout_ms max_retries",
        ),
        earlier_calls=[
            read_call("an earlier call", call, "timeout_ms pause_after_ms")
            for call in file.get("earlier_calls", [])
        ],
        call=read_call("call", file["call"], "timeout_ms"),
        server=file["server"],
        # A fraction in `details` is compared as exactly as it was written.
        expect=read_expect(read_json(text, parse_float=Decimal)["expect"]),
    )


def read_call(where: str, value: object, optional: str) -> Call:
    call = hold_keys(where, value, "operation arguments", optional)
    operation = call["operation"]
    if operation not in OPERATIONS:
        raise NotUnderstood(f"{where}: what is the operation {operation!r}?")
    arguments = hold_keys(f"{where}, arguments", call["arguments"], *OPERATIONS[operation])
    if type(arguments.get("amount", "")) not in (str, int):
        raise NotUnderstood(f"{where}: an amount is a string or an integer")
    if "payment_method" in arguments:
        method = arguments["payment_method"]
        kind = method.get("kind") if isinstance(method, dict) else None
        if kind not in PAYMENT_METHODS:
            raise NotUnderstood(f"{where}: what is the payment method {kind!r}?")
        hold_keys(f"{where}, payment_method", method, PAYMENT_METHODS[kind])
    return Call(
        operation=operation,
        arguments=arguments,
        timeout=seconds(call.get("timeout_ms")),
        pause_after=seconds(call.get("pause_after_ms")) or 0,
    )


def read_expect(value: object) -> dict[str, Any]:
    expect = hold_keys("expect", value, "requests", "connections result error")
    for request in expect["requests"]:
        hold_keys("expect, a request", request, "method path headers body", "absent_headers")
    if ("result" in expect) == ("error" in expect):
        raise NotUnderstood("expect: exactly one of `result` and `error`")
    if "result" in expect:
        hold_keys("expect, result", expect["result"], "", RESULT_KEYS)
        for wallet in expect["result"].get("wallets", []):
            hold_keys("expect, a wallet", wallet, "currency amount")
    else:
        hold_keys("expect, error", expect["error"], "class code outcome", ERROR_KEYS)
    return expect


def seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


# ---------------------------------------------------------------- carrying one out


@dataclass(frozen=True)
class Done:
    """What a call came to: a result or an error."""

    result: object
    error: KazawalletError | None
    client_shown: str


def client_options(scenario: Scenario, server: ScriptedServer) -> dict[str, Any]:
    given = scenario.client
    options: dict[str, Any] = {
        name: given[name]
        for name in ("api_key", "api_secret", "merchant_email", "max_retries")
        if name in given
    }
    for name in ("timeout", "connect_timeout"):
        if f"{name}_ms" in given:
            options[name] = seconds(given[f"{name}_ms"])
    options["base_url"] = given.get("base_url", server.url + given.get("base_path", ""))
    if server.root_certificate is not None:
        options["root_certificates"] = server.root_certificate
    return options


def make(client: Client | AsyncClient, call: Call) -> Any:
    """Makes a call: the result, or with an `AsyncClient` what is awaited for it."""
    arguments = dict(call.arguments)
    if call.timeout is not None:
        arguments["timeout"] = call.timeout
    if "payment_method" in arguments:
        method = dict(arguments["payment_method"])
        arguments["payment_method"] = getattr(PaymentMethod, method.pop("kind"))(**method)
    if call.operation == "request":
        return client.request(arguments.pop("method"), arguments.pop("path"), **arguments)
    resource, _, method_name = call.operation.partition(".")
    return getattr(getattr(client, resource), method_name)(**arguments)


def run(scenario: Scenario, program: Path) -> list[str]:
    with ScriptedServer(program, scenario.server) as server:
        try:
            client = Client(**client_options(scenario, server))
        except KazawalletError as error:
            done = Done(None, error, "")
        else:
            with client:
                for earlier in scenario.earlier_calls:
                    make(client, earlier)
                    time.sleep(earlier.pause_after)
                try:
                    done = Done(make(client, scenario.call), None, repr(client))
                except KazawalletError as error:
                    done = Done(None, error, repr(client))
        return complaints(scenario, server.finish(), done)


async def run_async(scenario: Scenario, program: Path) -> list[str]:
    server = ScriptedServer(program, scenario.server)
    try:
        await asyncio.to_thread(server.start)
        try:
            client = AsyncClient(**client_options(scenario, server))
        except KazawalletError as error:
            done = Done(None, error, "")
        else:
            async with client:
                for earlier in scenario.earlier_calls:
                    await make(client, earlier)
                    await asyncio.sleep(earlier.pause_after)
                try:
                    done = Done(await make(client, scenario.call), None, repr(client))
                except KazawalletError as error:
                    done = Done(None, error, repr(client))
        return complaints(scenario, await asyncio.to_thread(server.finish), done)
    finally:
        await asyncio.to_thread(server.stop)


# ---------------------------------------------------------------- what did not fit


def complaints(scenario: Scenario, observed: Observed, done: Done) -> list[str]:
    found = [*wire_complaints(scenario.expect, observed)]
    if done.error is None:
        found += result_complaints(scenario.expect, done.result)
        shown = result_shown(done.result)
    else:
        found += error_complaints(scenario.expect, done.error)
        shown = error_shown(done.error)
    shown = f"{shown} {done.client_shown}"
    found += [f"{value!r} is shown in: {shown}" for value in private(scenario) if value in shown]
    return found


def wire_complaints(expect: dict[str, Any], observed: Observed) -> Iterator[str]:
    wanted, seen = expect["requests"], observed.requests
    if len(wanted) != len(seen):
        list_seen = [f"{request.method} {request.path}" for request in seen]
        yield f"{len(wanted)} requests were expected, seen were {list_seen}"
    for number, (wanted_one, seen_one) in enumerate(zip(wanted, seen, strict=False), start=1):
        for what, said, was in request_differences(wanted_one, seen_one):
            yield f"request {number}, {what}:\n      expected {said}\n      seen     {was}"
    connections = expect.get("connections", observed.connections)
    if connections != observed.connections:
        yield f"{connections} connections were expected, seen were {observed.connections}"
    if observed.steps_left:
        yield f"{observed.steps_left} of the server's steps were not used"
    if observed.incomplete_requests:
        yield f"{observed.incomplete_requests} requests were not finished"


def request_differences(
    wanted: dict[str, Any], seen: ObservedRequest
) -> Iterator[tuple[str, object, object]]:
    compared = [
        ("method", wanted["method"], seen.method),
        ("path", wanted["path"], seen.path),
        ("body", wanted["body"], seen.body),
        ("known to the script", True, not seen.unexpected),
        *((name, value, seen.header(name)) for name, value in wanted["headers"].items()),
        *((name, None, seen.header(name)) for name in wanted.get("absent_headers", [])),
    ]
    return (difference for difference in compared if difference[1] != difference[2])


def result_complaints(expect: dict[str, Any], result: object) -> Iterator[str]:
    if "error" in expect:
        yield f"an error was expected, seen was {result!r}"
        return
    seen = fields_of(result)
    for name, wanted in expect["result"].items():
        if name not in seen:
            yield f"result: what is `{name}`?"
        elif not same_json(wanted, seen[name]):
            yield f"{name}: expected {wanted!r}, seen {seen[name]!r}"


def fields_of(result: object) -> dict[str, Any]:
    """A result's fields, and those of the answer that it was read from."""
    raw = result if isinstance(result, Response) else getattr(result, "raw", None)
    assert isinstance(raw, Response), f"{result!r} has no answer"
    fields: dict[str, Any] = {
        "http_status": raw.status,
        "request_id": raw.request_id,
        "text": raw.text,
    }
    if isinstance(result, PaymentLink):
        fields |= {"url": result.url, "id": result.id}
    elif isinstance(result, Withdrawal):
        fields |= {"status": result.status, "message": result.message}
    elif isinstance(result, Deposit):
        fields |= {
            name: getattr(result, name) for name in ("status", "transaction_id", "message", "note")
        }
    elif isinstance(result, WalletList):
        assert list(result) == list(result.wallets)
        fields["wallets"] = [
            {"currency": wallet.currency, "amount": decimal_text(wallet.amount)}
            for wallet in result
        ]
    else:
        assert result is raw, f"what is {result!r}?"
    return fields


def decimal_text(amount: object) -> str:
    assert type(amount) is Decimal, f"an amount is a Decimal, not {amount!r}"
    return format(amount, "f")


def error_complaints(expect: dict[str, Any], error: KazawalletError) -> Iterator[str]:
    if "result" in expect:
        yield f"a result was expected, seen was {error_shown(error)}"
        return
    wanted: dict[str, Any] = expect["error"]
    if type(error) is not getattr(kazawallet, wanted["class"], None):
        yield f"class: expected {wanted['class']}, seen {type(error).__name__}"
    for name in ERROR_PROPERTIES:
        seen = getattr(error, name, None)
        if name in wanted and not same_json(wanted[name], seen):
            yield f"{name}: expected {wanted[name]!r}, seen {seen!r}"
    if "retry_after_ms" in wanted:
        wait = getattr(error, "retry_after", None)
        if wanted["retry_after_ms"] != (None if wait is None else round(wait * 1000)):
            yield f"retry_after: expected {wanted['retry_after_ms']} ms, seen {wait!r} s"
    message, shown = str(error), error_shown(error)
    body = getattr(error, "body", None) or ""
    for text in wanted.get("message_contains", []):
        if text not in message:
            yield f"the message lacks {text!r}: {message}"
    for text in wanted.get("message_lacks", []):
        if text in shown:
            yield f"{text!r} is shown in: {shown}"
    for text in wanted.get("body_contains", []):
        if text not in body:
            yield f"the body lacks {text!r}: {body!r}"
    if len(body.encode()) > wanted.get("body_max_bytes", float("inf")):
        yield f"the body has {len(body.encode())} bytes"


# ---------------------------------------------------------------- what a person can see


def result_shown(result: object) -> str:
    """All that a person can see of a result without asking for a field of it."""
    parts = [result, getattr(result, "raw", None)]
    if isinstance(result, WalletList):
        parts += result.wallets
    return " ".join(f"{part!r} {part}" for part in parts if part is not None)


def error_shown(error: BaseException) -> str:
    """All that a person can see of an error: its text, its repr, what a traceback prints of it, and
    the same of what it came from. The traceback's lines of code are the program's own."""
    shown, left, known = [], [error], set[int]()
    while left:
        one = left.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        shown += [str(one), repr(one), *traceback.format_exception_only(type(one), one)]
        left += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
    return " ".join(shown)


def private(scenario: Scenario) -> list[str]:
    """What must not be shown, whatever the scenario says."""
    values = [scenario.client.get(name) for name in ("api_key", "api_secret", "merchant_email")]
    for call in [*scenario.earlier_calls, scenario.call]:
        method = call.arguments.get("payment_method", {})
        values += [call.arguments.get("user_email"), call.arguments.get("note")]
        values += [method.get("name"), method.get("phone")]
    return [value for value in values if isinstance(value, str) and len(value.strip()) >= TELLING]


# ---------------------------------------------------------------- all of them, side by side


def scenario_of(name: str) -> Scenario:
    path = SHARED_TESTS / "scenarios" / f"{name}.json"
    return read_scenario(name, path.read_text(encoding="utf-8"))


def as_complaints(found: list[str] | BaseException) -> list[str]:
    """What did not fit; for an exception that no scenario expects, all that is known of it."""
    if isinstance(found, BaseException):
        return ["".join(traceback.format_exception(found))]
    return found


def run_all(names: Iterable[str], program: Path) -> Outcomes:
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, list[str]]] = queue.SimpleQueue()
    outcomes = {}
    for name in names:
        waiting.put(name)
        outcomes[name] = [f"not done after {NEVER_LONGER_THAN} s"]

    def worker() -> None:
        while True:
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                found = run(scenario_of(name), program)
            except BaseException as error:  # Whatever it is, it fails that scenario.
                found = as_complaints(error)
            done.put((name, found))

    for _ in range(AT_ONCE):
        # A daemon: a call that hangs fails its own test, and does not keep the others from ending.
        threading.Thread(target=worker, daemon=True).start()
    for _ in outcomes:
        try:
            name, found = done.get(timeout=NEVER_LONGER_THAN)
        except queue.Empty:
            break
        outcomes[name] = found
    return outcomes


async def run_all_async(names: Iterable[str], program: Path) -> Outcomes:
    permits = asyncio.Semaphore(AT_ONCE)
    # One thread a server, for the moments in which one starts or ends.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(AT_ONCE))

    async def one(name: str) -> list[str]:
        async with permits:
            work = run_async(scenario_of(name), program)
            return await asyncio.wait_for(work, NEVER_LONGER_THAN)

    chosen = list(names)
    found = await asyncio.gather(*map(one, chosen), return_exceptions=True)
    return {name: as_complaints(one) for name, one in zip(chosen, found, strict=True)}


def chosen_names(request: pytest.FixtureRequest) -> list[str]:
    """The scenarios that this run of pytest wants from a fixture."""
    return [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.path == request.path
        and request.fixturename in item.fixturenames
    ]


@pytest.fixture(scope="module")
def blocking_outcomes(request: pytest.FixtureRequest, simulator_program: Path) -> Outcomes:
    return run_all(chosen_names(request), simulator_program)


@pytest.fixture(scope="module")
def asyncio_outcomes(request: pytest.FixtureRequest, simulator_program: Path) -> Outcomes:
    return asyncio.run(run_all_async(chosen_names(request), simulator_program))


def report(name: str, found: list[str]) -> None:
    if found:
        pytest.fail(f"scenarios/{name}.json\n    " + "\n    ".join(found), pytrace=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_with_client(name: str, blocking_outcomes: Outcomes) -> None:
    report(name, blocking_outcomes[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_with_async_client(name: str, asyncio_outcomes: Outcomes) -> None:
    report(name, asyncio_outcomes[name])


def test_every_file_of_the_folder_is_a_scenario() -> None:
    assert [path.name for path in FILES if path.suffix != ".json"] == []
    assert len(FILES) >= 290, "these are too few to be all of them"


# ---------------------------------------------------------------- the runner itself

GOOD: dict[str, Any] = {
    "name": "a-name",
    "why": "One 503 and no retry.",
    "client": {
        "api_key": "81A107141716",
        "merchant_email": "merchant@example.com",
        "max_retries": 0,
    },
    "earlier_calls": [],
    "call": {
        "operation": "withdrawals.create",
        "arguments": {
            "amount": "1",
            "currency": "USD",
            "payment_method": {"kind": "sy_cash", "phone": "0944123456"},
        },
    },
    "server": {"steps": [{"do": "respond", "status": 503, "body": {"text": ""}}]},
    "expect": {
        "requests": [{"method": "GET", "path": "/", "headers": {}, "body": ""}],
        "error": {"class": "APIError", "code": "api", "outcome": "rejected"},
    },
}


def changed(place: str, value: object) -> str:
    """The good scenario as text, with another value at the place."""
    scenario = json.loads(json.dumps(GOOD))
    *way, last = place.split("/")
    inner = scenario
    for step in way:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    inner[last] = value
    return json.dumps(scenario)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("speed", 1),
        ("client/speed", 1),
        ("call/speed", 1),
        ("call/pause_after_ms", 1),
        ("call/arguments/speed", 1),
        ("call/arguments/amount", 1.5),
        ("call/arguments/amount", True),
        ("call/arguments/payment_method/speed", 1),
        ("call/arguments/payment_method/kind", "dance"),
        ("call/operation", "wallets.dance"),
        ("earlier_calls", [{"operation": "wallets.list", "arguments": {}, "speed": 1}]),
        ("expect/speed", 1),
        ("expect/result", {}),
        ("expect/requests/0/speed", 1),
        ("expect/error/speed", 1),
        ("name", "another-name"),
    ],
)
def test_what_is_not_understood_is_refused(place: str, value: object) -> None:
    read_scenario("a-name", json.dumps(GOOD))
    with pytest.raises(NotUnderstood):
        read_scenario("a-name", changed(place, value))


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(NotUnderstood, match="twice"):
        read_scenario("a-name", json.dumps(GOOD).replace('"name"', '"why": "", "name"'))


def test_a_step_that_is_not_understood_is_refused(simulator_program: Path) -> None:
    scenario = read_scenario("a-name", changed("server/steps", [{"do": "dance"}]))
    with pytest.raises(Exception, match="dance"):
        run(scenario, simulator_program)


def test_the_runner_sees_what_does_not_fit(simulator_program: Path) -> None:
    scenario = Scenario(
        client=GOOD["client"],
        earlier_calls=[],
        call=Call("payment_links.create", {"amount": "1", "currency": "USD"}, None, 0),
        server={"steps": [{"do": "respond", "status": 503}, {"do": "hang"}]},
        expect={
            "requests": [
                {
                    "method": "GET",
                    "path": "/elsewhere",
                    "headers": {"x-api-key": "another"},
                    "absent_headers": ["content-type"],
                    "body": "{}",
                },
                {"method": "GET", "path": "/", "headers": {}, "body": ""},
            ],
            "connections": 7,
            "error": {
                "class": "APIError",
                "code": "api",
                "outcome": "rejected",
                "status": None,
                "retry_after_ms": 5,
                "message_contains": ["no such text"],
                "message_lacks": ["503"],
                "body_contains": ["no such body"],
                "body_max_bytes": -1,
            },
        },
    )
    found = "\n".join(run(scenario, simulator_program))
    for wanted in [
        "2 requests were expected",
        "request 1, method",
        "request 1, path",
        "request 1, body",
        "request 1, x-api-key",
        "request 1, content-type",
        "7 connections were expected",
        "1 of the server's steps were not used",
        "class: expected APIError, seen ServerError",
        "code: expected 'api', seen 'server'",
        "outcome: expected",
        "status: expected None",
        "retry_after: expected 5 ms",
        "the message lacks 'no such text'",
        "'503' is shown",
        "the body lacks 'no such body'",
        "the body has 0 bytes",
    ]:
        assert wanted in found


def test_the_runner_sees_the_wrong_kind_of_end() -> None:
    error = KazawalletError("no")
    assert list(error_complaints({"result": {}}, error)) != []
    assert list(result_complaints({"error": {}}, "a result")) != []


def test_the_runner_sees_what_is_shown_of_a_cause() -> None:
    scenario = read_scenario("a-name", json.dumps(GOOD))
    error = KazawalletError("no")
    error.__cause__ = ValueError("for 0944123456")
    observed = Observed(connections=0, requests=(), incomplete_requests=0, steps_left=0)
    found = "\n".join(complaints(scenario, observed, Done(None, error, "")))
    assert "'0944123456' is shown" in found
