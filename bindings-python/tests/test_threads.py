"""One client and many threads at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from observing_server import ObservingServer
from programs import GUARD

from kazawallet import AsyncClient, Client


def client_of(server: ObservingServer) -> Client:
    return Client(
        api_key=server.api_key,
        api_secret=server.api_secret,
        merchant_email=server.merchant_email,
        base_url=server.url,
    )


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Does `work` in so many threads at once, and raises what one of them raised."""
    failures: list[BaseException] = []
    together = threading.Barrier(count)

    def in_thread(number: int) -> None:
        try:
            together.wait(GUARD)
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=in_thread, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * GUARD)
        assert not thread.is_alive()
    for failure in failures:
        raise failure


def test_thirty_two_threads_on_one_client() -> None:
    def work(thread: int) -> None:
        for turn in range(50):
            ref = f"{thread}-{turn}"
            link = client.payment_links.create(amount="1", currency="USD", ref=ref)
            assert link.url == f"https://pay.example/l/{ref}"

    with ObservingServer() as server, client_of(server) as client:
        in_threads(32, work)
        assert len(server.requests) == 32 * 50
        # The connections are kept: some are used again and again.
        assert server.connections <= 2 * 32


def test_a_call_in_a_thread_that_has_ended_leaves_a_client_that_works() -> None:
    def work(thread: int) -> None:
        client.request("GET", f"/{thread}")

    with ObservingServer() as server, client_of(server) as client:
        for _ in range(5):
            in_threads(4, work)
        client.wallets.list()
        assert len(server.requests) == 21


def test_blocking_calls_beside_an_async_client() -> None:
    async def calls(client: AsyncClient) -> None:
        for turn in range(20):
            refs = [f"async-{turn}-{n}" for n in range(10)]
            links = await asyncio.gather(
                *(client.payment_links.create(amount="1", currency="USD", ref=ref) for ref in refs)
            )
            assert [link.url.rsplit("/")[-1] for link in links] == refs

    def work(thread: int) -> None:
        if thread == 0:
            asyncio.run(calls(async_client))
            return
        for turn in range(50):
            ref = f"{thread}-{turn}"
            link = client.payment_links.create(amount="1", currency="USD", ref=ref)
            assert link.url == f"https://pay.example/l/{ref}"

    with ObservingServer() as server, client_of(server) as client:
        async_client = AsyncClient(
            api_key=server.api_key,
            api_secret=server.api_secret,
            merchant_email=server.merchant_email,
            base_url=server.url,
        )
        in_threads(8, work)
        assert len(server.requests) == 20 * 10 + 7 * 50
        asyncio.run(async_client.aclose())


def test_blocking_calls_from_inside_a_running_loop() -> None:
    # It holds up the loop, and works.
    async def main() -> None:
        assert len(client.wallets.list()) == 1
        assert len(await asyncio.to_thread(client.wallets.list)) == 1

    with ObservingServer() as server, client_of(server) as client:
        asyncio.run(main())


def test_other_threads_run_while_a_call_waits() -> None:
    # The server lives in this process, so that without the GIL's release nothing would be answered.
    with ObservingServer() as server, client_of(server) as client:
        server.hold()
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(len(client.wallets.list())))
        thread.start()
        server.wait_for_requests(1)
        assert sum(range(1_000_000)) == 499_999_500_000
        assert thread.is_alive() and not answers
        server.release()
        thread.join(GUARD)
        assert answers == [1]


def test_calls_on_one_client_do_not_wait_for_one_another() -> None:
    with ObservingServer() as server, client_of(server) as client:
        server.hold("/get-merchant-wallets")
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(len(client.wallets.list())))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        server.wait_for_requests(8)
        # All eight are held; a ninth call is answered.
        assert client.request("GET", "/ninth").status == 200
        assert not answers
        server.release()
        for thread in threads:
            thread.join(GUARD)
        assert answers == [1] * 8


@pytest.mark.parametrize("closers", [1, 4])
def test_closing_while_other_threads_call(closers: int) -> None:
    def work(thread: int) -> None:
        if thread < closers:
            server.wait_for_answers(20)
            client.close()
            return
        with pytest.raises(RuntimeError):
            while True:
                client.wallets.list()

    with ObservingServer() as server, client_of(server) as client:
        in_threads(8 + closers, work)


def test_a_client_made_in_one_thread_and_closed_in_another() -> None:
    with ObservingServer() as server:
        client = client_of(server)
        client.wallets.list()
        thread = threading.Thread(target=client.close)
        thread.start()
        thread.join(GUARD)
        with pytest.raises(RuntimeError):
            client.wallets.list()
        server.wait_for_closed_by_client(1)
