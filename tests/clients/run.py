#!/usr/bin/env python3
"""Runs clients that know nothing of this SDK against the simulator: small shops in PHP.

    python3 tests/clients/run.py [--simulator-program FILE] [unittest's own arguments]

Each makes a link, is paid, and hears of it by the simulator's delivery; none believes a wrong
signature. Needs Rust, to build the simulator, and PHP 8.1 or later: Debian's `php-cli`, or the one
that the variable PHP names. No extension of it is used.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
TARGET = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")
OLDEST_PHP = (8, 1)
# Far more than anything here takes; it is there so that what hangs is told of.
GUARD = 60.0  # seconds

# The file of each client.
PLUGIN, WHMCS, RECIPE = "plugin.php", "whmcs.php", "recipe.php"
# Under which names each of the simulator's dialects delivers a link's id.
NAMES_OF_THE_ID = {"documented": {"order_id"}, "plugin": {"id"}, "both": {"order_id", "id"}}


class Failed(Exception):
    """A step that the tests cannot do without."""


class Program:
    """A program that says on its output when it is ready."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        self._lines: list[str] = []
        self._ended = False
        self._told = threading.Condition()
        path = {"PATH": os.environ.get("PATH", "")}
        self._process = subprocess.Popen(
            command,
            cwd=HERE,
            env={**path, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._told:
                self._lines.append(line)
                self._told.notify_all()
        with self._told:
            self._ended = True
            self._told.notify_all()

    def said(self, pattern: str) -> str:
        """What the pattern's group found, once the program has printed it."""
        found: list[str] = []

        def look() -> bool:
            found.extend(re.findall(pattern, self.output(), re.MULTILINE))
            return bool(found) or self._ended

        with self._told:
            self._told.wait_for(look, GUARD)
        if not found:
            self.stop()
            raise Failed(f"{self._process.args} never said {pattern!r}:\n{self.output()}")
        return found[0]

    def output(self) -> str:
        with self._told:
            return "".join(self._lines)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Simulator:
    """The simulator's program in one of its dialects."""

    def __init__(self, dialect: str) -> None:
        arguments = ("--dialect", dialect)
        self._program = Program((Simulator.program, *arguments), {})
        names = ("BASE_URL", "API_KEY", "API_SECRET", "MERCHANT_EMAIL")
        self.environment = {
            f"KAZAWALLET_{name}": self._program.said(rf"^KAZAWALLET_{name}=(.+)$") for name in names
        }
        self._token = self._program.said(r"^Dashboard +\S+\btoken=(\w+)")
        self._origin = self.environment["KAZAWALLET_BASE_URL"].removesuffix("/wallet")
        self.stop = self._program.stop

    # Where it was built; set before the tests begin.
    program = Path()

    def control(self, action: str, **arguments: Any) -> Any:
        """Does something by the control API; what is delivered meanwhile has been answered then."""
        url = f"{self._origin}/__simulator/api/{action}"
        status, answer = request("POST", url, arguments, {"x-simulator-token": self._token})
        if status != 200:
            raise Failed(f"{action}: {status} {answer}")
        return answer

    def delivers(self, action: str, link: str) -> dict[str, Any]:
        """Pays a link or lets it time out: the one delivery of that."""
        [delivery] = self.control(action, link=link)
        return delivery


class Shop:
    """A client in its shop, served by PHP's own web server."""

    def __init__(self, client: str, folder: str, environment: Mapping[str, str]) -> None:
        # `-n`: without the machine's php.ini and the extensions that it names.
        command = (Shop.php, "-n", "-S", "127.0.0.1:0", client)
        settings = {"SHOP_FOLDER": folder, "SHOP_DECIMALS": "3"}
        self._program = Program(command, {**settings, **environment})
        self._url = self._program.said(r"\((http://127\.0\.0\.1:\d+)\) started")
        self.webhook_url = f"{self._url}/webhook"
        self.output, self.stop = self._program.output, self._program.stop

    # The interpreter; found before the tests begin.
    php = ""

    def order(self, ref: str, amount: str) -> tuple[int, Any]:
        """Makes an order of an amount in USD, and its link: the answer's status, and the order."""
        order = {"ref": ref, "amount": amount, "currency": "USD"}
        return request("POST", f"{self._url}/orders", order)

    def find(self, ref: str) -> Any:
        return request("GET", f"{self._url}/orders?{urlencode({'ref': ref})}")[1]

    def receive(self, body: str) -> int:
        """The status that a delivery is answered with."""
        return request("POST", self.webhook_url, body)[0]


def request(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """One HTTP request to this machine with JSON, and the status and the JSON of the answer."""
    address = urlsplit(url)
    assert address.hostname == "127.0.0.1"
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=GUARD)
    try:
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        kind = {"content-type": "application/json"}
        target = address._replace(scheme="", netloc="").geturl()
        connection.request(method, target, text, {**kind, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


class ClientTest(unittest.TestCase):
    """Opens simulators and shops, which end with the test."""

    def simulator(self, dialect: str) -> Simulator:
        simulator = Simulator(dialect)
        self.addCleanup(simulator.stop)
        return simulator

    def shop(self, client: str, environment: Mapping[str, str]) -> Shop:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        shop = Shop(client, folder.name, environment)
        self.addCleanup(shop.stop)
        return shop

    def beside(self, client: str, dialect: str) -> tuple[Simulator, Shop]:
        """A simulator, and a shop that it delivers to."""
        simulator = self.simulator(dialect)
        shop = self.shop(client, simulator.environment)
        simulator.control("webhook_url", url=shop.webhook_url)
        return simulator, shop

    def ordered(self, shop: Shop, ref: str = "order-42", amount: str = "10.50") -> str:
        """The address of the link of a new order."""
        status, order = shop.order(ref, amount)
        self.assertEqual(status, 201, f"{order}\n{shop.output()}")
        return order["link"]["url"]

    def held_back(self, simulator: Simulator, link: str) -> dict[str, Any]:
        """The fields of a genuine delivery of a paid link that the shop has not got."""
        simulator.control("fault", fault="never_delivered")
        delivery = simulator.delivers("pay", link)
        self.assertEqual(delivery["outcome"], "not_sent")
        return json.loads(delivery["body"])


class Accepting(ClientTest):
    """What each client does in each dialect that it understands."""

    client: str
    dialects: tuple[str, ...]
    # What it answers to a delivery that it does not believe.
    refusal: int

    def test_a_paid_link_pays_its_order(self) -> None:
        for dialect in self.dialects:
            with self.subTest(dialect):
                simulator, shop = self.beside(self.client, dialect)
                delivery = simulator.delivers("pay", self.ordered(shop))
                self.assertEqual(delivery["status"], 200, shop.output())
                fields = json.loads(delivery["body"])
                names = NAMES_OF_THE_ID[dialect]
                self.assertEqual(fields.keys() & {"order_id", "id"}, names)
                [id_of_the_link] = {fields[name] for name in names}
                order = shop.find("order-42")
                self.assertEqual(order["state"], "paid", shop.output())
                self.assertEqual(order["paid_by"], [id_of_the_link])

    def test_a_link_that_times_out_pays_nothing(self) -> None:
        for dialect in self.dialects:
            with self.subTest(dialect):
                simulator, shop = self.beside(self.client, dialect)
                delivery = simulator.delivers("time_out", self.ordered(shop))
                self.assertEqual(delivery["status"], 200, shop.output())
                self.assertEqual(shop.find("order-42")["state"], "timed_out")

    def test_a_wrong_signature_pays_nothing(self) -> None:
        for dialect in self.dialects:
            with self.subTest(dialect):
                simulator, shop = self.beside(self.client, dialect)
                delivery = self.held_back(simulator, self.ordered(shop))
                secret = delivery["secret"]
                wrong = secret[:-3] + ("A" if secret[-3] != "A" else "B") + secret[-2:]
                answered = shop.receive(json.dumps({**delivery, "secret": wrong}))
                self.assertEqual(answered, self.refusal, shop.output())
                self.assertEqual(shop.find("order-42")["state"], "open")
                # And it was the signature alone that was wrong.
                self.assertEqual(shop.receive(json.dumps(delivery)), 200, shop.output())
                self.assertEqual(shop.find("order-42")["state"], "paid")

    def test_a_genuine_delivery_of_another_amount_pays_nothing(self) -> None:
        simulator, shop = self.beside(self.client, self.dialects[0])
        self.ordered(shop)
        delivery = self.held_back(simulator, self.ordered(shop, "order-43", "1.05"))
        # The amount is edited, for whoever reads it; the signature is still over the other one.
        edited = {**delivery, "ref": "order-42", "amount": "10.50"}
        self.assertEqual(shop.receive(json.dumps(edited)), self.refusal, shop.output())
        self.assertEqual(shop.find("order-42")["state"], "open")

    def test_an_error_with_status_200_is_no_link(self) -> None:
        simulator, shop = self.beside(self.client, self.dialects[0])
        simulator.control("fault", fault="error_inside_200")
        status, _ = shop.order("order-42", "10.50")
        self.assertEqual(status, 502, shop.output())
        # It was that answer's fault: the next one is a link.
        self.ordered(shop)


class PluginTest(Accepting):
    client, dialects, refusal = PLUGIN, ("plugin", "both"), 200

    def test_the_id_of_the_link_is_the_id_of_the_delivery(self) -> None:
        simulator, shop = self.beside(PLUGIN, "plugin")
        simulator.delivers("pay", self.ordered(shop))
        order = shop.find("order-42")
        self.assertEqual(order["paid_by"], [order["link"]["id"]])

    def test_the_text_of_creation_is_signed_in_the_decimals_of_the_shop(self) -> None:
        simulator, shop = self.beside(PLUGIN, "plugin")
        simulator.control("fault", fault="amount_as_number")
        delivery = simulator.delivers("pay", self.ordered(shop, amount="10.5"))
        self.assertRegex(delivery["body"], r'"amount":10\.5[,}]')
        self.assertEqual(shop.find("order-42")["state"], "paid", shop.output())

    def test_a_status_that_nobody_knows_is_a_time_out(self) -> None:
        simulator, shop = self.beside(PLUGIN, "plugin")
        delivery = self.held_back(simulator, self.ordered(shop))
        self.assertEqual(shop.receive(json.dumps({**delivery, "status": "pending"})), 200)
        self.assertEqual(shop.find("order-42")["state"], "timed_out")

    def test_it_knows_neither_form_fields_nor_the_documented_name(self) -> None:
        """So these deliveries are lost to it: the dialect is what it needs."""
        for dialect, fault in (("plugin", "form_encoded"), ("documented", None)):
            with self.subTest(dialect):
                simulator, shop = self.beside(PLUGIN, dialect)
                if fault is not None:
                    simulator.control("fault", fault=fault)
                delivery = simulator.delivers("pay", self.ordered(shop))
                self.assertEqual(delivery["status"], 200, shop.output())
                self.assertEqual(shop.find("order-42")["state"], "open")

    def test_it_speaks_http_1_0(self) -> None:
        answer = {"success": True, "id": 7, "url": "https://pay.example/7"}
        with OneAnswer(json.dumps(answer)) as server:
            status, order = self.shop(PLUGIN, server.environment).order("order-42", "10.5")
        self.assertEqual((status, order["link"]), (201, {"url": answer["url"], "id": "7"}))
        head, _, body = server.seen.partition("\r\n\r\n")
        self.assertEqual(head.split("\r\n")[0], "POST /wallet/createPaymentLink HTTP/1.0")
        self.assertEqual(json.loads(body)["amount"], "10.500")

    def test_it_waits_five_seconds(self) -> None:
        """As long as the simulator's late answer takes, and no longer."""
        simulator, shop = self.beside(PLUGIN, "plugin")
        simulator.control("fault", fault="answer_late:1000")
        self.ordered(shop, "order-1")
        simulator.control("fault", fault="answer_late:60000")
        status, answer = shop.order("order-2", "10.50")
        self.assertEqual((status, answer), (502, {"error": "no answer"}), shop.output())


class WhmcsTest(Accepting):
    client, dialects, refusal = WHMCS, ("plugin", "documented", "both"), 403

    def test_form_fields_are_read(self) -> None:
        simulator, shop = self.beside(WHMCS, "plugin")
        simulator.control("fault", fault="form_encoded")
        delivery = simulator.delivers("pay", self.ordered(shop))
        self.assertEqual(delivery["content_type"], "application/x-www-form-urlencoded")
        self.assertEqual(shop.find("order-42")["state"], "paid", shop.output())

    def test_a_transaction_is_counted_once(self) -> None:
        simulator, shop = self.beside(WHMCS, "plugin")
        simulator.control("fault", fault="delivered_twice")
        deliveries = simulator.control("pay", link=self.ordered(shop))
        self.assertEqual([delivery["status"] for delivery in deliveries], [200, 200])
        self.assertEqual(
            shop.find("order-42")["paid_by"], [json.loads(deliveries[0]["body"])["id"]]
        )

    def test_a_ref_that_is_no_invoice_is_refused(self) -> None:
        simulator, shop = self.beside(WHMCS, "plugin")
        delivery = self.held_back(simulator, self.ordered(shop))
        self.assertEqual(shop.receive(json.dumps({**delivery, "ref": "order-7"})), 404)
        self.assertEqual(shop.find("order-42")["state"], "open")


class RecipeTest(Accepting):
    client, dialects, refusal = RECIPE, ("documented", "both"), 401

    def test_it_knows_the_documented_name_alone(self) -> None:
        simulator, shop = self.beside(RECIPE, "plugin")
        delivery = simulator.delivers("pay", self.ordered(shop))
        self.assertEqual(delivery["status"], 400, shop.output())
        self.assertEqual(shop.find("order-42")["state"], "open")


def load_tests(loader: unittest.TestLoader, *_: object) -> unittest.TestSuite:
    """The clients' own classes: `Accepting` is none by itself."""
    return unittest.TestSuite(map(loader.loadTestsFromTestCase, Accepting.__subclasses__()))


class OneAnswer:
    """A server that answers one request with JSON, and keeps what it was sent."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(GUARD)
        self._thread = threading.Thread(target=self._serve)
        self.seen = ""
        port = self._listener.getsockname()[1]
        self.environment = {
            "KAZAWALLET_BASE_URL": f"http://127.0.0.1:{port}/wallet",
            "KAZAWALLET_API_KEY": "sim_key",
            "KAZAWALLET_API_SECRET": "sim_secret",
            "KAZAWALLET_MERCHANT_EMAIL": "merchant@example.com",
        }

    def __enter__(self) -> OneAnswer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(GUARD)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rwb") as stream:
            connection.settimeout(GUARD)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += stream.readline()
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            body = stream.read(int(length[1])) if length else b""
            self.seen = (head + body).decode()
            stream.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")
            stream.write(self._answer.encode())


def find_php() -> str:
    named = os.environ.get("PHP")
    php = shutil.which(named or "php")
    how = (
        "On Debian and Ubuntu: apt-get install --yes --no-install-recommends php-cli; elsewhere name "
        "one by the variable PHP"
    )
    if php is None:
        raise Failed(f"no PHP at {named or 'any usual place'}. {how}")
    tell = "echo PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;"
    said = subprocess.run((php, "-n", "-r", tell), capture_output=True, text=True, check=True)
    if tuple(map(int, said.stdout.split("."))) < OLDEST_PHP:
        oldest = ".".join(map(str, OLDEST_PHP))
        raise Failed(f"{php} is PHP {said.stdout}; {oldest} or later is needed. {how}")
    print(f"== clients in PHP {said.stdout}", flush=True)
    return php


def build_simulator() -> Path:
    # As the workspace's tests are built, of which one comes along for that: nearly all is there already.
    alike = ("--workspace", "--all-features", "--test", "surface", "--bin", "kazawallet-simulator")
    subprocess.run(("cargo", "build", "--quiet", "--locked", *alike), cwd=REPOSITORY, check=True)
    return (
        TARGET
        / "debug"
        / ("kazawallet-simulator.exe" if os.name == "nt" else "kazawallet-simulator")
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Clients in PHP against the simulator.")
    parser.add_argument("--simulator-program", type=Path, help="else a debug build is made")
    options, rest = parser.parse_known_args()
    try:
        Shop.php = find_php()
        Simulator.program = (options.simulator_program or build_simulator()).resolve()
    except (Failed, subprocess.CalledProcessError) as failure:
        print(f"run.py: {failure}", file=sys.stderr)
        return 1
    tests = unittest.main(argv=[sys.argv[0], *rest], exit=False, buffer=True)
    return 0 if tests.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
