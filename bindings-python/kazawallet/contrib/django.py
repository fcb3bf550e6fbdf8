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

from ._receiving import (
    BODY_TOO_LARGE,
    Answer,
    BlockingReceiver,
    read_at_most,
    refusal_before_reading,
    refusal_of_body,
    refusal_of_read_body,
)

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
    from .._kazawallet import Payment, PaymentEvent

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
        worker: `False` where a cron job or a management command processes (`Ledger.pending`): then no
            handler need be given. It says nothing where there is a `Webhook`.

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
    def view(self, request: HttpRequest) -> HttpResponse:
        """Answers a delivery. It is exempt from the check for CSRF: the signature is what proves it."""
        length = _content_length(request)
        answer = refusal_before_reading(request.method or "", length)
        answer = answer or self._answer(request, length)
        return HttpResponse(answer.body, status=answer.status, headers=answer.headers)

    def _answer(self, request: HttpRequest, length: int | None) -> Answer:
        try:
            body = _raw_body(request, length)
        except RawPostDataException:
            return refusal_of_read_body(_WAY_OUT)
        except RequestDataTooBig:  # The project's own limit is lower.
            return BODY_TOO_LARGE
        except UnreadablePostError:
            body = b""
        return refusal_of_body(body, length, _WAY_OUT) or self._receive(body)

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


def _content_length(request: HttpRequest) -> int | None:
    try:
        return int(request.META.get("CONTENT_LENGTH") or "")
    except ValueError:
        return None


def _raw_body(request: HttpRequest, length: int | None) -> bytes:
    # In chunks, of which Django reads none under WSGI. It can be done where the server ends the stream.
    if length is None and isinstance(request, WSGIRequest) and _ends(request):
        return read_at_most(request.environ["wsgi.input"].read)
    return request.body


def _ends(request: WSGIRequest) -> bool:
    return bool(request.environ.get("wsgi.input_terminated"))
