"""SMS through any gateway Apprise speaks to (Twilio, Vonage, SMSEagle, BulkSMS …)."""

from __future__ import annotations

from msgspec import Struct

from keepers.channels.apprise_service import AppriseService
from keepers.channels.base import ChannelContext, ChannelKind
from keepers.contact.addresses import GSM7, GSM7_TWICE, e164
from keepers.model.consent import is_forgotten
from keepers.model.errors import Problem, UserError, problem
from keepers.model.message import Outcome, Outgoing


class SmsSettings(Struct, frozen=True, forbid_unknown_fields=True):
    url: str = ""
    """The gateway as an Apprise URL with {to} for the number: twilio://SID:TOKEN@+15551234567/{to}."""
    country: str = ""
    """Where numbers without + belong, as two letters: PL."""
    max_parts: int = 3
    """Most SMS one text may be billed as; a longer one is not sent."""
    timeout: float = 30.0
    """Seconds one hand-over to the gateway may take."""


class SmsChannel:
    """Sends the text of a message to a telephone number."""

    def __init__(self, settings: SmsSettings, around: ChannelContext) -> None:
        if settings.country and not (settings.country.isalpha() and len(settings.country) == 2):
            raise UserError(problem("[channels.sms] country must be two letters, such as PL."), code="settings")
        self._settings = settings
        self._service = AppriseService(settings.url, settings.timeout, "sms", needs_place=True)

    async def open(self) -> None:
        self._service.open()

    async def send(self, message: Outgoing) -> Outcome:
        # Without a country: what was checked for consent and suppression is the number itself.
        number = e164(message.recipient)
        if number is None:
            return Outcome("bounced", problem("This is not a telephone number in use."), "invalid_number", is_hard=True)
        text = message.content.text
        if not text.strip():
            return Outcome("failed", problem("The message has no text."), "empty")
        if (parts := sms_parts(text)) > self._settings.max_parts:
            most = self._settings.max_parts
            reason = problem("The text is {parts} SMS long, and at most {most} are allowed.", parts=parts, most=most)
            return Outcome("failed", reason, "too_long")
        return await self._service.send(number, "", text)

    async def close(self) -> None:
        pass


def _digits(address: str) -> str:
    return "+" + "".join(c for c in address if c.isdigit())


def _mistake(address: str) -> Problem | None:
    if address.startswith(("+", "00")):
        return None
    return problem(
        "“{number}” may be a telephone number of many countries. Write it with + and the code of its country, or set "
        "country in [channels.sms] of keepers.toml.",
        number=address.strip()[:40],
    )


KIND = ChannelKind(
    id="sms",
    settings=SmsSettings,
    make=SmsChannel,
    address_trait="phone",
    event_name="SMS",
    position=2,
    article="an",
    parts=("text",),
    required=("text",),
    is_counted=True,
    is_paid_by_length=True,
    caps={"7d": 1, "30d": 3},
    quiet={"from": "20:00", "to": "09:00", "sundays": True, "holidays": True},
    engagement={"received": "SMS Sent"},
    canonical=lambda address, country: e164(address, country) or address,
    one_inbox=_digits,
    mistake=_mistake,
    masked=lambda address: f"{address[:3]}•••{address[-3:]}" if len(address) > 7 and not is_forgotten(address) else "",
    docs="Text messages through any SMS gateway that Apprise supports.",
)


def sms_parts(text: str) -> int:
    """How many SMS a text is billed as (3GPP TS 23.038, 23.040): 160 characters of the GSM alphabet or 70 UTF-16 units
    in one, 153 or 67 in each of several; € and brackets count twice; a pair is not cut in two."""
    if all(c in GSM7 or c in GSM7_TWICE for c in text):
        return _parts([2 if c in GSM7_TWICE else 1 for c in text], 160, 153)
    return _parts([2 if ord(c) > 0xFFFF else 1 for c in text], 70, 67)


def _parts(sizes: list[int], alone: int, joined: int) -> int:
    if sum(sizes) <= alone:
        return 1
    parts, room = 1, joined
    for size in sizes:
        if size > room:
            parts, room = parts + 1, joined
        room -= size
    return parts
