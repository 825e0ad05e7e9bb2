"""What is said when a message cannot be rendered: which, in which language, where."""

from __future__ import annotations

from keepers.model.errors import UserError


class RenderError(UserError):
    """A message that could not be rendered. `part` is subject, body, a snippet …, `line` a line of that text."""

    code = "render"

    def __init__(
        self, reason: str, *, message: str = "", locale: str = "", part: str = "", line: int | None = None
    ) -> None:
        what = f"message “{message}”" if message else ""
        place = ", ".join(p for p in (what, locale, part, f"line {line}" if line else "") if p)
        text = f"{place}: {reason}" if place else reason
        super().__init__(text, message_id=message, locale=locale, part=part, line=line)
        self.reason = reason
        self.part = part
        self.line = line

    def within(self, message: str, locale: str) -> RenderError:
        """The same, naming the message and locale it happened in."""
        return RenderError(self.reason, message=message, locale=locale, part=self.part, line=self.line)
