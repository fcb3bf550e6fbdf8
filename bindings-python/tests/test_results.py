"""What the calls return: it can be sent to another process, and is the same there."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from kazawallet import Client, PaymentMethod, Withdrawal
from kazawallet.testing import Simulator

RECIPIENT = PaymentMethod.sy_cash(phone="0933123456")


@pytest.fixture(scope="module")
def results() -> Iterator[list[Any]]:
    """One of each kind."""
    with Simulator(balances={"USD": "1000.50"}) as simulator, simulator.client() as client:
        link = client.payment_links.create(amount="10.50", currency="USD", ref="order-42")
        payout = client.withdrawals.create(amount="1", currency="USD", payment_method=RECIPIENT)
        deposit = client.deposits.create(
            amount="1", currency="USD", user_email="user@example.com", payment_method=RECIPIENT
        )
        wallets = client.wallets.list()
        yield [link, payout, deposit, wallets, wallets[0], link.raw]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_result_that_was_pickled_is_the_same(results: list[Any], protocol: int) -> None:
    for result in results:
        restored = pickle.loads(pickle.dumps(result, protocol))
        assert type(restored) is type(result)
        assert restored == result
        assert hash(restored) == hash(result)
        assert repr(restored) == repr(result)


def test_a_copy_is_the_result_itself(results: list[Any]) -> None:
    for result in results:
        assert copy.copy(result) is result
        assert copy.deepcopy([result])[0] is result


def test_results_that_differ_are_not_equal(results: list[Any]) -> None:
    for number, result in enumerate(results):
        assert all(result != other for other in results[:number])


def pay_out(options: dict[str, Any]) -> Withdrawal:
    with Client(**options) as client:
        return client.withdrawals.create(amount="1", currency="USD", payment_method=RECIPIENT)


def test_a_payout_in_another_process_comes_back() -> None:
    """One that was paid, and whose result could not come back, would look like a failure."""
    with Simulator() as simulator:
        options = {
            "api_key": simulator.api_key,
            "api_secret": simulator.api_secret,
            "merchant_email": simulator.merchant_email,
            "base_url": simulator.url,
        }
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            assert pool.submit(pay_out, options).result(60).status == "approved"
