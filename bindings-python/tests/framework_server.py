"""Applications of the web frameworks, each served in a process of its own by a real server."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from programs import GUARD, Provider, environment_for

APPS = Path(__file__).resolve().parent / "framework_apps"


def _uvicorn(app: str) -> Callable[[int], list[str]]:
    return lambda fd: ["-m", "uvicorn", "--fd", str(fd), "--log-level", "warning", app]


def _gunicorn(app: str, *options: str) -> Callable[[int], list[str]]:
    return lambda fd: [
        *("-m", "gunicorn", "--bind", f"fd://{fd}", "--log-level", "warning"),
        *(*(options or ("--threads", "8")), app),
    ]


SERVERS: dict[str, Callable[[int], list[str]]] = {
    "aiohttp": lambda fd: [str(APPS / "aiohttp_app.py"), str(fd)],
    "asgi": _uvicorn("asgi_app:app"),
    "starlette": _uvicorn("starlette_app:app"),
    "fastapi": _uvicorn("starlette_app:fastapi_app"),
    "flask": _gunicorn("flask_app:app"),
    "flask-werkzeug": lambda fd: [str(APPS / "flask_app.py"), str(fd)],
    # On a port of its own: it starts itself again in a second process, which serves.
    "flask-debug": lambda _: [
        *("-m", "flask", "--app", "flask_app", "run", "--debug", "--port", "0")
    ],
    "django": _gunicorn("django_app:app"),
    "django-asgi": _uvicorn("django_app:asgi_app"),
    **{
        f"{name}-{how}": _gunicorn(f"{name}_app:app", *("--workers", "2", "--threads", "4"), *more)
        for name in ("flask", "django")
        for how, more in (("forked", ()), ("preloaded", ("--preload",)))
    },
}
"""How each is served, on a socket that listens already."""


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class FrameworkServer:
    """An application that is served, in a `with` block. It has a port before it runs, and keeps it when it
    is started again: who comes earlier waits."""

    def __init__(
        self, name: str, folder: Path, provider: Provider, kinds: Sequence[str], **more: str
    ) -> None:
        self.name = name
        self.told: list[list[str | None]] = []
        self._told = threading.Condition()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listening.getsockname()[1]
        self._log = folder / "server.log"
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("KAZAWALLET_")},
            **environment_for(provider),
            **{"FOLDER": str(folder), "KINDS": " ".join(kinds), "PYTHONPATH": str(APPS), **more},
        }
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread()

    @property
    def log(self) -> str:
        """What the server and the application have said on standard error so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self, **more: str) -> None:
        """Starts it, with more of the environment."""
        fd = self._listening.fileno()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *SERVERS[self.name](fd)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder,
                env={**self._environment, **more},
                pass_fds=[fd],
                # A group of its own, so that its workers can be ended with it.
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Asks it to end, and waits until it has, with all that it started."""
        if self._process is None:
            return
        self._process.send_signal(how)
        self._end()

    def kill(self) -> None:
        """Ends all of its processes at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._end()

    def _end(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        self._process.wait(GUARD)
        self._reader.join(GUARD)
        assert not self._reader.is_alive(), "a process of the server outlives it"
        self._process.stdout.close()
        self._process = None

    def wait_for(self, what: Iterable[list[str | None]]) -> None:
        """Waits until all of this was told."""
        wanted = list(what)

        def is_told() -> bool:
            return all(each in self.told for each in wanted)

        with self._told:
            assert self._told.wait_for(is_told, GUARD), (
                f"{self.name}: {[each for each in wanted if each not in self.told]} was not told, "
                f"but {self.told}\n{self.log}"
            )

    def request(
        self,
        path: str,
        body: bytes = b"",
        *,
        method: str = "POST",
        content_type: str | None = "application/json",
        content_encoding: str | None = None,
        chunked: bool = False,
    ) -> Answered:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GUARD)
        try:
            connection.putrequest(method, path)
            if content_type is not None:
                connection.putheader("content-type", content_type)
            if content_encoding is not None:
                connection.putheader("content-encoding", content_encoding)
            if chunked:
                connection.putheader("transfer-encoding", "chunked")
            elif body or method == "POST":
                connection.putheader("content-length", str(len(body)))
            connection.endheaders()
            # Who is refused early may be hung up on while still speaking.
            with suppress(ConnectionError):
                for start in range(0, len(body), 16_384):
                    piece = body[start : start + 16_384]
                    connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if chunked:
                    connection.send(b"0\r\n\r\n")
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, headers, answer.read())
        finally:
            connection.close()

    def hang_up(self, path: str, body: bytes, *, half: bool) -> Answered | None:
        """Sends the head and half of a body, and closes the connection, or its own half of it alone: then the
        answer is read, if there is one."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=GUARD) as sender:
            head = f"POST {path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n"
            head += f"content-length: {len(body)}\r\n\r\n"
            sender.sendall(head.encode() + body[: len(body) // 2])
            if not half:
                return None
            sender.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(sender)
            try:
                answer.begin()
            except (ConnectionError, http.client.BadStatusLine):
                return None
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, headers, answer.read())

    def __enter__(self) -> FrameworkServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self._listening.close()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith(b"["):
                continue  # A greeting of the framework's.
            with self._told:
                self.told.append(json.loads(line))
                self._told.notify_all()
