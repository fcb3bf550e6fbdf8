"""The webhook's route for Flask.

>>> import tempfile
>>> from flask import Flask
>>> from kazawallet import Ledger, Payment, Webhook
>>> from kazawallet.contrib.flask import WebhookReceiver
>>> def ship(payment: Payment) -> None:
...     if payment.is_paid:
...         print("ship", payment.ref)
>>> folder = tempfile.TemporaryDirectory()
>>> def open_ledger() -> Ledger:  # In a shop: Ledger.open(client=Client())
...     return Ledger.open(f"sqlite://{folder.name}/shop.db", webhook=Webhook("key", "secret"))
>>> app = Flask(__name__)
>>> receiver = WebhookReceiver(open_ledger, ship)
>>> receiver.init_app(app, "/webhooks/kazawallet")
>>> app.test_client().post("/webhooks/kazawallet", data=b"{}").status
'400 BAD REQUEST'
>>> receiver.stop()
True
>>> folder.cleanup()
"""

from __future__ import annotations

import os

from ._receiving import BlockingReceiver, read_at_most, withholds_chunks

try:
    from flask import Flask, Response, request
    from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
except ImportError as _error:
    raise ImportError(
        "kazawallet.contrib.flask needs Flask: pip install flask", name=_error.name
    ) from _error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._kazawallet import Payment, RouteAnswer

__all__ = ["WebhookReceiver"]

_WAY_OUT = (
    "In Flask nothing may touch request.form, request.files, request.values or request.stream before "
    "it, such as a before_request function or CSRFProtect of Flask-WTF (csrf.exempt(receiver.view)); "
    "request.get_data() and request.get_json() keep the bytes."
)


class WebhookReceiver(BlockingReceiver):
    """Receives the provider's webhook in a Flask application.

    With a **ledger** a delivery is answered as soon as it is stored, and a worker, a thread, calls the
    handler: at least once for each payment, until it succeeds, in the application's context. With a
    **`Webhook`** the handler is called before the answer, since nothing else remembers: where it raises,
    the provider does not repeat the delivery, and the payment is lost but for your log.

    Args:
        source: A `Ledger`; or a function without arguments that opens one, which is called once, and what
            it opened is closed at the end; or a `Webhook`.
        handler: Takes the ledger's `Payment`, or with a `Webhook` the `PaymentEvent`.
        worker: `False` if a cron job processes (`Ledger.pending`), or another process: then no handler
            need be given. Ignored if `source` is a `Webhook`.

    Raises:
        TypeError: a source or a handler of another type, or no handler.

    What went wrong is in the log, logger `kazawallet`, and never in the answer.
    """

    _app: Flask | None = None

    def init_app(self, app: Flask, path: str) -> None:
        """Adds the route to an application, and starts the worker.

        After a fork, as gunicorn's `--preload` does it, the first delivery starts one in the child, too.
        In the process that only watches for changes (`flask run --debug`) none is started.

        Args:
            app: The application.
            path: Where the deliveries arrive, such as `/webhooks/kazawallet`.

        While you develop, reload with `flask run --debug`: with `app.run(debug=True)` the process that watches
        for changes has a worker as well, whose handler is the one from before them.

        Raises:
            LedgerError: the ledger cannot be opened.
        """
        self._app = app
        endpoint = f"kazawallet {path}"
        # Without methods: the other ones are answered here, too.
        app.url_map.add(app.url_rule_class(path, endpoint=endpoint))
        app.view_functions[endpoint] = self.view
        if not _only_watches_for_changes():
            self.start()

    def view(self) -> Response:
        """Answers a delivery. `init_app` adds it to the application; with Flask-WTF's CSRFProtect give it to
        `csrf.exempt`."""
        length = request.content_length
        answer = self._route.refused_by_head(request.method, length) or self._answer(length)
        return Response(answer.body, answer.status, answer.headers)

    def _answer(self, length: int | None) -> RouteAnswer:
        # What touches these first may have read the body; `_cached_data` is the body, kept.
        touched = {"form", "stream"}.intersection(vars(request))
        kept = hasattr(request, "_cached_data")
        try:
            body = _raw_body(length)
        except RequestEntityTooLarge:  # The application's own limit is lower.
            return self._route.too_long()
        except ClientDisconnected:
            return self._route.broke_off(None, length)
        is_whole = len(body) >= length if length is not None else bool(body)
        if touched and not kept and not is_whole:
            return self._route.read_before(_WAY_OUT)
        if not body and withholds_chunks(request.environ):
            return self._route.not_handed_on()
        return self._arrived(body, length, request.headers.get("Content-Encoding"))

    def _on_payment(self, payment: Payment) -> object:
        assert self._app is not None
        with self._app.app_context():
            return super()._on_payment(payment)


def _raw_body(length: int | None) -> bytes:
    if length is None:
        # In chunks. What was read and kept before is there when the stream is at its end.
        return read_at_most(request.stream.read) or request.get_data()
    return request.get_data()


def _only_watches_for_changes() -> bool:
    """The reloader's own process has the application as it was when it was started."""
    return (
        os.environ.get("FLASK_RUN_FROM_CLI") == "true"
        and os.environ.get("FLASK_DEBUG", "0").lower() not in ("", "0", "false", "no")
        and os.environ.get("WERKZEUG_RUN_MAIN") != "true"
    )
