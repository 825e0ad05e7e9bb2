"""The reference of what journeys are made of, and of the channels messages go out by."""

from __future__ import annotations

import msgspec

from keepers.channels.base import OUTCOME_CODES, field_docs
from keepers.channels.registry import CHANNELS
from keepers.journeys.entry.definitions import ENTRIES
from keepers.journeys.steps.registry import STEPS


def steps() -> str:
    """Every step and entry, with its fields."""
    lines = [
        "# Steps and entries\n",
        "A journey is a list of steps; `next` leads to the following one unless it is written, and `next: end` ends "
        "the run. The JSON Schema of everything is at `GET /api/v1/journeys/schema`.\n",
        "## Entries\n",
        "| `enter` | fields | meaning |",
        "|---|---|---|",
    ]
    for head, entry in ENTRIES.items():
        meaning = " ".join((entry.__doc__ or "").split())
        # A struct without a text of its own has msgspec's, which is its signature.
        lines.append(f"| `{head}` | {_fields(entry, head)} | {'' if meaning.startswith(entry.__name__) else meaning} |")
    lines += ["", "## Steps\n", "| step | fields | meaning |", "|---|---|---|"]
    lines += [f"| `{head}` | {_fields(step, head)} | {step.summary.english} |" for head, step in STEPS.items()]
    return "\n".join(lines) + "\n"


def channels() -> str:
    """Every channel with its settings."""
    lines = [
        "# Channels\n",
        "A channel is set up by its section in `keepers.toml`. `keepers message test` sends through it.\n",
    ]
    for name, kind in CHANNELS.items():
        lines += [f"## [channels.{name}]\n", f"{' '.join(kind.docs.split())}\n" if kind.docs else ""]
        docs = field_docs(kind.settings)
        fields = msgspec.structs.fields(kind.settings)
        if fields:
            lines += ["| name | default | meaning |", "|---|---|---|"]
        for one in fields:
            default = "" if one.default is msgspec.NODEFAULT else f"`{msgspec.json.encode(one.default).decode()}`"
            meaning = " ".join(docs.get(one.name, "").split()).replace("|", "\\|")
            lines.append(f"| `{one.name}` | {default} | {meaning} |")
        lines.append("")
    lines += [
        "## Codes of outcomes\n",
        "`keepers message show` gives the code of each attempt that failed or was deferred. Codes that are not listed "
        "come from the receiving side: an HTTP status, an SMTP reply.\n",
        "| code | meaning |",
        "|---|---|",
    ]
    lines += [f"| `{code}` | {meaning} |" for code, meaning in OUTCOME_CODES.items()]
    return "\n".join(lines) + "\n"


def _fields(struct: type[msgspec.Struct], head: str) -> str:
    names = [one.encode_name for one in msgspec.structs.fields(struct) if one.encode_name not in (head, "id", "name")]
    return ", ".join(f"`{name}`" for name in (head, *names))
