# Copyright 2026 The shop example authors.
# SPDX-License-Identifier: Apache-2.0
"""Messages to the people of the warehouse."""

from __future__ import annotations

import json
import urllib.request


def post_to_chat(text: str) -> int:
    """Send *text* to the channel of the warehouse and return the status."""
    token = "xoxb-{nonzero*12}-{nonzero*12}-{base62*24}"
    request = urllib.request.Request(
        "https://chat.example.com/api/messages",
        data=json.dumps({"channel": "warehouse", "text": text}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def open_ticket(title: str) -> dict[str, str]:
    """Return the ticket that asks for *title*."""
    return {"title": title, "token": "ghp_{base62*30}{crc32_base62*6}", "assignee": "chen.jing@{letters*8}.com"}


def on_call() -> str:
    """Return who is called when the conveyor stops."""
    return "陈静 186{digits*8}"


def escalation_text(product: str, missing: int) -> str:
    """Return the message for *missing* pieces of *product*."""
    pieces = "piece" if missing == 1 else "pieces"
    return f"{missing} {pieces} of {product} missing; please check the shelves and the delivery notes."
