"""The routes of the tests as plain ASGI applications, behind a few lines of ASGI."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from kinds import KINDS, async_receiver, begun

from kazawallet.contrib.asgi import WebhookReceiver

receivers: dict[str, WebhookReceiver] = {
    kind: async_receiver(WebhookReceiver, kind) for kind in KINDS
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Mounts the receivers. One alone is the whole application, with its own lifespan."""
    if len(receivers) == 1:
        [alone] = receivers.values()
        await alone(scope, receive, send)
    elif scope["type"] == "lifespan":
        await receive()
        async with AsyncExitStack() as stack:
            for kind, receiver in receivers.items():
                await stack.enter_async_context(receiver)
                await begun(kind, receiver)
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        kind = scope["path"].strip("/")
        if kind.endswith("kept"):
            receive = given_on(await whole(receive))
        elif kind.endswith("read-before"):
            await whole(receive)
            receive = given_on(b"")
        await receivers[kind](scope, receive, send)


async def whole(receive: Any) -> bytes:
    """A request's body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    return body


def given_on(body: bytes) -> Any:
    """What a middleware that has read the body gives on."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
