"""The routes of the tests in Django, under WSGI and ASGI."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path
from kinds import KINDS, receiver

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
urlpatterns = [path("", page), *(path(kind, each.view) for kind, each in receivers.items())]
for kind, each in receivers.items():
    if kind.endswith("closed"):
        each.ledger.close()

app = get_wsgi_application()
asgi_app = get_asgi_application()
