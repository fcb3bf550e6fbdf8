# pyright: strict
"""What a type checker must accept, with the types that it must see. It is read, and never run."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from aiohttp import web
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as HTTPResponse
from starlette.routing import Route
from typing_extensions import assert_type

import kazawallet
from kazawallet import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncClient,
    AsyncLedger,
    AsyncLedgerWorker,
    Client,
    Conflict,
    Deposit,
    KazawalletError,
    Ledger,
    LedgerError,
    LedgerWorker,
    OrderLink,
    OrderMismatchError,
    OrderRecord,
    Outcome,
    OutcomeUnknownError,
    Payment,
    PaymentEvent,
    PaymentLink,
    PaymentMethod,
    Payout,
    PersonDecision,
    RateLimitError,
    Receipt,
    Response,
    ServerError,
    Status,
    Summary,
    UnexpectedResponseError,
    ValidationError,
    Wallet,
    WalletList,
    Webhook,
    WebhookPayloadError,
    Withdrawal,
)
from kazawallet.contrib.aiohttp import WebhookReceiver as InAiohttp
from kazawallet.contrib.asgi import WebhookReceiver as InAsgi
from kazawallet.contrib.django import WebhookReceiver as InDjango
from kazawallet.contrib.flask import WebhookReceiver as InFlask
from kazawallet.contrib.starlette import WebhookReceiver as InStarlette
from kazawallet.testing import (
    AsyncSimulator,
    Delivery,
    RecordedRequest,
    Simulator,
    SimulatorError,
)

assert_type(kazawallet.__version__, str)

plain = Client()
full = Client(
    api_key="key",
    api_secret="secret",
    merchant_email="shop@example.com",
    base_url="http://127.0.0.1:8000",
    timeout=2.5,
    connect_timeout=2,
    max_retries=0,
    proxy="http://127.0.0.1:3128",
    root_certificates=b"-----BEGIN CERTIFICATE-----",
    app_name="shop/1.0",
)
none_given = AsyncClient(api_key=None, timeout=None, root_certificates="pem")


def blocking(amount: str | int | Decimal) -> None:
    with Client() as client:
        assert_type(client, Client)
        link = client.payment_links.create(
            amount=amount,
            currency="USD",
            ref="order-42",
            redirect_url="https://shop.example/thanks",
            timeout=5,
        )
        assert_type(link, PaymentLink)
        assert_type(link.url, str)
        assert_type(link.id, str | None)
        assert_type(link.raw, Response)
        assert_type(client.payment_links.create(amount=1, currency="USD").id, str | None)

        withdrawal = client.withdrawals.create(
            amount=Decimal("500000.5"),
            currency="SYP",
            payment_method=PaymentMethod.haram_under_3m(name="n", phone="p", governorate="g"),
            note="salary, May",
        )
        assert_type(withdrawal, Withdrawal)
        assert_type(withdrawal.status, str | None)
        assert_type(withdrawal.message, str | None)
        assert_type(withdrawal.raw, Response)

        wallets = client.wallets.list()
        assert_type(wallets, WalletList)
        assert_type(wallets.wallets, tuple[Wallet, ...])
        assert_type(wallets[0], Wallet)
        assert_type(iter(wallets), Iterator[Wallet])
        assert_type(len(wallets), int)
        assert_type([wallet.currency for wallet in wallets], list[str])
        assert_type(sum((wallet.amount for wallet in wallets), Decimal()), Decimal)

        deposit = client.deposits.create(
            amount="25",
            currency="USD",
            user_email="user@example.com",
            payment_method=PaymentMethod.custom(id="118", fields={"address": "T1"}),
        )
        assert_type(deposit, Deposit)
        assert_type(deposit.status, str | None)
        assert_type(deposit.transaction_id, str | None)
        assert_type(deposit.message, str | None)
        assert_type(deposit.note, str | None)

        response = client.request("POST", "/wallet-cards/create", json={"currency": "USD"})
        assert_type(response, Response)
        assert_type(response.status, int)
        assert_type(response.request_id, str | None)
        assert_type(response.body, bytes)
        assert_type(response.text, str)
        assert_type(response.json(), Any)
        client.request("GET", "/get-merchant-wallets", timeout=1.5)
        client.close()
    same_link = link
    assert_type(link == same_link, bool)
    assert_type({link: withdrawal}, dict[PaymentLink, Withdrawal])
    assert_type(PaymentMethod.sy_cash(phone="0933123456"), PaymentMethod)
    assert_type(PaymentMethod.haram_over_3m(name="n", phone="p", governorate="g"), PaymentMethod)


async def awaited() -> None:
    async with AsyncClient() as client:
        assert_type(client, AsyncClient)
        assert_type(await client.payment_links.create(amount="1", currency="USD"), PaymentLink)
        assert_type(
            await client.withdrawals.create(
                amount="1", currency="SYP", payment_method=PaymentMethod.sy_cash(phone="p")
            ),
            Withdrawal,
        )
        assert_type(await client.wallets.list(timeout=1), WalletList)
        assert_type(
            await client.deposits.create(
                amount="1",
                currency="USD",
                user_email="user@example.com",
                payment_method=PaymentMethod.custom(id="118", fields={}),
                note=None,
            ),
            Deposit,
        )
        assert_type(await client.request("GET", "/"), Response)
        await client.aclose()


def webhooks(body: bytes, text: str) -> None:
    webhook = Webhook("key", "secret").with_previous("old key", api_secret="old secret")
    assert_type(webhook, Webhook)
    event = webhook.verify(body)
    assert_type(event, PaymentEvent)
    assert_type(webhook.verify(bytearray(body)), PaymentEvent)
    assert_type(webhook.verify(memoryview(body)), PaymentEvent)
    assert_type(webhook.verify(text), PaymentEvent)
    assert_type(webhook.sign(amount=Decimal("10.50"), order_id="pl_1"), str)
    assert_type(event.order_id, str)
    assert_type(event.amount, Decimal)
    assert_type(event.status, str)
    assert_type(event.status == Status.FULFILLED, bool)
    assert_type(event.currency, str | None)
    assert_type(event.ref, str | None)
    assert_type(event.is_fulfilled, bool)
    assert_type(event.extra, dict[str, Any])
    assert_type(event.body, bytes)
    matched = event.match_order(amount=10, currency="USD", ref="order-42", order_id=None)
    assert_type(matched, PaymentEvent)


def ledger(body: bytes, client: Client, before: datetime) -> None:
    ledger = Ledger.open("sqlite:///var/lib/shop/kazawallet.db", client=client)
    assert_type(ledger, Ledger)
    Ledger.open(
        webhook=Webhook("key", "secret"), spool=Path("spool"), clock_margin=timedelta(minutes=1)
    )
    Ledger.open("postgres://localhost/shop", client=client, spool=False, clock_margin=90)
    with ledger as same:
        assert_type(same, Ledger)
    link = ledger.create_payment_link(ref="order-42", amount="10.50", currency="USD", timeout=5)
    assert_type(link, OrderLink)
    assert_type(link.url, str)
    assert_type(link.id, str | None)
    assert_type(link.state, Literal["creating", "open", "timed_out", "paid"])
    order = ledger.order("order-42")
    assert_type(order, OrderRecord | None)
    if order is not None:
        assert_type(order.amount, Decimal)
        assert_type(order.created_at, datetime)
        assert_type(order.paid_at, datetime | None)
        assert_type(order.paid_by, str | None)
    receipt = ledger.receive(body)
    assert_type(receipt, Receipt)
    assert_type(receipt.event, PaymentEvent)
    assert_type(receipt.duplicate, bool)
    assert_type(receipt.problem, str | None)
    assert_type(receipt.link_ids, Literal["unproven", "proven", "ignored"] | None)
    assert_type(receipt.link_ref, str | None)
    assert_type(receipt.waits_for_person, bool)
    if receipt.decision == "paid":
        assert_type(receipt.decision, Literal["paid"])
    payment = ledger.payment(receipt.event.order_id)
    assert_type(payment, Payment | None)
    if payment is not None:
        assert_type(payment.is_paid, bool)
        assert_type(payment.body, bytes | None)
        assert_type(payment.link_ids, Literal["unproven", "proven", "ignored"] | None)
        assert_type(payment.link_ref, str | None)
        assert_type(payment.processing, Literal["waiting", "done", "parked"] | None)
    assert_type(ledger.settle("pl_1", "paid", ref="order-42", by="amal", note="…"), Payment)
    ledger.set_link_id_check(False, by="amal", note=None)
    assert_type(ledger.reverify(), list[Receipt])
    with ledger.process(print, max_tries=3, first_pause=0.5, lease=timedelta(minutes=2)) as worker:
        assert_type(worker, LedgerWorker)
        assert_type(worker.stop(timeout=1.5), bool)
    assert_type(ledger.pending(10), list[Payment])
    ledger.mark_processed("pl_1")
    assert_type(ledger.retry("pl_1", by="amal"), Payment)
    payout = ledger.withdraw(
        reference="salary-1",
        amount=10,
        currency="USD",
        payment_method=PaymentMethod.sy_cash(phone="p"),
        note=None,
    )
    assert_type(payout, Payout)
    assert_type(
        payout.state, Literal["not_sent", "sending", "paid", "rejected", "unknown", "not_paid"]
    )
    assert_type(payout.deadline, datetime | None)
    assert_type(ledger.payout("salary-1"), Payout | None)
    assert_type(ledger.resolve("salary-1", "not_paid", by="amal"), Payout)
    assert_type(ledger.overdue(timedelta(hours=1), limit=10), list[OrderRecord])
    assert_type(ledger.unsettled() + ledger.parked(limit=1), list[Payment])
    assert_type(ledger.unresolved(), list[Payout])
    assert_type(ledger.conflicts(), list[Conflict])
    assert_type(ledger.decisions(), list[PersonDecision])
    summary = ledger.summary()
    assert_type(summary, Summary)
    assert_type(summary.orders["paid"] + summary.conflicts, int)
    assert_type(summary.link_ids, Literal["unproven", "proven", "ignored"])
    assert_type(ledger.forget(before), int)
    ledger.close()


async def awaited_ledger(body: bytes, client: AsyncClient, before: datetime) -> None:
    ledger = await AsyncLedger.open(client=client)
    assert_type(ledger, AsyncLedger)
    async with ledger as same:
        assert_type(same, AsyncLedger)

    async def handle(payment: Payment) -> None:
        print(payment.order_id)

    async with ledger.process(handle) as worker:
        assert_type(worker, AsyncLedgerWorker)
        assert_type(await worker.stop(timeout=1.5), bool)
    assert_type(await ledger.receive(body), Receipt)
    await ledger.set_link_id_check(True, by="amal")
    assert_type(await ledger.summary(), Summary)
    assert_type(await ledger.forget(before), int)
    await ledger.close()


def errors(client: Client) -> None:
    try:
        client.wallets.list()
    except LedgerError as error:
        assert_type(error.code, str)
        assert_type(error.outcome, Literal["not_sent", "rejected", "unknown"] | None)
    except APITimeoutError as error:
        as_builtin: TimeoutError = error
        print(as_builtin)
    except APIConnectionError as error:
        as_connection: ConnectionError = error
        print(as_connection)
        # Not only what the class itself says.
        assert_type(error.outcome, Literal["not_sent", "rejected", "unknown"] | None)
        if error.outcome == Outcome.NOT_SENT:
            print("calling again is safe")
    except OutcomeUnknownError as error:
        assert_type(error.status, int | None)
        assert_type(error.body, str | None)
        assert_type(error.request_id, str | None)
    except RateLimitError as error:
        as_api_error: APIError = error
        assert_type(as_api_error.retry_after, float | None)
    except ServerError as error:
        assert_type(error.status, int | None)
    except APIError as error:
        assert_type(error.outcome, Literal["not_sent", "rejected", "unknown"] | None)
        assert_type(error.status, int | None)
        assert_type(error.key, str | None)
        assert_type(error.details, Any)
        assert_type(error.request_id, str | None)
        assert_type(error.body, str | None)
    except UnexpectedResponseError as error:
        assert_type(error.status, int | None)
        assert_type(error.body, str | None)
    except (ValidationError, WebhookPayloadError) as error:
        assert_type(error.field, str | None)
    except OrderMismatchError as error:
        assert_type(error.field, str | None)
        assert_type(error.expected, str | None)
        assert_type(error.actual, str | None)
    except KazawalletError as error:
        assert_type(error.code, str)
        assert_type(error.message, str)
        assert_type(error.outcome, Literal["not_sent", "rejected", "unknown"] | None)
        if error.outcome == Outcome.UNKNOWN:
            print("look into it")


def simulators() -> None:
    with Simulator(
        webhook_url="http://127.0.0.1:8000/webhook",
        balances={"USD": "250.00", "SYP": 3_000_000, "EUR": Decimal("1.5")},
        merchant_email="shop@example.com",
        api_key="sim_key",
        api_secret="sim_secret",
        dialect="plugin",
        tls=True,
        port=0,
    ) as sim:
        assert_type(sim, Simulator)
        assert_type(sim.url, str)
        assert_type(sim.api_key, str)
        assert_type(sim.api_secret, str)
        assert_type(sim.merchant_email, str)
        assert_type(sim.dashboard_url, str)
        assert_type(sim.webhook_url, str | None)
        sim.webhook_url = None
        assert_type(sim.dialect, str)
        sim.dialect = "both"
        assert_type(sim.root_certificate, str | None)
        assert_type(sim.client(timeout=1), Client)
        assert_type(sim.async_client(), AsyncClient)
        assert_type(sim.webhook(), Webhook)
        link = sim.client().payment_links.create(amount="1", currency="USD")
        assert_type(sim.pay(link), list[Delivery])
        assert_type(sim.pay(link.url), list[Delivery])
        assert_type(sim.time_out(link), list[Delivery])
        assert_type(sim.deliveries, list[Delivery])
        assert_type(sim.requests, list[RecordedRequest])
        assert_type(sim.requests[0].headers, list[tuple[str, str]])
        assert_type(sim.balance("USD"), Decimal)
        sim.fault("answer_status:503", times=None)
        sim.clear_faults()
        delivery = sim.trigger("http://127.0.0.1:8000/webhook", amount="10.50", ref="order-42")
        assert_type(delivery, Delivery)
        assert_type(delivery.order_id, str)
        assert_type(delivery.url, str | None)
        assert_type(delivery.content_type, str)
        assert_type(delivery.body, bytes)
        assert_type(delivery.fault, str | None)
        assert_type(delivery.outcome, str)
        assert_type(delivery.answered, int | None)
        sim.stop()
    failure: Exception = SimulatorError("no such fault")
    print(failure)


async def simulators_awaited() -> None:
    async with Simulator() as sim:
        assert_type(sim, AsyncSimulator)
        async with sim.async_client() as client:
            link = await client.payment_links.create(amount="1", currency="USD")
        assert_type(await sim.pay(link), list[Delivery])
        assert_type(await sim.time_out("pl_1"), list[Delivery])
        assert_type(await sim.trigger("http://127.0.0.1:8000/", amount=1), Delivery)
        await sim.stop()


def from_pytest(kazawallet_simulator: Simulator) -> None:
    assert_type(kazawallet_simulator.client(), Client)


def blocking_frameworks(webhook: Webhook, ledger: Ledger) -> None:
    def on_payment(payment: Payment) -> None:
        print(payment.is_paid)

    def on_event(event: PaymentEvent) -> None:
        print(event.is_fulfilled)

    in_flask = InFlask(ledger, on_payment)
    assert_type(in_flask.init_app(Flask("shop"), "/webhooks/kazawallet"), None)
    assert_type(in_flask.ledger, Ledger)
    assert_type(in_flask.start(), None)
    assert_type(in_flask.stop(timeout=10), bool)
    InFlask(lambda: Ledger.open(client=Client()), on_payment)
    InFlask(webhook, on_event)
    in_django = InDjango(Ledger.open, worker=False)
    path("webhooks/kazawallet", in_django.view)
    InDjango(webhook, lambda event: print(event.ref))


async def asynchronous_frameworks(webhook: Webhook, ledger: AsyncLedger, request: Request) -> None:
    async def on_payment(payment: Payment) -> None:
        print(payment.is_paid)

    async def on_event(event: PaymentEvent) -> None:
        print(event.is_fulfilled)

    async def open_ledger() -> AsyncLedger:
        return await AsyncLedger.open(client=AsyncClient())

    receiver = InStarlette(open_ledger, on_payment)
    InStarlette(lambda: AsyncLedger.open(), on_payment, worker=True)
    InStarlette(ledger, worker=False)
    InStarlette(webhook, on_event)
    Starlette(lifespan=receiver.lifespan, routes=[Route("/webhooks/kazawallet", receiver)])
    app = FastAPI(lifespan=receiver.lifespan)
    app.add_route("/webhooks/kazawallet", receiver)
    app.mount("/webhooks", receiver)
    async with receiver as same:
        assert_type(same, InStarlette)
        assert_type(receiver.ledger, AsyncLedger)
        assert_type(await receiver(request), HTTPResponse)
    await receiver.start()
    assert_type(await receiver.stop(timeout=10), bool)
    in_asgi = InAsgi(open_ledger, on_payment)
    app.mount("/asgi", in_asgi)
    assert_type(await in_asgi.start(), None)
    in_aiohttp = InAiohttp(ledger, on_payment)
    in_aiohttp.init_app(web.Application(), "/webhooks/kazawallet")
