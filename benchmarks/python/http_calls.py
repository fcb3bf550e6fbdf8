"""The same payment link, made with each HTTP client as its own documentation shows it.

Each keeps its connections alive, has a time limit, sends the body and the key that the endpoint
wants, fails on an HTTP error, reads the JSON answer and takes the link's URL from it. None of them
does what the package does besides: no check before sending, no retries, no classes of errors.

Each function imports its library itself, and nothing here imports what takes long: a process that
uses one of them, to see how soon it answers and what memory it takes, must not pay for the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

TIMEOUT = 30
AMOUNT = "10.50"
CURRENCY = "USD"
REF = "order-42"

Create = Callable[[], str]
AsyncCreate = Callable[[], Awaitable[str]]


class Merchant:
    """Whom the server knows, and where it is."""

    def __init__(self, base_url: str, api_key: str, email: str) -> None:
        self.base_url = base_url
        self.api_key = api_key
        self.email = email

    @property
    def link_url(self) -> str:
        return f"{self.base_url}/createPaymentLink"

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.api_key, "accept": "application/json"}

    def link(self) -> dict[str, str]:
        return {"amount": AMOUNT, "currency": CURRENCY, "email": self.email, "ref": REF}


@contextmanager
def with_kazawallet(merchant: Merchant) -> Iterator[Create]:
    import kazawallet

    with kazawallet.Client(
        api_key=merchant.api_key, merchant_email=merchant.email, base_url=merchant.base_url
    ) as client:

        def create() -> str:
            return client.payment_links.create(amount=AMOUNT, currency=CURRENCY, ref=REF).url

        yield create


@contextmanager
def with_requests(merchant: Merchant) -> Iterator[Create]:
    import requests

    with requests.Session() as session:
        session.headers.update(merchant.headers)

        def create() -> str:
            answer = session.post(merchant.link_url, json=merchant.link(), timeout=TIMEOUT)
            answer.raise_for_status()
            return str(answer.json()["url"])

        yield create


@contextmanager
def with_httpx(merchant: Merchant) -> Iterator[Create]:
    import httpx

    with httpx.Client(headers=merchant.headers, timeout=TIMEOUT) as client:

        def create() -> str:
            answer = client.post(merchant.link_url, json=merchant.link())
            answer.raise_for_status()
            return str(answer.json()["url"])

        yield create


@contextmanager
def with_pyreqwest(merchant: Merchant) -> Iterator[Create]:
    from datetime import timedelta

    from pyreqwest.client import SyncClientBuilder

    builder = SyncClientBuilder().default_headers(merchant.headers)
    with builder.timeout(timedelta(seconds=TIMEOUT)).error_for_status(True).build() as client:

        def create() -> str:
            answer = client.post(merchant.link_url).body_json(merchant.link()).build().send()
            return str(answer.json()["url"])

        yield create


@asynccontextmanager
async def with_async_kazawallet(merchant: Merchant) -> AsyncIterator[AsyncCreate]:
    import kazawallet

    async with kazawallet.AsyncClient(
        api_key=merchant.api_key, merchant_email=merchant.email, base_url=merchant.base_url
    ) as client:

        async def create() -> str:
            link = await client.payment_links.create(amount=AMOUNT, currency=CURRENCY, ref=REF)
            return link.url

        yield create


@asynccontextmanager
async def with_aiohttp(merchant: Merchant) -> AsyncIterator[AsyncCreate]:
    import aiohttp

    # Without limits of their own: how many calls are in flight is the benchmark's affair.
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        headers=merchant.headers,
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT),
        raise_for_status=True,
    ) as session:

        async def create() -> str:
            async with session.post(merchant.link_url, json=merchant.link()) as answer:
                return str((await answer.json())["url"])

        yield create


@asynccontextmanager
async def with_async_httpx(merchant: Merchant) -> AsyncIterator[AsyncCreate]:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        headers=merchant.headers, timeout=TIMEOUT, limits=limits
    ) as client:

        async def create() -> str:
            answer = await client.post(merchant.link_url, json=merchant.link())
            answer.raise_for_status()
            return str(answer.json()["url"])

        yield create


@asynccontextmanager
async def with_async_pyreqwest(merchant: Merchant) -> AsyncIterator[AsyncCreate]:
    from datetime import timedelta

    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder().default_headers(merchant.headers)
    async with builder.timeout(timedelta(seconds=TIMEOUT)).error_for_status(True).build() as client:

        async def create() -> str:
            answer = await client.post(merchant.link_url).body_json(merchant.link()).build().send()
            return str((await answer.json())["url"])

        yield create


SYNC = {
    "kazawallet.Client": with_kazawallet,
    "requests.Session": with_requests,
    "httpx.Client": with_httpx,
    "pyreqwest.SyncClient": with_pyreqwest,
}
ASYNC = {
    "kazawallet.AsyncClient": with_async_kazawallet,
    "aiohttp.ClientSession": with_aiohttp,
    "httpx.AsyncClient": with_async_httpx,
    "pyreqwest.Client": with_async_pyreqwest,
}
