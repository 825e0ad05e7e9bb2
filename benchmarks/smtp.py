"""E-mail through SMTP: composed, handed over and signed by Keepers, beside a bare aiosmtplib loop with one ready
message, over as many connections to the same sink, which is a process of its own.

    python -m benchmarks.smtp          (the sink; prints its port and ends with its input)
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiosmtplib
import uvloop
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.figures import Figure, Plan, median
from keepers.channels.email.channel import EmailChannel, EmailSettings
from keepers.channels.email.mime import SenderIdentity, compose
from keepers.channels.email.smtp_server import SmtpListening
from keepers.channels.email.verp import Verp
from keepers.model.message import Content, Outgoing

CONNECTIONS = 10
MESSAGES = 3000
_SENDER = "Shop <hello@shop.example>"
_HTML = (
    "<html><body>" + "<p>Hello, как дела?</p><td style='padding:4px'>twelve words here</td>\n" * 180 + "</body></html>"
)
_TEXT = "Hello there, how are you?\n" * 80


class _Sink:
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        return "250 2.0.0 Ok: queued as 4XyZ12ab"


def measure(plan: Plan) -> list[Figure]:
    """Messages per second without and with DKIM (RSA 2048), the median of the rounds."""
    key = rsa.generate_private_key(65537, 2048)
    key_file = plan.folder / "dkim.pem"
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    number = max(int(MESSAGES * plan.scale), CONNECTIONS)
    ways: dict[str, Callable[[int], Coroutine[Any, Any, None]]] = {
        "bare": lambda port: bare(port, number, _message(0)),
        "plain": lambda port: _keepers(port, number, None),
        "signed": lambda port: _keepers(port, number, key_file),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with sink() as port:
        for round_number in range(1 if plan.quick else 3):
            for name, way in ways.items():
                plan.say(f"e-mail, {name}, round {round_number + 1}")
                began = time.perf_counter()
                uvloop.run(way(port))
                rates[name].append(number / (time.perf_counter() - began))
    beside = median(rates["bare"])
    figures = []
    for name, title in (("plain", "e-mail handed over"), ("signed", "e-mail signed (DKIM) and handed over")):
        rate = median(rates[name])
        figures.append(
            Figure(title, rate, "messages/s", beside, rate / beside, "≥ 80 % of a bare loop", rate / beside >= 0.8)
        )
    return figures


@contextmanager
def sink() -> Iterator[int]:
    """The port of an SMTP server, a process of its own, that takes every mail and keeps none."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.smtp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


async def _keepers(port: int, number: int, key_file: Path | None) -> None:
    settings = EmailSettings(
        port=port, tls="none", sender=_SENDER, max_connections=CONNECTIONS, dkim_key_file=str(key_file or "")
    )
    channel = EmailChannel(settings, lambda: datetime(2026, 6, 1), b"s" * 32)
    await channel.open()
    numbers = iter(range(number))

    async def work() -> None:
        for one in numbers:
            outcome = await channel.send(_message(one))
            assert outcome.status == "sent", outcome

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    await channel.close()


async def bare(port: int, number: int, message: Outgoing) -> None:
    """One message, ready made, as often."""
    data = compose(message, SenderIdentity(_SENDER, Verp(b"s" * 32, "shop.example")), datetime(2026, 6, 1)).data
    numbers = iter(range(number))

    async def work() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for one in numbers:
                await client.sendmail("bounces@shop.example", [f"u{one}@example.com"], data)

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


def _message(number: int) -> Outgoing:
    return Outgoing(
        id=number,
        key=f"{number:032x}",
        channel="email",
        recipient=f"u{number}@example{number % 50}.com",
        profile_id=number,
        content=Content(subject=f"Добро пожаловать {number}", html=_HTML, text=_TEXT),
        topic="newsletter",
        campaign="welcome",
        unsubscribe_url=f"https://shop.example/u/{number:0120d}",
    )


def _serve() -> None:
    listening = SmtpListening(_Sink(), "127.0.0.1", 0)
    listening.start()
    print(listening.port, flush=True)
    sys.stdin.read()
    listening.stop()


if __name__ == "__main__":
    _serve()
