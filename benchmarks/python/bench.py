"""The Python package beside what people would use instead, in one run, as ratios.

`run.py` starts this with all that it needs: a Python with the wheel and requirements.txt, and a
simulator in a process of its own, told through the package's environment variables.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles

import http_calls
from handwritten_webhook import HandwrittenWebhook
from http_calls import AsyncCreate, Create, Merchant
from measuring import Contender, Ratio, Rounds, ServerClock, measure

import kazawallet

BY_HAND = "by hand"
OTHERS = ("requests", "httpx", "aiohttp", "pyreqwest")
# How many rounds, and how many seconds each contender has in one.
VERIFY_ROUNDS, VERIFY_SECONDS = 150, 0.01
SYNC_ROUNDS, SYNC_SECONDS = 100, 0.02
ASYNC_SECONDS = 0.15
# How many calls are in flight, in how many rounds.
ASYNC_RUNS = ((8, 10), (64, 25), (256, 6))
IMPORT_ROUNDS = 60

# How many times as fast as the other the package is to be, at least.
VERIFY_GOAL = 5.0
SYNC_GOALS = {"requests.Session": 4.0, "httpx.Client": 3.0, "pyreqwest.SyncClient": 1.0}
ASYNC_GOALS = {"aiohttp.ClientSession": 3.5, "pyreqwest.Client": 1.5}
ASYNC_GOALS_IN_FLIGHT = 64
# At most.
IMPORT_GOAL_MS = 10.0
WHEEL_GOAL_MB = 3.5


@dataclass(frozen=True)
class Figure:
    """One line of a table, and of the JSON file."""

    section: str
    contender: str
    microseconds: float
    cpu_microseconds: float
    server_busy: float | None
    # How many times what the package took this one took; none for the package itself.
    times: Ratio | None = None
    cpu_times: Ratio | None = None
    goal: float | None = None
    # Whether the goal holds for the CPU time, too.
    goal_for_cpu: bool = False

    @property
    def met(self) -> bool | None:
        if self.goal is None or self.times is None or self.cpu_times is None:
            return None
        cpu_met = not self.goal_for_cpu or self.cpu_times.value >= self.goal
        return self.times.value >= self.goal and cpu_met


@dataclass(frozen=True)
class Limit:
    """A figure that has a bound of its own and no contender."""

    what: str
    unit: str
    value: float
    spread: tuple[float, float] | None
    goal: float

    @property
    def met(self) -> bool:
        return self.value <= self.goal


def main() -> None:
    options = arguments()
    merchant = Merchant(
        base_url=os.environ["KAZAWALLET_BASE_URL"],
        api_key=os.environ["KAZAWALLET_API_KEY"],
        email=os.environ["KAZAWALLET_MERCHANT_EMAIL"],
    )
    server = ServerClock(options.simulator_pid)
    print(
        f"kazawallet {kazawallet.__version__}, {platform.python_implementation()} "
        f"{platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the start\n"
        + ", ".join(f"{name} {metadata.version(name)}" for name in OTHERS)
    )
    print(
        "Medians of rounds in turns. 'times' is how many times what kazawallet takes the other\n"
        "takes, in brackets all rounds but the lowest and the highest tenth. CPU is this process's."
    )

    figures: list[Figure] = []
    figures += report(verifying("Webhook.verify, from body to event", read_fields=False))
    figures += report(verifying("the same, and its six fields read", read_fields=True))
    figures += report(calling(merchant, server))
    figures += [
        figure
        for in_flight, rounds in ASYNC_RUNS
        for figure in report(calling_async(merchant, server, in_flight, rounds))
    ]
    limits = [importing()]
    if options.wheel is not None:
        size = options.wheel.stat().st_size / 1_000_000
        limits.append(Limit("the wheel", "MB", size, None, WHEEL_GOAL_MB))
    print()
    for limit in limits:
        spread = (
            "" if limit.spread is None else f" ({limit.spread[0]:.1f} to {limit.spread[1]:.1f})"
        )
        print(
            f"{limit.what}: {limit.value:.2f} {limit.unit}{spread}; "
            f"goal at most {limit.goal:g}: {verdict(limit.met)}"
        )

    if options.json is not None:
        options.json.write_text(json.dumps(as_json(figures, limits), indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulator-pid", type=int, help="shows how busy the server is (Linux)")
    parser.add_argument("--wheel", type=Path, help="the wheel that is installed, for its size")
    parser.add_argument("--json", type=Path, help="writes the figures there, too")
    return parser.parse_args()


def verifying(section: str, *, read_fields: bool) -> list[Figure]:
    key, secret = "81A107141716", "888B6B8877F8"
    order_id, amount = "pl_8f2a61c1", "10.50"
    webhook = kazawallet.Webhook(key, secret)
    by_hand = HandwrittenWebhook(key, secret)
    body = json.dumps(
        {
            "order_id": order_id,
            "secret": webhook.sign(amount=amount, order_id=order_id),
            "amount": amount,
            "ref": "order-42",
            "status": "fulfilled",
            "currency": "USD",
        }
    ).encode()
    expected = (order_id, Decimal(amount), "fulfilled", "USD", "order-42", True)
    for event in (webhook.verify(body), by_hand.verify(body)):
        read = (event.order_id, event.amount, event.status, event.currency, event.ref)
        assert (*read, event.is_fulfilled) == expected, "both read the same delivery"

    # Two loops a contender and not one with a switch: the switch would be measured, too.
    def verify(calls: int) -> None:
        for _ in range(calls):
            webhook.verify(body)

    def verify_by_hand(calls: int) -> None:
        for _ in range(calls):
            by_hand.verify(body)

    def verify_and_read(calls: int) -> None:
        for _ in range(calls):
            event = webhook.verify(body)
            _ = event.order_id, event.amount, event.status, event.currency, event.ref
            _ = event.is_fulfilled

    def verify_and_read_by_hand(calls: int) -> None:
        for _ in range(calls):
            event = by_hand.verify(body)
            _ = event.order_id, event.amount, event.status, event.currency, event.ref
            _ = event.is_fulfilled

    if read_fields:
        package, other = verify_and_read, verify_and_read_by_hand
    else:
        package, other = verify, verify_by_hand
    measured = measure(
        {"kazawallet.Webhook": Contender(package), BY_HAND: Contender(other)},
        rounds=VERIFY_ROUNDS,
        seconds=VERIFY_SECONDS,
        server=ServerClock(None),
    )
    # The goal is set for the event alone; the second figure stands beside it.
    return compare(section, measured, {} if read_fields else {BY_HAND: VERIFY_GOAL})


def calling(merchant: Merchant, server: ServerClock) -> list[Figure]:
    def contender(create: Create) -> Contender:
        def make(calls: int) -> None:
            for _ in range(calls):
                create()

        return Contender(make)

    with ExitStack() as clients:
        creates = {
            name: clients.enter_context(opened(merchant))
            for name, opened in http_calls.SYNC.items()
        }
        for create in creates.values():
            check_link(merchant, create())
        measured = measure(
            {name: contender(create) for name, create in creates.items()},
            rounds=SYNC_ROUNDS,
            seconds=SYNC_SECONDS,
            server=server,
        )
    section = "payment_links.create, one at a time"
    return compare(section, measured, SYNC_GOALS, goal_for_cpu=True)


def calling_async(
    merchant: Merchant, server: ServerClock, in_flight: int, rounds: int
) -> list[Figure]:
    async def open_all(clients: AsyncExitStack) -> dict[str, AsyncCreate]:
        creates = {
            name: await clients.enter_async_context(opened(merchant))
            for name, opened in http_calls.ASYNC.items()
        }
        for create in creates.values():
            check_link(merchant, await create())
        return creates

    async def keep_in_flight(create: AsyncCreate, calls: int) -> None:
        left = iter(range(calls))

        async def one_after_another() -> None:
            for _ in left:
                await create()

        await asyncio.gather(*(one_after_another() for _ in range(in_flight)))

    with asyncio.Runner() as loop:
        clients = AsyncExitStack()
        creates = loop.run(open_all(clients))

        def contender(create: AsyncCreate) -> Contender:
            return Contender(
                lambda calls: loop.run(keep_in_flight(create, calls)), fewest=in_flight
            )

        measured = measure(
            {name: contender(create) for name, create in creates.items()},
            rounds=rounds,
            seconds=ASYNC_SECONDS,
            server=server,
        )
        loop.run(clients.aclose())
    goals = ASYNC_GOALS if in_flight == ASYNC_GOALS_IN_FLIGHT else {}
    return compare(f"payment_links.create, {in_flight} in flight", measured, goals)


def check_link(merchant: Merchant, url: str) -> None:
    host = merchant.base_url.removesuffix("/wallet")
    assert url.startswith(f"{host}/pay/"), f"a payment link, and not {url}"


def importing() -> Limit:
    """What `import kazawallet` adds to an interpreter that starts and ends."""

    def interpreter(statement: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", statement], check=True)
        return (time.perf_counter() - start) * 1000

    for statement in ("pass", "import kazawallet"):
        interpreter(statement)
    differences, alone = [], []
    for number in range(IMPORT_ROUNDS):
        if number % 2:
            added, empty = interpreter("import kazawallet"), interpreter("pass")
        else:
            empty, added = interpreter("pass"), interpreter("import kazawallet")
        differences.append(added - empty)
        alone.append(empty)
    tenths = quantiles(differences, n=10, method="inclusive")
    what = f"import kazawallet, over an empty interpreter's {median(alone):.1f} ms"
    return Limit(what, "ms", median(differences), (tenths[0], tenths[-1]), IMPORT_GOAL_MS)


def compare(
    section: str,
    measured: Mapping[str, Rounds],
    goals: Mapping[str, float],
    *,
    goal_for_cpu: bool = False,
) -> list[Figure]:
    """The first is the package, which all others are held against."""
    subject = next(iter(measured.values()))
    return [
        Figure(
            section=section,
            contender=name,
            microseconds=median(rounds.wall) / 1000,
            cpu_microseconds=median(rounds.cpu) / 1000,
            server_busy=rounds.server_busy,
            times=None if rounds is subject else Ratio.of(rounds.wall, subject.wall),
            cpu_times=None if rounds is subject else Ratio.of(rounds.cpu, subject.cpu),
            goal=goals.get(name),
            goal_for_cpu=goal_for_cpu,
        )
        for name, rounds in measured.items()
    ]


def report(figures: list[Figure]) -> list[Figure]:
    print(f"\n== {figures[0].section}")
    print(
        f"{'':<24}{'a call':>10}{'a second':>10}{'CPU a call':>12}{'server busy':>13}"
        f"{'times':>8}{'':<16}{'CPU times':>10}  goal"
    )
    for figure in figures:
        busy = "" if figure.server_busy is None else f"{figure.server_busy:.0%}"
        print(
            f"{figure.contender:<24}{figure.microseconds:>7.1f} µs"
            f"{1e6 / figure.microseconds:>10,.0f}{figure.cpu_microseconds:>9.1f} µs{busy:>13}"
            f"{ratio_text(figure)}",
            flush=True,
        )
    return figures


def ratio_text(figure: Figure) -> str:
    if figure.times is None or figure.cpu_times is None:
        return ""
    spread = f" ({figure.times.low:.2f} to {figure.times.high:.2f})"
    text = f"{figure.times.value:>8.2f}{spread:<16}{figure.cpu_times.value:>10.2f}"
    if figure.goal is None or figure.met is None:
        return text
    both = ", CPU too" if figure.goal_for_cpu else ""
    return f"{text}  at least {figure.goal:g}{both}: {verdict(figure.met)}"


def verdict(met: bool) -> str:
    return "met" if met else "NOT met"


def as_json(figures: list[Figure], limits: list[Limit]) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "others": {name: metadata.version(name) for name in OTHERS},
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
        "limits": [asdict(limit) | {"met": limit.met} for limit in limits],
    }


if __name__ == "__main__":
    main()
