"""The effects of runs as rows: messages to queue, events and traits to append, entries into other journeys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from keepers.contact.eligibility import Allow, Hold, Skip
from keepers.journeys.entry_rules import MOST_HOPS
from keepers.journeys.requests import Call, EmitEvent, Expose, Send, StartJourney, UpdateTraits
from keepers.journeys.run import Effect, Run
from keepers.model.consent import address_hash
from keepers.model.identity import Trust
from keepers.model.reasons import Reason
from keepers.orchestration.journey_index import JourneyIndex
from keepers.orchestration.work_queue import ENTER, WAKE, Enrolment, WakeRequest
from keepers.playbook.trust import is_transactional
from keepers.render.customer_data import nested
from keepers.store.events import log
from keepers.store.events.log import OWN_SOURCE, LogRow, SystemEvent
from keepers.store.journeys.run_history import RunHistoryRow
from keepers.store.journeys.runs import RunRow
from keepers.store.messages.messages import MessageRow, key_of
from keepers.warehouse.profile_lookup import ProfileSnapshot, contact_of, recipient_of, traits_for

TOO_MANY_HOPS = str(Reason("chain_too_long", str(MOST_HOPS)))


RequestedEntry = tuple[int, datetime, Enrolment, int, Trust]
"""profile, at, what, hops, and what it is trusted with"""


class EffectCollector:
    """Collects the effects of a chunk of moved runs for one transaction. `addresses`: channel → the trait it is in."""

    def __init__(self, index: JourneyIndex, addresses: Mapping[str, str], secret: bytes) -> None:
        self._index = index
        self._addresses = addresses
        self._secret = secret
        self.messages: list[MessageRow] = []
        self.events: list[SystemEvent] = []
        self.entries: list[RequestedEntry] = []
        self.history: list[RunHistoryRow] = []
        self.writers: set[int] = set()
        """runs that appended events their own later questions may read"""

    def add(self, run: Run, profile: ProfileSnapshot, effects: Sequence[Effect], at: datetime) -> None:
        for effect in effects:
            request = effect.request
            match request:
                case Send():
                    self._send(run, profile, effect, request, at)
                case Call():
                    self._call(run, effect, request, at)
                case Expose(experiment, arm):
                    properties = {"experiment_id": experiment, "variation_id": arm, **_origin(run, effect.step)}
                    viewed = SystemEvent(
                        run.profile_id, "Experiment Viewed", at, properties, hops=run.hops, trust=run.trust
                    )
                    self.events.append(viewed)
                case UpdateTraits() | EmitEvent() | StartJourney():
                    if run.hops >= MOST_HOPS:
                        refused = RunHistoryRow(run.id, at, effect.step, effect.visit, "refused", TOO_MANY_HOPS)
                        self.history.append(refused)
                    else:
                        self._append(run, effect, request, at)

    def _append(self, run: Run, effect: Effect, request: UpdateTraits | EmitEvent | StartJourney, at: datetime) -> None:
        hops = run.hops + 1
        match request:
            case UpdateTraits(traits):
                self.events.append(
                    SystemEvent(run.profile_id, "identify", at, traits, kind="identify", hops=hops, trust=run.trust)
                )
                self.writers.add(run.id)
            case EmitEvent(event, properties):
                named = {**_origin(run, effect.step), **properties}
                self.events.append(SystemEvent(run.profile_id, event, at, named, hops=hops, trust=run.trust))
                self.writers.add(run.id)
            case StartJourney(journey, data):
                cause = f"journey {run.journey}"
                self.entries.append((run.profile_id, at, Enrolment(journey, data, cause), hops, run.trust))

    def _send(self, run: Run, profile: ProfileSnapshot, effect: Effect, send: Send, at: datetime) -> None:
        template = self._index.playbook.messages.get(send.message)
        if template is None:
            # Removed from the playbook while runs of an older version still send it.
            gone = str(Reason("no_message", send.message))
            self.history.append(RunHistoryRow(run.id, at, effect.step, effect.visit, "refused", gone))
            return
        recipient = recipient_of(profile, template.channel, self._addresses)
        transactional = is_transactional(self._index.playbook.topics, template)
        data: dict[str, Any] = {
            "trigger": run.trigger,
            "run": _run_data(run),
            "customer": customer_of(profile, self._index.named_traits(template.id), trusted_only=transactional),
            **contact_of(profile, self._addresses).data(),
        }
        if send.coupon:
            data["coupon"] = send.coupon
        status, reason, send_after = "queued", "", at
        match send.decision:
            case Hold(until, why):
                status, reason, send_after = "held", why, until
            case Skip(why):
                status, reason = "skipped", why
            case Allow():
                pass
        self.messages.append(
            self._message(
                run,
                effect,
                template.channel,
                recipient,
                at,
                message=template.id,
                template_version=self._index.template_versions.get(template.id, 0),
                topic=template.topic,
                is_transactional=transactional,
                priority=self._index.rank(template, run.journey),
                status=status,
                reason=reason,
                send_after=send_after,
                expires_at=at + template.expires,
                data=data,
            )
        )

    def _call(self, run: Run, effect: Effect, call: Call, at: datetime) -> None:
        data = {"url": call.url, "method": call.method, "body": call.body, "headers": call.headers}
        self.messages.append(
            self._message(
                run,
                effect,
                call.channel,
                call.url,
                at,
                message=effect.step,
                is_transactional=True,
                priority=0,
                data={"call": data},
            )
        )

    def _message(
        self, run: Run, effect: Effect, channel: str, recipient: str, at: datetime, **fields: Any
    ) -> MessageRow:
        hashed = address_hash(self._secret, channel, recipient) if recipient else ""
        values: dict[str, Any] = {"topic": "", "send_after": at, **fields}
        return MessageRow(
            key=key_of(run.id, effect.step, effect.visit, channel, hashed),
            profile_id=run.profile_id,
            channel=channel,
            recipient=recipient,
            address_hash=hashed,
            decided_at=at,
            run_id=run.id,
            journey=run.journey,
            version=run.version,
            step=effect.step,
            visit=effect.visit,
            hops=run.hops,
            **values,
        )


def customer_of(profile: ProfileSnapshot, named: frozenset[str] | None, *, trusted_only: bool) -> dict[str, Any]:
    """What a message's texts may name of its customer, stored with it for workers without a warehouse."""
    traits = {
        name: value
        for name, value in traits_for(profile, trusted_only=trusted_only).items()
        if named is None or name.partition(".")[0] in named
    }
    return nested(traits) | {"id": profile.profile_id}


def request_entries(connection: Connection, entries: Sequence[RequestedEntry], now: datetime) -> None:
    """Appends requests to enter journeys to the log."""
    rows = [
        LogRow(
            0,
            ENTER,
            profile_id,
            None,
            enrolment.journey,
            at,
            now,
            now,
            OWN_SOURCE,
            msgspec.json.encode(enrolment),
            hops,
            trust,
        )
        for profile_id, at, enrolment, hops, trust in entries
    ]
    log.append_new(connection, rows)


def request_wakes(connection: Connection, wakes: Sequence[tuple[RunRow, datetime]], now: datetime) -> None:
    """Postpones wakes of runs whose own events are not loaded yet, to rows of the log after those events."""
    rows = [
        LogRow(
            0, WAKE, run.profile_id, None, run.journey, at, now, at, OWN_SOURCE,
            msgspec.json.encode(WakeRequest(run.id)), run.hops, "own",
        )
        for run, at in wakes
    ]  # fmt: skip
    log.append_new(connection, rows)


def _origin(run: Run, step: str) -> dict[str, Any]:
    return {"journey": run.journey, "step": step}


def _run_data(run: Run) -> dict[str, Any]:
    """What texts may name of the run: answers of webhooks, without Keepers' own entries."""
    return {"id": run.id, **{name: value for name, value in run.vars.items() if not name.startswith("_")}}
