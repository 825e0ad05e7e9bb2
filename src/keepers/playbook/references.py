"""Every name a definition mentions, with the field it stands in and whose it must be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from keepers.model.fields import Kind
from keepers.model.identity import LOCALE_TRAITS
from keepers.playbook.load import Playbook

Role = Literal["event", "trait", "segment", "stage"]
_LEAVES: dict[str, Role] = {
    "did": "event",
    "did_not": "event",
    "trait": "trait",
    "in_segment": "segment",
    "in_stage": "stage",
}


class Reference(Struct, frozen=True):
    """`kind` is whose condition it stands in: inside `account:` it is the account's."""

    role: Role
    name: str
    field: str
    kind: Kind


def references(condition: Any, kind: Kind, at: str) -> Iterator[Reference]:
    """The names in a condition as it is written (plain data that has been read once already)."""
    if not isinstance(condition, dict):
        return
    for group in ("all", "any"):
        for n, item in enumerate(condition.get(group) or []):
            yield from references(item, kind, f"{at}.{group}[{n}]")
    if "not" in condition:
        yield from references(condition["not"], kind, f"{at}.not")
    if "account" in condition:
        yield from references(condition["account"], "account", f"{at}.account")
    for n, step in enumerate(condition.get("sequence") or []):
        yield from references(step, kind, f"{at}.sequence[{n}]")
    for head, role in _LEAVES.items():
        if head in condition:
            yield Reference(role, str(condition[head]), f"{at}.{head}", kind)


def holds_account(condition: Any, at: str) -> Iterator[str]:
    """The fields in which a condition tests an account its subject is a member of."""
    if not isinstance(condition, dict):
        return
    for group in ("all", "any"):
        for n, item in enumerate(condition.get(group) or []):
            yield from holds_account(item, f"{at}.{group}[{n}]")
    if "not" in condition:
        yield from holds_account(condition["not"], f"{at}.not")
    if "account" in condition:
        yield f"{at}.account"


_NAMED = re.compile(r"customer\s*\.\s*([A-Za-z_][\w-]*)")


def traits_named(playbook: Playbook, message: str) -> frozenset[str] | None:
    """The traits a message's texts name, by their first part. None for all."""
    template = playbook.messages[message]
    texts = [text for body in template.content.values() for text in msgspec.structs.astuple(body)]
    for snippet in playbook.snippets.values():
        texts += [snippet.content] if isinstance(snippet.content, str) else snippet.content.values()
    whole = "\n".join(texts)
    is_open = any(word in whole for word in ("customer[", "customer |", "= customer %"))
    return None if is_open else frozenset((*_NAMED.findall(whole), *LOCALE_TRAITS))
