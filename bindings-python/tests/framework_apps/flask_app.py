"""The routes of the tests in Flask. Run as a program, it is served by Werkzeug on a given socket."""

from __future__ import annotations

import sys

from flask import Flask, current_app, request
from kinds import KINDS, receiver, without_chunks
from werkzeug.serving import make_server

from kazawallet.contrib.flask import WebhookReceiver

app = Flask(__name__)


@app.before_request
def read_before() -> None:
    """Reads the body, and keeps it or not."""
    if request.path.endswith("read-before"):
        request.get_data(cache=False)
    elif request.path.endswith("kept"):
        request.get_json(force=True)


@app.get("/")
def page() -> str:
    """Any other page."""
    return current_app.name


for kind in KINDS:
    one: WebhookReceiver = receiver(WebhookReceiver, kind)
    one.init_app(app, f"/{kind}")
    if kind.endswith("closed"):
        one.ledger.close()
    elif kind.endswith("stopped"):
        one.stop()

app.wsgi_app = without_chunks(app.wsgi_app)  # type: ignore[method-assign]

if __name__ == "__main__":
    make_server("127.0.0.1", 0, app, threaded=True, fd=int(sys.argv[1])).serve_forever()
