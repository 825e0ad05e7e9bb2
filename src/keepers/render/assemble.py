"""Assembles a message from its text, layout and snippets, and keeps Liquid apart from markup.

A text is cut into pieces: Liquid, and what lies between. Snippets and the layout are inserted as text, so that e-mail
markup is compiled as a whole. Then Liquid is replaced by placeholders, plain words that no markup language interprets,
and restored in the result. Every piece knows which text and line it came from.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from msgspec import Struct

from keepers.model.errors import Problem, problem
from keepers.model.json_text import HALF_PAIR
from keepers.render.errors import RenderError
from keepers.render.liquid.tags import END_INLINE, INLINE

MOST_ASSEMBLED = 1_000_000
_LIQUID = re.compile(
    r"\{%-?\s*(?P<block>raw|doc)\s*-?%\}.*?\{%-?\s*end(?P=block)\s*-?%\}"
    r"|\{\{.*?\}\}"
    r"|\{%-?\s*(?P<name>\#|\w+)?(?P<rest>.*?)%\}",
    re.DOTALL,
)
_IN_COMMENT = re.compile(
    r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}|\{%-?\s*(?P<name>(?:end)?comment)\b.*?(?P<trim>-?)%\}", re.DOTALL
)
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_VERBATIM = re.compile(r"\{%-?\s*(?:raw|doc)\b")
_MOST_VERBATIM = 200
_BLOCKS = frozenset({"if", "unless", "case", "for", "tablerow", "capture", "ifchanged"})
_PRINTING = frozenset({"echo", "cycle", "increment", "decrement"})
_RENDER = re.compile(r"""\s*(?P<quote>['"])(?P<id>.*?)(?P=quote)""", re.DOTALL)
_CONTENT = re.compile(r"\{\{-?\s*content\s*-?\}\}")


class Piece(Struct, frozen=True):
    text: str
    is_liquid: bool
    part: str
    """the text it is from: `body`, `layout letter`, `snippet footer`"""
    line: int


class SourceText(Struct, frozen=True):
    """A text of a message or snippet, and what to call it."""

    name: str
    text: str


def pieces(part: SourceText) -> Iterator[Piece]:
    """A text cut into Liquid and what lies between. Comments are left out."""
    text, at = part.text, 0
    line = 1
    _refuse_unclosed(part)
    while True:
        found = _LIQUID.search(text, at)
        if found is None:
            break
        start, end = found.span()
        if start > at:
            yield Piece(text[at:start], False, part.name, line)
            line += text.count("\n", at, start)
        if found["name"] == "comment":
            end, trims = _end_of_comment(part, start, end, line)
            if trims:
                yield Piece(trims, True, part.name, line)
        else:
            yield Piece(text[start:end], True, part.name, line)
        line += text.count("\n", start, end)
        at = end
    if at < len(text):
        yield Piece(text[at:], False, part.name, line)


def _refuse_unclosed(part: SourceText) -> None:
    """Raises RenderError for unclosed Liquid, which the pattern would search for again from every place, and for text
    that no mail can hold."""
    try:
        part.text.encode()
    except UnicodeEncodeError as error:
        reason: Problem = HALF_PAIR
        raise RenderError(reason, part=part.name, line=part.text.count("\n", 0, error.start) + 1) from None
    for opening, closing in (("{{", "}}"), ("{%", "%}")):
        at = part.text.find(opening, part.text.rfind(closing) + 1)
        if at >= 0:
            line = part.text.count("\n", 0, at) + 1
            raise RenderError(
                problem("{opening} is not closed by {closing}", opening=opening, closing=closing),
                part=part.name,
                line=line,
            )
    if len(_VERBATIM.findall(part.text)) > _MOST_VERBATIM:
        raise RenderError(problem("more than {most} blocks of {{% raw %}}", most=_MOST_VERBATIM), part=part.name)


def _end_of_comment(part: SourceText, start: int, at: int, line: int) -> tuple[int, str]:
    """Where a comment ends, and an empty one in its place if it trims the white space around it."""
    depth = 1
    for tag in _IN_COMMENT.finditer(part.text, at):
        if tag["name"]:
            depth += 1 if tag["name"] == "comment" else -1
        if depth == 0:
            before, after = "-" if part.text.startswith("{%-", start) else "", tag["trim"]
            return tag.end(), f"{{%{before} comment %}}{{% endcomment {after}%}}" if before or after else ""
    raise RenderError(problem("a comment is not closed by {{% endcomment %}}"), part=part.name, line=line)


def assemble(part: SourceText, layout: SourceText | None, snippet: Callable[[str], SourceText | None]) -> list[Piece]:
    """The pieces of a whole message. Raises RenderError for a snippet that does not exist or contains itself."""
    assembled: list[Piece] = []
    size = 0
    for piece in _assembled(part, layout, snippet, ()):
        size += len(piece.text)
        if size > MOST_ASSEMBLED:
            raise RenderError(
                problem("with its snippets longer than {most:,} characters", most=MOST_ASSEMBLED), part=part.name
            )
        assembled.append(piece)
    return assembled


def _assembled(
    part: SourceText, layout: SourceText | None, snippet: Callable[[str], SourceText | None], inside: tuple[str, ...]
) -> Iterator[Piece]:
    if layout is not None:
        for piece in _assembled(layout, None, snippet, inside):
            if piece.is_liquid and piece.part == layout.name and _CONTENT.fullmatch(piece.text):
                yield from _assembled(part, None, snippet, inside)
            else:
                yield piece
        return
    for piece in pieces(part):
        if not piece.is_liquid or (id_ := rendered(piece.text)) is None:
            yield piece
            continue
        if id_ in inside:
            raise RenderError(
                problem("the snippet “{name}” contains itself", name=id_), part=piece.part, line=piece.line
            )
        found = snippet(id_)
        if found is None:
            raise RenderError(
                problem("there is no snippet “{name}”. Write it under snippets:", name=id_),
                part=piece.part,
                line=piece.line,
            )
        opening, closing = _inlined(piece.text)
        yield Piece(opening, True, piece.part, piece.line)
        yield from _assembled(found, None, snippet, (*inside, id_))
        yield Piece(closing, True, piece.part, piece.line)


def holds_content(layout: SourceText) -> bool:
    """Whether a layout has {{ content }}."""
    return any(p.is_liquid and _CONTENT.fullmatch(p.text) for p in pieces(layout))


def rendered(tag: str) -> str | None:
    """The id in `{% render 'id' %}`; None for other Liquid."""
    found = _LIQUID.fullmatch(tag)
    if found is None or found["name"] != "render":
        return None
    name = _RENDER.match(found["rest"])
    return name["id"] if name else None


def _inlined(tag: str) -> tuple[str, str]:
    """The tags around a snippet's text, which trim white space as the original tag does."""
    opening = re.sub(r"^(\{%-?\s*)render\b", rf"\g<1>{INLINE}", tag)
    ends_trimmed = opening.endswith("-%}")
    if ends_trimmed:
        opening = opening[:-3] + "%}"
    return opening, "{% " + END_INLINE + (" -%}" if ends_trimmed else " %}")


class Placeholders:
    """Liquid replaced by words of letters and digits, which may stand anywhere in markup."""

    def __init__(self, assembled: list[Piece]) -> None:
        everything = "".join(p.text for p in assembled)
        self._stem = next(s for n in range(1000) if (s := f"zq{n}q") not in everything)
        self._pattern = re.compile(rf"{self._stem}(\d+)z")
        self.liquid: list[Piece] = []
        self._dropped: set[int] = set()
        self._assembled = assembled
        self._starts: list[int] = []
        texts: list[str] = []
        length = 0
        for piece in assembled:
            texts.append(self.word(piece) if piece.is_liquid else piece.text)
            self._starts.append(length)
            length += len(texts[-1])
        self.text = "".join(texts)

    def word(self, piece: Piece) -> str:
        """A word for a piece of Liquid."""
        self.liquid.append(piece)
        return f"{self._stem}{len(self.liquid) - 1}z"

    def tag(self, text: str, like: Piece | None = None) -> str:
        """A word for generated Liquid."""
        return self.word(Piece(text, True, like.part if like else "", like.line if like else 0))

    def origin(self, offset: int) -> tuple[str, int | None]:
        """Part and line of an offset in `text`."""
        n = bisect_right(self._starts, max(offset, 0)) - 1
        if n < 0:
            return "body", None
        piece, start = self._assembled[n], self._starts[n]
        inside = 0 if piece.is_liquid else piece.text.count("\n", 0, offset - start)
        return piece.part, piece.line + inside

    def drop(self, text: str) -> None:
        """Marks the Liquid in a text as left out on purpose."""
        self._dropped |= {int(m[1]) for m in self._pattern.finditer(text)}

    def found_in(self, text: str) -> list[tuple[str, Piece]]:
        """The words of a text, and the Liquid they stand for."""
        return [(m[0], self.liquid[int(m[1])]) for m in self._pattern.finditer(text)]

    def in_(self, text: str) -> list[Piece]:
        """The Liquid whose words stand in a text, in order."""
        return [self.liquid[int(m[1])] for m in self._pattern.finditer(text)]

    def silent(self) -> re.Pattern[str]:
        """Finds the words of Liquid that prints nothing: tags, not {{ values }} and {% echo %}."""
        numbers = "|".join(str(n) for n, piece in enumerate(self.liquid) if _is_silent(piece.text))
        return re.compile(rf"{self._stem}(?:{numbers or 'none'})z")

    def closes_itself(self, text: str) -> bool:
        """Whether every block begun in a text ends in it."""
        depth = 0
        for _, piece in self.found_in(text):
            tag = _LIQUID.fullmatch(piece.text)
            name = (tag["name"] if tag else None) or ""
            depth += (name in _BLOCKS or name == INLINE) - name.startswith("end")
            if depth < 0 or (depth == 0 and name in ("else", "elsif", "when")):
                return False
        return depth == 0

    def missing(self, text: str) -> list[Piece]:
        """Liquid whose words a text has lost."""
        there = {int(m[1]) for m in self._pattern.finditer(text)} | self._dropped
        return [piece for n, piece in enumerate(self.liquid) if n not in there]

    def put_back(self, text: str) -> TemplateSource:
        """A text with its Liquid restored."""
        out: list[str] = []
        starts: list[int] = []
        origins: list[Piece] = []
        at = length = 0
        for found in self._pattern.finditer(text):
            piece = self.liquid[int(found[1])]
            between = text[at : found.start()]
            out += (between, piece.text)
            starts.append(length + len(between))
            origins.append(piece)
            length += len(between) + len(piece.text)
            at = found.end()
        out.append(text[at:])
        return TemplateSource("".join(out), starts, origins)


def _is_silent(liquid: str) -> bool:
    tag = _LIQUID.fullmatch(liquid)
    return liquid.startswith("{%") and (tag is None or tag["name"] not in _PRINTING)


class TemplateSource(Struct, frozen=True):
    """A template's source, and where its Liquid was written."""

    source: str
    starts: list[int]
    origins: list[Piece]

    def own_texts(self) -> Iterator[str]:
        """What the author wrote out: the text between Liquid, that of {% raw %}, and texts in quotes."""
        at = 0
        for start, piece in zip(self.starts, self.origins, strict=True):
            yield self.source[at:start]
            at = start + len(piece.text)
            if not piece.is_liquid or _VERBATIM.match(piece.text):
                yield piece.text
            else:
                yield from (found[0] for found in _QUOTED.finditer(piece.text))
        yield self.source[at:]

    def origin(self, offset: int) -> tuple[str, int | None]:
        """Part and line of the Liquid at, or last before, an offset."""
        n = bisect_right(self.starts, offset) - 1
        if n < 0:
            return "", None
        piece = self.origins[n]
        return piece.part, piece.line or None

    def unclosed(self) -> tuple[str, int | None]:
        """Part and line of the innermost block that has no end."""
        open_: list[tuple[str, Piece]] = []
        for piece in self.origins:
            tag = _LIQUID.fullmatch(piece.text)
            name = (tag["name"] if tag else None) or ""
            if name in _BLOCKS:
                open_.append((name, piece))
            elif name.startswith("end") and open_ and open_[-1][0] == name[3:]:
                open_.pop()
        return (open_[-1][1].part, open_[-1][1].line) if open_ else ("", None)

    def alone(self) -> Iterator[tuple[str, Piece]]:
        """Each piece of Liquid as a template of its own, its block closed; parts of a block are left out."""
        for piece in self.origins:
            tag = _LIQUID.fullmatch(piece.text)
            name = (tag["name"] if tag else None) or ""
            if not name.startswith("end") and name not in ("else", "elsif", "when", INLINE):
                yield piece.text + (f"{{% end{name} %}}" if name in _BLOCKS else ""), piece


def plain(assembled: list[Piece]) -> TemplateSource:
    """A template's source without compiled markup."""
    starts: list[int] = []
    length = 0
    for piece in assembled:
        starts.append(length)
        length += len(piece.text)
    return TemplateSource("".join(p.text for p in assembled), starts, assembled)
