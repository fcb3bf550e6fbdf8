"""`kazawallet.contrib`: every case of tests/webhook-routes.json over real HTTP against each framework,
and how a receiver lives and ends with its application."""

from __future__ import annotations

import asyncio
import doctest
import gzip
import importlib
import json
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask, request
from framework_server import Answered, FrameworkServer
from ledgers import delivery, sqlite, wait_until
from postgres_server import PostgresServer
from programs import run
from repository import SHARED_TESTS, NotUnderstood, hold_keys, read_file, same_json

from kazawallet import (
    AsyncLedger,
    ConfigurationError,
    Ledger,
    PaymentEvent,
    SignatureVerificationError,
    Webhook,
)
from kazawallet.contrib.asgi import WebhookReceiver as AsgiReceiver
from kazawallet.contrib.flask import WebhookReceiver as FlaskReceiver
from kazawallet.contrib.starlette import WebhookReceiver as StarletteReceiver
from kazawallet.testing import Simulator

TABLE = hold_keys(
    "webhook-routes.json", read_file(SHARED_TESTS / "webhook-routes.json"), "description cases"
)
CASE_KEYS = "name source method body status answer told handled"
MORE_CASE_KEYS = (
    "allow body_read_before chunked compressed content_encoding content_type cut database handler ledger "
    "no_request not_handed_on only_where_possible quarantined receiver"
)
ORDERS = [f"order-{number}" for number in range(1, 25)]

IN_THE_TABLE = [
    *("aiohttp", "asgi", "starlette", "fastapi"),
    *("flask", "flask-werkzeug", "django", "django-asgi"),
]
ASYNCHRONOUS = ["aiohttp", "asgi", "starlette"]
ONE_OF_EACH = ["aiohttp", "asgi", "starlette", "flask", "django"]
FORKED = ["flask-forked", "flask-preloaded", "django-forked", "django-preloaded"]
# What the frameworks have nothing of, or the servers themselves refuse, so that no adapter sees it.
NOT_SEEN = {
    "aiohttp": {"not_handed_on"},
    # What calls it is the server, or what speaks as one.
    "asgi": {"not_handed_on", "no_request"},
    "starlette": {"not_handed_on"},
    "fastapi": {"not_handed_on"},
    # Its view takes no request.
    "flask": {"no_request"},
    "flask-werkzeug": {"no_request"},
    "django": set[str](),
    # Django reads the body before the view.
    "django-asgi": {"not_handed_on", "cut"},
}
BOUNDARY = "----a-boundary-of-the-table"


@dataclass(frozen=True)
class Shop:
    """A provider, and a closed ledger with the orders of the table."""

    provider: Simulator
    file: Path
    links: dict[str, str]

    @property
    def webhook(self) -> Webhook:
        return self.provider.webhook()

    def give(self, folder: Path, *kinds: str) -> None:
        """Gives each kind of route a ledger of its own."""
        for kind in kinds:
            shutil.copy(self.file, folder / f"{kind}.db")

    def delivery(self, ref: str, **more: Any) -> bytes:
        """What the provider sends when the order is paid."""
        return delivery(self.webhook, self.links[ref], ref=ref, **more)

    def ledger(self, folder: Path, kind: str) -> Ledger:
        """The ledger of a kind of route, to look into."""
        return Ledger.open(sqlite(folder, f"{kind}.db"), client=self.provider.client())


@pytest.fixture(scope="module")
def table_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("orders")
    with Simulator() as provider:
        links = {}
        with Ledger.open(sqlite(folder), client=provider.client()) as ledger:
            for ref in ORDERS:
                link = ledger.create_payment_link(ref=ref, amount="10.50", currency="USD")
                assert link.id is not None
                links[ref] = link.id
        yield Shop(provider, folder / "ledger.db", links)


# --- the table ----------------------------------------------------------------------------------


def fields_of(signed: dict[str, str], shop: Shop, kind: str, dialect: str) -> dict[str, str]:
    """What a delivery says."""
    fields = dict(signed)
    if kind.startswith("ledger"):
        fields["order_id"] = shop.links.get(fields["ref"], fields["order_id"])
    fields["secret"] = shop.webhook.sign(amount=fields["amount"], order_id=fields["order_id"])
    if dialect == "plugin":
        fields["id"] = fields.pop("order_id")
    return fields


def body_of(case: dict[str, Any], shop: Shop, kind: str, dialect: str) -> bytes:
    """The bytes that a case sends."""
    said: dict[str, Any] = dict(case["body"])
    body: bytes = b" " * said.pop("spaces", 0)
    encoding = said.pop("encoding", "json")
    if said:
        [(how, value)] = said.items()
        if how == "text":
            body += str(value).encode()
        elif how == "hex":
            body += bytes.fromhex(str(value))
        elif how != "signed":
            raise NotUnderstood(f"{case['name']}: what is {how}?")
        else:
            fields = fields_of(value, shop, kind, dialect)
            if encoding == "json":
                body += json.dumps(fields).encode()
            elif encoding == "form":
                body += urlencode(fields).encode()
            elif encoding == "multipart":
                head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'
                parts = [f'{head}{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
                body += f"{''.join(parts)}--{BOUNDARY}--\r\n".encode()
            else:
                raise NotUnderstood(f"{case['name']}: what is {encoding}?")
    compressed = case.get("compressed")
    if compressed == "gzip":
        return gzip.compress(body)
    if compressed == "deflate":
        return zlib.compress(body)
    if compressed == "raw deflate":
        raw = zlib.compressobj(wbits=-15)
        return raw.compress(body) + raw.flush()
    if compressed is not None:
        raise NotUnderstood(f"{case['name']}: what is {compressed}?")
    return body


def headers_of(case: dict[str, Any]) -> dict[str, Any]:
    """The headers that say what a body is, as `FrameworkServer.request` takes them."""
    multipart = case["body"].get("encoding") == "multipart"
    usual = f"multipart/form-data; boundary={BOUNDARY}" if multipart else "application/json"
    compressed = case.get("compressed", "").removeprefix("raw ") or None
    return {
        "content_type": case.get("content_type", usual),
        "content_encoding": case.get("content_encoding", compressed),
    }


STATES = {
    "body_read_before": (True, "read-before"),
    "not_handed_on": (True, "not-handed-on"),
    "no_request": (True, "no-request"),
    "ledger": ("closed", "closed"),
    "receiver": ("stopped", "stopped"),
    "database": ("away", "away"),
}


def kind_of(case: dict[str, Any], source: str) -> str:
    """The kind of route that a case is for."""
    if (handler := case.get("handler")) is not None:
        if handler not in ("fails", "never_returns"):
            raise NotUnderstood(f"{case['name']}: what is {handler}?")
        return f"{source}-{handler.replace('_', '-')}"
    if "quarantined" in case:
        return f"{source}-quarantined"
    for key, (value, kind) in STATES.items():
        if key in case:
            if case[key] != value:
                raise NotUnderstood(f"{case['name']}: what is {case[key]}?")
            return f"{source}-{kind}"
    return source


def cases(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every case that there is in a framework, with the kind of its route."""
    for value in TABLE["cases"]:
        case = hold_keys(str(value.get("name")), value, CASE_KEYS, MORE_CASE_KEYS)
        if name == "aiohttp" and case.get("content_encoding") == "br":
            continue  # Its server refuses what it cannot inflate.
        not_seen = NOT_SEEN[name] & case.keys()
        if not_seen and (case.get("only_where_possible") or "cut" in not_seen):
            continue
        sources = ["webhook", "ledger"] if case["source"] == "both" else [case["source"]]
        for source in sources:
            if source not in ("webhook", "ledger"):
                raise NotUnderstood(f"{case['name']}: what is {source}?")
            yield kind_of(case, source), case


def problems_of(case: dict[str, Any], answered: Answered) -> Iterator[str]:
    if answered.status != case["status"]:
        yield f"status {answered.status}, not {case['status']}"
    if answered.headers.get("content-type") != "application/json":
        yield f"content type {answered.headers.get('content-type')}"
    if answered.headers.get("allow") != case.get("allow"):
        yield f"Allow: {answered.headers.get('allow')}"
    try:
        if not same_json(json.loads(answered.body), case["answer"]):
            yield f"answer {answered.body!r}"
    except ValueError:
        yield f"no JSON: {answered.body!r}"


class Telling:
    """What the receivers of one application must tell."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._once: set[tuple[str, str]] = set()
        self.told: list[list[str | None]] = []

    def expect(self, kind: str, case: dict[str, Any]) -> None:
        for value in case["told"]:
            telling = hold_keys(case["name"], value, "level code", "payment")
            order_id = None
            if (ref := telling.get("payment")) is not None:
                own = case["body"].get("signed", {}).get("order_id")
                of_ledger = kind.startswith("ledger")
                order_id = self._shop.links.get(ref, own) if of_ledger else own
            elif (kind, telling["code"]) in self._once:
                continue  # Each receiver tells it once a minute.
            else:
                self._once.add((kind, telling["code"]))
            self.told.append(["told", telling["level"], telling["code"], order_id])


@pytest.mark.parametrize(
    ("name", "dialect"), [*((name, "documented") for name in IN_THE_TABLE), ("fastapi", "plugin")]
)
def test_every_route_answers_as_the_table_says(
    name: str, dialect: str, tmp_path: Path, table_shop: Shop, own_postgres: PostgresServer
) -> None:
    kinds = sorted({kind for kind, _ in cases(name)})
    table_shop.give(tmp_path, *kinds)
    away = own_postgres.new_database()
    for kind, case in cases(name):
        if "quarantined" in case:
            refused = fields_of(case["quarantined"], table_shop, kind, dialect)
            forgetful = Ledger.open(
                sqlite(tmp_path, f"{kind}.db"), webhook=Webhook("another", "another")
            )
            with forgetful, pytest.raises(SignatureVerificationError):
                forgetful.receive(json.dumps(refused))
    wrong: list[str] = []
    handled: list[list[str | None]] = []
    telling = Telling(table_shop)
    with FrameworkServer(name, tmp_path, table_shop.provider, kinds, AWAY=away) as server:
        assert server.request("/webhook", method="GET").status == 405, server.log  # It is there.
        own_postgres.stop()
        for kind, case in cases(name):
            body = body_of(case, table_shop, kind, dialect)
            if (cut := case.get("cut")) is not None:
                answered = server.hang_up(f"/{kind}", body, half=cut == "half_closed")
            else:
                answered = server.request(
                    f"/{kind}",
                    body,
                    method=case["method"],
                    chunked=case.get("chunked", False),
                    **headers_of(case),
                )
            if answered is not None:
                wrong += [f"{kind}, {case['name']}: {each}" for each in problems_of(case, answered)]
            refs = case["handled"] if isinstance(case["handled"], list) else [case["handled"]]
            handled += [["handled", kind, ref] for ref in refs if ref is not None]
            telling.expect(kind, case)
        assert not wrong, "\n".join([*wrong, server.log])
        server.wait_for([*handled, *telling.told, ["stopped", "ledger-never-returns", "False"]])
        server.stop(signal.SIGINT if name == "flask-werkzeug" else signal.SIGTERM)
        for what, expected in (("handled", handled), ("told", telling.told)):
            seen = [str(told) for told in server.told if told[0] == what]
            # A handler that fails is tried again, and told of again.
            again = [each for each in set(seen) if "handler_failed" in each]
            seen = [each for each in seen if each not in again] + again
            assert sorted(seen) == sorted(map(str, expected)), server.log
        log = server.log
    for kind, ref in (("ledger-stopped", "order-20"), ("ledger-never-returns", "order-24")):
        with table_shop.ledger(tmp_path, kind) as ledger:
            payment = ledger.payment(table_shop.links[ref])
            assert payment is not None and payment.processing == "waiting"
            assert payment.tries == (kind == "ledger-never-returns")
    assert len(list((tmp_path / "spool").iterdir())) == 1
    assert "private of order" not in log
    assert table_shop.provider.api_secret not in log
    assert table_shop.provider.api_key not in log
    own_postgres.start_again()


@pytest.mark.parametrize("name", IN_THE_TABLE)
def test_a_body_that_was_read_and_kept_is_used(name: str, tmp_path: Path, table_shop: Shop) -> None:
    kinds = ["webhook", "webhook-kept"]
    with FrameworkServer(name, tmp_path, table_shop.provider, kinds) as server:
        # Under WSGI Django itself reads nothing that comes in chunks.
        for chunked in (False,) if name == "django" else (False, True):
            body = delivery(table_shop.webhook, "pl_1", ref="order-1")
            answered = server.request("/webhook-kept", body, chunked=chunked)
            assert answered.status == 200, server.log
            server.wait_for([["handled", "webhook-kept", "order-1"]])
            server.told.clear()


def test_an_endpoint_of_one_s_own_gives_the_request_on(tmp_path: Path, table_shop: Shop) -> None:
    kinds = ["webhook", "webhook-kept"]
    with FrameworkServer("fastapi", tmp_path, table_shop.provider, kinds) as server:
        body = delivery(table_shop.webhook, "pl_1", ref="order-1")
        assert server.request("/own/webhook", body).body == b'{"received":true}'
        assert server.request("/own/webhook", b"{}").status == 400


# --- a receiver lives and ends with its application ---------------------------------------------


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_what_was_received_before_a_restart_is_handled_after_it(
    name: str, tmp_path: Path, table_shop: Shop
) -> None:
    table_shop.give(tmp_path, "opened")
    with FrameworkServer(name, tmp_path, table_shop.provider, ["opened"], WORKER="no") as server:
        for ref in ORDERS[:3]:
            assert server.request("/opened", table_shop.delivery(ref)).status == 200
        server.stop()
        assert server.told == [["opened"], ["closed"]], server.log
        server.told.clear()
        with table_shop.ledger(tmp_path, "opened") as ledger:
            # As a cron job does it.
            [first] = ledger.pending(1)
            ledger.mark_processed(first.order_id)
        server.start(WORKER="yes")
        if name == "django":
            # Its worker starts with the first request, whatever it asks for.
            assert server.request("/", method="GET").body == b"a page"
        rest = [ref for ref in ORDERS[:3] if ref != first.ref]
        server.wait_for(["handled", "opened", ref] for ref in rest)
        # The handler that runs is waited for, and the ledger closed once.
        server.stop()
        assert server.told[0] == ["opened"]
        assert server.told[-1] == ["closed"]
        assert len(server.told) == 4, server.told
    with table_shop.ledger(tmp_path, "opened") as ledger:
        assert ledger.summary().processing["done"] == 3


@pytest.mark.parametrize("name", FORKED)
def test_forked_workers_lose_nothing(name: str, tmp_path: Path, table_shop: Shop) -> None:
    """gunicorn with two processes, which import the application each, or share what was imported."""
    table_shop.give(tmp_path, "opened", "ledger")
    kinds = ["opened", "ledger"]
    with FrameworkServer(name, tmp_path, table_shop.provider, kinds) as server:
        for kind in kinds:
            for ref in ORDERS:
                assert server.request(f"/{kind}", table_shop.delivery(ref)).status == 200
        server.wait_for(["handled", kind, ref] for kind in kinds for ref in ORDERS)
        server.stop()
        handled = [told for told in server.told if told[0] == "handled"]
        assert len(handled) == 2 * len(ORDERS), handled
        openings = server.told.count(["opened"])
        # Flask opens it with the application; Django where a process first needs it.
        assert openings == 1 if name == "flask-preloaded" else 1 <= openings <= 2
        assert server.told.count(["closed"]) >= openings
    for kind in kinds:
        with table_shop.ledger(tmp_path, kind) as ledger:
            assert ledger.summary().processing["done"] == len(ORDERS)


def test_an_application_without_a_lifespan_starts_at_the_first_delivery(
    tmp_path: Path, table_shop: Shop
) -> None:
    table_shop.give(tmp_path, "opened")
    kinds = ["opened"]
    with FrameworkServer(
        "starlette", tmp_path, table_shop.provider, kinds, LIFESPAN="no"
    ) as server:
        for ref in ORDERS[:2]:
            assert server.request("/opened", table_shop.delivery(ref)).status == 200
        server.wait_for(["handled", "opened", ref] for ref in ORDERS[:2])
        assert server.told.count(["opened"]) == 1
        assert ["told", "warning", "started_late", None] in server.told


def test_the_process_that_watches_for_changes_has_no_worker(
    tmp_path: Path, table_shop: Shop
) -> None:
    """Its handler would be the one from before the change."""
    with FrameworkServer("flask-debug", tmp_path, table_shop.provider, ["opened"]) as server:
        wait_until(lambda: "Debugger is active" in server.log)
        server.wait_for([["opened"]])
        server.kill()
        assert server.told == [["opened"]]


def test_a_half_sent_body_is_no_alarm_where_something_looked_at_a_form(
    table_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """A stranger sends it; a hook that looks at `request.form` reads nothing of JSON."""
    app = Flask("shop")

    @app.before_request
    def look() -> None:
        assert not request.form

    FlaskReceiver(table_shop.webhook, print).init_app(app, "/webhook")
    body = table_shop.delivery("order-1")
    half = BytesIO(body[: len(body) // 2])
    environ = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": half}
    answer = app.test_client().post(
        "/webhook", content_type="application/json", environ_overrides=environ
    )
    assert answer.status_code == 400
    assert [record.levelname for record in caplog.records if record.levelno > 20] == []


def test_no_delivery_is_lost_while_a_receiver_stops(tmp_path: Path, table_shop: Shop) -> None:
    table_shop.give(tmp_path, "shop")
    url = sqlite(tmp_path, "shop.db")
    receiver = FlaskReceiver(
        lambda: Ledger.open(url, client=table_shop.provider.client()), worker=False
    )
    app = Flask("shop")
    receiver.init_app(app, "/webhook")
    answers: list[int] = []

    def deliver(ref: str) -> None:
        body = table_shop.delivery(ref)
        answers.append(app.test_client().post("/webhook", data=body).status_code)

    for each in range(0, len(ORDERS), 4):
        senders = [Thread(target=deliver, args=(ref,)) for ref in ORDERS[each : each + 4]]
        for sender in senders:
            sender.start()
        receiver.stop()
        for sender in senders:
            sender.join()
        receiver.start()
    receiver.stop()
    assert answers == [200] * len(ORDERS)
    with table_shop.ledger(tmp_path, "shop") as ledger:
        assert ledger.summary().payments["paid"] == len(ORDERS)


def test_no_delivery_is_lost_while_an_asyncio_receiver_stops(
    tmp_path: Path, table_shop: Shop
) -> None:
    table_shop.give(tmp_path, "shop")
    url = sqlite(tmp_path, "shop.db")

    async def open_ledger() -> AsyncLedger:
        return await AsyncLedger.open(url, client=table_shop.provider.async_client())

    async def deliver(receiver: AsgiReceiver, ref: str) -> int:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": table_shop.delivery(ref)}

        async def send(message: Any) -> None:
            sent.append(message)

        await receiver({"type": "http", "method": "POST", "headers": []}, receive, send)
        return int(sent[0]["status"])

    async def main() -> None:
        receiver = AsgiReceiver(open_ledger, worker=False)
        for each in range(0, len(ORDERS), 4):
            await receiver.start()
            sending = [
                asyncio.create_task(deliver(receiver, ref)) for ref in ORDERS[each : each + 4]
            ]
            await asyncio.sleep(0)
            await receiver.stop()
            assert await asyncio.gather(*sending) == [200] * len(sending)

    asyncio.run(main())
    with table_shop.ledger(tmp_path, "shop") as ledger:
        assert ledger.summary().payments["paid"] == len(ORDERS)


# --- what a framework's handlers are used to ----------------------------------------------------


def test_in_flask_a_handler_has_the_application_s_context(tmp_path: Path, table_shop: Shop) -> None:
    program = """
        import os, threading
        from flask import Flask, current_app
        from kazawallet import Client, Ledger
        from kazawallet.contrib.flask import WebhookReceiver

        done = threading.Event()

        def handle(payment):
            print(current_app.name, payment.ref)
            done.set()

        app = Flask("shop")
        receiver = WebhookReceiver(lambda: Ledger.open(client=Client()), handle)
        receiver.init_app(app, "/webhooks/kazawallet")
        body = bytes.fromhex(os.environ["BODY"])
        assert app.test_client().post("/webhooks/kazawallet", data=body).status_code == 200
        assert done.wait(60)
        receiver.stop()
    """
    table_shop.give(tmp_path, "flask")
    body = table_shop.delivery("order-1").hex()
    ended = run(
        program,
        provider=table_shop.provider,
        environment={"KAZAWALLET_LEDGER": sqlite(tmp_path, "flask.db"), "BODY": body},
        options=("-W", "error"),
    )
    ended.check_is_clean()
    assert ended.stdout == "shop order-1\n"


def test_in_django_a_handler_that_fails_has_changed_nothing(
    tmp_path: Path, table_shop: Shop
) -> None:
    """Where the project has a transaction for each request."""
    program = """
        import os
        from django.conf import settings
        from django.db import connection
        from django.test import Client
        from django.urls import path
        from kazawallet import Webhook
        from kazawallet.contrib.django import WebhookReceiver

        database = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["DATABASE"],
            "ATOMIC_REQUESTS": True,
        }
        settings.configure(
            DATABASES={"default": database}, ROOT_URLCONF=__name__, SECRET_KEY="of the test"
        )
        import django
        django.setup()

        def handle(event):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO paid VALUES (%s)", [event.ref])
            if event.ref == "order-1":
                raise ValueError("after it has written")

        key, secret = os.environ["KAZAWALLET_API_KEY"], os.environ["KAZAWALLET_API_SECRET"]
        receiver = WebhookReceiver(Webhook(key, secret), handle)
        urlpatterns = [path("webhooks/kazawallet", receiver.view)]
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE paid (ref)")
        client = Client(enforce_csrf_checks=True)
        for body in os.environ["BODIES"].split():
            answer = client.post(
                "/webhooks/kazawallet", bytes.fromhex(body), content_type="application/json"
            )
            print(answer.status_code)
        with connection.cursor() as cursor:
            cursor.execute("SELECT ref FROM paid")
            print(cursor.fetchall())
    """
    bodies = [table_shop.delivery(ref).hex() for ref in ("order-1", "order-2")]
    ended = run(
        program,
        provider=table_shop.provider,
        environment={"DATABASE": str(tmp_path / "shop.db"), "BODIES": " ".join(bodies)},
    )
    assert ended.stdout.split("\n") == ["500", "200", "[('order-2',)]", ""], ended


def test_a_receiver_that_cannot_start_has_kept_the_delivery(
    tmp_path: Path, table_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a secret nothing can be verified: what came waits in quarantine for one."""
    body = table_shop.delivery("order-1")

    async def main() -> None:
        ledger = await AsyncLedger.open(sqlite(tmp_path, "none.db"))
        receiver = StarletteReceiver(lambda: ledger, worker=False)
        scope = {"type": "http", "method": "POST", "headers": [], "path": "/", "query_string": b""}
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await receiver(scope, receive, send)
        assert sent[0]["status"] == 500
        assert (await ledger.summary()).quarantined == 1
        await ledger.close()

    asyncio.run(main())
    assert "could not be stored" in caplog.text
    assert "the worker could not be started" in caplog.text


def test_what_is_not_signed_makes_no_lines_in_the_log(
    table_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: PaymentEvent) -> None:
        raise ValueError("no stock")

    app = Flask("shop")
    FlaskReceiver(table_shop.webhook, fail).init_app(app, "/webhooks/kazawallet")
    evil = "order-1\n\x1b[2JERROR of an attacker\x9b"
    body = delivery(table_shop.webhook, table_shop.links["order-1"], ref=evil)
    assert app.test_client().post("/webhooks/kazawallet", data=body).status_code == 500
    [record] = [record for record in caplog.records if record.name == "kazawallet"]
    [line] = record.getMessage().splitlines()
    assert "(fulfilled, 10.50 USD), which will not come again: ValueError (raised in fail, " in line
    assert "attacker" not in line and "no stock" not in line


# --- the documentation --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_receiver_is_documented(name: str) -> None:
    module = importlib.import_module(f"kazawallet.contrib.{name}")
    assert module.__all__ == ["WebhookReceiver"]
    receiver = module.WebhookReceiver
    for given in ("source:", "handler:", "worker:", "Raises:"):
        assert given in receiver.__doc__
    public = {member for member in dir(receiver) if not member.startswith("_")}
    own = {
        "aiohttp": {"init_app", "view"},
        "asgi": set[str](),
        "starlette": {"lifespan"},
        "flask": {"init_app", "view"},
        "django": {"view"},
    }
    assert public == {"ledger", "start", "stop"} | own[name]
    assert not [member for member in public if not getattr(receiver, member).__doc__]


@pytest.mark.parametrize("name", ["aiohttp", "asgi", "starlette", "flask"])
def test_the_example_of_a_module_runs(name: str) -> None:
    module = importlib.import_module(f"kazawallet.contrib.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 5
    assert result.failed == 0


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_what_a_receiver_cannot_work_with_is_refused_at_once(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(f"kazawallet.contrib.{name}")
    make: Any = module.WebhookReceiver
    webhook = Webhook("key", "secret")
    is_async = name in ASYNCHRONOUS

    def blocking(given: object) -> None: ...
    async def awaited(given: object) -> None: ...

    right, wrong = (awaited, blocking) if is_async else (blocking, awaited)
    word = "an `async def`" if is_async else "a plain function"
    with pytest.raises(TypeError, match=f"`handler` must be {word}"):
        make(webhook, wrong)
    with pytest.raises(TypeError, match="without a ledger nothing else gets the event"):
        make(webhook)
    with pytest.raises(TypeError, match="or `worker=False` if a cron job"):
        make(lambda: None)
    needed = "an AsyncLedger" if is_async else "a Ledger"
    with pytest.raises(TypeError, match=f"must be a Webhook, {needed} or a function .* not a str"):
        make("sqlite:///shop.db", right)
    receiver = make(webhook, right)
    with pytest.raises(RuntimeError, match="has a Webhook, and no ledger"):
        _ = receiver.ledger


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_without_a_secret_nothing_starts_and_no_delivery_is_lost(
    name: str, tmp_path: Path, table_shop: Shop
) -> None:
    module = importlib.import_module(f"kazawallet.contrib.{name}")
    make: Any = module.WebhookReceiver
    is_async = name in ASYNCHRONOUS
    table_shop.give(tmp_path, "shop")
    url = f"sqlite://{tmp_path}/shop.db"

    def starts(**given: Any) -> None:
        if is_async:

            async def open_ledger() -> AsyncLedger:
                return await AsyncLedger.open(url, **given)

            async def start() -> None:
                async with make(open_ledger, worker=False):
                    pass

            asyncio.run(start())
        else:
            receiver = make(lambda: Ledger.open(url, **given), worker=False)
            receiver.start()
            receiver.stop()

    with pytest.raises(ConfigurationError, match="nothing to verify deliveries with"):
        starts()
    with Ledger.open(url) as ledger:
        with pytest.raises(ConfigurationError):
            ledger.receive(table_shop.delivery("order-1"))
        assert ledger.summary().quarantined == 1
    starts(webhook=table_shop.webhook)
    with Ledger.open(url) as ledger:
        order = ledger.order("order-1")
        assert order is not None and order.state == "paid"


def test_a_ledger_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    from kazawallet.contrib.flask import WebhookReceiver as InFlask
    from kazawallet.contrib.starlette import WebhookReceiver as InStarlette

    async def handle(given: object) -> None: ...

    make: Any = InStarlette
    with (
        Ledger.open(sqlite(tmp_path)) as ledger,
        pytest.raises(TypeError, match="an AsyncLedger or a function that opens one, not a Ledger"),
    ):
        make(ledger, handle)
    make = InFlask
    receiver = make(lambda: AsyncLedger, print)
    with pytest.raises(TypeError, match="must return a Ledger, not a type"):
        receiver.start()


@pytest.mark.parametrize("name", [name for name in ONE_OF_EACH if name != "asgi"])
def test_without_the_framework_the_error_says_what_to_install(name: str) -> None:
    program = f"import sys; sys.modules[{name!r}] = None; import kazawallet.contrib.{name}"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    needed = name if name == "aiohttp" else name.title()
    assert f"kazawallet.contrib.{name} needs {needed}: pip install {name}" in ended.stderr
