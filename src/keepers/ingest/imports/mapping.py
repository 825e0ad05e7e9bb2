"""How a file's columns become events and traits, and what an import answers."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any
from unicodedata import normalize

import msgspec
from msgspec import Meta, Struct, field

from keepers.model.errors import UserError, nearest, problem
from keepers.model.event import LONGEST_NAME
from keepers.model.moments import parse_zone


class Mapping(Struct, frozen=True, kw_only=True):
    """One file's mapping. Column names are exact; `properties` and `traits` map a name to its column.

    Without `event` the file holds traits alone. With an event and neither properties nor traits, every other
    column becomes a property under its own name; without an event, every other column becomes a trait.
    """

    profile: str
    event: str | None = None
    time: str | None = None
    time_format: str | None = None
    """strptime, such as `%Y%m%d`; None reads ISO 8601"""
    zone: str | None = None
    """of times without an offset; None is the workspace's"""
    properties: dict[str, str] = field(default_factory=dict)
    traits: dict[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    """names, where the file has no header"""
    delimiter: str | None = None
    """`,` `;` `|` a tab, or `whitespace`; None finds it from the first line"""
    source: str = "import"

    def checked(self) -> Mapping:
        """Itself, when it can be used with any file. Raises UserError."""
        if self.event is not None and not self.event.strip():
            raise UserError(problem("The event's name is empty. Name it with --event."), code="mapping")
        if self.event is not None and (len(self.event) > LONGEST_NAME or "\0" in self.event):
            raise UserError(
                problem(
                    "The event's name is longer than {most} characters or holds a NUL. Name it with --event.",
                    most=LONGEST_NAME,
                ),
                code="mapping",
            )
        if self.event is not None and self.time is None:
            raise UserError(problem("Events need a time. Name the column that holds it with --time."), code="mapping")
        if self.zone is not None:
            parse_zone(self.zone)
        if len(set(self.columns)) != len(self.columns):
            raise UserError(problem("A column is named twice in --columns."), code="mapping")
        if self.event is not None:
            # The normal form that event intake and conditions use.
            return msgspec.structs.replace(self, event=normalize("NFC", self.event))
        return self

    def bound(self, header: list[str], file: str) -> Mapping:
        """The mapping with its properties and traits spelled out. Raises UserError for a column not there."""
        named = [("profile", self.profile), ("time", self.time)]
        named += [(f"property {name}", column) for name, column in self.properties.items()]
        named += [(f"trait {name}", column) for name, column in self.traits.items()]
        for what, column in named:
            if column is not None and column not in header:
                raise UserError(
                    problem(
                        "{file} has no column “{column}” ({what}).",
                        near=nearest(column, header),
                        file=file,
                        column=column,
                        what=what,
                    ),
                    code="mapping",
                    column=column,
                )
        if self.properties or self.traits:
            return self
        others = {name: name for name in header if name not in (self.profile, self.time)}
        if self.event is None:
            return msgspec.structs.replace(self, traits=others)
        return msgspec.structs.replace(self, properties=others)

    def fingerprint(self, zone: str) -> str:
        """Identifies an import of a file: another mapping, or another time zone, is another import."""
        fields = msgspec.to_builtins(self) | {"zone": self.zone or zone}
        return sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()


class ImportProblem(Struct, frozen=True):
    """A row that can't be used (or, with line 0, something to know about the file)."""

    line: int
    reason: str
    raw: str = ""


class ImportPreview(Struct, frozen=True):
    """What an import would do, from the file's beginning."""

    columns: Annotated[dict[str, str], Meta(description="Column → number, text, boolean, empty or nested.")]
    sample: Annotated[list[dict[str, Any]], Meta(description="Mapped messages, as they would be stored.")]
    problems: list[ImportProblem]
    rows_read: Annotated[int, Meta(ge=0)]
    encoding: str
    delimiter: str | None


class ImportReport(Struct, frozen=True):
    """What an import did. The same file with the same mapping again adds nothing; an interrupted one goes on."""

    rows: Annotated[int, Meta(ge=0, description="Rows of the file, without blank lines and the header.")]
    loaded: Annotated[int, Meta(ge=0, description="Rows added now.")]
    rejected: Annotated[
        int, Meta(ge=0, description="Rows that cannot be used, now or in an earlier import of the same file.")
    ]
    duplicates_skipped: Annotated[
        int, Meta(ge=0, description="Rows an earlier import of the same file and mapping had added.")
    ]
    erased: Annotated[int, Meta(ge=0, description="Rows about people who were erased: dropped, and not kept anywhere.")]
    seconds: float
    rejects_path: Annotated[
        str | None, Meta(description="Where the rejected rows are kept; null for none, and for what was uploaded.")
    ]
    problems: Annotated[list[ImportProblem], Meta(description="The first few rows that cannot be used.")] = []
