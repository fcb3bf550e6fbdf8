"""A small HTTP server that tells on which connection a request came, and when one was closed.

The simulator does not tell connections apart, and the scripted server says what it saw only at its
end. This one can be watched while it runs, holds answers back for as long as a test wants, and closes
kept connections when it is told to.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from programs import EMAIL, GUARD, KEY, SECRET

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """A request that was read whole."""

    connection: int
    """Connections are numbered from 1 in the order in which they were made."""
    method: str
    path: str
    body: str


@dataclass(frozen=True)
class Answer:
    """What is answered instead of the usual."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "{}"


class ObservingServer:
    """The server, on a thread of its own, in a `with` block."""

    api_key, api_secret, merchant_email = KEY, SECRET, EMAIL

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: list[Seen] = []
        self._answered = 0
        self._connections = 0
        self._closed_by_client: set[int] = set()
        self._closed_by_server: set[int] = set()
        self._kept: set[int] = set()
        self._held: Callable[[Seen], bool] = lambda _: False
        self._next: list[Answer] = []
        self._port = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[Seen]:
        """All requests so far."""
        with self._changed:
            return list(self._seen)

    @property
    def connections(self) -> int:
        """How many connections were made."""
        with self._changed:
            return self._connections

    @property
    def closed_by_client(self) -> set[int]:
        """The connections that the client's side closed."""
        with self._changed:
            return set(self._closed_by_client)

    def connections_of(self, path: str) -> set[int]:
        """The connections on which requests came whose path begins so."""
        return {seen.connection for seen in self.requests if seen.path.startswith(path)}

    def answer_next(self, answer: Answer) -> None:
        """The next request that comes gets this answer."""
        with self._changed:
            self._next.append(answer)

    def hold(self, path: str = "/") -> None:
        """Requests whose path begins so are not answered before `release`."""
        with self._changed:
            self._held = lambda seen: seen.path.startswith(path)

    def release(self) -> None:
        """Answers what was held, and holds nothing any more."""
        with self._changed:
            self._held = lambda _: False
        self._loop.call_soon_threadsafe(self._wake)

    def wait_for_requests(self, count: int) -> None:
        """Waits until so many requests came in all."""
        self._wait(lambda: len(self._seen) >= count, f"{count} requests")

    def wait_for_answers(self, count: int) -> None:
        """Waits until so many answers were written in all."""
        self._wait(lambda: self._answered >= count, f"{count} answers")

    def wait_for_closed_by_client(self, count: int) -> None:
        """Waits until the client's side closed so many connections in all."""
        self._wait(lambda: len(self._closed_by_client) >= count, f"{count} closed by the client")

    def close_kept(self) -> None:
        """Closes the connections that have no request, and waits until they are closed."""
        kept: list[set[int]] = []
        self._loop.call_soon_threadsafe(self._close_kept, kept)
        self._wait(
            lambda: bool(kept) and kept[0] <= self._closed_by_server,
            "kept connections to be closed",
        )

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(happened, GUARD):
                raise AssertionError(
                    f"waited in vain for {what}; {len(self._seen)} requests were seen, "
                    f"the last of them {self._seen[-5:]}; "
                    f"{len(self._closed_by_client)} connections were closed by the client"
                )

    def __enter__(self) -> ObservingServer:
        self._thread.start()
        self._wait(lambda: self._port != 0, "the server")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(GUARD)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._released = asyncio.Event()
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=2048)
        with self._changed:
            self._port = server.sockets[0].getsockname()[1]
            self._changed.notify_all()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _wake(self) -> None:
        released, self._released = self._released, asyncio.Event()
        released.set()

    def _close_kept(self, kept: list[set[int]]) -> None:
        with self._changed:
            closing, self._closing = self._closing, asyncio.Event()
            kept.append(set(self._kept))
            self._changed.notify_all()
        closing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._changed:
            self._connections += 1
            number = self._connections
            self._kept.add(number)
            closing = self._closing
            self._changed.notify_all()
        closed: set[int] | None = self._closed_by_client
        try:
            while True:
                seen = await _unless(closing, self._request(number, reader))
                if seen is None:
                    closed = self._closed_by_server
                    break
                # Under one lock, so that what is told to be held is held from then on.
                with self._changed:
                    self._kept.discard(number)
                    held = self._held(seen)
                    released = self._released
                    answer = self._next.pop(0) if self._next else _usual(seen)
                    self._seen.append(seen)
                    self._changed.notify_all()
                # While it is held, nothing can come but the end of the connection.
                if held and await _unless(released, reader.read(1)) is not None:
                    break
                with self._changed:
                    self._kept.add(number)
                    closing = self._closing
                writer.write(_on_the_wire(answer))
                await writer.drain()
                with self._changed:
                    self._answered += 1
                    self._changed.notify_all()
        except (EOFError, OSError):
            pass
        except asyncio.CancelledError:
            # The test has ended.
            closed = None
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
        with self._changed:
            self._kept.discard(number)
            if closed is not None:
                closed.add(number)
            self._changed.notify_all()

    async def _request(self, connection: int, reader: asyncio.StreamReader) -> Seen:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, path, _ = first.split(" ")
        return Seen(connection, method, path, body.decode())


async def _unless(event: asyncio.Event, other: Coroutine[Any, Any, T]) -> T | None:
    """What `other` gives; `None` where the event comes first."""
    first = asyncio.ensure_future(event.wait())
    second = asyncio.ensure_future(other)
    try:
        await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        return second.result() if second.done() else None
    finally:
        first.cancel()
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)


def _usual(seen: Seen) -> Answer:
    """An answer that every call can read."""
    body: dict[str, object] = {"path": seen.path}
    if seen.path == "/get-merchant-wallets":
        body = {"wallets": [{"currency": "USD", "amount": "250.00"}]}
    elif seen.path == "/createPaymentLink":
        ref = json.loads(seen.body).get("ref")
        body = {"success": True, "url": f"https://pay.example/l/{ref}"}
    elif seen.path == "/createWithdrawalRequest":
        body = {"success": True, "status": "approved"}
    elif seen.path == "/createDepositRequest":
        body = {"success": True, "status": "pending"}
    return Answer(200, body=json.dumps(body))


def _on_the_wire(answer: Answer) -> bytes:
    body = answer.body.encode()
    headers = {"content-type": "application/json", **answer.headers, "content-length": len(body)}
    lines = [f"HTTP/1.1 {answer.status} Said", *(f"{name}: {headers[name]}" for name in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
