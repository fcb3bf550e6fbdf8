"""`kazawallet.testing.Simulator`, as a test of somebody's shop uses it."""

from __future__ import annotations

import asyncio
import json
import socket
from decimal import Decimal
from typing import Any

import pytest
from webhook_receivers import ReceiverOnAThread, ReceiverOnTheLoop

from kazawallet import (
    APIConnectionError,
    APIError,
    Client,
    OrderMismatchError,
    OutcomeUnknownError,
    PaymentMethod,
    Status,
    ValidationError,
)
from kazawallet.testing import AsyncSimulator, Delivery, Simulator, SimulatorError

RECIPIENT = PaymentMethod.sy_cash(phone="0933123456")


def payable(sim: Simulator) -> str:
    """A link that can be paid, by its URL."""
    with sim.client() as client:
        return client.payment_links.create(amount="10.50", currency="USD", ref="order-42").url


# --- blocking ------------------------------------------------------------------------------------


def test_a_paid_link_is_delivered_to_a_shop() -> None:
    with (
        ReceiverOnAThread() as shop,
        Simulator(webhook_url=shop.url) as sim,
        sim.client() as client,
    ):
        link = client.payment_links.create(amount="10.50", currency="USD", ref="order-42")
        [delivery] = sim.pay(link)
        # It waits for the answer, so that the shop has it now.
        assert shop.bodies == [delivery.body]
        assert shop.content_types == [delivery.content_type] == ["application/json"]
        event = sim.webhook().verify(shop.bodies[0])
        assert (delivery.answered, delivery.outcome) == (200, "answered 200")
        assert (delivery.url, delivery.fault) == (shop.url, None)
        assert delivery.order_id == event.order_id == link.id
        matched = event.match_order(
            amount=Decimal("10.5"), currency="usd", ref="order-42", order_id=link.id
        )
        assert matched.is_fulfilled


def test_without_a_webhook_url_the_delivery_can_be_looked_at() -> None:
    with Simulator() as sim:
        [delivery] = sim.pay(payable(sim))
        assert sim.webhook_url is None
        assert (delivery.url, delivery.answered) == (None, None)
        assert delivery.outcome.startswith("not sent")
        assert sim.webhook().verify(delivery.body).is_fulfilled
        assert [each.body for each in sim.deliveries] == [delivery.body]


def test_the_webhook_url_can_be_set_and_taken_away() -> None:
    with ReceiverOnAThread(answers=500) as shop, Simulator() as sim:
        sim.webhook_url = shop.url
        assert sim.webhook_url == shop.url
        [delivery] = sim.pay(payable(sim))
        assert (delivery.answered, len(shop.bodies)) == (500, 1)
        sim.webhook_url = None
        sim.pay(payable(sim))
        assert len(shop.bodies) == 1


def test_a_shop_that_is_not_there_is_no_error_of_the_payment() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with Simulator(webhook_url=f"http://127.0.0.1:{taken.getsockname()[1]}/") as sim:
            [delivery] = sim.pay(payable(sim))
    assert delivery.answered is None
    assert delivery.outcome.startswith("failed")


def test_a_link_can_be_named_by_its_object_its_url_or_its_id() -> None:
    with Simulator() as sim, sim.client() as client:
        links = [client.payment_links.create(amount=1, currency="USD") for _ in range(3)]
        names: list[Any] = [links[0], links[1].url, links[2].id]
        paid = [sim.pay(name)[0].order_id for name in names]
        assert paid == [link.id for link in links]


def test_a_link_can_time_out() -> None:
    with Simulator() as sim:
        url = payable(sim)
        [delivery] = sim.time_out(url)
        event = sim.webhook().verify(delivery.body)
        assert event.status == Status.TIMED_OUT
        assert not event.is_fulfilled
        with pytest.raises(SimulatorError):
            sim.pay(url)


def test_a_link_is_paid_once() -> None:
    with Simulator() as sim:
        url = payable(sim)
        sim.pay(url)
        with pytest.raises(SimulatorError):
            sim.pay(url)
        assert len(sim.deliveries) == 1


@pytest.mark.parametrize("link", ["pl_unknown", "http://127.0.0.1:1/pay/pl_unknown", ""])
def test_an_unknown_link_is_an_error(link: str) -> None:
    with Simulator() as sim, pytest.raises(SimulatorError):
        sim.pay(link)


def test_balances_are_kept_to_the_cent() -> None:
    balances: dict[str, str | int | Decimal] = {
        "USD": "250.00",
        "EUR": 10,
        "SYP": Decimal("3000000.5"),
    }
    with Simulator(balances=balances) as sim, sim.client() as client:
        assert (sim.balance("USD"), sim.balance("SYP")) == (Decimal(250), Decimal("3000000.5"))
        assert isinstance(sim.balance("USD"), Decimal)
        assert sim.balance("GBP") == 0
        client.withdrawals.create(amount="0.5", currency="SYP", payment_method=RECIPIENT)
        assert sim.balance("SYP") == 3_000_000
        sim.pay(payable(sim))
        assert sim.balance("USD") == Decimal("260.50")
        listed = {wallet.currency: wallet.amount for wallet in client.wallets.list()}
        assert (listed["USD"], listed["EUR"]) == (Decimal("260.50"), Decimal(10))


def test_too_small_a_balance_is_told_of() -> None:
    with Simulator(balances={"SYP": 5}) as sim, sim.client() as client:
        with pytest.raises(APIError) as caught:
            client.withdrawals.create(amount="6", currency="SYP", payment_method=RECIPIENT)
        assert caught.value.outcome == "rejected"
        assert sim.balance("SYP") == 5


def test_faults_for_requests_are_played_in_order() -> None:
    with Simulator() as sim, sim.client(max_retries=0) as client:
        sim.fault("answer_status:503")
        sim.fault("close_before_acting", times=2)
        codes = []
        for _ in range(4):
            try:
                client.wallets.list()
                codes.append("ok")
            except (APIError, APIConnectionError) as error:
                codes.append(error.code)
        assert codes == ["server", "connection", "connection", "ok"]
        assert [request.fault for request in sim.requests][-1] is None


def test_a_fault_without_an_end_lasts_until_it_is_cleared() -> None:
    with Simulator() as sim, sim.client(max_retries=0) as client:
        sim.fault("answer_status:500", times=None)
        for _ in range(3):
            with pytest.raises(APIError):
                client.wallets.list()
        sim.clear_faults()
        client.wallets.list()


def test_money_that_moved_though_nobody_heard_of_it() -> None:
    with Simulator(balances={"SYP": 100}) as sim, sim.client() as client:
        sim.fault("close_after_acting")
        with pytest.raises(OutcomeUnknownError):
            client.withdrawals.create(amount="60", currency="SYP", payment_method=RECIPIENT)
        assert sim.balance("SYP") == 40


def test_faults_for_deliveries() -> None:
    with ReceiverOnAThread() as shop, Simulator(webhook_url=shop.url) as sim:

        def delivered(fault: str) -> list[Delivery]:
            sim.fault(fault)
            return sim.pay(payable(sim))

        assert len(delivered("delivered_twice")) == len(shop.bodies) == 2
        assert shop.bodies[0] == shop.bodies[1]
        # A fault of a delivery says on the delivery which one it was.
        [form] = delivered("form_encoded")
        assert form.fault == "form_encoded"
        assert form.content_type == "application/x-www-form-urlencoded"
        assert sim.webhook().verify(form.body).ref == "order-42"
        [number] = delivered("amount_as_number")
        assert str(sim.webhook().verify(number.body).amount) == "10.5"
        [edited] = delivered("currency_changed")
        event = sim.webhook().verify(edited.body)
        with pytest.raises(OrderMismatchError) as caught:
            event.match_order(amount="10.50", currency="USD", ref="order-42")
        assert (caught.value.field, caught.value.expected) == ("currency", "USD")
        assert caught.value.actual == event.currency
        [changed] = delivered("status_changed")
        assert not sim.webhook().verify(changed.body).is_fulfilled
        before = len(shop.bodies)
        for never in delivered("never_delivered"):
            assert never.answered is None
        assert len(shop.bodies) == before


def test_a_link_that_is_answered_with_an_order_id() -> None:
    with Simulator() as sim, sim.client() as client:
        sim.fault("order_id_answer")
        for name in ("order_id", "id"):
            link = client.payment_links.create(amount="10.50", currency="USD")
            assert link.raw.json() == {"success": True, name: link.id, "url": link.url}
            assert [each.order_id for each in sim.pay(link)] == [link.id]


@pytest.mark.parametrize(
    ("dialect", "names"),
    [("documented", ["order_id"]), ("plugin", ["id"]), ("both", ["order_id", "id"])],
)
def test_each_dialect_names_the_id_in_its_own_way(dialect: str, names: list[str]) -> None:
    with (
        ReceiverOnAThread() as shop,
        Simulator(dialect=dialect, webhook_url=shop.url) as sim,
        sim.client() as client,
    ):
        assert sim.dialect == dialect
        link = client.payment_links.create(amount="10.50", currency="USD", ref="order-42")
        assert link.raw.json() == {"success": True, "id": link.id, "url": link.url}
        [delivery] = sim.pay(link)
        triggered = sim.trigger(shop.url, amount=1, order_id="pl_of_mine")
        for body, order_id in ((delivery.body, link.id), (triggered.body, "pl_of_mine")):
            fields = json.loads(body)
            assert {name: fields[name] for name in fields if "id" in name} == dict.fromkeys(
                names, order_id
            )
            assert sim.webhook().verify(body).order_id == order_id
        assert shop.bodies == [delivery.body, triggered.body]


def test_the_dialect_can_be_changed() -> None:
    with Simulator() as sim:
        assert sim.dialect == "documented"
        sim.dialect = "plugin"
        assert sim.dialect == "plugin"
        [delivery] = sim.pay(payable(sim))
        assert json.loads(delivery.body)["id"] == delivery.order_id
        with pytest.raises(SimulatorError, match="documented, plugin, both"):
            sim.dialect = "php"
        assert sim.dialect == "plugin"
        with pytest.raises(TypeError):
            sim.dialect = 7  # type: ignore[assignment]


@pytest.mark.parametrize("fault", ["no_such_fault", "answer_status:999", "answer_late:soon", ""])
def test_a_fault_that_is_not_known_is_an_error(fault: str) -> None:
    with Simulator() as sim, pytest.raises(SimulatorError):
        sim.fault(fault)


@pytest.mark.parametrize("times", [-1, 0])
def test_a_fault_is_played_at_least_once(times: int) -> None:
    with Simulator() as sim, pytest.raises(SimulatorError, match="at least 1"):
        sim.fault("half_body", times=times)


def test_a_delivery_can_be_triggered_without_a_link() -> None:
    with ReceiverOnAThread() as shop, Simulator() as sim:
        delivery = sim.trigger(
            shop.url, amount=Decimal("7.50"), currency="EUR", ref="order-7", order_id="pl_of_mine"
        )
        event = sim.webhook().verify(shop.bodies[0])
        assert delivery.body == shop.bodies[0]
        assert (delivery.answered, delivery.order_id) == (200, "pl_of_mine")
        assert (event.order_id, event.ref, event.currency) == ("pl_of_mine", "order-7", "EUR")
        assert (str(event.amount), event.is_fulfilled) == ("7.50", True)
        other = sim.trigger(shop.url, amount=1, status="held")
        event = sim.webhook().verify(other.body)
        assert (event.status, event.ref, event.currency) == ("held", None, "USD")
        assert event.order_id == other.order_id != ""


@pytest.mark.parametrize("amount", ["0", "0.00", 0, Decimal("0.0")])
def test_a_time_out_of_zero_can_be_triggered(amount: str | int | Decimal) -> None:
    with ReceiverOnAThread() as shop, Simulator() as sim:
        sim.trigger(shop.url, amount=amount, status="timed_out", ref="order-7")
        event = sim.webhook().verify(shop.bodies[0])
        assert (str(event.amount), event.status) == (str(amount), Status.TIMED_OUT)
        with pytest.raises(ValidationError):
            sim.trigger(shop.url, amount="-1")


def test_with_tls_it_is_called_by_https() -> None:
    with Simulator(tls=True) as sim, Simulator() as plain:
        assert sim.url.startswith("https://127.0.0.1:")
        assert plain.root_certificate is None
        link = payable(sim)
        assert link.startswith("https://127.0.0.1:")
        assert sim.webhook().verify(sim.pay(link)[0].body).ref == "order-42"
        root = sim.root_certificate
        assert root is not None
        settings: dict[str, Any] = {
            "api_key": sim.api_key,
            "api_secret": sim.api_secret,
            "merchant_email": sim.merchant_email,
            "base_url": sim.url,
            "max_retries": 0,
        }
        with Client(**settings, root_certificates=root) as client:
            client.wallets.list()
        with Client(**settings) as client, pytest.raises(APIConnectionError):
            client.wallets.list()


def test_the_awaited_simulator_serves_tls() -> None:
    async def use() -> None:
        async with Simulator(tls=True) as sim, sim.async_client() as client:
            assert sim.root_certificate is not None
            await client.wallets.list()

    asyncio.run(use())


def test_requests_are_recorded_without_secrets() -> None:
    with Simulator() as sim, sim.client() as client:
        client.wallets.list()
        client.payment_links.create(amount="10.50", currency="USD", ref="order-42")
        first, second = sim.requests
        assert (first.method, second.method) == ("GET", "POST")
        assert first.path.endswith("/get-merchant-wallets")
        assert (first.status, second.status) == (200, 200)
        assert (first.fault, first.body) == (None, "")
        assert "order-42" in second.body
        headers = dict(second.headers)
        assert headers["x-api-key"] == "***"
        shown = repr([request.headers for request in sim.requests])
        assert sim.api_key not in shown
        assert sim.api_secret not in shown


def test_each_simulator_is_one_of_its_own() -> None:
    with Simulator() as one, Simulator() as other:
        assert one.url != other.url
        assert one.api_key != other.api_key
        assert one.api_key.startswith("sim_")
        assert one.api_secret.startswith("sim_")
        with one.client(api_key=other.api_key) as client, pytest.raises(APIError):
            client.wallets.list()
        assert other.requests == []


def test_settings_of_one_s_own() -> None:
    with Simulator(
        merchant_email="shop@example.com", api_key="sim_mine", api_secret="sim_mine_too"
    ) as sim:
        assert (sim.api_key, sim.api_secret) == ("sim_mine", "sim_mine_too")
        assert sim.merchant_email == "shop@example.com"
        assert sim.dashboard_url.startswith("http://127.0.0.1:")
        assert sim.url in repr(sim)
        with sim.client() as client:
            client.wallets.list()


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "a_real_key"},
        {"api_secret": "a_real_secret"},
        {"webhook_url": "ftp://127.0.0.1/"},
        {"webhook_url": "no url"},
        {"balances": {"USD": "many"}},
        {"merchant_email": ""},
        {"dialect": "php"},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_a_setting_that_cannot_be_used_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises((SimulatorError, ValidationError)) as caught:
        Simulator(**settings)
    for value in ("a_real_key", "a_real_secret"):
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"balances": {"USD": 1.5}},
        {"balances": {"USD": True}},
        {"port": "8000"},
        {"colour": "red"},
        {"api_key": 7},
        {"dialect": None},
        {"tls": "yes"},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_a_setting_of_the_wrong_type_is_a_type_error(settings: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Simulator(**settings)


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SimulatorError):
            Simulator(port=taken.getsockname()[1])


def test_stopping_twice_does_nothing() -> None:
    sim = Simulator()
    client = sim.client(max_retries=0)
    client.wallets.list()
    sim.stop()
    sim.stop()
    with pytest.raises(APIConnectionError) as caught:
        client.wallets.list()
    assert caught.value.outcome in ("not_sent", "unknown")
    client.close()


def test_what_was_seen_can_be_looked_at_after_the_end() -> None:
    with Simulator() as sim:
        sim.pay(payable(sim))
    assert len(sim.deliveries) == 1
    assert len(sim.requests) == 1


def test_a_stopped_simulator_pays_nothing() -> None:
    with Simulator() as sim:
        url = payable(sim)
    with pytest.raises(SimulatorError):
        sim.pay(url)


def test_deliveries_and_requests_are_values() -> None:
    with Simulator() as sim:
        [delivery] = sim.pay(payable(sim))
        for frozen in (delivery, sim.requests[0]):
            with pytest.raises(AttributeError):
                frozen.body = b""  # type: ignore[misc]
            assert "order-42" not in repr(frozen)


# --- awaited -------------------------------------------------------------------------------------


def test_the_webhook_is_received_on_the_same_event_loop() -> None:
    async def shop_and_customer() -> None:
        async with ReceiverOnTheLoop() as shop, Simulator(webhook_url=shop.url) as sim:
            assert isinstance(sim, AsyncSimulator)
            async with sim.async_client() as client:
                link = await client.payment_links.create(
                    amount="10.50", currency="USD", ref="order-42"
                )
                [delivery] = await sim.pay(link)
                assert shop.bodies == [delivery.body]
                assert delivery.answered == 200
                event = sim.webhook().verify(shop.bodies[0])
                assert event.order_id == link.id

                link = await client.payment_links.create(amount="1", currency="USD")
                [late] = await sim.time_out(link)
                assert not sim.webhook().verify(late.body).is_fulfilled

                [sent] = [await sim.trigger(shop.url, amount="7.50", ref="order-7")]
                assert sim.webhook().verify(shop.bodies[2]).ref == "order-7"
                assert [each.body for each in sim.deliveries[:2]] == shop.bodies[:2]
                assert sent.body == shop.bodies[2]

    asyncio.run(shop_and_customer())


def test_the_awaited_simulator_does_what_the_other_does() -> None:
    async def use() -> None:
        async with Simulator(balances={"USD": 5}) as sim:
            assert sim.balance("USD") == 5
            sim.fault("answer_status:503")
            async with sim.async_client(max_retries=0) as client:
                with pytest.raises(APIError):
                    await client.wallets.list()
                await client.wallets.list()
            assert [request.status for request in sim.requests] == [503, 200]
            with pytest.raises(SimulatorError):
                await sim.pay("pl_unknown")
            await sim.stop()
            await sim.stop()

    asyncio.run(use())


def test_the_loop_runs_on_while_a_payment_is_awaited() -> None:
    async def use() -> None:
        async with ReceiverOnTheLoop() as shop, Simulator(webhook_url=shop.url) as sim:
            async with sim.async_client() as client:
                links = [
                    await client.payment_links.create(amount=1, currency="USD") for _ in range(8)
                ]
            deliveries = await asyncio.gather(*(sim.pay(link) for link in links))
            assert {each.order_id for [each] in deliveries} == {link.id for link in links}
            assert len(shop.bodies) == 8

    asyncio.run(use())
