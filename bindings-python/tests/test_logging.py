"""One log record a call, with nobody's data in it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from pathlib import Path

import pytest
from observing_server import Answer, ObservingServer
from programs import Program, run

from kazawallet import (
    APIConnectionError,
    AsyncClient,
    AuthenticationError,
    Client,
    KazawalletError,
    OutcomeUnknownError,
    PaymentMethod,
    ValidationError,
)
from kazawallet.testing import Simulator

RECIPIENT = PaymentMethod.custom(id="118", fields={})


class Keeper(logging.Handler):
    """Keeps all records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def added(handler: logging.Handler) -> Iterator[None]:
    """With `handler` under `kazawallet`, and all levels on."""
    logger = logging.getLogger("kazawallet")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What is logged under `kazawallet` while the test runs."""
    keeper = Keeper()
    with added(keeper):
        yield keeper.records


def seen(record: logging.LogRecord) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in ("endpoint", "status", "attempts", "outcome"))


def test_a_call_that_goes_well(
    kazawallet_simulator: Simulator, records: list[logging.LogRecord]
) -> None:
    with kazawallet_simulator.client() as client:
        client.wallets.list()
        [record] = records
        assert (record.name, record.levelno) == ("kazawallet", logging.INFO)
        assert seen(record) == ("/get-merchant-wallets", 200, 1, "ok")
        duration = record.__dict__["duration"]
        assert isinstance(duration, float) and 0 < duration < 60
        message = record.getMessage()
        assert all(said in message for said in ("/get-merchant-wallets", "ok", "200", "1 try"))
        client.payment_links.create(amount="1", currency="USD", ref="order-42")
        assert len(records) == 2
        assert seen(records[1]) == ("/createPaymentLink", 200, 1, "ok")


def test_a_call_that_is_refused_by_the_provider(
    kazawallet_simulator: Simulator, records: list[logging.LogRecord]
) -> None:
    client = kazawallet_simulator.client(api_key="sim_wrong")
    with pytest.raises(AuthenticationError):
        client.wallets.list()
    [record] = records
    assert record.levelno == logging.WARNING
    assert seen(record) == ("/get-merchant-wallets", 401, 1, "rejected")


def test_a_payout_of_unknown_outcome(records: list[logging.LogRecord]) -> None:
    with Simulator(balances={"USD": "100"}) as simulator, simulator.client() as client:
        simulator.fault("close_after_acting")
        with pytest.raises(OutcomeUnknownError):
            client.withdrawals.create(amount="1", currency="USD", payment_method=RECIPIENT)
    [record] = records
    assert record.levelno == logging.WARNING
    assert seen(record) == ("/createWithdrawalRequest", None, 1, "unknown")


def test_a_call_that_never_left(records: list[logging.LogRecord]) -> None:
    # Bound, and not listening: connections are refused.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = Client(api_key="sim_key", base_url=url, max_retries=0)
        with pytest.raises(APIConnectionError):
            client.request("GET", "/anything")
    [record] = records
    assert record.levelno == logging.WARNING
    assert seen(record) == ("/anything", None, 1, "not_sent")


def test_tries_are_counted_and_make_one_record(
    kazawallet_simulator: Simulator, records: list[logging.LogRecord]
) -> None:
    with kazawallet_simulator.client() as client:
        kazawallet_simulator.fault("answer_status:503")
        client.wallets.list()
        [record] = records
        assert seen(record) == ("/get-merchant-wallets", 200, 2, "ok")
        assert record.levelno == logging.INFO
        kazawallet_simulator.fault("answer_status:503", times=None)
        with pytest.raises(KazawalletError):
            client.wallets.list()
        assert seen(records[1]) == ("/get-merchant-wallets", 503, 3, "unknown")
        assert len(records) == 2


def test_what_is_refused_before_it_is_sent_is_not_logged(
    kazawallet_simulator: Simulator, records: list[logging.LogRecord]
) -> None:
    async def main() -> None:
        async with kazawallet_simulator.async_client() as client:
            with pytest.raises(ValidationError):
                await client.payment_links.create(amount="0", currency="USD")

    with kazawallet_simulator.client() as client:
        with pytest.raises(ValidationError):
            client.payment_links.create(amount="-1", currency="USD")
        with pytest.raises(ValidationError):
            client.request("GET", "//elsewhere")
        with pytest.raises(TypeError):
            client.payment_links.create(amount=1.5, currency="USD")  # type: ignore[arg-type]
    asyncio.run(main())
    assert records == []


def test_async_calls(kazawallet_simulator: Simulator, records: list[logging.LogRecord]) -> None:
    async def main() -> None:
        async with kazawallet_simulator.async_client() as client:
            await asyncio.gather(*(client.wallets.list() for _ in range(20)))
            kazawallet_simulator.fault("answer_status:503")
            await client.wallets.list()

    asyncio.run(main())
    assert [seen(record) for record in records] == [
        *[("/get-merchant-wallets", 200, 1, "ok")] * 20,
        ("/get-merchant-wallets", 200, 2, "ok"),
    ]


def test_an_async_call_that_is_cancelled(records: list[logging.LogRecord]) -> None:
    async def main() -> None:
        client = client_of(server)
        task = asyncio.ensure_future(client.wallets.list())
        await asyncio.to_thread(server.wait_for_requests, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_for_closed_by_client, 1)
        # The loop writes the record, and has done so by the time that another call has come to its end.
        server.release()
        await client.request("GET", "/after")
        await client.aclose()

    with ObservingServer() as server:
        server.hold()
        asyncio.run(main())
    [record, _after] = records
    assert record.levelno == logging.WARNING
    assert seen(record) == ("/get-merchant-wallets", None, 1, "cancelled")


def test_an_async_call_that_is_cancelled_when_its_answer_is_there_makes_one_record(
    records: list[logging.LogRecord],
) -> None:
    async def main() -> None:
        client = client_of(server)
        task = asyncio.ensure_future(
            client.withdrawals.create(amount="1", currency="USD", payment_method=RECIPIENT)
        )
        await asyncio.to_thread(server.wait_for_requests, 1)
        # The loop stands still while the answer comes in.
        server.release()
        server.wait_for_answers(1)
        time.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.request("GET", "/after")
        await client.aclose()

    with ObservingServer() as server:
        server.hold()
        asyncio.run(main())
    endpoints = [record.__dict__["endpoint"] for record in records]
    assert endpoints == ["/createWithdrawalRequest", "/after"]


def test_an_async_payout_that_is_cancelled_makes_one_record(
    records: list[logging.LogRecord],
) -> None:
    async def main() -> None:
        client = client_of(server)
        task = asyncio.ensure_future(
            client.withdrawals.create(amount="1", currency="USD", payment_method=RECIPIENT)
        )
        await asyncio.to_thread(server.wait_for_answers, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_for_answers, 2)
        # Its end has been read by the time that another call has come to its own.
        await client.request("GET", "/after")
        await client.aclose()

    with ObservingServer() as server:
        server.answer_next(Answer(429, {"retry-after": "1"}))
        asyncio.run(main())
    payout, after = records
    assert payout.levelno == logging.WARNING
    assert payout.__dict__["endpoint"] == "/createWithdrawalRequest"
    # It goes on, and may be paid.
    assert payout.__dict__["outcome"] == "unknown"
    assert after.__dict__["endpoint"] == "/after"


def test_what_a_payout_comes_to_is_unknown_when_ctrl_c_ends_the_waiting() -> None:
    program = """
        import logging, signal, sys
        from kazawallet import Client, PaymentMethod

        logging.basicConfig(stream=sys.stdout, format="%(endpoint)s %(outcome)s")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        client = Client()
        for call in (
            lambda: client.wallets.list(),
            lambda: client.withdrawals.create(
                amount="1", currency="USD", payment_method=PaymentMethod.custom(id="118", fields={})
            ),
        ):
            try:
                call()
            except KeyboardInterrupt:
                print("interrupted", flush=True)
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server) as running:
            for number, line in enumerate(
                ["/get-merchant-wallets cancelled", "/createWithdrawalRequest unknown"]
            ):
                server.wait_for_requests(number + 1)
                running.send_signal(signal.SIGINT)
                assert (running.line(), running.line()) == (line, "interrupted")
            server.release()
            running.end().check_is_clean()


def test_nothing_personal_and_no_key_is_logged(records: list[logging.LogRecord]) -> None:
    personal = {
        "name": "سعيد محمد حمدان",
        "phone": "0933123456",
        "governorate": "دمشق",
        "note": "salary of May",
        "user_email": "user@customer.example",
        "ref": "order-of-mrs-haddad",
        "redirect": "https://shop.example/thanks?visitor=visitor-haddad",
        "field": "T-some-crypto-address",
        "card": "card-holder-haddad",
    }
    with Simulator(balances={"SYP": "9000000", "USD": "100"}) as simulator:
        everything = [
            *personal.values(),
            simulator.api_key,
            simulator.api_secret,
            simulator.merchant_email,
            "visitor-haddad",
        ]
        haram = PaymentMethod.haram_under_3m(
            name=personal["name"], phone=personal["phone"], governorate=personal["governorate"]
        )
        custom = PaymentMethod.custom(id="118", fields={"address": personal["field"]})

        def calls(client: Client) -> None:
            client.payment_links.create(
                amount="1", currency="USD", ref=personal["ref"], redirect_url=personal["redirect"]
            )
            client.wallets.list()
            client.withdrawals.create(
                amount="500000", currency="SYP", payment_method=haram, note=personal["note"]
            )
            client.deposits.create(
                amount="1",
                currency="USD",
                user_email=personal["user_email"],
                payment_method=custom,
                note=personal["note"],
            )

        with simulator.client(max_retries=0) as client:
            calls(client)
            for path in (f"/cards/{personal['card']}", f"/cards?holder={personal['card']}"):
                with pytest.raises(KazawalletError):
                    client.request("GET", path)
            for fault in (
                "answer_status:400",
                "answer_status:503",
                "error_inside_200",
                "half_body",
            ):
                simulator.fault(fault)
                with pytest.raises(KazawalletError):
                    client.withdrawals.create(
                        amount="500000", currency="SYP", payment_method=haram, note=personal["note"]
                    )
    assert len(records) == 4 + 2 + 4
    for record in records:
        text = f"{record.getMessage()} {record.__dict__}"
        assert not [value for value in everything if value in text], text


def test_a_handler_that_fails_takes_no_result_away(kazawallet_simulator: Simulator) -> None:
    # The money has moved: what the caller gets must be the payout, and not a full disk's error.
    class Full(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("no space left")

    said: list[object] = []

    async def main(simulator: Simulator) -> str | None:
        async with simulator.async_client() as client:
            made = await client.withdrawals.create(
                amount="1", currency="USD", payment_method=RECIPIENT
            )
            return made.status

    hook, sys.unraisablehook = (
        sys.unraisablehook,
        lambda unraisable: said.append(unraisable.exc_value),
    )
    try:
        with (
            added(Full()),
            Simulator(balances={"USD": "100"}) as simulator,
            simulator.client() as client,
        ):
            made = client.withdrawals.create(amount="1", currency="USD", payment_method=RECIPIENT)
            assert made.status == "approved"
            assert asyncio.run(main(simulator)) == "approved"
            assert simulator.balance("USD") == Decimal("98")
    finally:
        sys.unraisablehook = hook
    # It is not hushed up, either.
    assert [str(error) for error in said] == ["no space left"] * 2


def test_a_logger_that_is_turned_off(
    kazawallet_simulator: Simulator, records: list[logging.LogRecord]
) -> None:
    logging.getLogger("kazawallet").setLevel(logging.WARNING)
    with kazawallet_simulator.client(max_retries=0) as client:
        client.wallets.list()
        assert records == []
        kazawallet_simulator.fault("answer_status:503")
        with pytest.raises(KazawalletError):
            client.wallets.list()
    assert len(records) == 1


def test_logging_is_not_imported_for_it(kazawallet_simulator: Simulator) -> None:
    program = """
        import sys
        from kazawallet import Client, KazawalletError

        client = Client(max_retries=0)
        client.wallets.list()
        client.payment_links.create(amount="1", currency="USD", ref="order-42")
        try:
            client.request("GET", "/nothing/there")
        except KazawalletError:
            pass
        assert "logging" not in sys.modules
        # From the moment that the application imports it, there are records.
        import logging
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(name)s %(endpoint)s")
        client.wallets.list()
    """
    ended = run(program, provider=kazawallet_simulator)
    ended.check_is_clean()
    assert ended.stdout == "kazawallet /get-merchant-wallets\n"


def test_an_application_that_set_up_no_logging_sees_nothing(
    kazawallet_simulator: Simulator,
) -> None:
    program = """
        import asyncio, logging
        from kazawallet import AsyncClient, Client, KazawalletError

        try:
            Client().request("GET", "/nothing/there")
        except KazawalletError:
            pass
        asyncio.run(AsyncClient().wallets.list())
    """
    ended = run(program, provider=kazawallet_simulator)
    ended.check_is_clean()
    assert ended.stdout == ""


def test_a_call_does_not_hide_what_a_worker_and_a_receiver_say(
    kazawallet_simulator: Simulator, tmp_path: Path
) -> None:
    """Where no logging is set up, as under uvicorn, gunicorn and Django: it is on standard error."""
    program = """
        import logging, sys
        from flask import Flask
        from kazawallet import Client, KazawalletError, Ledger
        from kazawallet.contrib.flask import WebhookReceiver
        from kazawallet.testing import Simulator

        try:
            Client(max_retries=0).request("GET", "/nothing/there")
        except KazawalletError:
            pass

        def ship(payment):
            raise ValueError("no stock")

        with Simulator() as shop, shop.client() as client:
            with Ledger.open(f"sqlite://{sys.argv[1]}/shop.db", client=client) as ledger:
                app = Flask("shop")
                WebhookReceiver(ledger, worker=False).init_app(app, "/webhook")
                app.test_client().post("/webhook", data=b"{}")
                link = ledger.create_payment_link(ref="order-42", amount="1", currency="USD")
                [delivery] = shop.pay(link)
                ledger.receive(delivery.body)
                with ledger.process(ship, max_tries=1):
                    while not ledger.parked():
                        pass
    """
    ended = run(program, str(tmp_path), provider=kazawallet_simulator)
    refused, failed = ended.stderr.splitlines()
    assert refused.startswith("a delivery was refused: ")
    assert failed.startswith("the handler failed with ValueError for the payment ")
    assert (ended.status, ended.stdout) == (0, "")


def client_of(server: ObservingServer) -> AsyncClient:
    return AsyncClient(
        api_key=server.api_key,
        api_secret=server.api_secret,
        merchant_email=server.merchant_email,
        base_url=server.url,
    )


def test_a_record_is_written_in_the_callers_context() -> None:
    """A request's id, kept in a context variable, is on the record of the request's call."""
    request_id: ContextVar[str] = ContextVar("request_id", default="-")
    seen_ids: list[str] = []

    class IdKeeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen_ids.append(request_id.get())

    async def call(client: AsyncClient, name: str) -> None:
        request_id.set(name)
        await client.wallets.list()

    async def calls(client: AsyncClient) -> None:
        async with client:
            await asyncio.gather(*(call(client, f"request-{n}") for n in range(5)))

    with Simulator() as simulator, added(IdKeeper()):
        asyncio.run(calls(simulator.async_client()))
    assert sorted(seen_ids) == [f"request-{n}" for n in range(5)]


def test_no_payout_that_was_sent_goes_without_a_record(records: list[logging.LogRecord]) -> None:
    """However early its waiting is cancelled."""

    async def cancelled_after(client: AsyncClient, turns: int) -> None:
        task = asyncio.ensure_future(
            client.withdrawals.create(amount="1", currency="USD", payment_method=RECIPIENT)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    async def payouts(client: AsyncClient) -> None:
        for number in range(200):
            await cancelled_after(client, 1 + number % 5)
        # What still goes on is done before the last is answered.
        await client.wallets.list()

    with Simulator(balances={"USD": "1000"}) as simulator:
        client = simulator.async_client()
        asyncio.run(payouts(client))
        sent = sum(
            request.path.endswith("/createWithdrawalRequest") for request in simulator.requests
        )
    written = sum(seen(record)[0] == "/createWithdrawalRequest" for record in records)
    assert written >= sent
