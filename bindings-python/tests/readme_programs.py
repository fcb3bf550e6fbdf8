"""The Python programs that the READMEs and the guides show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from repository import REPOSITORY

READMES = ("README.md", "bindings-python/README.md", "docs/ledger.md")


@dataclass(frozen=True)
class ReadmeProgram:
    """One ```python block. Each is a whole program."""

    readme: str
    heading: str
    number: int
    text: str

    @property
    def name(self) -> str:
        words = re.sub(r"\W+", "-", self.heading).strip("-").lower()
        return f"{self.readme.removesuffix('/README.md')}-{self.number}-{words}"


def programs_of(readme: str) -> list[ReadmeProgram]:
    """The programs of one README, in order, each with the heading that it stands under."""
    return list(_in(readme))


def _in(readme: str) -> Iterator[ReadmeProgram]:
    heading, number = "", 0
    lines = iter((REPOSITORY / readme).read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line == "```python":
            number += 1
            block = []
            for inside in lines:
                if inside == "```":
                    break
                block.append(inside)
            yield ReadmeProgram(readme, heading, number, "\n".join(block) + "\n")
        elif line.startswith("```"):
            # Another language's: a line in it that begins with # is no heading.
            for inside in lines:
                if inside == "```":
                    break


ALL = [program for readme in READMES for program in programs_of(readme)]
