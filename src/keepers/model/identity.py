"""Kinds of identifiers, and placeholder values that identify nobody."""

from __future__ import annotations

from hashlib import md5
from typing import Final, Literal

IdentityKind = Literal["user_id", "anonymous_id", "group_id"]
LOCALE_TRAITS = ("locale", "language", "lang")
"""traits that may hold a customer's language; the first that is present is used"""
IDENTITY_KINDS: Final[tuple[IdentityKind, ...]] = ("user_id", "anonymous_id", "group_id")
LONGEST_ID: Final = 512
MOST_IDENTITIES: Final = 1000
"""identifiers of one profile; past it nothing more is linked to it"""
MOST_UNPROVEN: Final = 200
"""identifiers of one profile that unsigned calls by a public key linked to it; they leave room for the others"""

PLACEHOLDERS: Final = frozenset(
    {
        "", "0", "-1", "null", "undefined", "none", "nil", "nan", "n/a", "na", "-", "?",
        "guest", "anonymous", "anon", "unknown", "unidentified", "not set", "(not set)", "not_set",
        "true", "false", "[object object]", "{}", "[]", '""', "''", "(null)", "<null>",
        "00000000-0000-0000-0000-000000000000",
    }
)  # fmt: skip
"""values that programs send when they do not know who it is; compared trimmed and without case"""


def is_placeholder(value: str) -> bool:
    """Whether a value is a placeholder that never identifies, whatever the kind."""
    return (len(value) <= 36 and value.strip().lower() in PLACEHOLDERS) or value.isspace()


def bucket_key(kind: IdentityKind, value: str) -> str:
    """A new profile's key for samples and splits: 32 hex digits, the same by whatever way its first id came."""
    return md5(f"{kind}:{value}".encode(), usedforsecurity=False).hexdigest()


def subject_kind(kind: IdentityKind) -> Literal["person", "account"]:
    """Whether an identifier belongs to a person or to an account."""
    return "account" if kind == "group_id" else "person"
