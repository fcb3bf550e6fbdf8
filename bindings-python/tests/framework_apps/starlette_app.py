"""The routes of the tests in Starlette, and in FastAPI."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from kinds import KINDS, async_receiver, begun
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from kazawallet.contrib.starlette import WebhookReceiver

receivers: dict[str, WebhookReceiver] = {
    kind: async_receiver(WebhookReceiver, kind) for kind in KINDS
}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
    """A lifespan of the application's own, since there are several receivers."""
    async with AsyncExitStack() as stack:
        for kind, receiver in receivers.items():
            await stack.enter_async_context(receiver)
            await begun(kind, receiver)
        yield


async def read_before(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """A middleware that reads the body, and keeps it or not."""
    if request.url.path.endswith("read-before"):
        async for _ in request.stream():
            pass
    elif request.url.path.endswith("kept"):
        await request.body()
    return await call_next(request)


if os.environ.get("LIFESPAN") == "no":
    app, fastapi_app = Starlette(), FastAPI()
elif len(receivers) == 1:
    [alone] = receivers.values()
    app = Starlette(lifespan=alone.lifespan)
    fastapi_app = FastAPI(lifespan=alone.lifespan)
else:
    app = Starlette(lifespan=lifespan)
    fastapi_app = FastAPI(lifespan=lifespan)
    app.add_middleware(BaseHTTPMiddleware, dispatch=read_before)
    fastapi_app.add_middleware(BaseHTTPMiddleware, dispatch=read_before)


def with_its_body(receiver: Any) -> Any:
    """An endpoint that gives something else than the request on."""

    async def endpoint(request: Request) -> Response:
        answer: Response = await receiver(await request.body())
        return answer

    return endpoint


for kind, receiver in receivers.items():
    if kind.endswith("no-request"):
        app.add_route(f"/{kind}", with_its_body(receiver), methods=["POST"])
        fastapi_app.add_route(f"/{kind}", with_its_body(receiver), methods=["POST"])
    else:
        app.add_route(f"/{kind}", receiver)
        fastapi_app.add_route(f"/{kind}", receiver)


@fastapi_app.post("/own/webhook")
async def own(request: Request) -> Response:
    """An endpoint of the application's own, which gives the request on."""
    return await receivers["webhook"](request)
