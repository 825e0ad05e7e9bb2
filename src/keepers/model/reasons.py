"""Why a message is not sent, a customer does not enter, a run ends or a variant wins: a code and what it names."""

from __future__ import annotations

from msgspec import Struct

_WRITTEN = {
    "new_version": "new version",
    "journey_removed": "journey removed",
    "removed_by_hand": "removed by hand",
    "step_removed": "the step is gone",
    "date_past": "the date is past",
    "nothing_to_wait_for": "nothing to wait for",
    "webhook_silent": "no answer",
    "webhook_late": "no answer in time",
    "webhook_answered": "answered {}",
    "no_date": "no date in “{}”",
    "no_message": "there is no message “{}”",
    "chain_too_long": "more than {} journeys and events in a chain: they feed each other",
    "broadcast_removed": "the broadcast was removed from the playbook",
    "no_test": "no test any more",
    "too_few_sent": "fewer than {} sent of a variant",
    "equally_good": "several did equally well",
    "most_clicks": "most clicks",
    "most_opens": "most opens",
    "most_conversions": "most conversions",
}
"""Codes that are not written `code` or `code.data`: histories and journeys' figures hold them in these forms."""
_CODES = {written: code for code, written in _WRITTEN.items() if "{}" not in written}
_WITH_DATA = tuple((code, *written.split("{}")) for code, written in _WRITTEN.items() if "{}" in written)


class Reason(Struct, frozen=True):
    """`cap.email.1d` is the code `cap` with the data `email.1d`. A journey's own exit reason is a code too."""

    code: str
    data: str = ""

    @classmethod
    def parse(cls, written: str) -> Reason:
        """What `str` wrote."""
        if written in _CODES:
            return cls(_CODES[written])
        for code, start, end in _WITH_DATA:
            if written.startswith(start) and written.endswith(end) and len(written) > len(start) + len(end):
                return cls(code, written[len(start) : len(written) - len(end)])
        code, _, data = written.partition(".")
        return cls(code, data) if code and data else cls(written)

    def __str__(self) -> str:
        if self.code in _WRITTEN:
            return _WRITTEN[self.code].format(self.data)
        return f"{self.code}.{self.data}" if self.data else self.code
