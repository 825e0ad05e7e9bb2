"""What customers and the readers of their addresses agreed to: which of all statements counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from keepers.model.consent import ALL_TOPICS, Consent, request_id

_Numbered = tuple[int, Consent]


class Agreements:
    """Statements of some customers and on some addresses, added in the order in which they were made.

    `known` are the customers who have a user id. A statement counts for its customer as its `holds_for` says, and for
    whoever has its address, whichever customer made it.
    """

    def __init__(self, known: Collection[int] = ()) -> None:
        self._known = frozenset(known)
        self._number = 0
        self._own: dict[int, dict[str, list[_Numbered]]] = {}
        self._at_address: dict[str, list[_Numbered]] = {}

    @classmethod
    def of(cls, statements: Iterable[Consent], known: Collection[int] = ()) -> Agreements:
        found = cls(known)
        for one in statements:
            found.add(one)
        return found

    def add(self, statement: Consent) -> None:
        """Adds one that was made after all others."""
        self._number += 1
        numbered = (self._number, statement)
        self._own.setdefault(statement.profile_id, {}).setdefault(statement.channel, []).append(numbered)
        if statement.address_hash:
            self._at_address.setdefault(statement.address_hash, []).append(numbered)

    def effective(
        self, profile_id: int, channel: str, topic: str, address_hash: str = "", until: datetime | None = None
    ) -> Consent | None:
        """The statement that counts for messages of a topic to a customer at an address: the newest of those on the
        topic and on all topics. A request that was not confirmed counts where there is nothing else. With `until`, what
        was said later is left out."""
        counting = [
            one
            for one in self._counting(profile_id, channel, topic, address_hash)
            if until is None or one[1].at <= until
        ]
        decided = [one for one in counting if one[1].state != "pending"]
        newest = max(decided or counting, key=_order, default=None)
        return newest[1] if newest is not None else None

    def waiting(self, profile_id: int, request: str) -> Consent | None:
        """The request with this id (see `model.consent.request_id`), if it waits to be confirmed: nothing was
        decided on its topic and address since. Another for the same topic and address, which anybody may have made, is
        none of it."""
        of_channels = self._own.get(profile_id, {}).values()
        own = [one for listed in of_channels for one in listed if one[1].state == "pending"]
        requested = max((one for one in own if request_id(one[1]) == request), key=_order, default=None)
        if requested is None:
            return None
        about = requested[1]
        counting = self._counting(profile_id, about.channel, about.topic, about.address_hash)
        decided = max((one for one in counting if one[1].state != "pending"), key=_order, default=None)
        return about if decided is None or _order(decided) < _order(requested) else None

    def is_confirmed(
        self, profile_id: int, channel: str, topic: str, address_hash: str, until: datetime | None = None
    ) -> bool:
        """Whether a customer of whom nobody said who they are agreed to the topic, at this very address and by `until`:
        it is theirs then."""
        own = self._own.get(profile_id, {}).get(channel, ())
        return profile_id not in self._known and any(
            one.address_hash == address_hash != ""
            and one.state == "subscribed"
            and one.holds_for != "visitor"
            and one.topic in (topic, ALL_TOPICS)
            and (until is None or one.at <= until)
            for _, one in own
        )

    def pairs(self, profile_id: int) -> set[tuple[str, str]]:
        """The (channel, topic) of a customer's own statements, `*` among the topics."""
        own = self._own.get(profile_id, {})
        return {(channel, one.topic) for channel, listed in own.items() for _, one in listed}

    def newest(self, profile_id: int) -> Consent | None:
        """A customer's own newest statement on anything."""
        listed = [one for some in self._own.get(profile_id, {}).values() for one in some]
        found = max(listed, key=_order, default=None)
        return found[1] if found is not None else None

    def _counting(self, profile_id: int, channel: str, topic: str, address_hash: str) -> Iterable[_Numbered]:
        for numbered in self._own.get(profile_id, {}).get(channel, ()):
            one = numbered[1]
            if one.topic not in (topic, ALL_TOPICS):
                continue
            match one.holds_for:
                case "person":
                    counts = True
                case "visitor":
                    counts = profile_id not in self._known
                case _:
                    counts = bool(address_hash) and one.address_hash == address_hash
            if counts:
                yield numbered
        for numbered in self._at_address.get(address_hash, ()) if address_hash else ():
            one = numbered[1]
            is_other = one.profile_id != profile_id and one.holds_for != "visitor"
            if is_other and one.channel == channel and one.topic in (topic, ALL_TOPICS):
                yield numbered


def _order(numbered: _Numbered) -> tuple[object, int]:
    number, one = numbered
    return one.at, number
