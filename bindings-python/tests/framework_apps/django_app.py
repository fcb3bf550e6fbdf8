"""The routes of the tests in Django, under WSGI and ASGI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from kinds import KINDS, receiver, without_chunks

from kazawallet.contrib.django import WebhookReceiver


def read_before(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """A middleware that reads the body, and keeps it or not."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path.endswith("read-before"):
            request.read()
        elif request.path.endswith("kept"):
            assert request.body
        return get_response(request)

    return middleware


def page(request: HttpRequest) -> HttpResponse:
    """Any other page."""
    return HttpResponse("a page")


settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="of these tests",
    MIDDLEWARE=[
        f"{__name__}.read_before",
        # What a new project has. It would ask for a token.
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
)

receivers: dict[str, WebhookReceiver] = {kind: receiver(WebhookReceiver, kind) for kind in KINDS}


def view_of(kind: str, receiver: WebhookReceiver) -> Any:
    """The view of a kind: one of them gives something else than the request on."""
    if not kind.endswith("no-request"):
        return receiver.view
    return csrf_exempt(lambda request: cast(Any, receiver.view)(request.body))


urlpatterns = [
    path("", page),
    *(path(kind, view_of(kind, each)) for kind, each in receivers.items()),
]
for kind, each in receivers.items():
    if kind.endswith(("closed", "stopped", "away")):
        each.start()
    if kind.endswith("closed"):
        each.ledger.close()
    elif kind.endswith("stopped"):
        each.stop()

app = without_chunks(get_wsgi_application())
asgi_app = get_asgi_application()
