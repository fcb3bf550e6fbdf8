"""The ledger across forks, processes that die, Ctrl-C and the interpreter's end, in real processes.

SQLite must have no connection open while a process forks, and no process may use another's: a
database that was spoilt would show in its integrity check.
"""

from __future__ import annotations

import signal
import sqlite3
import textwrap
from collections.abc import Mapping
from pathlib import Path

import programs
import pytest
from ledgers import ORDER, SALARY, Seen, delivery, opened, wait_until
from ledgers import sqlite as url_of

from kazawallet.testing import Simulator

# From CPython 3.12 on, a fork in a process with threads gives a warning.
THREADS_ARE_EXPECTED = ("-W", "ignore::DeprecationWarning")

PRELUDE = """
import gc, json, os, signal, sys, threading, time
from kazawallet import Client, Ledger, LedgerError, PaymentMethod, Webhook

webhook = Webhook(os.environ["KAZAWALLET_API_KEY"], os.environ["KAZAWALLET_API_SECRET"])

def delivery(order_id, ref=None, status="fulfilled"):
    secret = webhook.sign(amount="10.50", order_id=order_id)
    fields = {"order_id": order_id, "amount": "10.50", "currency": "USD", "status": status}
    return json.dumps({**fields, "ref": ref or order_id, "secret": secret}).encode()

def waited_for(child):
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
"""


def program(text: str) -> str:
    """A program that begins with the prelude."""
    return PRELUDE + textwrap.dedent(text)


def environment(folder: Path, **more: str) -> Mapping[str, str]:
    return {"KAZAWALLET_LEDGER": url_of(folder), **more}


def run(text: str, folder: Path, shop: Simulator, *arguments: str) -> programs.Ended:
    ended = programs.run(
        program(text),
        *arguments,
        provider=shop,
        options=THREADS_ARE_EXPECTED,
        environment=environment(folder),
    )
    ended.check_is_clean()
    assert is_sound(folder)
    return ended


def is_sound(folder: Path) -> bool:
    database = sqlite3.connect(folder / "ledger.db")
    try:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        database.close()


def payments(folder: Path, shop: Simulator) -> int:
    with opened("sync", url_of(folder), shop) as ledger:
        return sum(ledger.summary().payments.values())


# ---------------------------------------------------------------- fork


@pytest.mark.parametrize(
    "leave",
    [
        "os._exit(0)",
        "sys.exit()",
        "ledger.close(); os._exit(0)",
        "ledger.close(); sys.exit()",
        "del ledger; gc.collect(); os._exit(0)",
        "del ledger; gc.collect(); sys.exit()",
    ],
)
@pytest.mark.parametrize("deliveries", [0, 20])
def test_a_ledger_works_in_the_child_and_on_in_the_parent(
    deliveries: int, leave: str, tmp_path: Path, shop: Simulator
) -> None:
    text = f"""
        ledger = Ledger.open(client=Client())
        ledger.receive(delivery("before"))
        child = os.fork()
        if child == 0:
            for number in range({deliveries}):
                assert ledger.receive(delivery(f"child-{{number}}")).decision == "no_order"
            {leave}
        for number in range(20):
            assert ledger.receive(delivery(f"parent-{{number}}")).decision == "no_order"
        assert waited_for(child) == 0
        assert ledger.receive(delivery("before")).duplicate
        assert sum(ledger.summary().payments.values()) == 21 + {deliveries}
        ledger.close()
    """
    run(text, tmp_path, shop)


def test_a_child_calls_the_provider_with_a_client_of_its_own(
    tmp_path: Path, shop: Simulator
) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        salary = dict(
            reference="salary-1", amount="1", currency="USD",
            payment_method=PaymentMethod.sy_cash(phone="0933123456"),
        )
        first = ledger.create_payment_link(ref="order-1", amount="1", currency="USD")
        child = os.fork()
        if child == 0:
            assert ledger.create_payment_link(ref="order-1", amount="1", currency="USD") == first
            ledger.create_payment_link(ref="order-2", amount="1", currency="USD")
            ledger.withdraw(**salary)
            os._exit(0)
        assert waited_for(child) == 0
        assert ledger.withdraw(**salary).state == "paid"
        ledger.create_payment_link(ref="order-3", amount="1", currency="USD")
    """
    run(text, tmp_path, shop)
    assert len(shop.requests) == 4


def test_children_of_children(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledger = Ledger.open(client=Client())

        def generation(number):
            ledger.receive(delivery(f"{number}-before"))
            if number < 4:
                child = os.fork()
                if child == 0:
                    generation(number + 1)
                assert waited_for(child) == 0
            ledger.receive(delivery(f"{number}-after"))
            if number:
                sys.exit()

        generation(0)
    """
    run(text, tmp_path, shop)
    assert payments(tmp_path, shop) == 10


def test_many_forks_while_threads_receive_without_a_pause(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        other = Ledger.open(f"{os.environ['KAZAWALLET_LEDGER']}.other", webhook=webhook)
        stop, failures, counts = threading.Event(), [], [0] * 4

        def receive(number):
            try:
                while not stop.is_set():
                    (ledger if number else other).receive(delivery(f"{number}-{counts[number]}"))
                    counts[number] += 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=receive, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for number in range(20):
            child = os.fork()
            if child == 0:
                ledger.receive(delivery(f"child-{number}"))
                other.receive(delivery(f"child-{number}"))
                os._exit(0)
            assert waited_for(child) == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures, failures
        assert sum(ledger.summary().payments.values()) == 20 + sum(counts[1:])
        assert sum(other.summary().payments.values()) == 20 + counts[0]
    """
    run(text, tmp_path, shop)


def test_forks_of_several_threads_at_once(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        ended = []

        def fork(number):
            for time_ in range(5):
                child = os.fork()
                if child == 0:
                    ledger.receive(delivery(f"{number}-{time_}"))
                    os._exit(0)
                ended.append(waited_for(child))
                ledger.receive(delivery(f"parent-{number}-{time_}"))

        threads = [threading.Thread(target=fork, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ended == [0] * 20, ended
        assert sum(ledger.summary().payments.values()) == 40
    """
    run(text, tmp_path, shop)


def test_a_fork_while_ledgers_are_opened_and_dropped(tmp_path: Path, shop: Simulator) -> None:
    text = """
        stop, failures = threading.Event(), []

        def open_and_drop():
            try:
                while not stop.is_set():
                    Ledger.open(webhook=webhook).receive(delivery("one"))
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=open_and_drop) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(20):
            child = os.fork()
            if child == 0:
                with Ledger.open(webhook=webhook) as ledger:
                    ledger.receive(delivery(f"child-{number}"))
                os._exit(0)
            assert waited_for(child) == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures, failures
    """
    run(text, tmp_path, shop)
    assert payments(tmp_path, shop) >= 20


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_pool(method: str, tmp_path: Path, shop: Simulator) -> None:
    text = """
        import multiprocessing

        ledger = Ledger.open(client=Client())

        def work(number):
            link = ledger.create_payment_link(ref=f"order-{number}", amount="10.50", currency="USD")
            return ledger.receive(delivery(link.id, f"order-{number}")).decision

        if __name__ == "__main__":
            ledger.receive(delivery("before"))
            with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
                assert pool.map(work, range(24), chunksize=1) == ["paid"] * 24
                pool.close()
                pool.join()
            assert ledger.summary().orders["paid"] == 24
            ledger.close()
    """
    run(text, tmp_path, shop, method)


def test_a_worker_runs_on_in_the_parent_alone(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        seen, changed = [], threading.Condition()

        def handle(payment):
            with changed:
                seen.append((os.getpid(), payment.ref))
                changed.notify_all()

        def paid(ref):
            link = ledger.create_payment_link(ref=ref, amount="10.50", currency="USD")
            ledger.receive(delivery(link.id, ref))

        def wait_for(count):
            with changed:
                assert changed.wait_for(lambda: len(seen) >= count, 60)

        worker = ledger.process(handle, poll_interval=0.05)
        paid("before")
        wait_for(1)
        child = os.fork()
        if child == 0:
            worker.stop()
            paid("child")
            sys.exit()
        assert waited_for(child) == 0
        paid("after")
        wait_for(3)
        assert seen == [(os.getpid(), ref) for ref in ("before", "child", "after")]
        worker.stop()  # It might be faster than the child's own.
        child = os.fork()
        if child == 0:
            seen.clear()
            with ledger.process(handle):
                paid("own worker")
                wait_for(1)
            assert seen == [(os.getpid(), "own worker")]
            ledger.close()
            sys.exit()
        sys.exit(waited_for(child))
    """
    run(text, tmp_path, shop)


def test_a_fork_from_within_a_handler(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        done = threading.Event()

        def handle(payment):
            child = os.fork()
            if child == 0:
                try:
                    ledger.receive(delivery("of the child"))
                finally:
                    os._exit(0 if ledger.payment("of the child") else 1)
            assert waited_for(child) == 0
            done.set()

        with ledger.process(handle):
            link = ledger.create_payment_link(ref="order-1", amount="10.50", currency="USD")
            ledger.receive(delivery(link.id, "order-1"))
            assert done.wait(60)
        payment = ledger.payment(link.id)
        assert (payment.processing, payment.tries) == ("done", 1), payment
    """
    run(text, tmp_path, shop)


def test_an_async_ledger_in_a_child(tmp_path: Path, shop: Simulator) -> None:
    text = """
        import asyncio
        from kazawallet import AsyncClient, AsyncLedger

        async def receive(ledger, name):
            await asyncio.gather(*(ledger.receive(delivery(f"{name}-{n}")) for n in range(8)))

        async def opened():
            return await AsyncLedger.open(client=AsyncClient())

        ledger = asyncio.run(opened())
        asyncio.run(receive(ledger, "before"))
        child = os.fork()
        if child == 0:
            asyncio.run(receive(ledger, "child"))
            asyncio.run(ledger.close())
            sys.exit()
        asyncio.run(receive(ledger, "parent"))
        assert waited_for(child) == 0
        asyncio.run(ledger.close())
    """
    run(text, tmp_path, shop)
    assert payments(tmp_path, shop) == 24


def test_a_signal_handler_that_forks_in_the_midst_of_a_call(
    tmp_path: Path, shop: Simulator
) -> None:
    text = """
        def fork(number, frame):
            global child
            child = os.fork()

        ledger = Ledger.open(client=Client())
        signal.signal(signal.SIGUSR1, fork)
        try:
            paid = ledger.withdraw(
                reference="salary-1", amount="1", currency="USD",
                payment_method=PaymentMethod.sy_cash(phone="0933123456"),
            )
        except RuntimeError:
            os._exit(0 if child == 0 else 7)
        if child == 0:
            os._exit(8)
        print(paid.state, waited_for(child))
    """
    shop.fault("answer_late:1500")
    with programs.Program(
        program(text),
        provider=shop,
        options=THREADS_ARE_EXPECTED,
        environment=environment(tmp_path),
    ) as forking:
        wait_until(lambda: shop.requests)
        forking.send_signal(signal.SIGUSR1)
        ended = forking.end()
    ended.check_is_clean()
    assert ended.stdout == "paid 0\n"
    assert is_sound(tmp_path)
    assert len(shop.requests) == 1


def test_subprocesses_are_started_beside_it(tmp_path: Path, shop: Simulator) -> None:
    text = """
        import subprocess

        ledger = Ledger.open(client=Client())
        for number in range(5):
            ledger.receive(delivery(f"{number}"))
            for before in (None, lambda: None):
                subprocess.run([sys.executable, "-c", ""], preexec_fn=before, check=True)
        ledger.close()
    """
    run(text, tmp_path, shop)


def test_a_ledger_that_was_closed_stays_closed_in_a_child(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        ledger.receive(delivery("before"))
        ledger.close()
        child = os.fork()
        for call in (ledger.summary, ledger.pending, lambda: ledger.process(print)):
            try:
                call()
            except LedgerError as error:
                assert error.code == "ledger_unavailable" and "closed" in str(error), error
            else:
                os._exit(9)
        if child == 0:
            ledger.close()
            os._exit(0)
        assert waited_for(child) == 0
    """
    run(text, tmp_path, shop)


# ---------------------------------------------------------------- processes that end


@pytest.mark.parametrize("left", ["sys.exit()", "", "worker.stop()", "ledger.close()"])
def test_the_interpreter_s_end_waits_for_the_handler(
    left: str, tmp_path: Path, shop: Simulator
) -> None:
    text = f"""
        ledger = Ledger.open(client=Client())
        begun = threading.Event()

        def handle(payment):
            begun.set()
            time.sleep(0.3)
            assert ledger.order("order-1").state == "paid"
            print("handled", flush=True)

        worker = ledger.process(handle)
        link = ledger.create_payment_link(ref="order-1", amount="10.50", currency="USD")
        ledger.receive(delivery(link.id, "order-1"))
        assert begun.wait(60)
        {left}
    """
    assert run(text, tmp_path, shop).stdout == "handled\n"
    with opened("sync", url_of(tmp_path), shop) as ledger:
        assert ledger.summary().processing["done"] == 1


def test_idle_workers_do_not_hold_up_the_interpreter_s_end(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledgers = [Ledger.open(client=Client()) for _ in range(3)]
        for ledger in ledgers:
            ledger.process(lambda payment: None)
            ledger.process(lambda payment: None, poll_interval=3600)
    """
    run(text, tmp_path, shop)


def test_an_error_at_the_end_of_the_program(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        ledger.process(lambda payment: None)
        raise SystemExit(3)
    """
    ended = programs.run(program(text), provider=shop, environment=environment(tmp_path))
    assert (ended.status, ended.stderr) == (3, "")


def test_a_payment_whose_process_was_killed_comes_to_another(
    tmp_path: Path, shop: Simulator
) -> None:
    text = """
        def handle(payment):
            print(payment.tries, payment.ref, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

        ledger = Ledger.open(client=Client())
        ledger.process(handle, lease=0.3, poll_interval=0.05)
        threading.Event().wait()
    """
    seen = Seen()
    with opened("sync", url_of(tmp_path), shop) as ledger:
        link = ledger.create_payment_link(**ORDER)
        ledger.receive(delivery(shop.webhook(), link.id or ""))
        for time in ("1", "2"):
            with programs.Program(
                program(text), provider=shop, environment=environment(tmp_path)
            ) as killed:
                assert killed.line() == f"{time} order-42"
                assert killed.end().status == -9
        with ledger.process(lambda payment: seen.add(payment.order_id), poll_interval=0.05):
            assert seen.wait_for(1) == [link.id]
        payment = ledger.payment(link.id or "")
        assert payment is not None and (payment.processing, payment.tries) == ("done", 3)


def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(
    tmp_path: Path, shop: Simulator
) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        number = 0
        while True:
            ledger.receive(delivery(f"pl_{number}"))
            print(number, flush=True)
            number += 1
    """
    with programs.Program(
        program(text), provider=shop, environment=environment(tmp_path)
    ) as killed:
        acknowledged = 0
        while acknowledged < 50:
            acknowledged = int(killed.line())
        killed.send_signal(signal.SIGKILL)
        rest = killed.end().stdout.split()
    with opened("sync", url_of(tmp_path), shop) as ledger:
        for number in range(int(rest[-1]) if rest else acknowledged):
            assert ledger.payment(f"pl_{number}") is not None
    assert is_sound(tmp_path)


def test_another_sqlite_in_the_process_takes_nothing_away(tmp_path: Path, shop: Simulator) -> None:
    """Python's `sqlite3` is another copy of SQLite: closing the file there removes the ledger's log."""
    file = tmp_path / "ledger.db"
    with opened("sync", url_of(tmp_path), shop) as ledger:
        for number in range(5):
            assert ledger.receive(delivery(shop.webhook(), f"pl_{number}")).decision == "no_order"
            ledger.withdraw(**SALARY | {"reference": f"salary-{number}"})
            before = (tmp_path / "ledger.db-wal").stat().st_ino
            look = sqlite3.connect(file)
            look.execute("SELECT COUNT(*) FROM kazawallet_payments").fetchall()
            look.close()
            # What the ledger stood on is gone: so is what it would write from here on, unnoticed.
            log = tmp_path / "ledger.db-wal"
            assert not log.exists() or log.stat().st_ino != before
        assert ledger.receive(delivery(shop.webhook(), "pl_5")).decision == "no_order"
        # As another process would see it, if this one died now.
        copy = tmp_path / "copy"
        copy.mkdir()
        for part in tmp_path.glob("ledger.db*"):
            (copy / part.name).write_bytes(part.read_bytes())
    with opened("sync", url_of(copy), shop) as survived:
        assert all(survived.payment(f"pl_{number}") for number in range(6))
        for number in range(5):
            assert survived.withdraw(**SALARY | {"reference": f"salary-{number}"}).state == "paid"
    assert len(shop.requests) == 5
    assert is_sound(copy)


def test_ctrl_c_ends_a_program_with_a_worker(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        ledger.process(lambda payment: None)
        try:
            print("ready", flush=True)
            while True:
                time.sleep(60)
        except KeyboardInterrupt:
            print("stopped", flush=True)
    """
    with programs.Program(
        program(text), provider=shop, environment=environment(tmp_path)
    ) as running:
        assert running.line() == "ready"
        running.send_signal(signal.SIGINT)
        assert running.line() == "stopped"
        running.end().check_is_clean()


def test_ctrl_c_while_a_call_waits_for_the_database(tmp_path: Path, shop: Simulator) -> None:
    text = """
        ledger = Ledger.open(client=Client())
        print("ready", flush=True)
        input()
        began = time.monotonic()
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            ledger.receive(delivery("pl_1"))
        except KeyboardInterrupt:
            # Not before the signal, and long before the database would have been given up.
            print(0.2 < time.monotonic() - began < 10, flush=True)
        input()
        while ledger.payment("pl_1") is None:
            time.sleep(0.02)
        ledger.close()
    """
    with programs.Program(
        program(text), provider=shop, environment=environment(tmp_path)
    ) as running:
        assert running.line() == "ready"
        locked = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        locked.execute("BEGIN IMMEDIATE")
        running.tell()
        assert running.line() == "True"
        locked.execute("ROLLBACK")
        locked.close()
        running.tell()
        running.end().check_is_clean()
