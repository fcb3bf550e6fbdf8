"""Sells one thing, and says so when it is paid."""

import os
import secrets

from flask import Flask, redirect
from werkzeug.wrappers import Response

from kazawallet import Client, Ledger, Payment
from kazawallet.contrib.flask import WebhookReceiver


def open_ledger() -> Ledger:
    # Unless KAZAWALLET_LEDGER names another one.
    file = f"sqlite://{os.path.abspath(os.path.dirname(__file__))}/kazawallet.db"
    return Ledger.open(os.environ.get("KAZAWALLET_LEDGER", file), client=Client())


def on_payment(payment: Payment) -> None:
    """Called for each payment at least once: let payment.order_id count once."""
    if payment.is_paid:
        print(f"{payment.ref} is paid", flush=True)


app = Flask(__name__)
receiver = WebhookReceiver(open_ledger, on_payment)
receiver.init_app(app, "/webhooks/kazawallet")


@app.get("/")
def buy() -> Response:
    ref = f"order-{secrets.token_hex(4)}"  # In a shop: the order's id in your database.
    link = receiver.ledger.create_payment_link(ref=ref, amount="10.50", currency="USD")
    return redirect(link.url)


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8000")))
