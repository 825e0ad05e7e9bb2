"""What an edit of the playbook would change."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

MOST_FILES = 200
"""that one edit may write"""
Action = Literal["add", "change", "remove"]


class Flow(Struct, frozen=True):
    """A segment (stage `in`) or one stage of a lifecycle: how many are in it, would be, would come and go."""

    definition: str
    stage: str
    before: int
    after: int
    enter: int
    leave: int


class DefinitionChange(Struct, frozen=True):
    """`key` is `segment/vip`. `answers_change` is false for a segment, lifecycle or word edited in names and texts
    alone; whatever decides no answers, such as a journey, is changed as a whole."""

    key: str
    action: Action
    file: str = ""
    line: int | None = None
    answers_change: bool = True
