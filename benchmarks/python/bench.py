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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from statistics import median

import http_calls
from figures import Figure, Goal, Taken, beside, report
from handwritten_webhook import HandwrittenWebhook
from http_calls import AsyncCreate, Create, Merchant
from measuring import Contender, Ratio, Rounds, ServerClock, in_turn, measure
from processes import added_by, first_answer, memory

import kazawallet

OTHERS = ("requests", "httpx", "aiohttp", "pyreqwest")
OUR_BLOCKING, OUR_ASYNC = "kazawallet.Client", "kazawallet.AsyncClient"
BY_HAND = "json, hashlib, hmac by hand"

VERIFY_GOAL = Goal(5.0)
ALONE_GOALS = {
    "requests.Session": Goal(4.0, of="ratio_and_cpu_ratio"),
    "httpx.Client": Goal(3.0, of="ratio_and_cpu_ratio"),
    "pyreqwest.SyncClient": Goal(1.0, of="ratio_and_cpu_ratio"),
}
GOALS_OF_64_IN_FLIGHT = {"aiohttp.ClientSession": Goal(3.5), "pyreqwest.Client": Goal(1.5)}
LOAD_GOAL_MS = Goal(10.0, of="ours")
WHEEL_GOAL_MB = Goal(5.0, of="ours")

# Whose processes are watched from outside, and which client of ours stands beside them.
OUTSIDE = {
    "requests.Session": OUR_BLOCKING,
    "httpx.Client": OUR_BLOCKING,
    "pyreqwest.SyncClient": OUR_BLOCKING,
    "aiohttp.ClientSession": OUR_ASYNC,
}


@dataclass(frozen=True)
class Effort:
    """How many rounds there are, and how many seconds each contender has in one."""

    verify: tuple[int, float]
    alone: tuple[int, float]
    in_flight: Mapping[int, tuple[int, float]]
    loads: int
    starts: int
    memories: int
    calls_of_memory: int


FULL = Effort(
    verify=(150, 0.01),
    alone=(60, 0.1),
    in_flight={8: (25, 0.15), 64: (25, 0.15), 256: (12, 0.3)},
    loads=60,
    starts=25,
    memories=3,
    calls_of_memory=10_000,
)
# Too little for a figure that means something: it shows that all of it runs.
QUICK = Effort(
    verify=(3, 0.002),
    alone=(3, 0.005),
    in_flight={8: (2, 0.02), 64: (2, 0.02), 256: (2, 0.02)},
    loads=15,
    starts=2,
    memories=1,
    calls_of_memory=200,
)


def main() -> None:
    options = arguments()
    effort = QUICK if options.quick else FULL
    merchant = Merchant(
        base_url=os.environ["KAZAWALLET_BASE_URL"],
        api_key=os.environ["KAZAWALLET_API_KEY"],
        email=os.environ["KAZAWALLET_MERCHANT_EMAIL"],
    )
    server = ServerClock(options.simulator_pid)
    versions = {"kazawallet (wheel)": kazawallet.__version__, "CPython": platform.python_version()}
    versions |= {name: metadata.version(name) for name in OTHERS}
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"load average {os.getloadavg()[0]:.1f} at the start\n"
        + ", ".join(f"{name} {version}" for name, version in versions.items())
    )
    print(
        "Medians of rounds in turns. 'times' is how many times what kazawallet takes the other takes\n"
        "in the same round, in brackets all rounds but the lowest and the highest tenth; where there\n"
        "is no other, the brackets hold our own rounds. CPU is the same ratio of the CPU time."
    )
    if options.quick:
        print("A QUICK RUN: it shows that everything runs, and its figures mean nothing.")

    figures = verifying(effort)
    figures += calling_alone(merchant, server, effort)
    figures += calling_at_once(merchant, server, 8, effort, "the simulator")
    with replaying_server(options.replaying_program, merchant) as (replayed, replaying):
        against = "a server that replays the simulator's answer"
        for in_flight in (64, 256):
            figures += calling_at_once(replayed, replaying, in_flight, effort, against)
    figures += starting(effort)
    figures += remembering(effort)
    figures += sizes(options.wheel, options.installed)

    missed = [figure for figure in figures if figure.met is False]
    if missed:
        print("\nMISSED: " + ", ".join(figure.name for figure in missed))
    if options.json is not None:
        results = {"versions": versions, "results": [figure.as_json() for figure in figures]}
        text = json.dumps(results, indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulator-pid", type=int, help="shows how busy the server is (Linux)")
    parser.add_argument(
        "--replaying-program",
        type=Path,
        required=True,
        help="the Rust part's program, which can replay the simulator's answer",
    )
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel that is installed")
    parser.add_argument(
        "--installed",
        type=Path,
        required=True,
        help="a folder that holds one for each package, installed there with all that it needs",
    )
    parser.add_argument("--json", type=Path, help="writes the figures there, too")
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it runs")
    return parser.parse_args()


def verifying(effort: Effort) -> list[Figure]:
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

    rounds, seconds = effort.verify
    measured = measure(
        {
            "verify": Contender(verify),
            "verify by hand": Contender(verify_by_hand),
            "read": Contender(verify_and_read),
            "read by hand": Contender(verify_and_read_by_hand),
        },
        rounds=rounds,
        seconds=seconds,
        server=ServerClock(None),
    )
    return report(
        "Webhook.verify: a delivery's body in, its event out; below, its six fields read as well",
        [
            beside(
                "python.verify.handwritten",
                "verify a webhook, from body to event",
                "µs",
                measured["verify"],
                BY_HAND,
                measured["verify by hand"],
                VERIFY_GOAL,
            ),
            beside(
                "python.event_fields.handwritten",
                "verify a webhook and read its six fields",
                "µs",
                measured["read"],
                BY_HAND,
                measured["read by hand"],
            ),
        ],
    )


def calling_alone(merchant: Merchant, server: ServerClock, effort: Effort) -> list[Figure]:
    """One call after the other: blocking clients beside each other, and asynchronous ones."""
    rounds, seconds = effort.alone
    with ExitStack() as clients:
        creates = {
            name: clients.enter_context(opened(merchant))
            for name, opened in http_calls.SYNC.items()
        }
        for create in creates.values():
            check_link(create())
        measured = measure(
            {name: Contender(one_after_another(create)) for name, create in creates.items()},
            rounds=rounds,
            seconds=seconds,
            server=server,
        )
    title = "create a link, one at a time, against the simulator"
    blocking = [
        beside(link_name(1, name), title, "µs", measured[OUR_BLOCKING], name, measured[name], goal)
        for name, goal in ALONE_GOALS.items()
    ]
    asynchronous = measure_async(
        merchant, server, 1, rounds, seconds, (OUR_ASYNC, "aiohttp.ClientSession")
    )
    name = "aiohttp.ClientSession"
    awaited = beside(
        link_name(1, name), title, "µs", asynchronous[OUR_ASYNC], name, asynchronous[name]
    )
    return report(
        "payment_links.create, one at a time, against the simulator; aiohttp beside "
        "kazawallet.AsyncClient",
        [*blocking, awaited],
        server_note(measured | asynchronous),
    )


def calling_at_once(
    merchant: Merchant, server: ServerClock, in_flight: int, effort: Effort, against: str
) -> list[Figure]:
    """Many calls in flight: asynchronous clients, and blocking ones from as many threads."""
    rounds, seconds = effort.in_flight[in_flight]
    measured = measure_async(merchant, server, in_flight, rounds, seconds, list(http_calls.ASYNC))
    goals = GOALS_OF_64_IN_FLIGHT if in_flight == 64 else {}
    title = f"create a link, {in_flight} in flight, against {against}"
    figures = [
        beside(
            link_name(in_flight, name),
            title,
            "µs",
            measured[OUR_ASYNC],
            name,
            took,
            goals.get(name),
        )
        for name, took in measured.items()
        if name != OUR_ASYNC
    ]
    threads = measure_threads(merchant, server, in_flight, rounds, seconds)
    name = "requests.Session"
    title = f"create a link, {in_flight} in flight from as many threads, against {against}"
    figures.append(
        beside(link_name(in_flight, name), title, "µs", threads[OUR_BLOCKING], name, threads[name])
    )
    return report(
        f"payment_links.create, {in_flight} in flight, against {against}; requests and kazawallet.Client "
        "from threads",
        figures,
        server_note(measured | threads),
    )


def measure_async(
    merchant: Merchant,
    server: ServerClock,
    in_flight: int,
    rounds: int,
    seconds: float,
    names: Sequence[str],
) -> dict[str, Rounds]:
    async def open_all(clients: AsyncExitStack) -> dict[str, AsyncCreate]:
        creates = {
            name: await clients.enter_async_context(http_calls.ASYNC[name](merchant))
            for name in names
        }
        for create in creates.values():
            check_link(await create())
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
            seconds=seconds,
            server=server,
        )
        loop.run(clients.aclose())
    return measured


def measure_threads(
    merchant: Merchant, server: ServerClock, threads: int, rounds: int, seconds: float
) -> dict[str, Rounds]:
    """One client for all threads, beside a session for each: requests promises no other use."""
    with ExitStack() as opened:
        pool = opened.enter_context(ThreadPoolExecutor(threads))
        shared = opened.enter_context(http_calls.with_kazawallet(merchant))
        own = [opened.enter_context(http_calls.with_requests(merchant)) for _ in range(threads)]

        def contender(creates: Sequence[Create]) -> Contender:
            def make(calls: int) -> None:
                left = iter(range(calls))

                def work(create: Create) -> None:
                    for _ in left:
                        create()

                list(pool.map(work, creates))

            return Contender(make, fewest=threads)

        return measure(
            {OUR_BLOCKING: contender([shared] * threads), "requests.Session": contender(own)},
            rounds=rounds,
            seconds=seconds,
            server=server,
        )


def one_after_another(create: Create) -> Callable[[int], None]:
    def make(calls: int) -> None:
        for _ in range(calls):
            create()

    return make


@contextmanager
def replaying_server(program: Path, merchant: Merchant) -> Iterator[tuple[Merchant, ServerClock]]:
    """A server that does less than the simulator for each call, so that it holds nobody up."""
    command: list[str | Path] = [program, "replaying-server", json.dumps(vars(merchant))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    # It ends with its input.
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout is not None
        replayed = Merchant(**json.loads(process.stdout.readline()))
        yield replayed, ServerClock(process.pid)
        process.communicate()


def check_link(url: str) -> None:
    assert "/pay/" in url, f"a payment link, and not {url}"


def server_note(measured: Mapping[str, Rounds]) -> str:
    """The server's CPU time in a contender's time. Close to 100 %, it may be what held it up."""
    busy = [
        f"{name} {rounds.server_busy:.0%}"
        for name, rounds in measured.items()
        if rounds.server_busy is not None
    ]
    return f"the server worked, of the time: {', '.join(busy)}" if busy else ""


def link_name(in_flight: int, other: str) -> str:
    return f"python.create_link.{in_flight}.{other.partition('.')[0]}"


def starting(effort: Effort) -> list[Figure]:
    added_by("import kazawallet")  # The first one compiles and reads from the disk.
    added, alone = zip(*(added_by("import kazawallet") for _ in range(effort.loads)), strict=True)
    empty = f"an empty interpreter's {median(alone):.1f} ms"
    load = Figure(
        name="python.load_ms",
        title="import kazawallet, over an empty interpreter",
        unit="ms",
        ours=Taken.of(added),
        goal=LOAD_GOAL_MS,
    )
    clients = (OUR_BLOCKING, OUR_ASYNC, *OUTSIDE)
    starts = {client: Rounds() for client in clients}
    for client in clients:
        first_answer(client)
    for number in range(effort.starts):
        for client in in_turn(list(clients), number):
            took, cpu = first_answer(client)
            starts[client].wall.append(took)
            starts[client].cpu.append(cpu)
    answers = [
        beside(
            f"python.first_answer_ms.{other.partition('.')[0]}",
            "from the start of a process to its first payment link",
            "ms",
            starts[ours],
            other,
            starts[other],
        )
        for other, ours in OUTSIDE.items()
    ]
    note = "CPU is the process's, to its end"
    return report(f"import kazawallet, over {empty}", [load]) + report(
        "from the start of a process to its first payment link", answers, note
    )


def remembering(effort: Effort) -> list[Figure]:
    clients = (OUR_BLOCKING, OUR_ASYNC, *OUTSIDE)
    fresh, later = ({client: Rounds() for client in clients} for _ in range(2))
    for number in range(effort.memories):
        for client in in_turn(list(clients), number):
            before, after = memory(client, effort.calls_of_memory)
            fresh[client].wall.append(before)
            later[client].wall.append(after)
    figures = []
    for when, key, held in (
        ("with a fresh client", "fresh_client", fresh),
        ("after 10,000 calls", "after_10000_calls", later),
    ):
        figures += report(
            f"memory of a process {when} (resident set)",
            [
                beside(
                    f"python.memory_mb.{key}.{other.partition('.')[0]}",
                    f"memory of a process {when}",
                    "MB",
                    held[ours],
                    other,
                    held[other],
                )
                for other, ours in OUTSIDE.items()
            ],
        )
    return figures


def sizes(wheel: Path, installed: Path) -> list[Figure]:
    packed = wheel.stat().st_size / 1e6
    ours = size_mb(installed / "kazawallet")
    figures = [Figure("python.wheel_mb", "the wheel", "MB", Taken.of([packed]), goal=WHEEL_GOAL_MB)]
    for other in OTHERS:
        theirs = size_mb(installed / other)
        figures.append(
            Figure(
                name=f"python.installed_size_mb.{other}",
                title=f"installed, with all that it needs, beside {other}",
                unit="MB",
                ours=Taken.of([ours]),
                other=other,
                theirs=Taken.of([theirs]),
                ratio=Ratio.of([theirs], [ours]),
            )
        )
    return report("sizes: the wheel; installed, with all that it needs", figures)


def size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
