"""Payouts: a reference is never sent twice."""

from __future__ import annotations

import json
import signal
import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import programs
import pytest
from ledgers import SALARY, opened, sqlite, wait_until

from kazawallet import (
    APIConnectionError,
    APIError,
    ConfigurationError,
    Ledger,
    LedgerError,
    OutcomeUnknownError,
    PaymentMethod,
    Payout,
    ValidationError,
    Webhook,
)
from kazawallet.testing import Simulator

START = Decimal("1000.00")


def recorded(ledger: Ledger) -> Payout:
    payout = ledger.payout("salary-1")
    assert payout is not None
    return payout


def paid_out(shop: Simulator) -> Decimal:
    return START - shop.balance("USD")


def test_paid_once(ledger: Ledger, shop: Simulator) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    payout = ledger.withdraw(**SALARY, note="May")
    assert (payout.reference, payout.state, payout.status) == ("salary-1", "paid", "approved")
    assert (payout.amount, payout.currency, payout.payment_method) == (
        Decimal("10.50"),
        "USD",
        "38",
    )
    assert payout.message and payout.details is not None
    assert json.loads(payout.details) == {"fields": {"phone": "0933123456"}, "note": "May"}
    assert payout.deadline is not None
    assert before < payout.created_at <= payout.changed_at < payout.deadline
    assert ledger.withdraw(**SALARY, note="May") == payout
    assert ledger.payout("salary-1") == payout
    assert ledger.payout("salary-2") is None
    assert (len(shop.requests), paid_out(shop)) == (1, Decimal("10.50"))
    assert ledger.unresolved() == []


@pytest.mark.parametrize(
    "other",
    [
        {"amount": "10.51"},
        {"currency": "SYP"},
        {"payment_method": PaymentMethod.sy_cash(phone="0944123456")},
        {"payment_method": PaymentMethod.custom(id="118", fields={})},
    ],
    ids=["amount", "currency", "recipient", "method"],
)
def test_other_terms_are_refused(ledger: Ledger, shop: Simulator, other: dict[str, Any]) -> None:
    ledger.withdraw(**SALARY)
    with pytest.raises(ValidationError) as refused:
        ledger.withdraw(**{**SALARY, **other})
    assert (refused.value.field, refused.value.outcome) == ("reference", "not_sent")
    assert len(shop.requests) == 1


def test_a_refusal_is_final(ledger: Ledger, shop: Simulator) -> None:
    large = {**SALARY, "amount": "5000"}
    errors = []
    for _ in range(2):
        with pytest.raises(APIError) as refused:
            ledger.withdraw(**large)
        errors.append(refused.value)
    first, second = errors
    assert type(first) is type(second)
    for error in errors:
        assert (error.outcome, error.status, error.key) == ("rejected", first.status, first.key)
        assert error.key or error.message
    assert len(shop.requests) == 1
    assert recorded(ledger).state == "rejected"
    with pytest.raises(LedgerError) as state:
        ledger.resolve("salary-1", "paid", by="amal")
    assert state.value.code == "ledger_state"


def test_what_was_not_sent_is_sent_when_asked_again(tmp_path: Path, shop: Simulator) -> None:
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        port = int(shop.url.split(":")[2].split("/")[0])
        key, secret = shop.api_key, shop.api_secret
        shop.stop()
        with pytest.raises(APIConnectionError) as refused:
            ledger.withdraw(**SALARY, timeout=5)
        assert refused.value.outcome == "not_sent"
        assert recorded(ledger).state == "not_sent"
        with Simulator(port=port, api_key=key, api_secret=secret) as again:
            assert ledger.withdraw(**SALARY).state == "paid"
            assert len(again.requests) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("decision", ["paid", "not_paid"])
def test_an_unknown_outcome_waits_for_a_person(
    kind: str, decision: Literal["paid", "not_paid"], tmp_path: Path, shop: Simulator
) -> None:
    with opened(kind, sqlite(tmp_path), shop, clock_margin=0.3) as ledger:
        shop.fault("close_after_acting")
        for _ in range(3):
            with pytest.raises(OutcomeUnknownError) as unknown:
                ledger.withdraw(**SALARY, timeout=1)
            assert unknown.value.outcome == "unknown"
        assert len(shop.requests) == 1
        [payout] = ledger.unresolved()
        assert payout == recorded(ledger) and payout.state == "unknown"
        resolved = resolve_once_allowed(ledger, decision)
        assert resolved.state == decision
        assert ledger.unresolved() == []
        [kept] = ledger.decisions()
        assert (kept.by, kept.action, kept.subject) == ("amal", "resolve", "salary-1")
        assert (kept.decision, kept.note, kept.ref) == (decision, "looked", None)
        if decision == "paid":
            assert ledger.withdraw(**SALARY).state == "paid"
        else:
            with pytest.raises(LedgerError) as final:
                ledger.withdraw(**SALARY)
            assert final.value.code == "ledger_state"
        assert len(shop.requests) == 1
        with pytest.raises(LedgerError) as again:
            ledger.resolve("salary-1", decision, by="amal")
        assert again.value.code == "ledger_state"


def test_a_person_must_wait_for_the_deadline(ledger: Ledger, shop: Simulator) -> None:
    shop.fault("close_after_acting")
    with pytest.raises(OutcomeUnknownError):
        ledger.withdraw(**SALARY)
    with pytest.raises(LedgerError) as early:
        ledger.resolve("salary-1", "paid", by="amal")
    assert (early.value.code, early.value.outcome) == ("ledger_state", "not_sent")
    assert recorded(ledger).state == "unknown"
    assert ledger.decisions() == []


def resolve_once_allowed(ledger: Ledger, decision: Literal["paid", "not_paid"]) -> Payout:
    payout = recorded(ledger)
    assert payout.deadline is not None
    allowed = payout.deadline + timedelta(seconds=0.4)
    # The deadline is a few seconds away at most; nothing tells when it is over.
    threading.Event().wait(max(0.0, (allowed - datetime.now(timezone.utc)).total_seconds()))
    return ledger.resolve("salary-1", decision, by="amal", note="looked")


def test_an_unknown_reference(ledger: Ledger) -> None:
    with pytest.raises(LedgerError) as refused:
        ledger.resolve("salary-9", "paid", by="amal")
    assert refused.value.code == "ledger_not_found"


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("reference", {"reference": ""}),
        ("reference", {"reference": "  "}),
        ("amount", {"amount": "0"}),
        ("currency", {"currency": ""}),
        ("phone", {"payment_method": PaymentMethod.sy_cash(phone="12")}),
    ],
)
def test_what_cannot_be_sent_is_not_recorded(
    ledger: Ledger, shop: Simulator, field: str, other: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as refused:
        ledger.withdraw(**{**SALARY, **other})
    assert refused.value.field == field
    assert ledger.payout("salary-1") is None
    assert not shop.requests
    assert ledger.withdraw(**SALARY).state == "paid"


def test_a_ledger_without_a_client_pays_nothing(tmp_path: Path, webhook: Webhook) -> None:
    with (
        Ledger.open(sqlite(tmp_path), webhook=webhook) as ledger,
        pytest.raises(ConfigurationError),
    ):
        ledger.withdraw(**SALARY)


def test_threads_that_ask_for_the_same_payout(plain_ledger: Ledger, shop: Simulator) -> None:
    shop.fault("answer_late:700")
    payouts: list[Payout] = []
    threads = [
        threading.Thread(target=lambda: payouts.append(plain_ledger.withdraw(**SALARY)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [payout.state for payout in payouts] == ["paid"] * 8
    assert (len(shop.requests), paid_out(shop)) == (1, Decimal("10.50"))


def test_processes_that_ask_for_the_same_payouts(tmp_path: Path, shop: Simulator) -> None:
    program = """
        import sys
        from kazawallet import Client, Ledger, PaymentMethod

        ledger = Ledger.open(client=Client())
        print("ready", flush=True)
        input()
        for number in range(10):
            payout = ledger.withdraw(
                reference=f"salary-{number}", amount="1", currency="USD",
                payment_method=PaymentMethod.sy_cash(phone="0933123456"),
            )
            assert payout.state == "paid", payout
        ledger.close()
    """
    environment = {"KAZAWALLET_LEDGER": sqlite(tmp_path)}
    workers = [programs.Program(program, provider=shop, environment=environment) for _ in range(3)]
    try:
        for worker in workers:
            assert worker.line() == "ready"
        for worker in workers:
            worker.tell()
        for worker in workers:
            worker.end().check_is_clean()
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)
    assert (len(shop.requests), paid_out(shop)) == (10, Decimal("10"))


def test_a_process_that_dies_in_the_middle_leaves_it_unknown(
    tmp_path: Path, shop: Simulator
) -> None:
    program = """
        import os, signal, threading
        from kazawallet import Client, Ledger, PaymentMethod

        ledger = Ledger.open(client=Client(), clock_margin=0.1)
        pay = lambda: ledger.withdraw(
            reference="salary-1", amount="10.50", currency="USD", timeout=3,
            payment_method=PaymentMethod.sy_cash(phone="0933123456"),
        )
        threading.Thread(target=pay, daemon=True).start()
        input()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    shop.fault("answer_late:60000")
    with programs.Program(
        program, provider=shop, environment={"KAZAWALLET_LEDGER": sqlite(tmp_path)}
    ) as dying:
        wait_until(lambda: shop.requests)
        dying.tell()
        assert dying.end().status == -9
    shop.clear_faults()
    with opened("sync", sqlite(tmp_path), shop, clock_margin=0.1) as ledger:
        with pytest.raises(OutcomeUnknownError):
            ledger.withdraw(**SALARY)
        assert resolve_once_allowed(ledger, "paid").state == "paid"
    assert (len(shop.requests), paid_out(shop)) == (1, Decimal("10.50"))


def test_ctrl_c_ends_the_waiting_alone(tmp_path: Path, shop: Simulator) -> None:
    program = """
        from kazawallet import Client, Ledger, PaymentMethod

        ledger = Ledger.open(client=Client())
        salary = dict(
            reference="salary-1", amount="10.50", currency="USD",
            payment_method=PaymentMethod.sy_cash(phone="0933123456"),
        )
        try:
            ledger.withdraw(**salary)
        except KeyboardInterrupt:
            print(ledger.payout("salary-1").state, flush=True)
        print(ledger.withdraw(**salary).state, flush=True)
        ledger.close()
    """
    shop.fault("answer_late:1500")
    with programs.Program(
        program, provider=shop, environment={"KAZAWALLET_LEDGER": sqlite(tmp_path)}
    ) as interrupted:
        wait_until(lambda: shop.requests)
        interrupted.send_signal(signal.SIGINT)
        ended = interrupted.end()
    ended.check_is_clean()
    assert ended.stdout == "sending\npaid\n"
    assert (len(shop.requests), paid_out(shop)) == (1, Decimal("10.50"))


def test_a_cancelled_task_ends_the_waiting_alone(tmp_path: Path, shop: Simulator) -> None:
    import asyncio

    from kazawallet import AsyncLedger

    async def main() -> str:
        async with await AsyncLedger.open(sqlite(tmp_path), client=shop.async_client()) as ledger:
            task = asyncio.create_task(ledger.withdraw(**SALARY))
            while not shop.requests:
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return (await ledger.withdraw(**SALARY)).state

    shop.fault("answer_late:1000")
    assert asyncio.run(main()) == "paid"
    assert len(shop.requests) == 1
