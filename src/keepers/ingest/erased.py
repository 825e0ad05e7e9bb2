"""What comes again of somebody who was erased: dropped and counted, unless the business's server itself sends it now.

By the identifier that says whom an event is about, as the ledger of erasures has it:
- history (imports, `/v1/import`, what arrives more than 72 hours late) is dropped when it is of before the erasure, or
  when nobody has the identifier since;
- what a public key sends is dropped while nobody has the identifier: a browser that still holds it makes no profile of
  it (when it says who uses it now, it is linked to them, and counts again);
- what a server key sends as it happens makes a new profile, which has the identifier from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from keepers.model.identity import identifier_hash
from keepers.store.privacy import erasures
from keepers.store.profiles import identities

Name = tuple[str, str]
"""kind and value"""


class ErasedName(NamedTuple):
    """`is_known`: somebody has it again."""

    erased_at: datetime
    is_known: bool


def erased_among(connection: Connection, secret: bytes, names: Sequence[Name]) -> dict[Name, ErasedName]:
    """Those of some identifiers that were erased."""
    if not names or not erasures.is_any(connection):
        return {}
    hashes = {name: identifier_hash(secret, *name) for name in dict.fromkeys(names)}
    at = erasures.erased_at(connection, list(hashes.values()))
    if not at:
        return {}
    found = [name for name, hashed in hashes.items() if hashed in at]
    known = identities.find_many(connection, found)
    return {name: ErasedName(at[hashes[name]], name in known) for name in found}


def is_dropped(one: ErasedName, time: datetime, *, is_history: bool, is_trusted: bool) -> bool:
    """Whether a call that names somebody erased, of a time, is dropped."""
    if is_history:
        return time <= one.erased_at or not one.is_known
    return not is_trusted and not one.is_known
