"""The guide's Flask program under gunicorn, with two workers that are replaced while it serves."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from around import free_port, program_shown, running, simulator, trigger

from kazawallet import Client, Ledger


class Gunicorn(unittest.TestCase):
    def test_payments_reach_the_shop_before_and_after_its_workers_are_replaced(self) -> None:
        program = program_shown("docs/webhooks.md", "python", "kazawallet.contrib.flask")
        with tempfile.TemporaryDirectory() as name, simulator(Path(name)) as account:
            folder = Path(name)
            (folder / "shop.py").write_text(program, encoding="utf-8")
            address = f"127.0.0.1:{free_port()}"
            shop = {**account, "KAZAWALLET_LEDGER": f"sqlite://{folder / 'ledger.db'}"}
            client = Client(
                base_url=account["KAZAWALLET_BASE_URL"],
                api_key=account["KAZAWALLET_API_KEY"],
                api_secret=account["KAZAWALLET_API_SECRET"],
                merchant_email=account["KAZAWALLET_MERCHANT_EMAIL"],
            )
            with client, Ledger.open(shop["KAZAWALLET_LEDGER"], client=client) as ledger:
                links = [
                    ledger.create_payment_link(ref=ref, amount="10.50", currency="USD")
                    for ref in ("order-1", "order-2")
                ]
            command = [sys.executable, "-m", "gunicorn", "--workers=2", f"--bind={address}"]
            with running([*command, "shop:app"], folder, shop) as server:
                url = f"http://{address}/webhooks/kazawallet"
                self.read(server, "Booting worker", times=2)
                self.assertIn("200", trigger(url, account, links[0].id, "order-1"))
                self.read(server, "order-1 is paid")
                server.send_signal(signal.SIGHUP)
                self.read(server, "Booting worker", times=2)
                self.assertIn("200", trigger(url, account, links[1].id, "order-2"))
                self.read(server, "order-2 is paid")
                server.send_signal(signal.SIGTERM)
                self.assertNotIn("Traceback", server.communicate()[0])
                self.assertEqual(server.returncode, 0)

    def read(self, server: subprocess.Popen[str], wanted: str, times: int = 1) -> None:
        """Reads its output until a text was there so often."""
        assert server.stdout is not None
        seen = []
        for line in server.stdout:
            seen.append(line)
            times -= wanted in line
            if times == 0:
                return
        self.fail(f"it ended without {wanted!r}:\n{''.join(seen)}")
