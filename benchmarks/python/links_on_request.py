"""A program that makes payment links with one client, to be watched from outside.

    python links_on_request.py CLIENT

CLIENT is a name of `http_calls.SYNC` or `.ASYNC`. Each line that the program reads is a number: it
makes so many links, one after the other, and answers with a line, the last link's URL. A 0 makes
none: the answer tells that the client is there.
"""

from __future__ import annotations

import os
import sys

from http_calls import ASYNC, SYNC, Merchant


def make_links(client: str, merchant: Merchant) -> None:
    with SYNC[client](merchant) as create:
        for line in sys.stdin:
            url = ""
            for _ in range(int(line)):
                url = create()
            print(url, flush=True)


async def make_links_async(client: str, merchant: Merchant) -> None:
    async with ASYNC[client](merchant) as create:
        for line in sys.stdin:
            url = ""
            for _ in range(int(line)):
                url = await create()
            print(url, flush=True)


def main() -> None:
    [client] = sys.argv[1:]
    merchant = Merchant(
        base_url=os.environ["KAZAWALLET_BASE_URL"],
        api_key=os.environ["KAZAWALLET_API_KEY"],
        email=os.environ["KAZAWALLET_MERCHANT_EMAIL"],
    )
    if client in SYNC:
        make_links(client, merchant)
    else:
        import asyncio  # Only where it is used: a process start is measured with it.

        asyncio.run(make_links_async(client, merchant))


if __name__ == "__main__":
    main()
