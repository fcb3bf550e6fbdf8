"""The end of a process: no hang, no crash, not a word on stderr, whatever is still under way."""

from __future__ import annotations

import signal

import pytest
from observing_server import ObservingServer
from programs import SLOW_MACHINES_ARE_FINE, Ended, Program, run

from kazawallet.testing import Simulator

MODES = [(), ("-X", "dev"), ("-W", "error"), ("-X", "dev", "-W", "error")]
# How often a program is run of which the end is a race.
TIMES = 20

# At its end the interpreter clears the modules. An object that takes its time there gives whatever
# is under way on other threads the chance to meet a half-gone interpreter.
SLOW_END = """
        class SlowToGo:
            def __init__(self):
                self.sleep = time.sleep
            def __del__(self):
                self.sleep(0.2)
        slow_to_go = SlowToGo()
"""

every_mode = pytest.mark.parametrize("options", MODES, ids=lambda options: " ".join(options) or "-")


def run_while_held(program: str, count: int, options: tuple[str, ...]) -> Ended:
    """Runs a program of which `count` requests are never answered; it is told once they came."""
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server, options=options) as running:
            server.wait_for_requests(count)
            running.tell()
            return running.end()


@every_mode
def test_calls_in_daemon_threads_that_wait(options: tuple[str, ...]) -> None:
    program = f"""
        import threading, time
        from kazawallet import Client
        {SLOW_END}
        client = Client(max_retries=0)
        for _ in range(8):
            threading.Thread(target=client.wallets.list, daemon=True).start()
        input()
    """
    for _ in range(3):
        run_while_held(program, 8, options).check_is_clean()


@pytest.mark.parametrize("slow_end", ["", SLOW_END], ids=["quick end", "slow end"])
def test_calls_in_daemon_threads_that_come_and_go(
    kazawallet_simulator: Simulator, slow_end: str
) -> None:
    program = f"""
        import threading, time
        from kazawallet import Client
        {slow_end}
        client = Client(max_retries=0)

        def call():
            while True:
                client.wallets.list()

        for _ in range(4):
            threading.Thread(target=call, daemon=True).start()
        for _ in range(10):
            client.wallets.list()
    """
    for _ in range(TIMES):
        run(program, provider=kazawallet_simulator).check_is_clean()


def test_async_calls_in_a_daemon_thread_that_come_and_go(kazawallet_simulator: Simulator) -> None:
    program = f"""
        import asyncio, threading, time
        from kazawallet import AsyncClient
        {SLOW_END}
        client = AsyncClient(max_retries=0)
        begun = threading.Event()

        async def calls():
            while True:
                await asyncio.gather(*(client.wallets.list() for _ in range(8)))
                begun.set()

        threading.Thread(target=asyncio.run, args=(calls(),), daemon=True).start()
        begun.wait()
    """
    for _ in range(TIMES):
        run(program, provider=kazawallet_simulator).check_is_clean()


def test_an_async_call_in_a_daemon_thread_while_exit_handlers_run(
    kazawallet_simulator: Simulator,
) -> None:
    # Handlers run last to first: this one after whatever the package itself does at exit. Nobody
    # catches what is raised in the thread then; it can only wait for its end.
    program = """
        import atexit, threading, time
        begun, ends = threading.Event(), threading.Event()

        def at_exit():
            ends.set()
            time.sleep(0.3)

        atexit.register(at_exit)
        import asyncio
        from kazawallet import AsyncClient

        client = AsyncClient(max_retries=0)

        async def calls():
            await client.wallets.list()
            begun.set()
            ends.wait()
            while True:
                await client.wallets.list()

        threading.Thread(target=asyncio.run, args=(calls(),), daemon=True).start()
        begun.wait()
    """
    run(program, provider=kazawallet_simulator).check_is_clean()


@every_mode
def test_a_task_in_flight_when_asyncio_run_ends(options: tuple[str, ...]) -> None:
    program = f"""
        {SLOW_MACHINES_ARE_FINE}
        import asyncio
        from kazawallet import AsyncClient

        async def main():
            client = AsyncClient(max_retries=0)
            global tasks
            tasks = [asyncio.create_task(client.wallets.list()) for _ in range(8)]
            await asyncio.get_running_loop().run_in_executor(None, input)

        asyncio.run(main())
        assert all(task.cancelled() for task in tasks), tasks
    """
    run_while_held(program, 8, options).check_is_clean()


@every_mode
def test_a_task_in_flight_when_its_loop_is_closed(options: tuple[str, ...]) -> None:
    program = f"""
        {SLOW_MACHINES_ARE_FINE}
        import asyncio
        from kazawallet import AsyncClient

        client = AsyncClient(max_retries=0)
        loop = asyncio.new_event_loop()
        # asyncio itself has something to say of a task that is dropped.
        loop.set_exception_handler(lambda loop, context: None)
        task = loop.create_task(client.wallets.list())
        loop.run_until_complete(loop.run_in_executor(None, input))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    """
    run_while_held(program, 1, options).check_is_clean()


@every_mode
def test_results_that_arrive_for_a_closed_loop(options: tuple[str, ...]) -> None:
    program = f"""
        {SLOW_MACHINES_ARE_FINE}
        import asyncio
        from kazawallet import AsyncClient

        client = AsyncClient(max_retries=0)
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        tasks = [loop.create_task(client.wallets.list()) for _ in range(8)]
        loop.run_until_complete(loop.run_in_executor(None, input))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        print("closed", flush=True)
        input()
        # The client has seen the answers, and is none the worse for them.
        wallets = asyncio.run(client.wallets.list())
        print([str(wallet.amount) for wallet in wallets], flush=True)
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server, options=options) as running:
            server.wait_for_requests(8)
            running.tell()
            assert running.line() == "closed"
            server.release()
            server.wait_for_answers(8)
            running.tell()
            assert running.line() == "['250.00']"
            running.end().check_is_clean()


def test_a_loop_that_is_closed_while_results_arrive(kazawallet_simulator: Simulator) -> None:
    program = """
        import asyncio
        from kazawallet import AsyncClient

        client = AsyncClient(max_retries=0)
        for calls in range(1, 40):
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(lambda loop, context: None)
            tasks = [loop.create_task(client.wallets.list()) for _ in range(calls)]
            loop.run_until_complete(tasks[0])
            loop.close()
    """
    for _ in range(3):
        run(program, provider=kazawallet_simulator).check_is_clean()


@every_mode
def test_clients_never_closed_and_a_simulator_never_stopped(options: tuple[str, ...]) -> None:
    program = f"""
        {SLOW_MACHINES_ARE_FINE}
        import asyncio
        from kazawallet.testing import Simulator

        simulator = Simulator()
        client, async_client = simulator.client(), simulator.async_client()
        client.wallets.list()
        asyncio.run(async_client.wallets.list())
    """
    for _ in range(3):
        run(program, options=options).check_is_clean()


@every_mode
def test_dropped_and_never_closed(
    options: tuple[str, ...], kazawallet_simulator: Simulator
) -> None:
    program = f"""
        {SLOW_MACHINES_ARE_FINE}
        import asyncio, gc
        from kazawallet import AsyncClient, Client
        from kazawallet.testing import Simulator

        for _ in range(3):
            Client().wallets.list()
            asyncio.run(AsyncClient().wallets.list())
            simulator = Simulator()
            simulator.client().wallets.list()
            del simulator
            gc.collect()
    """
    run(program, provider=kazawallet_simulator, options=options).check_is_clean()


@every_mode
def test_a_client_in_atexit(options: tuple[str, ...], kazawallet_simulator: Simulator) -> None:
    program = f"""
        {SLOW_MACHINES_ARE_FINE}
        import asyncio, atexit

        def at_exit():
            print("blocking", len(client.wallets.list()))

        def async_at_exit():
            print("async", len(asyncio.run(async_client.wallets.list())))

        # Handlers run last to first: this one after whatever the package itself does at exit.
        atexit.register(at_exit)
        from kazawallet import AsyncClient, Client
        client, async_client = Client(), AsyncClient()
        client.wallets.list()
        atexit.register(at_exit)
        atexit.register(async_at_exit)
    """
    ended = run(program, provider=kazawallet_simulator, options=options)
    ended.check_is_clean()
    wallets = len(kazawallet_simulator.client().wallets.list())
    assert ended.stdout == f"async {wallets}\nblocking {wallets}\nblocking {wallets}\n"


@every_mode
def test_an_awaited_call_after_the_package_has_said_goodbye(
    options: tuple[str, ...], kazawallet_simulator: Simulator
) -> None:
    # Then no other thread may touch the interpreter: it is refused, and does not hang.
    program = f"""
        {SLOW_MACHINES_ARE_FINE}
        import asyncio, atexit

        def at_exit():
            try:
                asyncio.run(client.wallets.list())
            except RuntimeError as error:
                print(error)

        atexit.register(at_exit)
        from kazawallet import AsyncClient
        client = AsyncClient()
        asyncio.run(client.wallets.list())
    """
    ended = run(program, provider=kazawallet_simulator, options=options)
    ended.check_is_clean()
    assert "shutting down" in ended.stdout


@every_mode
def test_a_client_in_del_at_the_end(
    options: tuple[str, ...], kazawallet_simulator: Simulator
) -> None:
    program = """
        from kazawallet import Client

        class Account:
            def __init__(self):
                self.client = Client(max_retries=0)
                self.client.wallets.list()
            def __del__(self):
                print(len(self.client.wallets.list()))
                self.client.close()

        account = Account()
    """
    ended = run(program, provider=kazawallet_simulator, options=options)
    ended.check_is_clean()
    assert ended.stdout == f"{len(kazawallet_simulator.client().wallets.list())}\n"


def test_sys_exit_in_a_thread(kazawallet_simulator: Simulator) -> None:
    program = """
        import sys, threading
        from kazawallet import Client

        client = Client(max_retries=0)

        def call():
            client.wallets.list()
            sys.exit(3)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        client.wallets.list()
    """
    for _ in range(3):
        run(program, provider=kazawallet_simulator).check_is_clean()


def test_sys_exit_while_a_daemon_thread_waits() -> None:
    program = """
        import sys, threading
        from kazawallet import Client

        threading.Thread(target=Client(max_retries=0).wallets.list, daemon=True).start()
        input()
        sys.exit(7)
    """
    ended = run_while_held(program, 1, ())
    assert (ended.status, ended.stderr) == (7, "")


def test_os_exit_with_calls_in_flight() -> None:
    program = """
        import asyncio, os, threading
        from kazawallet import AsyncClient, Client

        threading.Thread(target=Client(max_retries=0).wallets.list).start()

        async def main():
            task = asyncio.create_task(AsyncClient(max_retries=0).wallets.list())
            await asyncio.get_running_loop().run_in_executor(None, input)
            os._exit(5)

        asyncio.run(main())
    """
    ended = run_while_held(program, 2, ())
    assert (ended.status, ended.stderr) == (5, "")


PAYOUT = """
        payout = dict(
            amount="10",
            currency="USD",
            payment_method=PaymentMethod.custom(id="118", fields={}),
        )
"""


@every_mode
def test_a_payout_in_flight_in_a_daemon_thread(options: tuple[str, ...]) -> None:
    program = f"""
        import threading, time
        from kazawallet import Client, PaymentMethod
        {PAYOUT}
        {SLOW_END}
        client = Client()
        threading.Thread(target=client.withdrawals.create, kwargs=payout, daemon=True).start()
        input()
    """
    run_while_held(program, 1, options).check_is_clean()


@every_mode
def test_a_payout_in_flight_that_asyncio_run_cancels(options: tuple[str, ...]) -> None:
    program = f"""
        {SLOW_MACHINES_ARE_FINE}
        import asyncio
        from kazawallet import AsyncClient, PaymentMethod
        {PAYOUT}
        async def main():
            client = AsyncClient()
            task = asyncio.create_task(client.withdrawals.create(**payout))
            await asyncio.get_running_loop().run_in_executor(None, input)

        asyncio.run(main())
    """
    run_while_held(program, 1, options).check_is_clean()


def test_a_payout_whose_waiter_was_interrupted_does_not_hold_up_the_end() -> None:
    program = f"""
        import signal
        from kazawallet import Client, PaymentMethod
        {PAYOUT}
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            Client().withdrawals.create(**payout)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    for _ in range(3):
        with ObservingServer() as server:
            server.hold()
            with Program(program, provider=server) as running:
                server.wait_for_requests(1)
                running.send_signal(signal.SIGINT)
                assert running.line() == "interrupted"
                running.end().check_is_clean()


def test_an_uncaught_error_of_a_call_ends_the_process_as_usual() -> None:
    program = """
        from kazawallet import Client
        Client(base_url="http://127.0.0.1:1/", api_key="sim_x", max_retries=0).request("GET", "/x")
    """
    ended = run(program)
    assert ended.status == 1
    assert "Traceback" in ended.stderr
    assert "APIConnectionError" in ended.stderr.splitlines()[-1]
