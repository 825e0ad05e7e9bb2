"""The state of sending: channels, kill switch, circuit breakers, dead letters, coupon pools, bounces; and findings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from keepers.app.workspace.settings import Settings
from keepers.app.workspace.workspace import Workspace
from keepers.channels.email.bounces.set_aside import FOLDER, SetAside
from keepers.contact.breakers import stream_of
from keepers.delivery.bounce_readings import last_readings
from keepers.i18n.findings import Sentence, sentence
from keepers.i18n.problems import problem_text
from keepers.i18n.reasons import reason_text
from keepers.model.channels import CHANNELS
from keepers.model.errors import Problem, UserError, problem
from keepers.model.reasons import Reason
from keepers.playbook.load import Playbook
from keepers.store.messages import coupons, messages, sending_switches


def company_remarks(settings: Settings, playbook: Playbook) -> list[tuple[str, Sentence]]:
    """(setting, sentence) for each piece of sender information that marketing e-mail needs and the settings lack."""
    topics = playbook.topics
    is_marketing = any(
        CHANNELS[m.channel].is_mail and (m.topic not in topics or topics[m.topic].kind == "marketing")
        for m in playbook.messages.values()
    )
    if not is_marketing:
        return []
    found = []
    if not settings.company.address:
        found.append(("company.address", sentence("no_postal_address")))
    if not settings.company.url:
        found.append(("company.url", sentence("no_company_url")))
    return found


def sending_status(workspace: Workspace, now: datetime, locale: str = "en") -> tuple[dict[str, Any], list[str]]:
    """The figures, and sentences about what is wrong."""
    playbook = workspace.active_playbook().playbook
    wrong: list[Sentence | Problem] = [remark for _, remark in company_remarks(workspace.settings, playbook)]
    try:
        set_up = sorted(workspace.sending.channels())
    except UserError as error:
        set_up = []
        wrong.append(problem("Nothing can be sent: {error}", error=error.problem))
    missing = sorted({m.channel for m in playbook.messages.values()} - set(set_up)) if set_up else []
    wrong += [
        problem(
            "There are messages for {channel}, which is not set up: add [channels.{channel}] to keepers.toml.",
            channel=c,
        )
        for c in missing
    ]
    with workspace.store.read() as connection:
        known = sending_switches.everything(connection)
        counted = messages.unsettled(connection)
        low = coupons.running_low(connection, {p.id: p.low for p in playbook.pools_in_use.values()}, now)
    if not sending_switches.is_sending(known):
        reason = known[sending_switches.SENDING].reason or problem("no reason was given")
        wrong.append(problem("All sending is switched off: {reason}.", reason=reason))
    stopped = sorted(sending_switches.open_breakers(known))
    wrong += [
        problem(
            "Sending is stopped on {stream}: {reason}.",
            stream=s,
            reason=reason_text(Reason("breaker", breaker.reason), locale),
        )
        for s in stopped
        if (breaker := sending_switches.breaker(known, s))
    ]
    warned = sorted(stream_of(*one) for one in sending_switches.warned_streams(known))
    slowed = sending_switches.slowed_streams(known)
    wrong += [
        _warning_text(warning.reason, s, locale, is_slowed=s in slowed)
        for s in warned
        if (warning := sending_switches.warning(known, s))
    ]
    wrong += [
        problem(
            "The pool “{pool}” has {left:,} codes left. Import more with `keepers coupons import`.",
            pool=pool,
            left=left,
        )
        for pool, left in low.items()
    ]
    with workspace.store.read() as connection:
        readings = last_readings(connection)
    wrong += [
        problem("Bounces are not read from {name}: {trouble}", name=name, trouble=r.trouble)
        for name, r in readings.items()
        if r.trouble
    ]
    set_aside = SetAside(workspace.data_folder / FOLDER)
    if count := set_aside.count():
        wrong.append(
            problem(
                "Mails from outside that could not be read are kept in {folder}: {count}. Look at them and delete "
                "them.",
                folder=set_aside.folder,
                count=count,
            )
        )
    read = max((r.at for r in readings.values() if not r.trouble), default=None)
    figures = {
        "channels": " ".join(set_up) or "none",
        "switch": "on" if sending_switches.is_sending(known) else "off",
        "brakes": " ".join(stopped) or "none",
        "waiting": sum(counted.get(s, 0) for s in ("queued", "held", "claimed")),
        "dead_letters": counted.get("failed", 0),
        "uncertain": counted.get("uncertain", 0),
        "bounces_read": f"{read:%Y-%m-%dT%H:%M:%SZ}" if read is not None else "never",
        "mail_set_aside": count,
    }
    return figures, [problem_text(one, locale) for one in wrong]


def _warning_text(reason: str, stream: str, locale: str, *, is_slowed: bool) -> Problem:
    why = reason_text(Reason("breaker", reason), locale)
    if is_slowed:
        return problem(
            "{stream} goes out slowly: {reason}. See `keepers messages --status bounced`; "
            "`keepers breakers release {stream}` ends it.",
            stream=stream,
            reason=why,
        )
    return problem("{stream} is close to being stopped: {reason}.", stream=stream, reason=why)
