"""Arguments that cannot be used, databases that cannot, and what is shown, copied and pickled."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import sqlite3
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import programs
import pytest
from ledgers import ORDER, SALARY, delivery, opened, sqlite

import kazawallet
from kazawallet import (
    AsyncLedger,
    ConfigurationError,
    Ledger,
    LedgerError,
    SignatureVerificationError,
    ValidationError,
    Webhook,
)
from kazawallet.testing import Simulator

TEXT_OF_WRONG_TYPE: list[Any] = [None, 1, 1.5, b"text", [], object()]


class Lie(str):
    """Text that says something else when it is asked."""

    def __str__(self) -> str:
        return "a lie"


def call(ledger: Ledger, name: str, **changed: Any) -> Any:
    """Calls a method with good arguments, but for what is changed."""
    good: dict[str, dict[str, Any]] = {
        "create_payment_link": {**ORDER, "redirect_url": "https://a.example", "timeout": 5},
        "order": {"ref": "order-42"},
        "payment": {"order_id": "pl_1"},
        "settle": {
            **{"order_id": "pl_1", "decision": "paid", "ref": "order-42", "by": "amal"},
            "note": "note",
        },
        "set_link_id_check": {"check": False, "by": "amal", "note": "note"},
        "pending": {"limit": 1},
        "mark_processed": {"order_id": "pl_1"},
        "retry": {"order_id": "pl_1", "by": "amal", "note": "note"},
        "withdraw": {**SALARY, "note": "note", "timeout": 5},
        "payout": {"reference": "salary-1"},
        "resolve": {"reference": "salary-1", "decision": "paid", "by": "amal", "note": "note"},
        "overdue": {"older_than": 1, "limit": 1},
        **{name: {"limit": 1} for name in ("unsettled", "parked", "unresolved", "conflicts")},
        "decisions": {"limit": 1},
        "forget": {},
    }
    return getattr(ledger, name)(**{**good[name], **changed})


TEXTS = [
    *(("create_payment_link", name) for name in ("ref", "currency", "redirect_url")),
    ("order", "ref"),
    ("payment", "order_id"),
    *(("settle", name) for name in ("order_id", "decision", "ref", "by", "note")),
    *(("set_link_id_check", name) for name in ("by", "note")),
    ("mark_processed", "order_id"),
    *(("retry", name) for name in ("order_id", "by", "note")),
    *(("withdraw", name) for name in ("reference", "currency", "note")),
    ("payout", "reference"),
    *(("resolve", name) for name in ("reference", "decision", "by", "note")),
]
OPTIONAL = {"redirect_url", "note", ("settle", "ref")}


@pytest.mark.parametrize(("method", "argument"), TEXTS)
def test_text_of_a_wrong_type(ledger: Ledger, shop: Simulator, method: str, argument: str) -> None:
    for wrong in TEXT_OF_WRONG_TYPE:
        if wrong is None and (argument in OPTIONAL or (method, argument) in OPTIONAL):
            continue
        with pytest.raises(TypeError, match=f"`{argument}` must be str"):
            call(ledger, method, **{argument: wrong})
    assert not shop.requests


@pytest.mark.parametrize(("method", "argument"), TEXTS)
def test_half_a_character(ledger: Ledger, shop: Simulator, method: str, argument: str) -> None:
    with pytest.raises(ValidationError) as refused:
        call(ledger, method, **{argument: "before \ud83d after"})
    assert (refused.value.field, refused.value.outcome) == (argument, "not_sent")
    assert not shop.requests


@pytest.mark.parametrize(("method", "argument"), TEXTS)
def test_odd_text_breaks_nothing(ledger: Ledger, method: str, argument: str) -> None:
    """A NUL, which PostgreSQL does not take; a million characters; a class derived from `str`."""
    for odd in ("a\x00b", "x" * 1_000_000, "'; DROP TABLE kazawallet_orders; --", Lie("a")):
        try:
            call(ledger, method, **{argument: odd})
        except kazawallet.KazawalletError as error:
            assert error.outcome in ("not_sent", "rejected", None), error
        assert sum(ledger.summary().payments.values()) == 0
    ledger.decisions()


@pytest.mark.parametrize("method", ["settle", "resolve"])
@pytest.mark.parametrize("decision", ["", "Paid", "unpaid", "paid "])
def test_a_decision_that_is_not_known(ledger: Ledger, method: str, decision: str) -> None:
    with pytest.raises(ValidationError, match='must be "paid" or') as refused:
        call(ledger, method, decision=decision)
    assert refused.value.field == "decision"


def test_a_check_that_says_neither_yes_nor_no(ledger: Ledger) -> None:
    no_flags: list[Any] = [None, 0, 1, "", "off", "False", [], Decimal(0), bool]
    for wrong in no_flags:
        with pytest.raises(TypeError, match="`check` must be a bool, not"):
            call(ledger, "set_link_id_check", check=wrong)
    assert ledger.decisions() == []
    assert ledger.summary().link_ids == "unproven"


@pytest.mark.parametrize("method", ["settle", "set_link_id_check", "retry", "resolve"])
@pytest.mark.parametrize("by", ["", " ", "\t\n"])
def test_a_person_without_a_name(ledger: Ledger, method: str, by: str) -> None:
    with pytest.raises(ValidationError) as refused:
        call(ledger, method, by=by)
    assert (refused.value.field, refused.value.outcome) == ("by", "not_sent")
    assert ledger.decisions() == []


@pytest.mark.parametrize("method", ["create_payment_link", "withdraw"])
def test_money_is_never_a_float(ledger: Ledger, shop: Simulator, method: str) -> None:
    not_exact: list[Any] = [10.5, True, None, [], Decimal]
    for wrong in not_exact:
        with pytest.raises(TypeError, match="`amount` must be exact"):
            call(ledger, method, amount=wrong)
    for refused in ("0", "-1", "1e3", "١٠", " 1", Decimal("NaN"), -5, 10**400):
        with pytest.raises(ValidationError):
            call(ledger, method, amount=refused)
    no_times: list[Any] = ["5", True, [], object()]
    for wrong in no_times:
        with pytest.raises(TypeError, match="`timeout`"):
            call(ledger, method, timeout=wrong)
    for never in (0, -1):
        with pytest.raises(kazawallet.KazawalletError) as told:
            call(ledger, method, timeout=never)
        assert told.value.outcome == "not_sent"
    assert not shop.requests


def test_a_recipient_of_a_wrong_type(ledger: Ledger) -> None:
    for wrong in (None, "sy_cash", {"phone": "0933123456"}):
        with pytest.raises(TypeError, match="`payment_method` must be a PaymentMethod"):
            call(ledger, "withdraw", payment_method=wrong)


LISTS = ["pending", "overdue", "unsettled", "parked", "unresolved", "conflicts", "decisions"]


@pytest.mark.parametrize("method", LISTS)
def test_a_limit_that_cannot_be_used(ledger: Ledger, method: str) -> None:
    no_counts: list[Any] = [None, 1.0, "1", True, []]
    for wrong in no_counts:
        with pytest.raises(TypeError, match="`limit` must be an int"):
            call(ledger, method, limit=wrong)
    with pytest.raises(ValidationError) as refused:
        call(ledger, method, limit=-1)
    assert refused.value.field == "limit"
    assert call(ledger, method, limit=0) == call(ledger, method, limit=10**30) == []


def test_a_time_that_cannot_be_used(ledger: Ledger) -> None:
    no_times: list[Any] = [None, "1", True, [], date(2026, 1, 1)]
    for wrong in no_times:
        with pytest.raises(TypeError, match="`older_than` must be a number of seconds"):
            call(ledger, "overdue", older_than=wrong)
        with pytest.raises(TypeError, match="`before` must be a datetime"):
            call(ledger, "forget", before=wrong)
    for negative in (-1, -0.1, float("-inf"), float("nan"), -(10**400)):
        with pytest.raises(ValidationError) as refused:
            call(ledger, "overdue", older_than=negative)
        assert refused.value.field == "older_than"


def test_an_argument_that_does_not_exist(plain_ledger: Ledger) -> None:
    for name, method in inspect.getmembers(plain_ledger, inspect.ismethod):
        if not name.startswith("_"):
            with pytest.raises(TypeError, match="unexpected keyword argument"):
                method(colour="red")


# ---------------------------------------------------------------- opening


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "sqlite", "sqlite:", "/var/lib/x.db", "mysql://localhost/x", "http://localhost"),
        *("sqlite://", "postgres://", "sqlite:///a\x00b", "\ud83d"),
    ],
)
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Ledger.open(url, spool=False)
    assert refused.value.outcome == "not_sent"


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("url", [1, b"sqlite:///x", Path("/x"), []]),
        ("client", ["key", 1, {}]),
        ("webhook", ["key", ("key", "secret"), 1]),
        ("spool", [True, 1, 1.5, b"/x", []]),
        ("clock_margin", ["60", True, [], object()]),
    ],
)
def test_an_option_of_a_wrong_type(tmp_path: Path, option: str, values: list[Any]) -> None:
    async def opening(options: dict[str, Any]) -> None:
        await AsyncLedger.open(**options)

    for wrong in values:
        options = {"url": sqlite(tmp_path), option: wrong}
        with pytest.raises(TypeError, match=f"`{option}` must be"):
            Ledger.open(**options)
        with pytest.raises(TypeError, match=f"`{option}` must be"):
            asyncio.run(opening(options))
    assert list(tmp_path.iterdir()) == []


def test_a_margin_that_is_negative(tmp_path: Path) -> None:
    for margin in (-1, -0.5, float("nan")):
        with pytest.raises(ConfigurationError, match="clock_margin"):
            Ledger.open(sqlite(tmp_path), clock_margin=margin)


def test_a_ledger_is_made_by_open_alone() -> None:
    for kind in (Ledger, AsyncLedger):
        made: Any = kind
        with pytest.raises(TypeError):
            made()
        with pytest.raises(TypeError, match=r"\.open\("):
            made("sqlite:///x")


# ---------------------------------------------------------------- databases that cannot be used


def refused_to_open(path: Path) -> LedgerError:
    with pytest.raises(LedgerError) as refused:
        Ledger.open(f"sqlite://{path}", webhook=Webhook("key", "secret"))
    assert refused.value.outcome == "not_sent"
    assert isinstance(refused.value, kazawallet.KazawalletError)
    assert type(refused.value).__bases__ == (kazawallet.KazawalletError,)
    return refused.value


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is the shop's diary, and no database" * 100)
    before = path.read_bytes()
    assert refused_to_open(path).code == "ledger_damaged"
    assert path.read_bytes() == before


def test_a_database_of_a_newer_version(tmp_path: Path) -> None:
    Ledger.open(sqlite(tmp_path), webhook=Webhook("key", "secret")).close()
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("UPDATE kazawallet_ledger SET version = version + 1")
    database.close()
    assert refused_to_open(tmp_path / "ledger.db").code == "ledger_version"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert refused_to_open(tmp_path / "none" / "ledger.db").code.startswith("ledger_")


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    assert refused_to_open(tmp_path).code.startswith("ledger_")


def test_a_database_that_cannot_be_written() -> None:
    """As an unprivileged user, whatever user runs the tests."""
    program = """
        import os, sys
        from kazawallet import Ledger, LedgerError, Webhook

        webhook = Webhook("key", "secret")
        secret = webhook.sign(amount="1", order_id="pl_1")
        body = f'{{"order_id":"pl_1","amount":"1","status":"fulfilled","secret":"{secret}"}}'
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        try:
            with Ledger.open(sys.argv[1], webhook=webhook) as ledger:
                ledger.receive(body)
        except LedgerError as error:
            print(error.code, error.outcome)
    """
    # Not pytest's folder, which is its user's alone.
    with tempfile.TemporaryDirectory(prefix="kazawallet-read-only-") as name:
        folder = Path(name)
        Ledger.open(sqlite(folder), webhook=Webhook("key", "secret")).close()
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        ended = programs.run(program, sqlite(folder))
        folder.chmod(0o755)
    ended.check_is_clean()
    assert ended.stdout == "ledger_read_only not_sent\n"


def test_a_database_that_another_process_locks_for_too_long(
    tmp_path: Path, shop: Simulator
) -> None:
    # Within one process, Python's own SQLite and the ledger's would not lock each other out.
    program = """
        import sqlite3, sys

        database = sqlite3.connect(sys.argv[1], isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        print("locked", flush=True)
        input()
        database.execute("ROLLBACK")
        print("free", flush=True)
    """
    with opened("sync", sqlite(tmp_path), shop) as ledger:
        with programs.Program(program, str(tmp_path / "ledger.db")) as locking:
            assert locking.line() == "locked"
            with pytest.raises(LedgerError) as refused:
                ledger.receive(delivery(shop.webhook()))
            locking.tell()
            assert locking.line() == "free"
        assert (refused.value.code, refused.value.outcome) == ("ledger_unavailable", "not_sent")
        assert ledger.receive(delivery(shop.webhook())).duplicate is False


# ---------------------------------------------------------------- what is shown, copied, pickled

PEOPLE = ["Amal", "0933123456", "order of", "salary of", "hunter2"]


def records(ledger: Ledger, shop: Simulator) -> list[Any]:
    """One record of each kind, full of personal data."""
    webhook = shop.webhook()
    link = ledger.create_payment_link(**{**ORDER, "ref": "order of Amal"})
    mismatch = delivery(webhook, link.id or "", ref="order of Amal", currency="SYP", name="Amal")
    receipt = ledger.receive(mismatch)
    conflict = delivery(webhook, link.id or "", ref="order of Amal", name="Amal")
    assert ledger.receive(conflict).decision == "conflict"
    of_amal = ledger.create_payment_link(**{**ORDER, "ref": "order of Amal's brother"})
    edited = ledger.receive(delivery(webhook, of_amal.id or "", ref="order-42"))
    assert edited.link_ref == "order of Amal's brother"
    ledger.set_link_id_check(False, by="Amal", note="Amal looked")
    payout = ledger.withdraw(**{**SALARY, "reference": "salary of Amal"}, note="for Amal")
    payment = ledger.settle(link.id or "", "paid", by="Amal", note="Amal called")
    return [
        *(link, receipt, edited, payout, payment),
        *ledger.unsettled(),
        ledger.order("order of Amal"),
        *ledger.conflicts(),
        *ledger.decisions(),
        ledger.summary(),
    ]


def test_nobody_is_shown(ledger: Ledger, shop: Simulator) -> None:
    for record in records(ledger, shop):
        shown = f"{record!r} {record} {[record]}"
        assert type(record).__name__ in shown
        for person in PEOPLE:
            assert person not in shown, shown
        assert shop.api_secret not in shown
    for shown in (repr(ledger), str(ledger)):
        assert "sqlite" not in shown


def test_no_error_shows_anybody(ledger: Ledger, shop: Simulator) -> None:
    errors: list[BaseException] = []
    for name, changed in [
        ("resolve", {"reference": "salary of Amal"}),
        ("settle", {"order_id": "order of Amal", "ref": "order of Amal"}),
        ("retry", {"order_id": "order of Amal"}),
        ("withdraw", {"reference": "salary of Amal", "amount": "99999", "note": "for Amal"}),
        ("withdraw", {"reference": "salary of Amal", "amount": "88888", "note": "for Amal"}),
    ]:
        with pytest.raises(kazawallet.KazawalletError) as raised:
            call(ledger, name, **changed)
        errors.append(raised.value)
    with pytest.raises(SignatureVerificationError) as forged:
        ledger.receive(delivery(Webhook("sim_x", "sim_y"), ref="order of Amal"))
    for error in [*errors, forged.value]:
        for person in PEOPLE:
            assert person not in f"{error!r} {error} {error.__cause__!r}"


def test_records_are_frozen_compared_copied_and_pickled(
    plain_ledger: Ledger, shop: Simulator
) -> None:
    for record in records(plain_ledger, shop):
        kind = type(record)
        assert kind.__module__ == "kazawallet"
        names = [name for name in dir(kind) if not name.startswith("_")]
        for name in names:
            with pytest.raises(AttributeError):
                setattr(record, name, "changed")
        assert copy.copy(record) is record and copy.deepcopy(record) is record
        with pytest.raises(TypeError):
            kind()
        if kind is kazawallet.Receipt:
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                with pytest.raises(TypeError, match="cannot be pickled"):
                    pickle.dumps(record, protocol)
            continue
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            restored = pickle.loads(pickle.dumps(record, protocol))
            assert type(restored) is kind
            assert restored == record and hash(restored) == hash(record)
            for name in names:
                assert getattr(restored, name) == getattr(record, name), name
                assert type(getattr(restored, name)) is type(getattr(record, name)), name
        assert record != object() and record is not None


def test_the_same_record_read_twice_is_equal(ledger: Ledger, shop: Simulator) -> None:
    records(ledger, shop)
    assert ledger.order("order of Amal") == ledger.order("order of Amal")
    assert ledger.payout("salary of Amal") == ledger.payout("salary of Amal")
    assert ledger.conflicts() == ledger.conflicts()
    assert ledger.decisions() == ledger.decisions()
    assert ledger.summary() == ledger.summary()
    summary = ledger.summary()
    summary.orders["paid"] = 99  # A copy: nothing of the record is changed.
    assert summary.orders["paid"] == 1


def test_a_ledger_is_neither_pickled_nor_copied(
    plain_ledger: Ledger, shop: Simulator, tmp_path: Path
) -> None:
    worker = plain_ledger.process(print)
    for value in (plain_ledger, worker):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(value)
        with pytest.raises(TypeError):
            copy.deepcopy(value)
    assert repr(plain_ledger) == "<kazawallet.Ledger>"
    assert repr(worker) == "<kazawallet.LedgerWorker>"
