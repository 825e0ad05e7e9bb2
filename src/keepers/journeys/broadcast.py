"""Broadcasts: one message to an audience, as `broadcasts:` of a playbook defines it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from keepers.conditions import ast
from keepers.conditions.parsing.conditions import Parser
from keepers.contact.local_time import to_instant
from keepers.journeys.bucketing import fraction, pick
from keepers.model.errors import DefinitionError, UserError, problem
from keepers.model.fields import Duration, Id, Text, Weight, join, mapping, parse_id, require_spans, span, text
from keepers.model.moments import parse_instant
from keepers.model.structs import read

FIELDS = (
    "id", "name", "description", "message", "include", "exclude", "send_at", "per_hour", "expires", "coupon", "test",
)  # fmt: skip
Rule = Literal["clicks", "opens", "conversions"]
EASTERNMOST = timedelta(hours=14)
"""the most by which a local day begins before the day of UTC"""
_MOST_VARIANTS = 8


class BroadcastVariant(Struct, frozen=True, forbid_unknown_fields=True):
    """A variant: a message of its own, or the same message with another subject."""

    id: Id
    message: Id = ""
    subject: Text = ""
    weight: Weight = 1

    def __post_init__(self) -> None:
        if self.message and self.subject:
            raise ValueError(problem("a variant has a message of its own or another subject, not both"))


class BroadcastGoal(Struct, frozen=True, forbid_unknown_fields=True):
    """The event that counts as a conversion."""

    event: str
    where: dict[str, Any] = {}


class VariantTest(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the audience gets the variants; after `wait` the rest gets the one that did best.

    `winner`: by people's clicks or opens (never machines'), or by how many reached the `goal`, per message sent. With
    fewer than `least` messages sent of any variant there is no winner, and the rest gets `otherwise`, by default the
    first variant.
    """

    variants: Annotated[tuple[BroadcastVariant, ...], Meta(min_length=2, max_length=_MOST_VARIANTS)]
    share: Annotated[float, Meta(gt=0, le=1)] = 0.2
    wait: Duration = "4h"
    winner: Rule = "clicks"
    goal: BroadcastGoal | None = None
    least: Annotated[int, Meta(ge=1)] = 100
    otherwise: str = ""

    def __post_init__(self) -> None:
        require_spans(self.wait)
        ids = [variant.id for variant in self.variants]
        if len(set(ids)) < len(ids):
            raise ValueError(problem("every variant needs an id of its own"))
        if self.otherwise and self.otherwise not in ids:
            raise ValueError(
                problem(
                    "there is no variant “{name}”; “otherwise” names one of {known}",
                    name=self.otherwise,
                    known=", ".join(ids),
                )
            )
        if (self.winner == "conversions") != (self.goal is not None):
            raise ValueError(problem("“winner: conversions” and “goal: {{event: …}}” belong together"))

    @property
    def fallback(self) -> str:
        return self.otherwise or self.variants[0].id

    def variant(self, name: str) -> BroadcastVariant:
        return next(variant for variant in self.variants if variant.id == name)

    def arm(self, broadcast: str, bucket_key: str) -> str:
        """The variant of a customer, by a stable hash; empty for those who wait for the winner."""
        if fraction(broadcast, "sample", bucket_key) >= self.share:
            return ""
        share = fraction(broadcast, "variant", bucket_key)
        return self.variants[pick([variant.weight for variant in self.variants], share)].id


class Broadcast(Struct, frozen=True):
    """One entry of `broadcasts:`. `include` and `exclude` are conditions; None for everybody and nobody.

    `send_at` is an instant, `local` a wall time in each customer's own zone; with neither it goes when started.
    """

    id: str
    message: str
    name: Text = ""
    description: Text = ""
    include: ast.Condition | None = None
    exclude: ast.Condition | None = None
    send_at: datetime | None = None
    local: datetime | None = None
    per_hour: int | None = None
    expires: timedelta | None = None
    """None for the message's own"""
    coupon: str = ""
    test: VariantTest | None = None

    @property
    def who(self) -> ast.Condition:
        """The audience as one condition."""
        wanted = self.include if self.include is not None else ast.Anyone()
        return wanted if self.exclude is None else ast.AllOf((wanted, ast.Not(self.exclude)))

    def begins(self, now: datetime) -> datetime:
        """When its audience is frozen, started at `now`: before the first local time comes."""
        if self.send_at is not None:
            return max(now, self.send_at)
        return now if self.local is None else max(now, self.local - EASTERNMOST)

    def due(self, zone: str, begun: datetime) -> datetime:
        """The earliest time for customers of a zone; at once where the local time has passed."""
        return begun if self.local is None else max(begun, to_instant(self.local, zone))

    def messages(self) -> dict[str, str]:
        """Field → the message it names."""
        named = {"message": self.message}
        for n, variant in enumerate(self.test.variants if self.test else ()):
            if variant.message:
                named[f"test.variants[{n}].message"] = variant.message
        return named

    def message_of(self, variant: str) -> str:
        """The message of a variant; the broadcast's own for none."""
        return (self.test.variant(variant).message if self.test and variant else "") or self.message


def parse_broadcast(data: Any, zone: ZoneInfo | None = None, at: str = "") -> Broadcast:
    """One entry of `broadcasts:`. Raises DefinitionError naming the field."""
    fields = mapping(data, FIELDS, at)
    if fields.get("message") is None:
        raise DefinitionError(problem("a broadcast needs “message”: the id of what is sent"), field=at)
    send_at, local = _moment(fields.get("send_at"), zone, join(at, "send_at"))
    return Broadcast(
        id=parse_id(fields.get("id"), join(at, "id")),
        message=parse_id(fields["message"], join(at, "message")),
        name=text(fields.get("name", ""), join(at, "name")),
        description=text(fields.get("description", ""), join(at, "description")),
        include=_audience(fields.get("include"), zone, join(at, "include")),
        exclude=_audience(fields.get("exclude"), zone, join(at, "exclude")),
        send_at=send_at,
        local=local,
        per_hour=_per_hour(fields.get("per_hour"), join(at, "per_hour")),
        expires=_expires(fields.get("expires"), join(at, "expires")),
        coupon=parse_id(fields["coupon"], join(at, "coupon")) if fields.get("coupon") is not None else "",
        test=_test(fields["test"], zone, join(at, "test")) if fields.get("test") is not None else None,
    )


def written_audiences(data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The audiences of a broadcast as written, as (field, condition); a list of segments as the condition it means."""
    for field in ("include", "exclude"):
        written = data.get(field)
        if isinstance(written, list):
            yield field, {"any": [{"in_segment": name} for name in written]}
        elif written is not None:
            yield field, written


def _audience(data: Any, zone: ZoneInfo | None, at: str) -> ast.Condition | None:
    if data is None:
        return None
    if isinstance(data, list):
        if not data:
            raise DefinitionError(problem("an empty list names nobody; name segments or leave it out"), field=at)
        return ast.AnyOf(tuple(ast.InSegment(parse_id(name, f"{at}[{n}]")) for n, name in enumerate(data)))
    return Parser(zone).condition(data, at)


def _moment(data: Any, zone: ZoneInfo | None, at: str) -> tuple[datetime | None, datetime | None]:
    """(instant, local time), of which one at most is given."""
    if data is None:
        return None, None
    if isinstance(data, dict):
        local = mapping(data, ("local",), at).get("local")
        try:
            found = local if isinstance(local, datetime) else datetime.fromisoformat(str(local))
        except ValueError:
            found = None
        if found is None or found.tzinfo is not None or type(local) is date:
            raise DefinitionError(
                problem("expected a time of day on a date, without a zone: 2026-04-01 10:00"), field=join(at, "local")
            )
        return None, found
    try:
        return parse_instant(data, zone), None
    except UserError as error:
        raise DefinitionError(error.problem, field=at) from None


def _per_hour(data: Any, at: str) -> int | None:
    if data is None:
        return None
    if isinstance(data, bool) or not isinstance(data, int) or data < 1:
        raise DefinitionError(problem("expected a whole number of messages per hour, such as 10000"), field=at)
    return data


def _expires(data: Any, at: str) -> timedelta | None:
    if data is None:
        return None
    try:
        found = span(data) if isinstance(data, str) else None
    except UserError as error:
        raise DefinitionError(error.problem, field=at) from None
    if found is None or found <= timedelta(0):
        raise DefinitionError(problem("expected a duration such as 2d"), field=at)
    return found


def _test(data: Any, zone: ZoneInfo | None, at: str) -> VariantTest:
    found = read(data, VariantTest, at)
    if found.goal is not None:
        Parser(zone).condition(goal_condition(found.goal, datetime(2026, 1, 1)), join(at, "goal"))
    return found


def goal_condition(goal: BroadcastGoal, since: datetime) -> dict[str, Any]:
    """Whether a customer reached the goal since an instant, as a condition is written."""
    return {"did": goal.event, **({"where": goal.where} if goal.where else {}), "since": f"{since.isoformat()}Z"}
