"""Kept connections that the server has closed meanwhile, as every server does sooner or later.

Retries are off, so that only a client that notices before it sends can succeed.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from observing_server import ObservingServer
from programs import Program

from kazawallet import AsyncClient, Client, PaymentMethod

RECIPIENT = PaymentMethod.custom(id="118", fields={})


def options_for(server: ObservingServer) -> dict[str, Any]:
    return {
        "api_key": server.api_key,
        "api_secret": server.api_secret,
        "merchant_email": server.merchant_email,
        "base_url": server.url,
        "max_retries": 0,
    }


def test_calls_after_the_server_has_closed() -> None:
    with ObservingServer() as server, Client(**options_for(server)) as client:
        for turn in range(1, 21):
            client.wallets.list()
            client.payment_links.create(amount="1", currency="USD", ref=f"order-{turn}")
            server.close_kept()
        assert len(server.requests) == 40
        assert server.connections >= 20


def test_async_calls_after_the_server_has_closed() -> None:
    async def main() -> None:
        async with AsyncClient(**options_for(server)) as client:
            for turn in range(1, 21):
                await client.wallets.list()
                await client.payment_links.create(amount="1", currency="USD", ref=f"order-{turn}")
                await asyncio.to_thread(server.close_kept)
            assert len(server.requests) == 40

    with ObservingServer() as server:
        asyncio.run(main())


def test_async_calls_after_the_server_has_closed_while_the_loop_stood_still() -> None:
    async def main() -> None:
        async with AsyncClient(**options_for(server)) as client:
            for _ in range(20):
                await client.wallets.list()
                server.close_kept()
            assert server.connections == 20

    with ObservingServer() as server:
        asyncio.run(main())


def test_many_kept_connections_that_were_closed_together() -> None:
    async def main() -> None:
        async with AsyncClient(**options_for(server)) as client:
            for _ in range(5):
                await asyncio.gather(*(client.wallets.list() for _ in range(32)))
                await asyncio.to_thread(server.close_kept)

    with ObservingServer() as server:
        asyncio.run(main())
        assert len(server.requests) == 5 * 32


@pytest.mark.parametrize("options", [(), ("-X", "dev", "-W", "error")])
def test_a_process_that_did_nothing_meanwhile(options: tuple[str, ...]) -> None:
    program = """
        from kazawallet import Client

        client = Client(max_retries=0)
        for _ in range(5):
            print(len(client.wallets.list()), flush=True)
            input()
    """
    with (
        ObservingServer() as server,
        Program(program, provider=server, options=options) as running,
    ):
        for _ in range(5):
            assert running.line() == "1"
            server.close_kept()
            running.tell()
        running.end().check_is_clean()


def test_a_connection_is_kept_where_the_server_keeps_it() -> None:
    program = """
        from kazawallet import Client

        client = Client(max_retries=0)
        for turn in range(10):
            client.wallets.list()
            client.payment_links.create(amount="1", currency="USD", ref=f"order-{turn}")
        client.close()
        print("closed", flush=True)
        input()
    """
    with ObservingServer() as server, Program(program, provider=server) as running:
        assert running.line() == "closed"
        assert server.connections == 1
        # It goes with the client, and not only with the process.
        server.wait_for_closed_by_client(1)
        running.tell()
        running.end().check_is_clean()


def test_each_payout_opens_a_connection_of_its_own() -> None:
    with ObservingServer() as server, Client(**options_for(server)) as client:
        for _ in range(3):
            client.wallets.list()
            client.withdrawals.create(amount="1", currency="USD", payment_method=RECIPIENT)
            client.deposits.create(
                amount="1", currency="USD", user_email="user@example.com", payment_method=RECIPIENT
            )
            client.request("POST", "/wallet-cards/create", json={})
        assert server.connections_of("/get-merchant-wallets") == {1}
        payouts = [seen.connection for seen in server.requests if seen.method == "POST"]
        assert len(payouts) == len(set(payouts)) == 9
        assert 1 not in payouts


def test_each_async_payout_opens_a_connection_of_its_own() -> None:
    async def main() -> None:
        async with AsyncClient(**options_for(server)) as client:
            await client.wallets.list()
            for _ in range(3):
                await client.withdrawals.create(
                    amount="1", currency="USD", payment_method=RECIPIENT
                )
            await client.wallets.list()

    with ObservingServer() as server:
        asyncio.run(main())
        assert [seen.connection for seen in server.requests] == [1, 2, 3, 4, 1]
