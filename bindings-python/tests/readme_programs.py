"""The Python that the READMEs and the guides show, and how each of it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from repository import REPOSITORY

DOCUMENTS = sorted(
    str(path.relative_to(REPOSITORY))
    for pattern in ("README*.md", "bindings-python/README.md", "docs/*.md", "examples/*/README.md")
    for path in REPOSITORY.glob(pattern)
)

Kind = Literal["program", "application", "worker", "tests", "excerpt"]


@dataclass(frozen=True)
class ReadmeProgram:
    """One ```python block. Each is a whole program, or, as ```python no-run, an excerpt."""

    document: str
    heading: str
    number: int
    text: str
    is_excerpt: bool

    @property
    def name(self) -> str:
        words = re.sub(r"\W+", "-", self.heading).strip("-").lower()
        return f"{self.document.removesuffix('/README.md')}-{self.number}-{words}"

    @property
    def kind(self) -> Kind:
        if self.is_excerpt:
            return "excerpt"
        if re.search(r"^(app|urlpatterns) = ", self.text, re.MULTILINE):
            return "application"
        if "signal.SIGTERM" in self.text:
            return "worker"
        # Several are pytest's. One that calls its own test is a program.
        return "tests" if "import pytest" in self.text else "program"


def programs_of(document: str) -> list[ReadmeProgram]:
    """The programs of one document, in order, each with the heading that it stands under."""
    return list(_in(document))


def _in(document: str) -> Iterator[ReadmeProgram]:
    heading, number = "", 0
    lines = iter((REPOSITORY / document).read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("```"):
            block = []
            for inside in lines:
                if inside == "```":
                    break
                block.append(inside)
            language, _, marks = line.removeprefix("```").partition(" ")
            if language not in ("python", "py", "python3", "pycon"):
                continue
            number += 1
            if language != "python" or marks not in ("", "no-run"):
                raise ValueError(f"{document}: ```{language} {marks}: would it be run?")
            yield ReadmeProgram(document, heading, number, "\n".join(block) + "\n", bool(marks))


ALL = [program for document in DOCUMENTS for program in programs_of(document)]


def of_kind(*kinds: Kind) -> list[ReadmeProgram]:
    return [program for program in ALL if program.kind in kinds]


def served(application: ReadmeProgram) -> str:
    """An application as a program that prints its port, and serves until SIGTERM."""
    if "import FastAPI" in application.text or "import Starlette" in application.text:
        return application.text + _SERVED_BY_UVICORN
    if "urlpatterns = " in application.text:
        return application.text + _AS_DJANGO + _SERVED_BY_WSGIREF
    return application.text + _SERVED_BY_WSGIREF


_SERVED_BY_UVICORN = """
import socket

import uvicorn

with socket.create_server(("127.0.0.1", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
"""

_AS_DJANGO = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF="__main__", SECRET_KEY="of the test")
app = get_wsgi_application()
"""

_SERVED_BY_WSGIREF = """
import signal
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
    # Not an exception, which the handler of a request would take for its own.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(server.server_port, flush=True)
    server.serve_forever()
"""
