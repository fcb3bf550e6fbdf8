"""A process that runs for months: memory and open files stay where they are.

Each program measures itself after a warm-up, in which allocators and pools grow to their size.
"""

from __future__ import annotations

import pytest
from observing_server import ObservingServer
from programs import GUARD, Program, run

from kazawallet.testing import Simulator

# Over 20,000 calls, a single leaked object a call would be more.
MOST_GROWTH = 4 * 1024 * 1024
# How many connections are kept, and how many still close, is different each time.
MOST_FILES = 32

MEASURE = f"""
        import gc, os, resource, threading

        def resident():
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * resource.getpagesize()

        def open_files():
            return len(os.listdir("/dev/fd"))

        def stays_flat(work, times, warm_up):
            work(warm_up)
            gc.collect()
            memory, files, threads = resident(), open_files(), threading.active_count()
            work(times)
            gc.collect()
            grown = resident() - memory
            print(f"{{grown / 1024:.0f}} KiB more after {{times}} times", flush=True)
            assert grown < {MOST_GROWTH}, grown
            assert open_files() <= files + {MOST_FILES}, (files, open_files())
            assert threading.active_count() == threads
"""


def check(program: str, simulator: Simulator | None = None) -> None:
    # Much work, for a native module that may have been built without optimisation.
    ended = run(program, provider=simulator, within=10 * GUARD)
    print(ended.stdout)
    ended.check_is_clean()


def test_200_000_verifications() -> None:
    program = f"""
        {MEASURE}
        import json
        from kazawallet import Webhook

        webhook = Webhook("sim_key", "sim_secret")
        body = json.dumps({{
            "order_id": "pl_8f2a61c1",
            "amount": "10.50",
            "status": "fulfilled",
            "currency": "USD",
            "ref": "order-42",
            "more": {{"than": ["was", "known", 1.5]}},
            "secret": webhook.sign(amount="10.50", order_id="pl_8f2a61c1"),
        }}).encode()

        def work(times):
            for _ in range(times):
                event = webhook.verify(body)
                event.match_order(amount="10.50", currency="USD", ref="order-42")

        stays_flat(work, 200_000, 5_000)
    """
    check(program)


def test_all_that_an_event_gives_and_events_that_are_refused() -> None:
    program = f"""
        {MEASURE}
        import json
        from kazawallet import OrderMismatchError, Webhook, WebhookError

        webhook = Webhook("sim_key", "sim_secret").with_previous("sim_old", "sim_older")
        fields = {{
            "order_id": "pl_8f2a61c1",
            "amount": "10.50",
            "status": "fulfilled",
            "currency": "USD",
            "ref": "order-42",
            "more": {{"than": ["was", "known", 1.5]}},
            "secret": webhook.sign(amount="10.50", order_id="pl_8f2a61c1"),
        }}
        good = json.dumps(fields)
        bad = [json.dumps({{**fields, "amount": "10.51"}}), b"no json", b"[]", b"x" * 70_000]

        def work(times):
            for _ in range(times):
                event = webhook.verify(good)
                repr(event), event.amount, event.extra, event.body, event.ref, event.status
                try:
                    event.match_order(amount="10.51", currency="USD", ref="order-42")
                except OrderMismatchError as error:
                    repr(error), error.expected
                for body in bad:
                    try:
                        webhook.verify(body)
                    except WebhookError as error:
                        str(error)

        stays_flat(work, 20_000, 2_000)
    """
    check(program)


def test_20_000_calls(kazawallet_simulator: Simulator) -> None:
    program = f"""
        {MEASURE}
        from kazawallet import Client

        client = Client()

        def work(times):
            for number in range(times // 2):
                client.wallets.list()
                client.payment_links.create(amount="1", currency="USD", ref=f"order-{{number}}")

        stays_flat(work, 20_000, 2_000)
    """
    check(program, kazawallet_simulator)


def test_20_000_async_calls(kazawallet_simulator: Simulator) -> None:
    program = f"""
        {MEASURE}
        import asyncio
        from kazawallet import AsyncClient

        client = AsyncClient()

        async def batches(times):
            for _ in range(times // 64 + 1):
                await asyncio.gather(*(client.wallets.list() for _ in range(64)))

        stays_flat(lambda times: asyncio.run(batches(times)), 20_000, 3_000)
    """
    check(program, kazawallet_simulator)


def test_calls_that_fail(kazawallet_simulator: Simulator) -> None:
    program = f"""
        {MEASURE}
        from kazawallet import Client, KazawalletError

        client = Client(api_secret="sim_wrong", api_key="sim_wrong", max_retries=0)

        def work(times):
            for _ in range(times // 2):
                for amount in ("1", "0"):
                    try:
                        client.payment_links.create(amount=amount, currency="USD", ref="order-42")
                    except KazawalletError as error:
                        repr(error), error.outcome

        stays_flat(work, 5_000, 1_000)
    """
    check(program, kazawallet_simulator)


def test_calls_that_are_cancelled(kazawallet_simulator: Simulator) -> None:
    program = f"""
        {MEASURE}
        import asyncio
        from kazawallet import AsyncClient

        client = AsyncClient()

        async def batches(times):
            for _ in range(times // 16):
                tasks = [asyncio.ensure_future(client.wallets.list()) for _ in range(16)]
                await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await client.wallets.list()

        stays_flat(lambda times: asyncio.run(batches(times)), 5_000, 1_000)
    """
    check(program, kazawallet_simulator)


@pytest.mark.parametrize("close", ["client.close()", "pass"])
def test_clients_that_come_and_go(kazawallet_simulator: Simulator, close: str) -> None:
    program = f"""
        {MEASURE}
        from kazawallet import Client

        def work(times):
            for _ in range(times):
                client = Client()
                client.wallets.list()
                {close}

        stays_flat(work, 300, 30)
    """
    check(program, kazawallet_simulator)


@pytest.mark.parametrize("close", ["asyncio.run(client.aclose())", "pass"])
def test_async_clients_that_come_and_go(kazawallet_simulator: Simulator, close: str) -> None:
    program = f"""
        {MEASURE}
        import asyncio
        from kazawallet import AsyncClient

        def work(times):
            for _ in range(times):
                client = AsyncClient()
                asyncio.run(client.wallets.list())
                {close}

        stays_flat(work, 300, 30)
    """
    check(program, kazawallet_simulator)


def test_loops_and_threads_that_come_and_go(kazawallet_simulator: Simulator) -> None:
    program = f"""
        {MEASURE}
        import asyncio
        from kazawallet import AsyncClient, Client

        client, async_client = Client(), AsyncClient()

        def work(times):
            for _ in range(times):
                thread = threading.Thread(target=client.wallets.list)
                thread.start()
                asyncio.run(async_client.wallets.list())
                thread.join()

        stays_flat(work, 500, 50)
    """
    check(program, kazawallet_simulator)


def test_simulators_that_come_and_go() -> None:
    program = f"""
        {MEASURE}
        from kazawallet.testing import Simulator

        def work(times):
            for _ in range(times):
                with Simulator() as simulator, simulator.client() as client:
                    client.wallets.list()

        stays_flat(work, 100, 20)
    """
    check(program)


def test_payouts_leave_no_connection_behind() -> None:
    # Each opens one of its own, which may close a moment after the answer was read.
    program = f"""
        import os
        from kazawallet import Client, PaymentMethod

        client = Client()
        payout = dict(
            amount="1",
            currency="USD",
            payment_method=PaymentMethod.custom(id="118", fields={{}}),
        )
        for _ in range(3):
            client.withdrawals.create(**payout)
        files = len(os.listdir("/dev/fd"))
        for _ in range(200):
            client.withdrawals.create(**payout)
        assert len(os.listdir("/dev/fd")) <= files + {MOST_FILES}
        print("done", flush=True)
        input()
    """
    with ObservingServer() as server, Program(program, provider=server) as running:
        assert running.line() == "done"
        assert server.connections == 203
        running.tell()
        running.end().check_is_clean()
        server.wait_for_closed_by_client(203)


@pytest.mark.parametrize("leave", ["ledger.close()", "del ledger; gc.collect()"])
def test_ledgers_that_come_and_go(leave: str) -> None:
    program = f"""
        {MEASURE}
        import tempfile
        from kazawallet import Ledger, Webhook

        webhook = Webhook("sim_key", "sim_secret")
        secret = webhook.sign(amount="10.50", order_id="pl_1")
        body = f'{{{{"order_id":"pl_1","amount":"10.50","status":"fulfilled","secret":"{{secret}}"}}}}'

        def work(times):
            for _ in range(times):
                ledger = Ledger.open(f"sqlite://{{folder}}/ledger.db", webhook=webhook)
                for _ in range(10):
                    assert ledger.receive(body).decision == "no_order"
                    assert ledger.payment("pl_1").body == body.encode()
                with ledger.process(lambda payment: None):
                    ledger.unsettled()
                {leave}

        with tempfile.TemporaryDirectory() as folder:
            stays_flat(work, 100, 20)
    """
    check(program)
