#!/usr/bin/env python3
"""Writes corpus/verify/ from tests/vectors/payloads.json: each body as it is, and each event's fields as
the list that the target signs. Bodies over 2 KiB are left out: the limits are the vectors' work.
"""

import base64
import hashlib
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent.parent / "tests" / "vectors" / "payloads.json"
SEEDS = HERE / "corpus" / "verify"
LARGEST = 2048


def body(case):
    if "body" in case:
        return case["body"].encode()
    if "body_base64" in case:
        return base64.b64decode(case["body_base64"])
    return b"".join(part["text"].encode() * part["times"] for part in case["body_repeat"])


def fields(event, flags):
    texts = [event["amount"], event["order_id"], event["status"]]
    texts += [event.get("currency") or "", event.get("ref") or ""]
    for key, value in event["extra"].items():
        texts += [key, str(value)]
    return b"\xff" + bytes([flags]) + b"\xff".join(text.encode() for text in texts)


seeds = set()
for number, case in enumerate(json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]):
    seeds.add(body(case))
    if "event" in case:
        seeds.add(fields(case["event"], number % 8))
SEEDS.mkdir(parents=True, exist_ok=True)
kept = [seed for seed in seeds if len(seed) <= LARGEST]
for seed in kept:
    (SEEDS / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
print(f"{len(kept)} seeds, {sum(map(len, kept))} bytes")
