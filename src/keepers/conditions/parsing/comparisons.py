"""Comparisons from plain data: `{gte: 3, lt: 10}`. The rows of the operators say what each takes."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from keepers.conditions import ast
from keepers.conditions.operators import BY_NAME, Operator
from keepers.conditions.parsing.operands import is_ref, parse_ref
from keepers.model.errors import DefinitionError, UserError, nearest, problem


def parse_tests(data: dict[str, Any], at: str, zone: ZoneInfo | None, refs: bool = False) -> tuple[ast.Comparison, ...]:
    """`{gte: 3, lt: 10}` as tests; with `refs`, operands may be `{ref: trigger.order_id}`.

    Raises DefinitionError for an unknown operator or a wrong operand.
    """
    tests = []
    for name, operand in data.items():
        here = f"{at}.{name}" if at else str(name)
        row = BY_NAME.get(str(name))
        if row is None:
            raise DefinitionError(
                problem("“{name}” is no operator.", near=nearest(str(name), BY_NAME), name=name), field=at
            )
        try:
            tests.append(ast.Comparison(row.id, _operand(row, operand, zone, refs)))
        except DefinitionError:
            raise
        except UserError as error:
            raise DefinitionError(error.problem, field=here) from None
    return tuple(tests)


def _operand(row: Operator, data: Any, zone: ZoneInfo | None, refs: bool) -> Any:
    if not is_ref(data):
        return row.operand.parse(data, zone, refs)
    if row.operand.of_ref is None:
        raise UserError(problem("“{operator}” cannot be compared with a ref", operator=row.id))
    return row.operand.of_ref(parse_ref(data, refs))
