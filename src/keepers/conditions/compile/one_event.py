"""Whether one certain event is of a kind: the trigger of a journey, or an awaited event."""

from __future__ import annotations

from keepers.conditions import ast
from keepers.conditions.compile.event_rows import SEQ
from keepers.conditions.message_events import by_people

TRIGGER_SEQ = "trigger.seq"


def this_event(event: str, where: tuple[ast.PropertyTest, ...] = ()) -> ast.Condition:
    """Whether the run's trigger, found by its number, is such an event (base or derived) and passes the tests."""
    same = ast.PropertyTest(SEQ, (ast.Comparison("eq", ast.Ref(TRIGGER_SEQ)),))
    return ast.Did(event, (*by_people(event, where), same))
