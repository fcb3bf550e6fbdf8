"""Sells one thing, and says so when it is paid. A whole Django project in one file."""

import os
import secrets
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import path

from kazawallet import Client, Ledger, Payment
from kazawallet.contrib.django import WebhookReceiver


def open_ledger() -> Ledger:
    # Unless KAZAWALLET_LEDGER names another one.
    file = f"sqlite://{os.path.abspath(os.path.dirname(__file__))}/kazawallet.db"
    return Ledger.open(os.environ.get("KAZAWALLET_LEDGER", file), client=Client())


def on_payment(payment: Payment) -> None:
    """Called for each payment at least once: let payment.order_id count once."""
    if payment.is_paid:
        print(f"{payment.ref} is paid", flush=True)


receiver = WebhookReceiver(open_ledger, on_payment)


def buy(request: HttpRequest) -> HttpResponseRedirect:
    ref = f"order-{secrets.token_hex(4)}"  # In a shop: the order's id in your database.
    link = receiver.ledger.create_payment_link(ref=ref, amount="10.50", currency="USD")
    return HttpResponseRedirect(link.url)


urlpatterns = [path("", buy), path("webhooks/kazawallet", receiver.view)]

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY=os.urandom(32).hex()
)

if __name__ == "__main__":
    receiver.start()  # In wsgi.py or asgi.py of a project with several files.
    port = os.environ.get("PORT", "8000")
    execute_from_command_line([sys.argv[0], "runserver", f"127.0.0.1:{port}", "--noreload"])
