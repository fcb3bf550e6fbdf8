"""The bar chart of the few ratios that somebody new asks for, as SVG.

It has a background of its own, light or dark as the reader's system is: an image does not see which
theme the page around it has. Text is text, and title and description tell what the bars show.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

# What is shown, from the top: headings, and below each the names of results with their labels.
BARS = (
    (
        "Verify a webhook",
        (
            ("python.verify.handwritten", "Python, beside hashlib and hmac"),
            ("node.verify.handwritten", "Node.js, beside node:crypto"),
        ),
    ),
    (
        "Create a payment link, one at a time",
        (
            ("python.create_link.1.requests", "Python, beside requests"),
            ("python.create_link.1.httpx", "Python, beside httpx"),
            ("node.create_link.1.fetch", "Node.js, beside fetch"),
            ("rust.create_link.1.reqwest", "Rust, beside bare reqwest"),
        ),
    ),
    (
        "Create payment links, 64 in flight",
        (
            ("python.create_link.64.aiohttp", "Python, beside aiohttp"),
            ("node.create_link.64.fetch", "Node.js, beside fetch"),
            ("node.create_link.64.axios", "Node.js, beside axios"),
            ("rust.create_link.64.reqwest", "Rust, beside bare reqwest"),
        ),
    ),
)

WIDTH = 760
MARGIN = 24
BARS_BEGIN = 272
# Room for the figure behind the longest bar.
BARS_END = WIDTH - MARGIN - 56
TOP = 82
HEADING_HEIGHT = 34
ROW_HEIGHT = 26
BAR_HEIGHT = 14
FOOT_HEIGHT = 44

STYLE = """
    .card { fill: #ffffff; stroke: #d1d9e0 }
    text { fill: #1f2328; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
    .title { font-size: 17px; font-weight: 600 }
    .heading { font-weight: 600 }
    .figure { font-weight: 600; font-variant-numeric: tabular-nums }
    .quiet { fill: #59636e; font-size: 12px }
    .python { fill: #3572a5 }
    .node { fill: #3c873a }
    .rust { fill: #b7552a }
    .spread { stroke: #1f2328; stroke-width: 1.5 }
    .equal { stroke: #59636e; stroke-dasharray: 3 3 }
    @media (prefers-color-scheme: dark) {
      .card { fill: #0d1117; stroke: #3d444d }
      text { fill: #f0f6fc }
      .quiet { fill: #9198a1 }
      .python { fill: #5b9bd5 }
      .node { fill: #57ab5a }
      .rust { fill: #e0793f }
      .spread { stroke: #f0f6fc }
      .equal { stroke: #9198a1 }
    }
"""


def svg(results: dict[str, Any]) -> str:
    found = {result["name"]: result for result in results["results"]}
    groups = [
        (heading, [(label, found[name]) for name, label in bars if name in found])
        for heading, bars in BARS
    ]
    groups = [(heading, bars) for heading, bars in groups if bars]
    longest = max((bar["ratio_high"] for _, bars in groups for _, bar in bars), default=1.0)
    scale = (BARS_END - BARS_BEGIN) / max(longest, 1.0)

    drawn: list[str] = []
    told: list[str] = []
    y = TOP
    for heading, bars in groups:
        y += HEADING_HEIGHT
        drawn.append(f'<text class="heading" x="{MARGIN}" y="{y - 10}">{escape(heading)}</text>')
        for label, bar in bars:
            drawn += _bar(label, bar, y, scale)
            told.append(f"{heading}, {label}: {bar['ratio']:.1f} times as fast.")
            y += ROW_HEIGHT
    equal = BARS_BEGIN + scale
    height = y + FOOT_HEIGHT
    cpu = escape(f"{results['machine']['cpu']}, {results['machine']['cores']} cores")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="title description">',
        '<title id="title">How many times as fast as what people would use instead</title>',
        f'<desc id="description">{escape(" ".join(told))}</desc>',
        f"<style>{STYLE}  </style>",
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="{MARGIN}" y="36">Times as fast as what people would use instead</text>',
        f'<text class="quiet" x="{MARGIN}" y="58">More is better. Medians of rounds in turns; thin '
        "lines: four rounds in five.</text>",
        f'<line class="equal" x1="{equal:.1f}" y1="{TOP + 6}" x2="{equal:.1f}" y2="{y}"/>',
        f'<text class="quiet" x="{equal:.1f}" y="{y + 16}" text-anchor="middle">1× = as fast</text>',
        *drawn,
        f'<text class="quiet" x="{WIDTH - MARGIN}" y="{y + 30}" text-anchor="end">{cpu}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bar(label: str, bar: dict[str, Any], y: int, scale: float) -> list[str]:
    language = bar["name"].partition(".")[0]
    middle = y + ROW_HEIGHT / 2 - 5
    end = BARS_BEGIN + bar["ratio"] * scale
    low, high = (BARS_BEGIN + bar[key] * scale for key in ("ratio_low", "ratio_high"))
    return [
        f'<text x="{MARGIN}" y="{middle + 5:g}">{escape(label)}</text>',
        f'<rect class="{language}" x="{BARS_BEGIN}" y="{middle - BAR_HEIGHT / 2:g}" '
        f'width="{end - BARS_BEGIN:.1f}" height="{BAR_HEIGHT}" rx="2"/>',
        f'<line class="spread" x1="{low:.1f}" y1="{middle:g}" x2="{high:.1f}" y2="{middle:g}"/>',
        f'<text class="figure" x="{max(end, high) + 8:.1f}" y="{middle + 5:g}">'
        f"{bar['ratio']:.1f}×</text>",
    ]


def names() -> set[str]:
    """The results that it shows."""
    return {name for _, bars in BARS for name, _ in bars}
