"""The webhook's view for Django.

In a module of your own, such as `shop/payments.py`:

    from kazawallet import Client, Ledger, Payment
    from kazawallet.contrib.django import WebhookReceiver

    def ship(payment: Payment) -> None:
        ...

    receiver = WebhookReceiver(lambda: Ledger.open(client=Client()), ship)

and in `urls.py`:

    urlpatterns = [path("webhooks/kazawallet", receiver.view)]
"""

from __future__ import annotations

from typing import Any

from ._receiving import BlockingReceiver, content_length, read_at_most, withholds_chunks

try:
    from django.core.exceptions import RequestDataTooBig
    from django.core.handlers.wsgi import WSGIRequest
    from django.core.signals import request_finished
    from django.db import close_old_connections, connections
    from django.http import HttpRequest, HttpResponse, RawPostDataException, UnreadablePostError
    from django.views.decorators.csrf import csrf_exempt
except ImportError as _error:
    raise ImportError(
        "kazawallet.contrib.django needs Django: pip install django", name=_error.name
    ) from _error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._kazawallet import Payment, PaymentEvent, RouteAnswer

__all__ = ["WebhookReceiver"]

_WAY_OUT = (
    "In Django no middleware may read the request as a file or read request.POST and request.FILES of "
    "a multipart request before it; request.body keeps the bytes."
)


class WebhookReceiver(BlockingReceiver):
    """Receives the provider's webhook in a Django project, under WSGI and ASGI.

    With a **ledger** a delivery is answered as soon as it is stored, and a worker, a thread, calls the
    handler: at least once for each payment, until it succeeds. With a **`Webhook`** the handler is called
    before the answer, since nothing else remembers: where it raises, the provider does not repeat the
    delivery, and the payment is lost but for your log.

    Build one in a module that `urls.py` imports, and add `path("webhooks/kazawallet", receiver.view)` to the
    `urlpatterns`. The worker starts with the first request to this process, whatever its URL. So that what
    was received before a restart does not wait for one, call `receiver.start()` at the end of `wsgi.py` or
    `asgi.py`; management commands then start none. In tests, give `worker=False`.

    Args:
        source: A `Ledger`; or a function without arguments that opens one, which is called once, and what
            it opened is closed at the end; or a `Webhook`.
        handler: Takes the ledger's `Payment`, or with a `Webhook` the `PaymentEvent`.
        worker: `False` if a cron job or a management command processes (`Ledger.pending`): then no
            handler need be given. Ignored if `source` is a `Webhook`.

    Raises:
        TypeError: a source or a handler of another type, or no handler.

    What went wrong is in the log, logger `kazawallet`, and never in the answer.
    """

    def _attach(self) -> None:
        # Not when a request starts: the first one may be what imports the module with the receiver.
        request_finished.connect(self._after_request)

    def _after_request(self, **_: object) -> None:
        self._start_or_log()

    @csrf_exempt
    def view(self, request: Any) -> HttpResponse:
        """Answers a delivery. It is exempt from the check for CSRF: the signature is what proves it."""
        answer = self._answer_to(request)
        return HttpResponse(answer.body, status=answer.status, headers=answer.headers)

    def _answer_to(self, request: object) -> RouteAnswer:
        if not isinstance(request, HttpRequest):  # Such as that of Django REST framework.
            given = f"an object of the class {type(request).__name__}"
            return self._route.no_request(given, "the HttpRequest, as `receiver.view(request)`")
        length = content_length(request.META.get("CONTENT_LENGTH"))
        refused = self._route.refused_by_head(request.method or "", length)
        return refused or self._answer(request, length)

    def _answer(self, request: HttpRequest, length: int | None) -> RouteAnswer:
        try:
            body = _raw_body(request, length)
        except RawPostDataException:
            return self._route.read_before(_WAY_OUT)
        except RequestDataTooBig:  # The project's own limit is lower.
            return self._route.too_long()
        except UnreadablePostError:
            return self._route.broke_off(None, length)
        if not body and isinstance(request, WSGIRequest) and withholds_chunks(request.environ):
            return self._route.not_handed_on()
        return self._arrived(body, length, request.headers.get("Content-Encoding"))

    def _on_event(self, event: PaymentEvent) -> object:
        try:
            return super()._on_event(event)
        except Exception:
            # The error is answered here, so Django would commit what ATOMIC_REQUESTS has begun.
            for connection in connections.all(initialized_only=True):
                if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
                    connection.set_rollback(True)
            raise

    def _on_payment(self, payment: Payment) -> object:
        # As before and after a request: a connection may have gone while nothing came.
        close_old_connections()
        try:
            return super()._on_payment(payment)
        finally:
            close_old_connections()


def _raw_body(request: HttpRequest, length: int | None) -> bytes:
    # In chunks, of which Django reads none under WSGI. It can be done if the server ends the stream.
    if length is None and isinstance(request, WSGIRequest):
        environ = request.environ
        if environ.get("wsgi.input_terminated"):
            return read_at_most(environ["wsgi.input"].read)
    return request.body
