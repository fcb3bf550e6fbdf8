"""A client, and a simulator, across `os.fork` and multiprocessing.

Two processes that speak on one connection would read each other's answers, so each test looks at
which connection a request came on. Retries are off: none may hide a connection that was spoilt.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from observing_server import ObservingServer
from programs import Program, ProviderAt, run
from scripted_server import ScriptedServer

from kazawallet.testing import Simulator

# From CPython 3.12 on, a fork in a process with threads gives a warning.
ANY_WARNING_IS_AN_ERROR = ("-W", "error")
THREADS_ARE_EXPECTED = ("-W", "ignore::DeprecationWarning")

LEAVE = [
    "os._exit(0)",
    "sys.exit()",
    "client.close(); os._exit(0)",
    "client.close(); sys.exit()",
    "del client; gc.collect(); os._exit(0)",
    "del client; gc.collect(); sys.exit()",
]


def each_has_its_own(server: ObservingServer) -> None:
    """The parent stayed on the connection of its first request, and the child never used it."""
    parent, child = server.connections_of("/parent"), server.connections_of("/child")
    assert len(parent) == 1, server.requests
    assert not parent & child, server.requests


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("calls", [0, 2])
def test_a_client_works_in_the_child_and_on_in_the_parent(calls: int, leave: str) -> None:
    program = f"""
        import gc, os, sys
        from kazawallet import Client

        client = Client(max_retries=0, timeout=20)
        client.request("GET", "/parent/before")
        child = os.fork()
        if child == 0:
            for number in range({calls}):
                client.request("GET", f"/child/{{number}}")
            {leave}
        _, status = os.waitpid(child, 0)
        client.request("GET", "/parent/after")
        client.request("GET", "/parent/again")
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    with ObservingServer() as server:
        run(program, provider=server, options=ANY_WARNING_IS_AN_ERROR).check_is_clean()
        each_has_its_own(server)
        assert len(server.connections_of("/child")) == min(calls, 1)
        assert len(server.requests) == 3 + calls


def test_the_parent_may_close_while_the_child_works_on() -> None:
    program = """
        import os, sys
        from kazawallet import Client

        client = Client(max_retries=0, timeout=20)
        client.request("GET", "/parent/before")
        wait_for_parent, go_on = os.pipe()
        child = os.fork()
        if child == 0:
            client.request("GET", "/child/before")
            os.read(wait_for_parent, 1)
            client.request("GET", "/child/after")
            sys.exit()
        client.close()
        os.write(go_on, b".")
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    with ObservingServer() as server:
        run(program, provider=server).check_is_clean()
        each_has_its_own(server)
        assert len(server.connections_of("/child")) == 1


def test_a_child_of_a_child() -> None:
    program = """
        import os, sys
        from kazawallet import Client

        client = Client(max_retries=0, timeout=20)

        def generation(number):
            client.request("GET", f"/{number}/before")
            if number < 4:
                child = os.fork()
                if child == 0:
                    generation(number + 1)
                _, status = os.waitpid(child, 0)
                assert status == 0
            client.request("GET", f"/{number}/after")
            if number:
                sys.exit()

        generation(0)
    """
    with ObservingServer() as server:
        run(program, provider=server, options=ANY_WARNING_IS_AN_ERROR).check_is_clean()
        connections = [server.connections_of(f"/{number}/") for number in range(5)]
        assert sorted(map(sorted, connections)) == [[1], [2], [3], [4], [5]]


@pytest.mark.parametrize("leave", LEAVE[1:4:2])
def test_over_tls(leave: str, simulator_program: Path) -> None:
    # Were the child to end the TLS session, the server would end the parent's connection.
    program = f"""
        import os, sys
        from kazawallet import Client

        client = Client(max_retries=0, timeout=20, root_certificates=os.environ["ROOT"])
        client.request("GET", "/parent/before")
        child = os.fork()
        if child == 0:
            client.request("GET", "/child/first")
            client.request("GET", "/child/second")
            {leave}
        _, status = os.waitpid(child, 0)
        client.request("GET", "/parent/after")
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    step = {"do": "respond", "status": 200, "body": {"json": {}}}
    script = {"tls": "trusted", "steps": [step] * 4}
    with ScriptedServer(simulator_program, script) as server:
        assert server.root_certificate is not None
        environment = {"ROOT": server.root_certificate}
        run(program, provider=ProviderAt(server.url), environment=environment).check_is_clean()
        observed = server.finish()
    on = {request.path: request.connection for request in observed.requests}
    assert on["/parent/before"] == on["/parent/after"]
    assert on["/child/first"] == on["/child/second"] != on["/parent/before"]
    assert (observed.connections, observed.steps_left) == (2, 0)


@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit()", "asyncio.run(client.aclose())"])
@pytest.mark.parametrize("used_before", [False, True])
def test_an_async_client(used_before: bool, leave: str) -> None:
    program = f"""
        import asyncio, os, sys
        from kazawallet import AsyncClient

        client = AsyncClient(max_retries=0, timeout=20)

        async def calls(*paths):
            for path in paths:
                await client.request("GET", path)

        if {used_before}:
            asyncio.run(calls("/parent/before"))
        child = os.fork()
        if child == 0:
            asyncio.run(calls("/child/first", "/child/second"))
            asyncio.run(calls("/child/third"))
            {leave}
            os._exit(0)
        _, status = os.waitpid(child, 0)
        asyncio.run(calls("/parent/after", "/parent/again"))
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    options = THREADS_ARE_EXPECTED if used_before else ANY_WARNING_IS_AN_ERROR
    with ObservingServer() as server:
        run(program, provider=server, options=options).check_is_clean()
        each_has_its_own(server)
        assert len(server.connections_of("/child")) == 1


def test_a_fork_between_a_client_and_an_async_client() -> None:
    # As where a framework checks its settings before the fork and serves with asyncio after it.
    program = """
        import asyncio, os, sys
        from kazawallet import AsyncClient, Client

        client, async_client = Client(max_retries=0), AsyncClient(max_retries=0)

        async def in_child():
            await asyncio.gather(*(async_client.request("GET", f"/child/{n}") for n in range(8)))
            await async_client.aclose()

        client.request("GET", "/parent/before")
        child = os.fork()
        if child == 0:
            asyncio.run(in_child())
            client.request("GET", "/child/sync")
            sys.exit()
        _, status = os.waitpid(child, 0)
        client.request("GET", "/parent/after")
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    with ObservingServer() as server:
        run(program, provider=server, options=ANY_WARNING_IS_AN_ERROR).check_is_clean()
        each_has_its_own(server)
        assert len(server.requests) == 11


@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit()", "client.close(); sys.exit()"])
def test_a_fork_while_another_thread_is_in_a_call(leave: str) -> None:
    program = f"""
        import os, sys, threading
        from kazawallet import Client

        client = Client(max_retries=0, timeout=50)
        thread = threading.Thread(
            target=lambda: print(client.request("GET", "/parent/held").status, flush=True)
        )
        thread.start()
        input()
        child = os.fork()
        if child == 0:
            client.request("GET", "/child/first")
            client.request("GET", "/child/second")
            {leave}
        _, status = os.waitpid(child, 0)
        print("child ended:", os.waitstatus_to_exitcode(status), flush=True)
        thread.join()
    """
    with ObservingServer() as server:
        server.hold("/parent/held")
        with Program(program, provider=server, options=THREADS_ARE_EXPECTED) as running:
            server.wait_for_requests(1)
            running.tell()
            assert running.line() == "child ended: 0"
            server.release()
            assert running.line() == "200"
            running.end().check_is_clean()
        each_has_its_own(server)


def test_a_fork_while_another_thread_is_in_an_async_call() -> None:
    program = """
        import asyncio, os, threading
        from kazawallet import AsyncClient

        client = AsyncClient(max_retries=0, timeout=50)

        def in_parent():
            print(asyncio.run(client.request("GET", "/parent/held")).status, flush=True)

        thread = threading.Thread(target=in_parent)
        thread.start()
        input()
        child = os.fork()
        if child == 0:
            asyncio.run(client.request("GET", "/child/first"))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("child ended:", os.waitstatus_to_exitcode(status), flush=True)
        thread.join()
    """
    with ObservingServer() as server:
        server.hold("/parent/held")
        with Program(program, provider=server, options=THREADS_ARE_EXPECTED) as running:
            server.wait_for_requests(1)
            running.tell()
            assert running.line() == "child ended: 0"
            server.release()
            assert running.line() == "200"
            running.end().check_is_clean()
        each_has_its_own(server)


def test_a_fork_in_a_signal_handler_in_the_midst_of_a_call() -> None:
    program = """
        import os, signal
        from kazawallet import Client

        client = Client(max_retries=0, timeout=50)

        def handler(number, frame):
            child = os.fork()
            if child == 0:
                client.request("GET", "/child")
                os._exit(0)
            _, status = os.waitpid(child, 0)
            print("child ended:", os.waitstatus_to_exitcode(status), flush=True)

        signal.signal(signal.SIGUSR1, handler)
        print(client.request("GET", "/parent/held").status, flush=True)
    """
    with ObservingServer() as server:
        server.hold("/parent/held")
        options = ANY_WARNING_IS_AN_ERROR
        with Program(program, provider=server, options=options) as running:
            server.wait_for_requests(1)
            running.send_signal(signal.SIGUSR1)
            assert running.line() == "child ended: 0"
            server.release()
            assert running.line() == "200"
            running.end().check_is_clean()
        each_has_its_own(server)


def test_many_forks_while_threads_call_without_a_pause() -> None:
    # A lock that some thread holds at the moment of the fork is held for ever in the child.
    program = """
        import os, sys, threading
        from kazawallet import Client

        client = Client(max_retries=0, timeout=20)
        stop = threading.Event()
        failures = []

        def call():
            try:
                while not stop.is_set():
                    client.request("GET", "/parent")
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(30):
            child = os.fork()
            if child == 0:
                client.request("GET", f"/child/{number}")
                os._exit(0)
            _, status = os.waitpid(child, 0)
            assert status == 0, (number, status)
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures, failures
    """
    with ObservingServer() as server:
        run(program, provider=server, options=THREADS_ARE_EXPECTED).check_is_clean()
        assert not server.connections_of("/parent") & server.connections_of("/child")
        assert len(server.connections_of("/child")) == 30


def test_a_call_that_began_before_the_fork_is_answered_in_the_parent_alone() -> None:
    # The child has a copy of the task and its loop, and ends without having run them.
    program = """
        import asyncio, os, sys
        from kazawallet import AsyncClient

        async def main():
            client = AsyncClient(max_retries=0, timeout=50)
            task = asyncio.create_task(client.request("GET", "/parent/held"))
            await asyncio.get_running_loop().run_in_executor(None, input)
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
            print("child ended", flush=True)
            print((await task).status, flush=True)

        asyncio.run(main())
    """
    with ObservingServer() as server:
        server.hold()
        with Program(program, provider=server, options=THREADS_ARE_EXPECTED) as running:
            server.wait_for_requests(1)
            running.tell()
            assert running.line() == "child ended"
            server.release()
            assert running.line() == "200"
            running.end().check_is_clean()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_pool(method: str) -> None:
    program = """
        import multiprocessing, os, sys
        from kazawallet import Client

        client = Client(max_retries=0, timeout=20)

        def work(number):
            return client.request("GET", f"/child/{os.getpid()}/{number}").status

        if __name__ == "__main__":
            client.request("GET", "/parent/before")
            with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
                assert pool.map(work, range(24), chunksize=1) == [200] * 24
                pool.close()
                pool.join()
            client.request("GET", "/parent/after")
    """
    with ObservingServer() as server:
        run(program, method, provider=server).check_is_clean()
        each_has_its_own(server)
        assert processes_share_no_connection(server)
        assert len(server.requests) == 26


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_pool_executor(method: str) -> None:
    program = """
        import multiprocessing, os, sys
        from concurrent.futures import ProcessPoolExecutor
        from kazawallet import Client

        client = Client(max_retries=0, timeout=20)

        def work(number):
            return client.request("GET", f"/child/{os.getpid()}/{number}").status

        if __name__ == "__main__":
            client.request("GET", "/parent/before")
            context = multiprocessing.get_context(sys.argv[1])
            with ProcessPoolExecutor(3, mp_context=context) as pool:
                assert list(pool.map(work, range(24))) == [200] * 24
            client.request("GET", "/parent/after")
    """
    with ObservingServer() as server:
        run(program, method, provider=server).check_is_clean()
        each_has_its_own(server)
        assert processes_share_no_connection(server)
        assert len(server.requests) == 26


def test_a_prefork_server() -> None:
    # As gunicorn with `preload_app` does it: the application is imported once, then forked.
    program = """
        import os, sys
        from kazawallet import Client

        client = Client(max_retries=0, timeout=20)
        client.request("GET", "/parent/before")
        workers = []
        for _ in range(4):
            worker = os.fork()
            if worker == 0:
                for number in range(20):
                    client.request("GET", f"/child/{os.getpid()}/{number}")
                    link = client.payment_links.create(amount="1", currency="USD", ref=f"{number}")
                    assert link.url.endswith(f"/{number}"), link
                sys.exit(0)
            workers.append(worker)
        for worker in workers:
            _, status = os.waitpid(worker, 0)
            assert status == 0, status
        client.request("GET", "/parent/after")
    """
    with ObservingServer() as server:
        run(program, provider=server, options=ANY_WARNING_IS_AN_ERROR).check_is_clean()
        each_has_its_own(server)
        assert processes_share_no_connection(server)
        assert server.connections == 5
        assert len(server.requests) == 2 + 4 * 20 * 2


@pytest.mark.parametrize(
    "leave", ["os._exit(0)", "sys.exit()", "del simulator; gc.collect(); sys.exit()"]
)
def test_a_simulator_runs_on_in_the_parent(leave: str) -> None:
    program = f"""
        import gc, os, sys
        from kazawallet.testing import Simulator

        simulator = Simulator()
        client = simulator.client(max_retries=0, timeout=20)
        client.payment_links.create(amount="1", currency="USD", ref="before")
        child = os.fork()
        if child == 0:
            client.payment_links.create(amount="1", currency="USD", ref="child")
            {leave}
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        link = client.payment_links.create(amount="1", currency="USD", ref="after")
        [delivery] = simulator.pay(link)
        assert simulator.webhook().verify(delivery.body).ref == "after"
        assert len(simulator.requests) == 3
        simulator.stop()
    """
    run(program, options=THREADS_ARE_EXPECTED).check_is_clean()


def processes_share_no_connection(server: ObservingServer) -> bool:
    """Whether each connection was used by one child alone; their requests say `/child/<pid>/…`."""
    pairs = {
        (seen.connection, seen.path.split("/")[2])
        for seen in server.requests
        if seen.path.startswith("/child/")
    }
    return len(pairs) == len({connection for connection, _ in pairs})


def test_a_signal_handler_that_forks_in_the_middle_of_a_payout() -> None:
    """Where both the parent and the child went on with it, it would be sent twice."""
    program = """
        import os, signal, sys
        from kazawallet import Client, PaymentMethod

        def fork(number, frame):
            global child
            child = os.fork()

        signal.signal(signal.SIGALRM, fork)
        client = Client(timeout=30)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        recipient = PaymentMethod.sy_cash(phone="0933123456")
        try:
            paid = client.withdrawals.create(amount="1", currency="USD", payment_method=recipient)
        except RuntimeError:
            os._exit(0 if child == 0 else 7)
        if child == 0:
            os._exit(8)
        print(paid.status, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    with Simulator() as simulator:
        simulator.fault("answer_late:1000")
        ended = run(program, provider=simulator, options=THREADS_ARE_EXPECTED)
        ended.check_is_clean()
        assert ended.stdout == "approved 0\n"
        assert len(simulator.requests) == 1
