"""The routes of the tests in aiohttp. Run as a program, it is served on a given socket."""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler
from kinds import KINDS, async_receiver, begun

from kazawallet.contrib.aiohttp import WebhookReceiver


@web.middleware
async def read_before(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A middleware that reads the body, and keeps it or not."""
    if request.path.endswith("read-before"):
        await request.content.read()
    elif request.path.endswith("kept"):
        await request.read()
    return await handler(request)


def with_its_body(receiver: WebhookReceiver) -> Handler:
    """A handler that gives something else than the request on."""

    async def handler(request: web.Request) -> web.StreamResponse:
        answer: web.Response = await cast(Any, receiver.view)(await request.read())
        return answer

    return handler


def then(kind: str, receiver: WebhookReceiver) -> Any:
    """What is done with a receiver once it is started."""

    async def context(_: web.Application) -> AsyncIterator[None]:
        await begun(kind, receiver)
        yield

    return context


app = web.Application(middlewares=[read_before])
for kind in KINDS:
    receiver: WebhookReceiver = async_receiver(WebhookReceiver, kind)
    if kind.endswith("no-request"):
        app.router.add_post(f"/{kind}", with_its_body(receiver))
    else:
        receiver.init_app(app, f"/{kind}")
        app.cleanup_ctx.append(then(kind, receiver))

if __name__ == "__main__":
    web.run_app(app, sock=socket.socket(fileno=int(sys.argv[1])), print=None)
