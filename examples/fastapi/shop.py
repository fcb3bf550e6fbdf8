"""A shop that sells tea, and pays out. What it must not forget is in the ledger: `receiver.ledger`."""

import html
import os
import secrets
import socket
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Form
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, RedirectResponse

from kazawallet import AsyncClient, AsyncLedger, KazawalletError, Payment, PaymentMethod
from kazawallet.contrib.starlette import WebhookReceiver

PORT = int(os.environ.get("PORT", "8000"))
SHOP_URL = os.environ.get("SHOP_URL", f"http://127.0.0.1:{PORT}")
DATA = Path(os.environ.get("SHOP_DATA") or Path(__file__).parent / "data").resolve()
SHIPPED = DATA / "shipped"  # Has an empty file for each order that was shipped.

# A ref becomes a file's name: only one that this shop may have made.
Ref = Annotated[str, InPath(pattern="^order-[0-9a-f]+$")]


async def open_ledger() -> AsyncLedger:
    DATA.mkdir(parents=True, exist_ok=True)
    url = os.environ.get("KAZAWALLET_LEDGER") or f"sqlite://{DATA}/kazawallet.db"
    return await AsyncLedger.open(url, client=AsyncClient())


async def ship(payment: Payment) -> None:
    """Called for each payment at least once: what it does must be the same done twice."""
    if payment.is_paid and payment.ref:  # Otherwise the link timed out, and Pay makes another.
        SHIPPED.mkdir(exist_ok=True)
        (SHIPPED / payment.ref).touch()


receiver = WebhookReceiver(open_ledger, ship)
app = FastAPI(lifespan=receiver.lifespan, default_response_class=HTMLResponse)
app.add_route("/webhooks/kazawallet", receiver)


@app.get("/")
async def home() -> str:
    return page(
        "A tea shop",
        "<p>Tea, 10.50 USD</p>",
        '<form method="post" action="/orders"><button>Order</button></form>',
        '<p><a href="/payouts">Pay out</a></p>',
    )


@app.post("/orders")
async def make_order() -> RedirectResponse:
    return RedirectResponse(f"/orders/order-{secrets.token_hex(8)}", 303)


@app.get("/orders/{ref}")
async def show_order(ref: Ref) -> str:
    payment = await state_of_payment(ref)
    delivery = "shipped" if (SHIPPED / ref).exists() else "waiting"
    pay = f'<form method="post" action="/orders/{ref}/pay"><button>Pay</button></form>'
    return page(
        ref,
        f'<p>Payment: <strong id="payment">{payment}</strong></p>',
        f'<p>Delivery: <strong id="delivery">{delivery}</strong></p>',
        "" if payment == "paid" else pay,
    )


@app.post("/orders/{ref}/pay")
async def pay(ref: Ref) -> RedirectResponse:
    """The same order has the same link, however often the button is pressed."""
    link = await receiver.ledger.create_payment_link(
        ref=ref, amount="10.50", currency="USD", redirect_url=f"{SHOP_URL}/orders/{ref}/return"
    )
    return RedirectResponse(link.url, 303)


@app.get("/orders/{ref}/return")
async def come_back(ref: Ref) -> str:
    """Anybody can open this page: it changes nothing."""
    payment = await state_of_payment(ref)
    return page(
        "Thank you",
        "" if payment == "paid" else '<meta http-equiv="refresh" content="2">',
        "<p>Your payment counts once Kazawallet has told this shop of it.</p>",
        f'<p>Payment: <strong id="payment">{payment}</strong></p>',
        f'<p><a href="/orders/{ref}">Your order</a></p>',
    )


PAYOUT_FORM = """<form method="post">
<p><label>Reference <input name="reference" required></label></p>
<p><label>Amount in USD <input name="amount" required></label></p>
<p><label>Phone, of SY Cash <input name="phone" required></label></p>
<button>Pay out</button></form>"""


# In a real shop the payouts are behind a login, and the form has a token against other sites' posts.
@app.get("/payouts")
async def payout_form() -> str:
    return page("Pay out", PAYOUT_FORM)


@app.post("/payouts")
async def pay_out(
    # The payout's identity: what it is for, such as refund-order-42. It is never paid twice.
    reference: Annotated[str, Form()],
    amount: Annotated[str, Form()],
    phone: Annotated[str, Form()],
) -> str:
    try:
        payout = await receiver.ledger.withdraw(
            reference=reference,
            amount=amount,
            currency="USD",
            payment_method=PaymentMethod.sy_cash(phone=phone),
        )
    except KazawalletError as error:
        state, sentence = state_of_failed_payout(error)
    else:
        state, sentence = str(payout.state), "It is paid. Asked again, it is not paid again."
    return page(
        "Pay out",
        f'<p>Payout: <strong id="payout">{state}</strong></p>',
        f"<p>{html.escape(sentence)}</p>",
        PAYOUT_FORM,
    )


def state_of_failed_payout(error: KazawalletError) -> tuple[str, str]:
    if error.code in ("validation", "ledger_state"):
        return "refused", str(error)
    if error.outcome == "rejected":
        return "rejected", str(error)
    if error.outcome == "unknown":
        return "unknown", (
            "It may have been paid. Look into the wallet, then resolve it; "
            "do not repeat it under another reference."
        )
    return "not_sent", f"Nothing has left, and asking again is safe: {error}"


async def state_of_payment(ref: str) -> str:
    order = await receiver.ledger.order(ref)
    return "none" if order is None else order.state


def page(title: str, *body: str) -> str:
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>',
            f'<meta name="viewport" content="width=device-width"><h1>{title}</h1>',
            *body,
        ]
    )


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", PORT)) as listening:
        print(f"The shop is at http://127.0.0.1:{PORT}/", flush=True)
        uvicorn.run(app, fd=listening.fileno(), log_level="warning")
