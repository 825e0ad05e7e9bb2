"""Shipped lifecycle templates and starter journeys."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import RequestedLocale
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.schema import Schema
from keepers.model.fields import text_in
from keepers.playbook.load import Playbook, PlaybookErrors, load
from keepers.playbook.shipped import lifecycles
from keepers.playbook.shipped.journeys import starters


class ListTemplates(Struct, frozen=True, kw_only=True):
    locale: RequestedLocale = "en"


class ListStarters(Struct, frozen=True, kw_only=True):
    locale: RequestedLocale = "en"


class TemplateStage(Struct, frozen=True):
    id: str
    name: str


class UnseenWord(Struct, frozen=True):
    """A derived event that no event received so far is mapped to."""

    word: str
    map_one_of: Annotated[list[str], Meta(description="Events to send, or to map your own events to.")]
    stages: Annotated[list[str], Meta(description="Stages that use it, as `lifecycle.stage`.")]
    empty: Annotated[list[str], Meta(description="Those of them nobody can be in with what arrives now.")]


class TemplateSummary(Struct, frozen=True):
    """A lifecycle that ships."""

    id: str
    name: str
    description: str
    stages: list[TemplateStage]
    words: Annotated[
        dict[str, tuple[str, ...]],
        Meta(description="Derived events it uses, each with the events usually mapped to it."),
    ]
    cannot_see: list[UnseenWord]


class TemplateList(Struct, frozen=True):
    items: list[TemplateSummary]


class StarterSummary(Struct, frozen=True):
    """Journeys that ship as one file."""

    id: str
    name: str
    description: str
    needs: Annotated[list[str], Meta(description="Derived events and segments it uses, such as `event:purchase`.")]


class StarterList(Struct, frozen=True):
    items: list[StarterSummary]


@use_case("GET /templates", permission="read", tag="definitions")
def list_templates(workspace: Workspace, actor: Actor, request: ListTemplates) -> TemplateList:
    """Lifecycle templates

    Stages, the derived events that each uses, and those for which nothing has arrived so far.
    """
    playbook: Playbook | None = None
    try:
        playbook = load(workspace.playbook_folder, workspace.zone)
    except PlaybookErrors:
        # A playbook that cannot be read maps no words; what is wrong with it is for `check` to say.
        playbook = None
    return shipped_templates(request.locale, workspace.warehouse.schema(workspace.clock()), playbook)


@use_case("GET /starters", permission="read", tag="definitions")
def list_starters(workspace: Workspace, actor: Actor, request: ListStarters) -> StarterList:
    """Starter journeys

    What each does, and the derived events and segments it uses.
    """
    return shipped_starters(request.locale)


def shipped_templates(locale: str, schema: Schema | None = None, playbook: Playbook | None = None) -> TemplateList:
    """The templates, with what cannot be seen where the schema of what has arrived is given."""
    found = []
    for template in lifecycles.templates().values():
        blind = lifecycles.blind_words(template, schema, playbook) if schema is not None and schema.events else []
        stages = lifecycles.shipped().lifecycles[template.id].stages
        found.append(
            TemplateSummary(
                template.id,
                text_in(template.name, locale),
                text_in(template.description, locale),
                [TemplateStage(s.id, text_in(s.name, locale)) for s in stages],
                template.words,
                [UnseenWord(b.word, list(b.events), list(b.stages), list(b.empty)) for b in blind],
            )
        )
    return TemplateList(found)


def shipped_starters(locale: str) -> StarterList:
    """The starter journeys."""
    return StarterList(
        [
            StarterSummary(one.id, text_in(one.name, locale), text_in(one.description, locale), sorted(one.needs))
            for one in starters().values()
        ]
    )
