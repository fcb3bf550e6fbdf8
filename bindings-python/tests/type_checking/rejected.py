# pyright: strict
"""What a type checker must refuse. It is read, and never run.

Above a line that must be refused stand `# E:`, mypy's code, pyright's rule, and a text that the
messages of both hold. No other line may be refused. (A `bool` cannot be refused here: to a type
checker it is an `int`. It is a `TypeError` when the program runs.)
"""

from datetime import timedelta
from decimal import Decimal

from kazawallet import (
    AsyncClient,
    AsyncLedger,
    Client,
    KazawalletError,
    Ledger,
    Payment,
    PaymentEvent,
    PaymentLink,
    PaymentMethod,
    Webhook,
)
from kazawallet.contrib.flask import WebhookReceiver as InFlask
from kazawallet.contrib.starlette import WebhookReceiver as InStarlette
from kazawallet.testing import Simulator

client = Client()
recipient = PaymentMethod.sy_cash(phone="0933123456")
webhook = Webhook("key", "secret")

# Money is never a float.
# E: arg-type reportArgumentType "float"
client.payment_links.create(amount=10.5, currency="USD")
client.withdrawals.create(
    # E: arg-type reportArgumentType "float"
    amount=10.5,
    currency="USD",
    payment_method=recipient,
)
client.deposits.create(
    # E: arg-type reportArgumentType "float"
    amount=10.5,
    currency="USD",
    user_email="user@example.com",
    payment_method=recipient,
)
# E: arg-type reportArgumentType "float"
webhook.sign(amount=10.5, order_id="pl_1")
# E: dict-item reportArgumentType "float"
Simulator(balances={"USD": 10.5})


def a_float_price(event: PaymentEvent) -> None:
    # E: arg-type reportArgumentType "float"
    event.match_order(amount=1.5, currency="USD", ref="1")
    # E: operator reportOperatorIssue "float"
    print(event.amount * 1.5)


# Arguments go by name, all that are needed are given, and none is made up.
# E: call-arg reportCallIssue positional argument
Client("key")
# E: call-arg reportCallIssue positional argument
client.payment_links.create("10.50", "USD")
# E: call-arg reportCallIssue "currency"
client.payment_links.create(amount="10.50")
# E: call-arg reportCallIssue "reference"
client.payment_links.create(amount=1, currency="USD", reference="1")
# E: call-arg reportCallIssue "token"
Client(token="key")
# E: call-arg reportCallIssue positional argument
PaymentMethod.sy_cash("0933123456")
# E: call-arg reportCallIssue "api_secret"
Webhook("key")

# The types of the others.
# E: arg-type reportArgumentType "timeout"
Client(timeout="30")
# E: call-arg reportCallIssue "path"
client.request("POST")
client.withdrawals.create(
    amount=1,
    currency="USD",
    # E: arg-type reportArgumentType "PaymentMethod"
    payment_method={"id": "37"},
)
# E: arg-type reportArgumentType "id"
PaymentMethod.custom(id=37, fields={})
# E: arg-type reportArgumentType "dict[str, str]"
webhook.verify({"order_id": "pl_1"})


def results(link: PaymentLink) -> None:
    # E: misc reportAttributeAccessIssue "url"
    link.url = "https://shop.example"
    # E: assignment reportAssignmentType "str | None"
    link_id: str = link.id
    # E: attr-defined reportAttributeAccessIssue "link"
    print(link_id, link.link)
    if link == "https://shop.example":
        print("a link is not its URL")


# E: misc reportGeneralTypeIssues final
class OwnEvent(PaymentEvent):
    """An event exists only where it was verified."""


def errors(error: KazawalletError) -> None:
    # E: comparison-overlap reportUnnecessaryComparison unkown
    if error.outcome == "unkown":
        print("misspelt")
    # E: attr-defined reportAttributeAccessIssue "status"
    print(error.status)


async def awaited(asynchronous: AsyncClient) -> None:
    # E: misc reportGeneralTypeIssues "WalletList"
    await client.wallets.list()
    # E: attr-defined reportAttributeAccessIssue "raw"
    print(asynchronous.wallets.list().raw)
    # E: attr-defined reportGeneralTypeIssues "__enter__"
    with asynchronous:
        pass
    async with Simulator() as sim:
        # E: arg-type reportArgumentType "Sized"
        print(len(sim.pay("pl_1")))
    # E: assignment reportAssignmentType "float"
    price: Decimal = 10.5
    print(price)


def ledger(ledger: Ledger, payment: Payment) -> None:
    # E: arg-type reportArgumentType "float"
    ledger.create_payment_link(ref="1", amount=10.5, currency="USD")
    # E: call-arg reportCallIssue "ref"
    ledger.create_payment_link(amount="1", currency="USD")
    # E: arg-type reportArgumentType "Literal['unpaid']"
    ledger.settle("pl_1", "unpaid", by="amal")
    # E: call-arg reportCallIssue "by"
    ledger.resolve("salary-1", "paid")
    # E: arg-type reportArgumentType "bool"
    ledger.set_link_id_check("off", by="amal")
    # E: arg-type reportArgumentType "timedelta"
    ledger.forget(timedelta(days=1))
    # E: arg-type reportArgumentType "AsyncClient"
    Ledger.open(client=AsyncClient())
    # E: arg-type reportArgumentType "Literal[True]"
    Ledger.open(spool=True)
    # E: misc reportAttributeAccessIssue "decision"
    payment.decision = "paid"
    # E: comparison-overlap reportUnnecessaryComparison payed
    if payment.decision == "payed":
        print("misspelt")


async def awaited_ledger(ledger: AsyncLedger) -> None:
    # E: arg-type reportArgumentType "process"
    ledger.process(print)
    # E: attr-defined reportAttributeAccessIssue "orders"
    print(ledger.summary().orders)


def frameworks(webhook: Webhook, ledger: Ledger) -> None:
    # E: call-overload reportCallIssue Webhook
    InFlask(webhook)
    # E: call-overload reportCallIssue Ledger
    InFlask(ledger)
    # E: call-overload reportArgumentType "Ledger"
    InStarlette(ledger, worker=False)
