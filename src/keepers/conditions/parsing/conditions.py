"""Conditions from plain data (YAML or JSON). Errors name the field and the remedy."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import ZoneInfo

from keepers.conditions import ast, message_events
from keepers.conditions.operators import BY_NAME, is_relative
from keepers.conditions.parsing.comparisons import parse_tests
from keepers.conditions.parsing.operands import is_ref, parse_ref_moment, text_of
from keepers.model.errors import DefinitionError, UserError, nearest, problem, shown
from keepers.model.moments import Moment, parse_duration, parse_moment

MAX_DEPTH = 24
MAX_LEAVES = 400
"""conditions, steps of sequences and tested properties of one definition: each deepens the expression"""
MAX_STEPS = 50
WINDOW_KEYS = ("within", "since", "between", "ever")
LEAVES: dict[str, tuple[str, ...]] = {
    "trait": (),
    "persona": (),
    "did": ("where", *ast.FUNCTIONS, *WINDOW_KEYS, "first", "last"),
    "did_not": ("where", *ast.FUNCTIONS, *WINDOW_KEYS, "first", "last"),
    "sequence": ("same", *WINDOW_KEYS),
    "in_segment": ("for",),
    "in_stage": ("for",),
    "account": (),
    "sample": ("salt",),
    "subscribed": (),
    "engaged": (),
}
GROUPS = ("all", "any", "not")
AS, REPORTING = "as", "reporting"
"""`as: reporting` beside an amount: as it reads in the reporting currency"""


class Parser:
    """Reads one document; `zone` is the workspace's, for dates written without one.

    With `refs`, operands may be values of a journey's run, as {ref: trigger.order_id}.
    """

    def __init__(self, zone: ZoneInfo | None = None, refs: bool = False) -> None:
        self.zone = zone
        self.refs = refs
        self.leaves = 0

    def condition(self, data: Any, at: str = "", depth: int = 0) -> ast.Condition:
        """A condition. Raises DefinitionError naming the field."""
        if depth > MAX_DEPTH:
            raise DefinitionError(
                problem("conditions are nested deeper than {max_depth} levels", max_depth=MAX_DEPTH), field=at
            )
        if data == "anyone" or data == "nobody" or data is None or data in ({}, []):
            self._count(at)
            return ast.Anyone() if data == "anyone" else ast.NOBODY
        if not isinstance(data, dict):
            raise DefinitionError(
                problem(
                    "expected a condition such as {{did: Order Completed}} or “anyone”, got {data}", data=shown(data)
                ),
                field=at,
            )
        heads = [k for k in data if k in LEAVES or k in GROUPS]
        if len(heads) != 1:
            raise self._head_error(data, heads, at)
        head = heads[0]
        here = f"{at}.{head}" if at else str(head)
        if head in GROUPS:
            self._only(data, (head,), at)
            return self._group(str(head), data[head], here, depth)
        self._count(at)
        return cast(ast.Condition, getattr(self, f"_{head}")(data, at, here, depth))

    def _count(self, at: str) -> None:
        self.leaves += 1
        if self.leaves > MAX_LEAVES:
            raise DefinitionError(
                problem("more than {max_leaves} conditions in one definition", max_leaves=MAX_LEAVES), field=at
            )

    def _head_error(self, data: dict[Any, Any], heads: list[Any], at: str) -> DefinitionError:
        if len(heads) > 1:
            return DefinitionError(
                problem(
                    "{names} are written side by side; put them in a list under “all” or “any”",
                    names=" and ".join(map(str, heads)),
                ),
                field=at,
            )
        first = next(iter(data), "")
        return DefinitionError(
            problem("“{first}” is no kind of condition.", near=nearest(str(first), [*LEAVES, *GROUPS]), first=first),
            field=at,
        )

    def _only(self, data: dict[Any, Any], allowed: tuple[str, ...], at: str) -> None:
        for key in data:
            if key not in allowed:
                raise DefinitionError(
                    problem("“{name}” does not belong here.", near=nearest(str(key), allowed), name=key), field=at
                )

    def _group(self, head: str, inner: Any, here: str, depth: int) -> ast.Condition:
        if head == "not":
            return ast.Not(self.condition(inner, here, depth + 1))
        if not isinstance(inner, list):
            raise DefinitionError(problem("expected a list of conditions"), field=here)
        if not inner:
            return ast.NOBODY
        items = tuple(self.condition(item, f"{here}[{n}]", depth + 1) for n, item in enumerate(inner))
        return ast.AllOf(items) if head == "all" else ast.AnyOf(items)

    def _trait(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        name = text_of(data["trait"], here)
        rest = {k: v for k, v in data.items() if k != "trait"}
        return ast.Trait(name, parse_tests(rest or {"exists": True}, at, self.zone, self.refs))

    def _persona(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        self._only(data, ("persona",), at)
        return ast.Trait("persona", (ast.Comparison("eq", text_of(data["persona"], here)),))

    def _did(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        head = "did" if "did" in data else "did_not"
        self._only(data, (head, *LEAVES[head]), at)
        occurrence = None
        for word in ("first", "last"):
            if data.get(word):
                if data[word] is not True or occurrence:
                    raise DefinitionError(
                        problem("write “first: true” or “last: true”, not both"), field=f"{at}.{word}" if at else word
                    )
                occurrence = word
        aggregates = tuple(self._aggregate(f, data[f], f"{at}.{f}" if at else f) for f in ast.FUNCTIONS if f in data)
        if occurrence and aggregates:
            raise DefinitionError(problem("one occurrence has no count or sum; leave one of them out"), field=at)
        event = text_of(data[head], here)
        did = ast.Did(
            event=event,
            where=message_events.by_people(event, self.where(data.get("where"), f"{at}.where" if at else "where")),
            aggregates=aggregates,
            window=self._window(data, at),
            occurrence=cast(Any, occurrence),
        )
        return ast.Not(did) if head == "did_not" else did

    _did_not = _did

    def where(self, data: Any, at: str, depth: int = 0, fixed: str = "") -> tuple[ast.PropertyTest, ...]:
        """Property tests: `{total: {gt: 50}, category: [shoes, boots], products: {some: {price: {gt: 9}}}}`.

        `fixed` names what cannot change its answer by itself: relative tests are refused in it.
        """
        if data is None:
            return ()
        if not isinstance(data, dict):
            raise DefinitionError(
                problem("expected properties and what they must be, as {{total: {{gt: 50}}}}"), field=at
            )
        found = []
        for path, wanted in data.items():
            here = f"{at}.{path}"
            self._count(here)
            name = text_of(path, here)
            if isinstance(wanted, dict) and "some" in wanted:
                if depth:
                    raise DefinitionError(problem("a condition cannot read a list inside a list item"), field=here)
                self._only(wanted, ("some",), here)
                some = self.where(wanted["some"], f"{here}.some", depth + 1, fixed or "a list item")
                found.append(ast.PropertyTest(name, some=some))
                continue
            is_reporting = isinstance(wanted, dict) and AS in wanted
            if is_reporting:
                wanted = self._amount(wanted, here)
                if depth or fixed:
                    raise DefinitionError(
                        problem("only an amount of an event itself can be read in the reporting currency"), field=here
                    )
            tests = self._tests(wanted, here)
            if fixed and any(map(is_relative, tests)):
                raise DefinitionError(
                    problem("{fixed} cannot be compared with “now”; write a date", fixed=fixed), field=here
                )
            found.append((ast.ReportingTest if is_reporting else ast.PropertyTest)(name, tests))
        return tuple(found)

    def _amount(self, data: dict[str, Any], here: str) -> dict[str, Any]:
        """The tests of an amount, without `as: reporting`."""
        if data[AS] != REPORTING:
            raise DefinitionError(
                problem("write “as: reporting”, for an amount in the currency that “currencies” names"),
                field=f"{here}.{AS}",
            )
        return {key: value for key, value in data.items() if key != AS}

    def _tests(self, wanted: Any, here: str) -> tuple[ast.Comparison, ...]:
        if isinstance(wanted, dict) and not is_ref(wanted):
            if not wanted:
                raise DefinitionError(problem("no operator is given for it"), field=here)
            return parse_tests(wanted, here, self.zone, self.refs)
        if wanted is None:
            raise DefinitionError(problem("an empty value; write {{exists: false}} for “has none”"), field=here)
        return parse_tests({"in" if isinstance(wanted, list) else "eq": wanted}, here, self.zone, self.refs)

    def _aggregate(self, function: ast.Function, data: Any, here: str) -> ast.Aggregate:
        if function == "count":
            wanted = data if isinstance(data, dict) and not is_ref(data) else {"eq": data}
            of, is_reporting = None, False
        else:
            if not isinstance(data, dict) or "of" not in data:
                raise DefinitionError(
                    problem("expected {{of: a property, gte: a number}} for {function}", function=function), field=here
                )
            of = text_of(data["of"], f"{here}.of")
            is_reporting = AS in data
            if is_reporting and function == "distinct":
                raise DefinitionError(problem("“{name}” does not belong here.", name=AS), field=here)
            wanted = {k: v for k, v in (self._amount(data, here) if is_reporting else data).items() if k != "of"}
            if not wanted:
                raise DefinitionError(
                    problem("the figure is compared with nothing; add gte, lte, eq or between"), field=here
                )
        tests = parse_tests(wanted, here, self.zone, self.refs)
        for test in tests:
            if not BY_NAME[test.op].operand.takes_numbers:
                raise DefinitionError(
                    problem("“{op}” does not apply to a {function}", op=test.op, function=function), field=here
                )
            for operand in test.operands:
                if isinstance(operand, bool) or not isinstance(operand, int | float | ast.Ref):
                    raise DefinitionError(
                        problem(
                            "a {function} is compared with a number, not {operand}",
                            function=function,
                            operand=shown(operand),
                        ),
                        field=here,
                    )
        return ast.Aggregate(function, of, tests, is_reporting)

    def _window(self, data: dict[str, Any], at: str) -> ast.TimeWindow:
        named = [k for k in WINDOW_KEYS if k in data]
        if len(named) > 1:
            raise DefinitionError(problem("{named} exclude each other", named=" and ".join(named)), field=at)
        if not named or named[0] == "ever":
            return ast.TimeWindow()
        key = named[0]
        here = f"{at}.{key}" if at else key
        try:
            if key == "within":
                return ast.TimeWindow(start=Moment(offset=-parse_duration(data[key])))
            if key == "since":
                return ast.TimeWindow(start=self._moment(data[key]))
            pair = data[key]
            if not isinstance(pair, list) or len(pair) != 2:
                raise UserError(problem("expected two moments, as [2026-01-01, 2026-02-01] or [60d ago, 30d ago]"))
            start, end = (self._moment(m) for m in pair)
            is_known = start.is_relative == end.is_relative and not start.ref and not end.ref
            if is_known and (start.at or start.offset) >= (end.at or end.offset):  # type: ignore[operator]
                raise UserError(problem("the window ends before it starts"))
            return ast.TimeWindow(start=start, end=end)
        except DefinitionError:
            raise
        except UserError as error:
            raise DefinitionError(error.problem, field=here) from None

    def _moment(self, data: Any) -> Moment:
        return parse_ref_moment(data, self.refs) if is_ref(data) else parse_moment(data, self.zone)

    def _sequence(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        self._only(data, ("sequence", *LEAVES["sequence"]), at)
        steps = data["sequence"]
        if not isinstance(steps, list) or len(steps) < 2:
            raise DefinitionError(problem("expected a list of at least two steps"), field=here)
        if len(steps) > MAX_STEPS:
            raise DefinitionError(
                problem("more than {max_steps} steps in one sequence", max_steps=MAX_STEPS), field=here
            )
        parsed = tuple(self._step(step, f"{here}[{n}]", n, len(steps)) for n, step in enumerate(steps))
        same = text_of(data["same"], f"{at}.same" if at else "same") if "same" in data else None
        return ast.Sequence(parsed, same, self._window(data, at))

    def _step(self, data: Any, here: str, n: int, total: int) -> ast.SequenceStep:
        self._count(here)
        if not isinstance(data, dict) or ("did" in data) == ("did_not" in data):
            raise DefinitionError(problem("expected a step such as {{did: Order Completed, within: 2h}}"), field=here)
        self._only(data, ("did", "did_not", "where", "within"), here)
        negated = "did_not" in data
        if negated and (n != total - 1 or n == 0):
            raise DefinitionError(problem("only the last step may be “did_not”"), field=here)
        if n == 0 and "within" in data:
            raise DefinitionError(
                problem("the first step has nothing before it; put “within” on the sequence"), field=here
            )
        event = text_of(data["did_not" if negated else "did"], here)
        return ast.SequenceStep(
            event=event,
            where=message_events.by_people(event, self.where(data.get("where"), f"{here}.where")),
            within=self._duration(data["within"], f"{here}.within") if "within" in data else None,
            negated=negated,
        )

    def _duration(self, data: Any, here: str) -> Any:
        try:
            return parse_duration(data)
        except UserError as error:
            raise DefinitionError(error.problem, field=here) from None

    def _lasting(self, data: dict[str, Any], at: str) -> Any:
        return self._duration(data.get("for", "0s"), f"{at}.for" if at else "for")

    def _in_segment(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        self._only(data, ("in_segment", "for"), at)
        return ast.InSegment(text_of(data["in_segment"], here), self._lasting(data, at))

    def _in_stage(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        self._only(data, ("in_stage", "for"), at)
        lifecycle, dot, stage = text_of(data["in_stage"], here).rpartition(".")
        if not dot:
            raise DefinitionError(problem("expected lifecycle.stage, such as value.loyal"), field=here)
        return ast.InStage(lifecycle, stage, self._lasting(data, at))

    def _account(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        self._only(data, ("account",), at)
        inner = self.condition(data["account"], here, depth + 1)
        if ast.refs(inner):
            raise DefinitionError(problem("an account has no run; take the ref out"), field=here)
        if any(isinstance(c, ast.Account) for c in ast.walk(inner)):
            raise DefinitionError(problem("an account is no member of an account"), field=here)
        return ast.Account(inner)

    def _sample(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        self._only(data, ("sample", "salt"), at)
        bounds = data["sample"] if isinstance(data["sample"], list) else [0, data["sample"]]
        try:
            start, end = (_share(b) for b in bounds)
            if not 0 <= start < end <= 1:
                raise ValueError
        except (ValueError, TypeError):
            raise DefinitionError(problem("expected a share such as 10% or [10%, 20%]"), field=here) from None
        return ast.Sample(text_of(data.get("salt", ""), f"{at}.salt" if at else "salt", empty=True), start, end)

    def _subscribed(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        """`{subscribed: email}` or `{subscribed: {channel: email, topic: newsletter}}`."""
        self._only(data, ("subscribed",), at)
        wanted = data["subscribed"]
        if not isinstance(wanted, dict):
            return message_events.subscribed(text_of(wanted, here))
        self._only(wanted, ("channel", "topic"), here)
        channel = text_of(wanted.get("channel", ""), f"{here}.channel")
        if "topic" not in wanted:
            return message_events.subscribed(channel)
        return message_events.subscribed(channel, text_of(wanted["topic"], f"{here}.topic"))

    def _engaged(self, data: dict[str, Any], at: str, here: str, depth: int) -> ast.Condition:
        """`{engaged: {with: clicked, message: welcome_1, within: 30d}}`: the event of that engagement."""
        self._only(data, ("engaged",), at)
        wanted = data["engaged"]
        if not isinstance(wanted, dict):
            raise DefinitionError(problem("expected {{with: opened, channel: email, within: 30d}}"), field=here)
        self._only(wanted, (*message_events.KEYS, *WINDOW_KEYS), here)
        known = message_events.engagement()
        channel = text_of(wanted.get("channel", next(iter(known))), f"{here}.channel")
        events = known.get(channel)
        if events is None:
            near = nearest(channel, known)
            message = problem("what happens to messages by “{channel}” is not reported.", near=near, channel=channel)
            raise DefinitionError(message, field=f"{here}.channel")
        with_what = text_of(wanted.get("with", ""), f"{here}.with")
        if with_what not in events:
            raise DefinitionError(
                problem("by {channel}, expected {events}", channel=channel, events=" or ".join(events)),
                field=f"{here}.with",
            )
        event = events[with_what]
        where = self.where({key: wanted[key] for key in message_events.ABOUT if key in wanted}, here)
        machine = wanted.get("machine")
        if machine is not None and machine != "any":
            where = (*where, *self.where({"machine": machine}, here))
        return ast.Did(
            event=event,
            where=where if machine == "any" else message_events.by_people(event, where),
            aggregates=(self._aggregate("count", wanted["count"], f"{here}.count"),) if "count" in wanted else (),
            window=self._window(wanted, here),
        )


def _share(value: Any) -> float:
    if isinstance(value, str):
        return float(value.rstrip("%")) / 100
    if isinstance(value, bool):
        raise ValueError
    return float(value)


def parse_condition(data: Any, zone: ZoneInfo | None = None, at: str = "", refs: bool = False) -> ast.Condition:
    """One condition. Raises DefinitionError naming the field, what is wrong and the remedy."""
    return Parser(zone, refs).condition(data, at)
