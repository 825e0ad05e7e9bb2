"""The sentences of reasons: of contact rules, delivery, entries and runs."""

from __future__ import annotations

from keepers.i18n.catalogues import TextId, gettext, text_id
from keepers.model.reasons import Reason

SENTENCES: dict[str, TextId] = {
    # Policy: why a message does not go, or not yet.
    "no_address": text_id("reason", "there is no address on this channel"),
    "unconfirmed_address": text_id("reason", "the address was named by a browser alone, and nobody has confirmed it"),
    "no_consent": text_id("reason", "the customer has not agreed to this topic"),
    "consent_pending": text_id("reason", "the customer has not confirmed the subscription yet (double opt-in)"),
    "unsubscribed": text_id("reason", "the customer has unsubscribed"),
    "suppressed.hard_bounce": text_id("reason", "the address does not work (hard bounce)"),
    "suppressed.soft_bounces": text_id("reason", "the address refused mail too often"),
    "suppressed.complaint": text_id("reason", "a message to this address was reported as spam"),
    "suppressed.unsubscribed": text_id("reason", "the address was unsubscribed from everything"),
    "suppressed.manual": text_id("reason", "the address was suppressed by hand"),
    "suppressed.import": text_id("reason", "the address was on an imported suppression list"),
    "suppressed.erased": text_id("reason", "the person asked to be erased"),
    "sunset": text_id("reason", "the customer has shown no interest for too long"),
    "brake.complaints": text_id("reason", "sending is stopped: too many complaints"),
    "brake.refusals": text_id("reason", "sending is stopped: too much is refused for its content or the sender"),
    "brake.hard_bounces": text_id("reason", "sending is stopped: too many addresses do not work"),
    "breaker.complaints": text_id("reason", "too many complaints"),
    "breaker.refusals": text_id("reason", "too much is refused for its content or for the reputation of the sender"),
    "breaker.hard_bounces": text_id("reason", "too many addresses do not work"),
    "cap": text_id("reason", "the limit of messages is reached ({0})"),
    "quiet_hours": text_id("reason", "it is quiet hours where the customer is"),
    "same_address": text_id("reason", "another customer with the same address gets the broadcast"),
    "kill_switch": text_id("reason", "all sending is stopped"),
    "warm_up": text_id("reason", "the sending domain is warming up; today’s number is reached"),
    "expired": text_id("reason", "the message would have arrived too late"),
    "exited": text_id("reason", "the customer had left the journey"),
    # Delivery: what became of it.
    "no_coupon": text_id("reason", "no coupon code was left for the customer"),
    "no_template": text_id("reason", "the message is no longer in the playbook"),
    "no_channel": text_id("reason", "the channel is not set up"),
    "no_subscription": text_id("reason", "no browser takes notifications"),
    "render": text_id("reason", "the message could not be rendered"),
    "hard": text_id("reason", "the address does not work"),
    "soft": text_id("reason", "the mailbox took no mail"),
    "content": text_id("reason", "refused for what the message is"),
    "reputation": text_id("reason", "refused for the reputation of the sender"),
    "server": text_id("reason", "the other server had a fault"),
    "policy": text_id("reason", "refused by a rule of the other side"),
    "deferred": text_id("reason", "the other side asked to try later"),
    "refused": text_id("reason", "the other side refused it"),
    "unreachable": text_id("reason", "the other side could not be reached"),
    "invalid_address": text_id("reason", "the address is not a valid one"),
    "worker_died": text_id("reason", "the delivery worker stopped in the middle"),
    "connection_broke": text_id("reason", "the connection broke; it may have arrived"),
    "settled_by_hand": text_id("reason", "taken as sent by hand"),
    "given_up": text_id("reason", "it was not known whether it was sent, and it was given up"),
    "restored": text_id(
        "reason", "the workspace was restored from a backup; it may have been sent after that was made"
    ),
    "retried": text_id("reason", "another attempt was requested"),
    # Entries: why no run began.
    "already_entered": text_id("reason", "the customer was in the journey before and may enter only once"),
    "still_in": text_id("reason", "the customer is still in the journey"),
    "too_soon": text_id("reason", "the last entry was too recent"),
    "too_old": text_id("reason", "the event was reported too late"),
    "not_trusted": text_id("reason", "it came by a public key, and this journey accepts only what the server sends"),
    "too_many_hops": text_id("reason", "too many journeys and events in a chain"),
    "no_value": text_id("reason", "the event has no “{0}”, by which entries are distinguished"),
    "condition": text_id("reason", "the entry condition did not hold"),
    "not_live.import": text_id("reason", "it came from an import, and imports start no journeys"),
    "not_live.backfill": text_id("reason", "it was computed for the past, which starts nothing"),
    "not_live.merge": text_id("reason", "two profiles were merged, which starts nothing"),
    "not_live.definition": text_id("reason", "a rule was changed, which starts nothing"),
    # Runs: why they ended, or went on.
    "finished": text_id("reason", "reached the end of the journey"),
    "goal": text_id("reason", "reached the goal"),
    "merged": text_id("reason", "the profile was merged into one that is in the journey"),
    "new_version": text_id("reason", "a new version took its place"),
    "journey_removed": text_id("reason", "the journey was taken out of the playbook"),
    "removed_by_hand": text_id("reason", "removed by hand"),
    "step_removed": text_id("reason", "the step is no longer there"),
    "date_past": text_id("reason", "the date is past"),
    "nothing_to_wait_for": text_id("reason", "there was nothing to wait for; tried again once an hour"),
    "webhook_silent": text_id("reason", "the webhook did not answer"),
    "webhook_late": text_id("reason", "the webhook did not answer in time"),
    "webhook_answered": text_id("reason", "the webhook answered {0}"),
    "no_date": text_id("reason", "the customer has no date in “{0}”"),
    "no_message": text_id("reason", "the message “{0}” is no longer in the playbook"),
    "chain_too_long": text_id("reason", "journeys and events start each other: the chain is too long"),
    # Broadcasts: why one ended early, and why a variant won.
    "stopped": text_id("reason", "stopped"),
    "broadcast_removed": text_id("reason", "the broadcast was taken out of the playbook"),
    "no_test": text_id("reason", "the broadcast no longer has a test"),
    "too_few_sent": text_id("reason", "fewer than {0} messages of a variant were sent"),
    "equally_good": text_id("reason", "several variants did equally well"),
    "most_clicks": text_id("reason", "most clicks per message sent"),
    "most_opens": text_id("reason", "most opens per message sent"),
    "most_conversions": text_id("reason", "most conversions per message sent"),
}
"""Code → meaning, with the reason's data as {0}. Codes of a closed set are here with their data: `brake.complaints`."""


def reason_text(reason: Reason | str, locale: str = "en") -> str:
    """A reason, or its written form, as a sentence.

    A journey's own exit reason has no code and is shown as it is.
    """
    if isinstance(reason, str):
        reason = Reason.parse(reason)
    known = SENTENCES.get(str(reason))
    if known is not None:
        return gettext(known, locale)
    family = SENTENCES.get(reason.code)
    return gettext(family, locale).format(reason.data) if family is not None else str(reason)


def is_known(reason: Reason) -> bool:
    """Whether a reason has a sentence."""
    return str(reason) in SENTENCES or reason.code in SENTENCES
