"""`python -m kazawallet`: what the package offers from a terminal."""

from __future__ import annotations

import sys

_USAGE = """\
usage: python -m kazawallet COMMAND

  simulator           start a stand-in for the provider on this machine, until Ctrl-C
  simulator trigger   send one signed webhook delivery to a URL
  ledger              show a ledger and what waits for a person, and decide it
  version             show the version

`python -m kazawallet simulator --help` tells the options, and so does `ledger --help`. kazawallet is
an SDK for the Kazawallet payment API, and not the provider's own product.
"""


def main(arguments: list[str]) -> int:
    """Runs a command; returns the exit status."""
    match arguments:
        case ["simulator", *rest]:
            import signal

            from ._kazawallet import run_simulator

            # The program waits for the signal itself; Python would add a traceback to it.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            return run_simulator(["python -m kazawallet simulator", *rest])
        case ["ledger", *rest]:
            import signal

            from ._kazawallet import run_ledger

            # Ctrl-C ends it at once, without a traceback.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            return run_ledger(["python -m kazawallet ledger", *rest])
        case ["version" | "--version"]:
            from . import __version__

            print(__version__)
            return 0
        case [] | ["--help" | "-h" | "help"]:
            print(_USAGE, end="")
            return 0
        case _:
            print(f"unknown command: {arguments[0]}\n\n{_USAGE}", end="", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
