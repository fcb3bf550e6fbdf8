"""One `AsyncClient` and many event loops: one after the other, and several at once."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from typing import Any

import pytest
from observing_server import ObservingServer
from programs import GUARD, SLOW_MACHINES_ARE_FINE, run

from kazawallet import AsyncClient, PaymentLink
from kazawallet.testing import Simulator


def client_of(server: ObservingServer) -> AsyncClient:
    return AsyncClient(
        api_key=server.api_key,
        api_secret=server.api_secret,
        merchant_email=server.merchant_email,
        base_url=server.url,
    )


async def link(client: AsyncClient, ref: str) -> PaymentLink:
    """A link of which the URL ends with `ref`, so that answers cannot be mixed up unnoticed."""
    made = await client.payment_links.create(amount="1", currency="USD", ref=ref)
    assert made.url == f"https://pay.example/l/{ref}"
    return made


def test_loops_one_after_the_other() -> None:
    with ObservingServer() as server:
        client = client_of(server)
        for turn in range(5):
            asyncio.run(link(client, f"turn-{turn}"))
        asyncio.run(client.aclose())
        # The connection belongs to the client, not to a loop.
        assert (len(server.requests), server.connections) == (5, 1)


def test_a_loop_in_each_of_several_threads_at_once() -> None:
    async def calls(client: AsyncClient, thread: int) -> None:
        for turn in range(10):
            await asyncio.gather(*(link(client, f"{thread}-{turn}-{n}") for n in range(5)))

    failures: list[BaseException] = []

    def in_thread(client: AsyncClient, thread: int) -> None:
        try:
            asyncio.run(calls(client, thread))
        except BaseException as error:
            failures.append(error)

    with ObservingServer() as server:
        client = client_of(server)
        threads = [threading.Thread(target=in_thread, args=(client, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GUARD)
            assert not thread.is_alive()
        assert failures == []
        assert len(server.requests) == 8 * 10 * 5
        asyncio.run(client.aclose())


def test_a_loop_that_ends_with_a_call_in_flight_spoils_nothing_for_the_next() -> None:
    async def begin(client: AsyncClient) -> None:
        asyncio.ensure_future(link(client, "left")).add_done_callback(lambda _: None)
        await asyncio.to_thread(server.wait_for_requests, 1)

    with ObservingServer() as server:
        client = client_of(server)
        server.hold()
        asyncio.run(begin(client))
        server.release()
        asyncio.run(link(client, "next"))
        asyncio.run(client.aclose())


def test_ways_to_start_a_call() -> None:
    async def main() -> None:
        async with client_of(server) as client:
            await link(client, "await")
            await asyncio.create_task(link(client, "task"))
            made = await asyncio.gather(*(link(client, f"gather-{n}") for n in range(100)))
            assert [one.url.rsplit("-")[-1] for one in made] == [str(n) for n in range(100)]
            begun = [link(client, f"completed-{n}") for n in range(100)]
            urls = {(await one).url for one in asyncio.as_completed(begun)}
            assert len(urls) == 100
            done, pending = await asyncio.wait(
                [asyncio.ensure_future(link(client, f"wait-{n}")) for n in range(10)]
            )
            assert (len(done), len(pending)) == (10, 0)
            if sys.version_info >= (3, 11):
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(link(client, f"group-{n}")) for n in range(10)]
                assert len({task.result().url for task in tasks}) == 10

    with ObservingServer() as server:
        asyncio.run(main())


def test_eager_tasks() -> None:
    # Before CPython 3.12 a task always begins a turn later.
    async def main() -> None:
        if sys.version_info >= (3, 12):
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with client_of(server) as client:
            tasks = [asyncio.create_task(link(client, f"eager-{n}")) for n in range(20)]
            await asyncio.gather(*tasks)
            server.hold()
            task = asyncio.create_task(link(client, "cancelled"))
            await asyncio.to_thread(server.wait_for_requests, 21)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(server.wait_for_closed_by_client, 1)

    with ObservingServer() as server:
        asyncio.run(main())


def test_a_call_outside_a_loop(kazawallet_simulator: Simulator) -> None:
    client = kazawallet_simulator.async_client()
    coroutine = client.wallets.list()
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)
    coroutine.close()
    assert len(asyncio.run(client.wallets.list())) > 0


def test_a_closed_client(kazawallet_simulator: Simulator) -> None:
    async def main() -> None:
        client = kazawallet_simulator.async_client()
        await client.wallets.list()
        await client.aclose()
        await client.aclose()
        with pytest.raises(RuntimeError):
            await client.wallets.list()

    asyncio.run(main())


def test_closing_lets_a_call_that_runs_come_to_its_end() -> None:
    async def main() -> None:
        client = client_of(server)
        task = asyncio.ensure_future(link(client, "running"))
        await asyncio.to_thread(server.wait_for_requests, 1)
        await client.aclose()
        server.release()
        await asyncio.wait_for(task, GUARD)

    with ObservingServer() as server:
        server.hold()
        asyncio.run(main())


def test_the_loop_runs_on_while_calls_wait() -> None:
    async def main() -> None:
        async with client_of(server) as client:
            tasks = [asyncio.ensure_future(link(client, f"{n}")) for n in range(20)]
            await asyncio.to_thread(server.wait_for_requests, 20)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not any(task.done() for task in tasks)
            server.release()
            await asyncio.gather(*tasks)

    with ObservingServer() as server:
        server.hold()
        asyncio.run(main())


def test_errors_reach_the_task_that_made_the_call(kazawallet_simulator: Simulator) -> None:
    program = """
        import asyncio
        from kazawallet import AsyncClient, AuthenticationError, ValidationError

        async def main():
            async with AsyncClient() as good, AsyncClient(api_key="x", api_secret="y") as bad:
                results = await asyncio.gather(
                    good.wallets.list(),
                    bad.wallets.list(),
                    good.payment_links.create(amount="0", currency="USD"),
                    good.wallets.list(),
                    return_exceptions=True,
                )
            assert isinstance(results[1], AuthenticationError), results[1]
            assert isinstance(results[2], ValidationError), results[2]
            assert results[0] == results[3], results

        asyncio.run(main())
    """
    run(program, provider=kazawallet_simulator, options=("-W", "error")).check_is_clean()


def test_debug_mode(kazawallet_simulator: Simulator) -> None:
    # There asyncio refuses what is done to a loop from another thread.
    program = f"""
        {SLOW_MACHINES_ARE_FINE}
        import asyncio
        from kazawallet import AsyncClient

        client = AsyncClient()

        async def main():
            for _ in range(3):
                await asyncio.gather(*(client.wallets.list() for _ in range(50)))
            tasks = [asyncio.create_task(client.wallets.list()) for _ in range(50)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(main())
        asyncio.run(main())
        asyncio.run(client.aclose())
    """
    for options in [("-W", "error"), ("-X", "dev", "-W", "error")]:
        run(
            program,
            provider=kazawallet_simulator,
            options=options,
            environment={"PYTHONASYNCIODEBUG": "1"},
        ).check_is_clean()


@pytest.mark.parametrize("in_flight", [False, True])
def test_a_loop_is_not_kept_alive(in_flight: bool) -> None:
    async def calls(client: AsyncClient) -> None:
        await asyncio.gather(*(link(client, f"{n}") for n in range(10)))
        if in_flight:
            server.hold()
            task = asyncio.ensure_future(link(client, "left"))
            await asyncio.to_thread(server.wait_for_requests, 11)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def use_a_loop(client: AsyncClient) -> weakref.ref[asyncio.AbstractEventLoop]:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(calls(client))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        return weakref.ref(loop)

    with ObservingServer() as server:
        client = client_of(server)
        loop = use_a_loop(client)
        # The thread of the awaited calls may be just about to let go of it.
        end = time.monotonic() + GUARD
        while loop() is not None:
            assert time.monotonic() < end, "it is kept alive"
            gc.collect()
        server.release()
        asyncio.run(link(client, "after"))
        asyncio.run(client.aclose())


def test_a_result_is_not_kept_alive(kazawallet_simulator: Simulator) -> None:
    class Ours(asyncio.Task[Any]):
        """A task that tells when it went."""

    async def main() -> weakref.ref[Any]:
        async with kazawallet_simulator.async_client() as client:
            task = Ours(client.wallets.list(), loop=asyncio.get_running_loop())
            await task
            return weakref.ref(task)

    task = asyncio.run(main())
    gc.collect()
    assert task() is None


def test_nothing_of_a_closed_loop_is_kept() -> None:
    """The answers come when the loop has stopped: nobody takes them any more."""
    program = """
        import asyncio, gc, logging, time, weakref
        from kazawallet import AsyncClient

        # That the tasks come to no end is what this is about.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        client = AsyncClient()

        def leave_a_call_behind():
            loop = asyncio.new_event_loop()
            task = loop.create_task(client.wallets.list())
            loop.run_until_complete(asyncio.sleep(0.05))
            loop.close()
            return weakref.ref(loop)

        loops = [leave_a_call_behind() for _ in range(10)]
        end = time.monotonic() + 20
        while any(loop() is not None for loop in loops) and time.monotonic() < end:
            gc.collect()
            time.sleep(0.01)
        print([loop() for loop in loops].count(None))
    """
    with Simulator() as simulator:
        simulator.fault("answer_late:40", times=5)
        ended = run(program, provider=simulator)
    assert (ended.status, ended.stdout) == (0, "10\n"), ended


def test_loops_in_threads_while_the_collector_runs_finalizers() -> None:
    """Before CPython 3.12 the collector runs wherever something is made, and what it finalizes may
    let another thread run: whoever held a lock then would block the process for good."""
    program = """
        import asyncio, gc, os, threading, time
        from kazawallet import AsyncClient

        class Garbage:
            def __init__(self):
                self.me = self
            def __del__(self):
                time.sleep(0)

        async def calls():
            for _ in range(3):
                Garbage()
                await client.wallets.list()

        def loops():
            while time.monotonic() < end:
                asyncio.run(calls())

        client = AsyncClient()
        gc.set_threshold(5)
        end = time.monotonic() + 4
        threads = [threading.Thread(target=loops) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("done")
    """
    with Simulator() as simulator:
        ended = run(program, provider=simulator)
    ended.check_is_clean()
    assert ended.stdout == "done\n"
