"""The phones of tests/vectors/phones.json: what is sent of each, or how it is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from repository import SHARED_TESTS, NotUnderstood, hold_keys, read_file

from kazawallet import Client, PaymentMethod, ValidationError
from kazawallet.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HARAM = {"name": "سعيد محمد حمدان", "governorate": "دمشق"}
# For each `method` of the file: the amounts in SYP, each with the payment method that it is paid through.
METHODS: dict[str, dict[str, Callable[[str], PaymentMethod]]] = {
    "sy_cash": {"500000": lambda phone: PaymentMethod.sy_cash(phone=phone)},
    "haram": {
        "500000": lambda phone: PaymentMethod.haram_under_3m(phone=phone, **HARAM),
        "5000000": lambda phone: PaymentMethod.haram_over_3m(phone=phone, **HARAM),
    },
}


def cases() -> Iterator[Any]:
    path = SHARED_TESTS / "vectors" / "phones.json"
    for number, case in enumerate(hold_keys(path.name, read_file(path), "cases")["cases"]):
        where = f"{path.name}, case {number}"
        hold_keys(where, case, "method phone", "sent error note")
        if case["method"] not in METHODS or ("sent" in case) == ("error" in case):
            raise NotUnderstood(f"{where}: {case}")
        if "error" in case:
            hold_keys(where, case["error"], "code field")
        for amount in METHODS[case["method"]]:
            name = f"{number}-{case['method']}-{amount}-{case['phone'][:24]!a}"
            yield pytest.param(case, amount, id=name)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(balances={"SYP": "1000000000"}) as running:
        yield running


@pytest.fixture(scope="module")
def client(simulator: Simulator) -> Iterator[Client]:
    with simulator.client() as made:
        yield made


CASES = list(cases())


def test_no_phone_is_missing() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize(("case", "amount"), CASES)
def test_a_phone(case: dict[str, Any], amount: str, client: Client, simulator: Simulator) -> None:
    method = METHODS[case["method"]][amount](case["phone"])
    seen_before = len(simulator.requests)
    if "sent" in case:
        client.withdrawals.create(amount=amount, currency="SYP", payment_method=method)
        assert len(simulator.requests) == seen_before + 1
        assert json.loads(simulator.requests[-1].body)["fields"]["phone"] == case["sent"]
        return
    with pytest.raises(ValidationError) as caught:
        client.withdrawals.create(amount=amount, currency="SYP", payment_method=method)
    error = caught.value
    assert (error.code, error.field) == (case["error"]["code"], case["error"]["field"])
    assert error.outcome == "not_sent"
    assert len(simulator.requests) == seen_before
    if sum(map(str.isdigit, case["phone"])) >= 4:
        assert case["phone"] not in f"{error!s} {error!r}"
