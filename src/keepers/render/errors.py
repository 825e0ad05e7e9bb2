"""Why a message cannot be rendered, and where in it: message, locale, part and line."""

from __future__ import annotations

from functools import reduce

from keepers.model.errors import Problem, UserError, problem


class RenderError(UserError):
    """A message that could not be rendered. `part` is subject, body, a snippet …, `line` a line of that text."""

    code = "render"

    def __init__(
        self, reason: Problem, *, message: str = "", locale: str = "", part: str = "", line: int | None = None
    ) -> None:
        places: list[str | Problem] = [problem("message “{name}”", name=message)] if message else []
        places += [place for place in (locale, part) if place]
        places += [problem("line {number}", number=line)] if line else []
        text = problem("{place}: {reason}", place=reduce(_listed, places), reason=reason) if places else reason
        super().__init__(text, message_id=message, locale=locale, part=part, line=line)
        self.reason: Problem = reason
        self.part = part
        self.line = line

    def within(self, message: str, locale: str) -> RenderError:
        """The same, naming the message and locale it happened in."""
        reason: Problem = self.reason
        return RenderError(reason, message=message, locale=locale, part=self.part, line=self.line)


def _listed(first: str | Problem, second: str | Problem) -> Problem:
    return problem("{first}, {second}", first=first, second=second)
