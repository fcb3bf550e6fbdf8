"""Signals while a call waits: Ctrl-C ends the waiting soon, and never stops a payout half-way."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from observing_server import Answer, ObservingServer
from programs import GUARD, SLOW_MACHINES_ARE_FINE, Program

from kazawallet.testing import Simulator

# Far above the 100 ms in which it should happen, and far below the time limit of any call.
SOON = 5.0

# Whoever runs the tests in the background of a shell has made its children ignore Ctrl-C.
LISTENS = """
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)
"""
PAYOUT = """
        payout = dict(
            amount="10",
            currency="USD",
            payment_method=PaymentMethod.custom(id="118", fields={}),
        )
"""


def interrupt(program: Program, expected: str, number: signal.Signals = signal.SIGINT) -> None:
    """Sends a signal, after which the program must say `expected` soon."""
    start = time.monotonic()
    program.send_signal(number)
    assert program.line() == expected
    took = time.monotonic() - start
    print(f"{expected!r} came {took * 1000:.0f} ms after the signal")
    assert took < SOON


def wait_until(happened: Callable[[], bool]) -> None:
    """For what only asking can tell."""
    end = time.monotonic() + GUARD
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "call",
    [
        "client.wallets.list()",
        "client.payment_links.create(amount='1', currency='USD', ref='order-42')",
        "client.request('GET', '/held')",
        "client.withdrawals.create(**payout)",
        "client.request('POST', '/held', json={})",
    ],
)
def test_ctrl_c_interrupts_a_call(call: str) -> None:
    program = f"""
        {LISTENS}
        from kazawallet import Client, PaymentMethod
        {PAYOUT}
        client = Client()
        try:
            {call}
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        # The client works on.
        print(client.request("GET", "/after").status, flush=True)
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server) as running:
            server.wait_for_requests(1)
            server.hold("/held")
            interrupt(running, "interrupted")
            assert running.line() == "200"
            running.end().check_is_clean()


def test_a_call_that_is_interrupted_drops_its_request() -> None:
    program = f"""
        {LISTENS}
        from kazawallet import Client

        client = Client()
        try:
            client.wallets.list()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        input()
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server) as running:
            server.wait_for_requests(1)
            interrupt(running, "interrupted")
            server.wait_for_closed_by_client(1)
            running.tell()
            running.end().check_is_clean()
        assert len(server.requests) == 1


def test_ctrl_c_between_two_tries() -> None:
    program = f"""
        {LISTENS}
        from kazawallet import Client

        client = Client(timeout=50)
        try:
            client.wallets.list()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    with ObservingServer() as server:
        server.answer_next(Answer(429, {"retry-after": "40"}))
        with Program(program, provider=server) as running:
            server.wait_for_answers(1)
            interrupt(running, "interrupted")
            running.end().check_is_clean()
        assert len(server.requests) == 1


def test_a_payout_that_is_interrupted_before_it_is_carried_out_is_carried_out() -> None:
    # The first try is answered 429, so that all of the second lies behind the interrupt.
    program = f"""
        {LISTENS}
        from kazawallet import Client, PaymentMethod
        {PAYOUT}
        client = Client()
        try:
            client.withdrawals.create(**payout)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        # The process lives on, and makes no call.
        input()
    """
    with ObservingServer() as server:
        server.answer_next(Answer(429, {"retry-after": "2"}))
        with Program(program, provider=server) as running:
            server.wait_for_answers(1)
            interrupt(running, "interrupted")
            server.wait_for_answers(2)
            running.tell()
            running.end().check_is_clean()
        assert [seen.path for seen in server.requests] == ["/createWithdrawalRequest"] * 2


@pytest.mark.parametrize("meanwhile", ["input()", "client.wallets.list(); input()"])
def test_a_payout_that_is_interrupted_reaches_its_end(meanwhile: str) -> None:
    program = f"""
        {LISTENS}
        from kazawallet import Client, PaymentMethod
        {PAYOUT}
        client = Client()
        try:
            client.withdrawals.create(**payout)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        {meanwhile}
    """
    with Simulator(balances={"USD": "100"}) as simulator:
        simulator.fault("answer_late:1500")
        with Program(program, provider=simulator) as running:
            wait_until(lambda: bool(simulator.requests))
            interrupt(running, "interrupted")
            # It has a status once it was answered, and it is answered only on an open connection.
            wait_until(lambda: simulator.requests[0].status == 200)
            running.tell()
            running.end().check_is_clean()
        assert simulator.balance("USD") == Decimal("90")
        payouts = [seen for seen in simulator.requests if "Withdrawal" in seen.path]
        assert len(payouts) == 1


def test_a_handler_that_raises_something_of_its_own() -> None:
    program = """
        import signal
        from kazawallet import Client

        class TimeIsUp(Exception):
            pass

        def handler(number, frame):
            raise TimeIsUp(number)

        signal.signal(signal.SIGUSR1, handler)
        try:
            Client().wallets.list()
        except TimeIsUp as error:
            assert error.args == (signal.SIGUSR1,) and error.__cause__ is None
            print("time is up", flush=True)
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server) as running:
            server.wait_for_requests(1)
            interrupt(running, "time is up", signal.SIGUSR1)
            running.end().check_is_clean()


def test_a_handler_that_returns_lets_the_call_go_on() -> None:
    program = """
        import os, signal
        from kazawallet import Client

        # Not `print`: the next signal can come before it has returned.
        signal.signal(signal.SIGUSR1, lambda number, frame: os.write(1, b"handled\\n"))
        print(len(Client(max_retries=0).wallets.list()), flush=True)
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server) as running:
            server.wait_for_requests(1)
            for _ in range(5):
                interrupt(running, "handled", signal.SIGUSR1)
            server.release()
            assert running.line() == "1"
            running.end().check_is_clean()
        assert len(server.requests) == 1


def test_a_handler_may_make_a_call_itself() -> None:
    # On the same client, in the midst of a call on the same thread.
    program = """
        import signal
        from kazawallet import Client

        client = Client(max_retries=0)
        answer = lambda number, frame: print(client.request("GET", "/inner").status, flush=True)
        signal.signal(signal.SIGUSR1, answer)
        print(client.request("GET", "/outer").text, flush=True)
    """
    with ObservingServer() as server:
        server.hold("/outer")
        with Program(program, provider=server) as running:
            server.wait_for_requests(1)
            interrupt(running, "200", signal.SIGUSR1)
            server.release()
            assert running.line() == '{"path": "/outer"}'
            running.end().check_is_clean()


def test_a_call_on_another_thread_is_not_disturbed() -> None:
    # Python handles signals on its main thread, whichever thread the system picked.
    program = """
        import os, signal, threading, time
        from kazawallet import Client

        handled = []

        def handler(number, frame):
            handled.append(number)
            os.write(1, b"handled\\n")

        signal.signal(signal.SIGINT, handler)
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        client = Client(max_retries=0)
        thread = threading.Thread(target=lambda: print(len(client.wallets.list()), flush=True))
        thread.start()
        while len(handled) < 3:
            signal.pthread_kill(thread.ident, signal.SIGUSR1)
            time.sleep(0.02)
        thread.join()
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server) as running:
            server.wait_for_requests(1)
            for _ in range(3):
                interrupt(running, "handled")
            server.release()
            assert running.line() == "1"
            running.end().check_is_clean()
        assert len(server.requests) == 1


def test_ctrl_c_during_asyncio_run() -> None:
    program = f"""
        {LISTENS}
        {SLOW_MACHINES_ARE_FINE}
        import asyncio
        from kazawallet import AsyncClient

        client = AsyncClient()
        try:
            asyncio.run(client.wallets.list())
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        print(asyncio.run(client.request("GET", "/after")).status, flush=True)
    """
    with ObservingServer() as server:
        server.hold("/get-merchant-wallets")
        with Program(program, provider=server, options=("-X", "dev", "-W", "error")) as running:
            server.wait_for_requests(1)
            interrupt(running, "interrupted")
            assert running.line() == "200"
            # The request that was interrupted was dropped; its connection went with it.
            server.wait_for_closed_by_client(1)
            running.end().check_is_clean()


def test_ctrl_c_during_asyncio_run_leaves_a_payout_alone() -> None:
    program = f"""
        {LISTENS}
        import asyncio
        from kazawallet import AsyncClient, PaymentMethod
        {PAYOUT}
        client = AsyncClient()
        try:
            asyncio.run(client.withdrawals.create(**payout))
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        input()
    """
    with ObservingServer() as server:
        server.answer_next(Answer(429, {"retry-after": "2"}))
        with Program(program, provider=server) as running:
            server.wait_for_answers(1)
            interrupt(running, "interrupted")
            server.wait_for_answers(2)
            running.tell()
            running.end().check_is_clean()
        assert len(server.requests) == 2


def test_ctrl_c_while_the_simulator_delivers() -> None:
    # A receiver that takes its time: `pay` waits for it.
    program = f"""
        {LISTENS}
        import sys
        from kazawallet.testing import Simulator

        with Simulator(webhook_url=sys.argv[1]) as simulator, simulator.client() as client:
            link = client.payment_links.create(amount="1", currency="USD", ref="order-42")
            try:
                simulator.pay(link)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, f"{server.url}/webhook") as running:
            server.wait_for_requests(1)
            interrupt(running, "interrupted")
            running.end().check_is_clean()


def test_a_program_that_ignores_ctrl_c_is_left_alone() -> None:
    program = """
        import signal
        from kazawallet import Client

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda number, frame: print("handled", flush=True))
        print(len(Client(max_retries=0).wallets.list()), flush=True)
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server) as running:
            server.wait_for_requests(1)
            running.send_signal(signal.SIGINT)
            interrupt(running, "handled", signal.SIGUSR1)
            server.release()
            assert running.line() == "1"
            running.end().check_is_clean()
