"""What is said in the repository's documents besides programs: their headings, links and tables."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from repository import REPOSITORY

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/**/README.md", "*/README.md")
    for path in REPOSITORY.glob(pattern)
    if "node_modules" not in path.parts
)


def prose(document: Path) -> str:
    """A document without its blocks of code."""
    text = document.read_text(encoding="utf-8")
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """What a link can lead to within a document, as GitHub names its headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(document), re.MULTILINE):
        title = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", heading)
        name = "".join(letter for letter in title.lower() if _is_kept(letter)).replace(" ", "-")
        unique, number = name, 0
        while unique in found:
            number += 1
            unique = f"{name}-{number}"
        found.add(unique)
    return found


def _is_kept(letter: str) -> bool:
    return letter in "- _" or unicodedata.category(letter)[0] in "LMN"


def broken_links(document: Path) -> list[str]:
    """The relative links of a document that lead nowhere."""
    text = re.sub(r"`[^`]*`", "", prose(document))
    targets = re.findall(r"\]\(\s*([^)\s]+)\s*\)", text)
    targets += re.findall(r"""(?:src|href)=["']([^"']+)["']""", text)
    broken = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue  # Elsewhere.
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


def rows(document: Path) -> list[list[str]]:
    """The rows of a document's tables, cell by cell."""
    lines = [line.strip() for line in prose(document).splitlines()]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for line in lines
        if line.startswith("|")
    ]
