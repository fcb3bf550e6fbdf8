"""Cancelling: an ordinary request is dropped; a payout that has begun runs to its end."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from observing_server import Answer, ObservingServer
from programs import GUARD

from kazawallet import AsyncClient, PaymentMethod
from kazawallet.testing import Simulator

RECIPIENT = PaymentMethod.custom(id="118", fields={})


@pytest.fixture
def server() -> Iterator[ObservingServer]:
    with ObservingServer() as server:
        yield server


def client_of(server: ObservingServer, **options: Any) -> AsyncClient:
    return AsyncClient(
        api_key=server.api_key,
        api_secret=server.api_secret,
        merchant_email=server.merchant_email,
        base_url=server.url,
        **options,
    )


async def in_thread(wait: Callable[..., None], *arguments: Any) -> None:
    """Waits for what a server sees without holding up the loop."""
    await asyncio.to_thread(wait, *arguments)


async def wait_until(happened: Callable[[], bool]) -> None:
    """For what only asking can tell."""
    end = time.monotonic() + GUARD
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.02)


async def is_cancelled(task: asyncio.Task[Any]) -> bool:
    await asyncio.wait([task], timeout=GUARD)
    return task.cancelled()


def withdrawal(client: AsyncClient) -> Awaitable[Any]:
    return client.withdrawals.create(amount="10", currency="USD", payment_method=RECIPIENT)


def deposit(client: AsyncClient) -> Awaitable[Any]:
    return client.deposits.create(
        amount="10", currency="USD", user_email="user@example.com", payment_method=RECIPIENT
    )


def raw_post(client: AsyncClient) -> Awaitable[Any]:
    return client.request("POST", "/wallet-cards/create", json={})


def wallets(client: AsyncClient) -> Awaitable[Any]:
    return client.wallets.list()


def link(client: AsyncClient) -> Awaitable[Any]:
    return client.payment_links.create(amount="10", currency="USD", ref="order-42")


def raw_get(client: AsyncClient) -> Awaitable[Any]:
    return client.request("GET", "/anything")


DROPPED = [wallets, link, raw_get]
CARRIED_OUT = [withdrawal, deposit, raw_post]
Begin = Callable[[AsyncClient], Awaitable[Any]]


@pytest.mark.parametrize("begin", DROPPED)
def test_a_cancelled_call_drops_its_request(server: ObservingServer, begin: Begin) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            task = asyncio.ensure_future(begin(client))
            await in_thread(server.wait_for_requests, 1)
            assert task.cancel()
            assert await is_cancelled(task)
            await in_thread(server.wait_for_closed_by_client, 1)
            server.release()
            # The client works on.
            assert len(await client.wallets.list()) == 1

    server.hold()
    asyncio.run(main())
    assert len(server.requests) == 2


@pytest.mark.parametrize("begin", DROPPED)
def test_a_cancelled_call_is_not_tried_again(server: ObservingServer, begin: Begin) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            task = asyncio.ensure_future(begin(client))
            await in_thread(server.wait_for_answers, 1)
            assert task.cancel()
            assert await is_cancelled(task)
            # Longer than the pause that the server asked for.
            await asyncio.sleep(1.5)

    server.answer_next(Answer(429, {"retry-after": "1"}))
    asyncio.run(main())
    assert len(server.requests) == 1


@pytest.mark.parametrize("begin", CARRIED_OUT)
def test_a_cancelled_payout_runs_to_its_end(server: ObservingServer, begin: Begin) -> None:
    # The first try is answered 429, so that all of the second lies behind the cancellation.
    async def main() -> None:
        async with client_of(server) as client:
            task = asyncio.ensure_future(begin(client))
            await in_thread(server.wait_for_answers, 1)
            assert task.cancel()
            assert await is_cancelled(task)
            await in_thread(server.wait_for_answers, 2)

    server.answer_next(Answer(429, {"retry-after": "1"}))
    asyncio.run(main())
    first, second = server.requests
    assert (first.path, first.body) == (second.path, second.body)


def test_a_cancelled_payout_outlives_its_loop_and_its_client(server: ObservingServer) -> None:
    async def main() -> None:
        client = client_of(server)
        task = asyncio.ensure_future(withdrawal(client))
        await in_thread(server.wait_for_answers, 1)
        task.cancel()
        assert await is_cancelled(task)
        await client.aclose()
        del client

    server.answer_next(Answer(429, {"retry-after": "2"}))
    asyncio.run(main())
    server.wait_for_answers(2)
    assert len(server.requests) == 2


def test_the_money_of_a_cancelled_withdrawal_moves() -> None:
    async def main(simulator: Simulator) -> None:
        async with simulator.async_client() as client:
            task = asyncio.ensure_future(withdrawal(client))
            await wait_until(lambda: bool(simulator.requests))
            task.cancel()
            assert await is_cancelled(task)
            # It has a status once it was answered, and it is answered only on an open connection.
            await wait_until(lambda: simulator.requests[0].status == 200)
            assert simulator.balance("USD") == Decimal("90")

    with Simulator(balances={"USD": "100"}) as simulator:
        simulator.fault("answer_late:1000")
        asyncio.run(main(simulator))
        assert len(simulator.requests) == 1


@pytest.mark.parametrize("begin", [wallets, withdrawal])
def test_wait_for(server: ObservingServer, begin: Begin) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(begin(client), 0.3)
            server.release()
            assert len(await client.wallets.list()) == 1

    server.hold()
    asyncio.run(main())


def test_a_time_limit_of_asyncio(server: ObservingServer) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            with pytest.raises(asyncio.TimeoutError):
                if sys.version_info >= (3, 11):
                    async with asyncio.timeout(0.3):
                        await client.wallets.list()
                else:
                    await asyncio.wait_for(client.wallets.list(), 0.3)
            server.release()
            assert len(await client.wallets.list()) == 1

    server.hold()
    asyncio.run(main())


def test_a_sibling_that_fails(server: ObservingServer) -> None:
    class Failure(Exception):
        pass

    async def fail(wait: Callable[[int], None]) -> None:
        await in_thread(wait, 3)
        raise Failure

    async def main() -> None:
        async with client_of(server) as client:
            if sys.version_info >= (3, 11):
                with pytest.RaisesGroup(Failure):
                    async with asyncio.TaskGroup() as group:
                        tasks = [group.create_task(client.wallets.list()) for _ in range(3)]
                        group.create_task(fail(server.wait_for_requests))
            else:
                tasks = [asyncio.ensure_future(client.wallets.list()) for _ in range(3)]
                with pytest.raises(Failure):
                    await asyncio.gather(*tasks, fail(server.wait_for_requests))
                for task in tasks:
                    task.cancel()
            for task in tasks:
                assert await is_cancelled(task)
            await in_thread(server.wait_for_closed_by_client, 3)

    server.hold()
    asyncio.run(main())


def test_a_gather_that_is_cancelled(server: ObservingServer) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            group = asyncio.gather(*(client.wallets.list() for _ in range(5)))
            await in_thread(server.wait_for_requests, 5)
            group.cancel()
            with pytest.raises(asyncio.CancelledError):
                await group
            await in_thread(server.wait_for_closed_by_client, 5)

    server.hold()
    asyncio.run(main())


def test_cancelling_after_the_answer_was_taken(kazawallet_simulator: Simulator) -> None:
    async def main() -> None:
        async with kazawallet_simulator.async_client() as client:
            task = asyncio.ensure_future(wallets(client))
            result = await task
            assert not task.cancel()
            assert task.result() is result

    asyncio.run(main())


@pytest.mark.parametrize("begin", [wallets, link, withdrawal])
def test_cancelling_between_the_answer_and_its_being_taken(
    server: ObservingServer, begin: Begin
) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            task = asyncio.ensure_future(begin(client))
            await in_thread(server.wait_for_requests, 1)
            # The loop stands still while the answer comes in.
            server.release()
            server.wait_for_answers(1)
            time.sleep(0.2)
            assert task.cancel()
            assert await is_cancelled(task)
            assert len(await client.wallets.list()) == 1

    server.hold()
    asyncio.run(main())


def test_cancelling_before_the_task_began(server: ObservingServer) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            for begin in [*DROPPED, *CARRIED_OUT]:
                task = asyncio.ensure_future(begin(client))
                task.cancel()
                assert await is_cancelled(task)
            await client.wallets.list()

    asyncio.run(main())
    assert [seen.path for seen in server.requests] == ["/get-merchant-wallets"]


def test_cancelling_at_any_moment(kazawallet_simulator: Simulator) -> None:
    async def main() -> None:
        async with kazawallet_simulator.async_client() as client:
            for turns in range(60):
                tasks = [asyncio.ensure_future(wallets(client)) for _ in range(8)]
                for _ in range(turns):
                    await asyncio.sleep(0)
                await asyncio.sleep(turns * 0.0001)
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    assert await is_cancelled(task) or len(task.result()) > 0
            assert len(await client.wallets.list()) > 0

    asyncio.run(main())


def test_cancelling_a_thousand_at_once(server: ObservingServer) -> None:
    calls = 1000

    async def main() -> None:
        async with client_of(server, timeout=GUARD) as client:
            tasks = [asyncio.ensure_future(wallets(client)) for _ in range(calls)]
            await in_thread(server.wait_for_requests, calls)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=GUARD)
            assert all(task.cancelled() for task in tasks)
            await in_thread(server.wait_for_closed_by_client, calls)
            server.release()
            assert len(await client.wallets.list()) == 1

    server.hold()
    # Both ends of a thousand connections are in this process.
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = max(before[0], 4096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, before[1]))
    try:
        asyncio.run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_coroutine_closed_before_it_began(server: ObservingServer) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            client.wallets.list().close()
            client.withdrawals.create(amount="10", currency="USD", payment_method=RECIPIENT).close()
            await client.request("GET", "/after")

    asyncio.run(main())
    assert [seen.path for seen in server.requests] == ["/after"]


def test_a_coroutine_closed_while_it_waits(server: ObservingServer) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            coroutine = client.wallets.list()
            coroutine.send(None)
            await in_thread(server.wait_for_requests, 1)
            coroutine.close()
            await in_thread(server.wait_for_closed_by_client, 1)

    server.hold()
    asyncio.run(main())


def test_a_payout_whose_coroutine_is_closed_runs_to_its_end(server: ObservingServer) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            coroutine = client.withdrawals.create(
                amount="10", currency="USD", payment_method=RECIPIENT
            )
            coroutine.send(None)
            await in_thread(server.wait_for_answers, 1)
            coroutine.close()
            await in_thread(server.wait_for_answers, 2)

    server.answer_next(Answer(429, {"retry-after": "1"}))
    asyncio.run(main())
    assert len(server.requests) == 2


def test_a_shielded_call_is_answered(server: ObservingServer) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            task = asyncio.ensure_future(wallets(client))

            async def outer() -> Any:
                return await asyncio.shield(task)

            waiting = asyncio.ensure_future(outer())
            await in_thread(server.wait_for_requests, 1)
            waiting.cancel()
            assert await is_cancelled(waiting)
            server.release()
            assert len(await task) == 1

    server.hold()
    asyncio.run(main())
