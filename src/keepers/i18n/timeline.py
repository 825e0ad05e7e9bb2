"""The sentences of a customer's timeline."""

from __future__ import annotations

from collections.abc import Mapping

from keepers.i18n.catalogues import TextId, gettext, ngettext, plural_id, text_id

LINES: dict[str, TextId] = {
    "entered": text_id("timeline", "Entered the journey “{journey}” by {what}"),
    "not_entered": text_id("timeline", "Did not enter the journey “{journey}”: {why}"),
    "never_came": text_id("timeline", "The customer has not met an entry rule of the journey “{journey}” yet"),
    "passed": text_id("timeline", "Passed the step “{step}”"),
    "passed_by": text_id("timeline", "Passed the step “{step}” by “{port}”"),
    "waits": text_id("timeline", "Waited at the step “{step}”"),
    "waits_until": text_id("timeline", "Waited at the step “{step}” until {until} at the latest"),
    "goal": text_id("timeline", "Reached the goal of the journey “{journey}”"),
    "ended": text_id("timeline", "Left the journey “{journey}”: {why}"),
    "refused": text_id("timeline", "The step “{step}” was not carried out: {why}"),
    "paused": text_id("timeline", "The journey “{journey}” is paused"),
    "now_waits": text_id("timeline", "Waits at the step “{step}” of the journey “{journey}”"),
    "for": text_id("timeline", "for: {what}"),
    "until": text_id("timeline", "until {until}"),
    "leaves_when": text_id("timeline", "leaves at once when: {what}"),
    "decided": text_id("timeline", "Decided to send “{message}” by {channel}"),
    "called": text_id("timeline", "Decided to call {message}"),
    "message.queued": text_id("timeline", "“{message}” waits to be sent"),
    "message.held": text_id("timeline", "“{message}” is held back"),
    "message.claimed": text_id("timeline", "“{message}” is being prepared"),
    "message.handed_over": text_id("timeline", "“{message}” is on its way"),
    "message.sent": text_id("timeline", "“{message}” was sent"),
    "message.delivered": text_id("timeline", "“{message}” was delivered"),
    "message.bounced": text_id("timeline", "“{message}” bounced"),
    "message.failed": text_id("timeline", "“{message}” could not be sent"),
    "message.skipped": text_id("timeline", "“{message}” was not sent"),
    "message.uncertain": text_id("timeline", "It is not known whether “{message}” was sent; it is not sent again"),
    "message.deferred": text_id("timeline", "“{message}” is tried again later"),
    "message.complained": text_id("timeline", "“{message}” was reported as spam"),
    "message.opened": text_id("timeline", "“{message}” was opened"),
    "message.clicked": text_id("timeline", "A link in “{message}” was clicked"),
    "message.unsubscribed": text_id("timeline", "Unsubscribed by “{message}”"),
    "message.replied": text_id("timeline", "“{message}” was replied to"),
    "consent.subscribed": text_id("timeline", "Agreed to “{topic}” by {channel} ({source})"),
    "consent.pending": text_id("timeline", "Asked for “{topic}” by {channel}; not confirmed yet ({source})"),
    "consent.unsubscribed": text_id("timeline", "Opted out of “{topic}” by {channel} ({source})"),
    "suppressed": text_id("timeline", "The {channel} address was suppressed: {why}"),
    "all_topics": text_id("timeline", "everything"),
    "machine": text_id("timeline", "by a machine ({why})"),
    "times": plural_id("timeline", "{number} time so far", "{number} times so far"),
}
"""Kind of line → its sentence, without the full stop"""


def line(kind: str, locale: str, **parts: object) -> str:
    """A sentence of a kind. Parts it does not name are left out."""
    text = LINES[kind]
    number = parts.get("number")
    translated = ngettext(text, number, locale) if text.many and isinstance(number, int) else gettext(text, locale)
    return translated.format_map(_Parts(parts))


def joined(sentence: str, *more: str) -> str:
    """A sentence with further parts after semicolons, and a full stop. Parts in brackets follow without a semicolon."""
    for part in more:
        if part:
            sentence += f" {part}" if part.startswith("(") else f"; {part}"
    return sentence.rstrip(".") + "."


class _Parts(dict[str, object]):
    def __init__(self, parts: Mapping[str, object]) -> None:
        super().__init__(parts)

    def __missing__(self, name: str) -> str:
        return "—"
