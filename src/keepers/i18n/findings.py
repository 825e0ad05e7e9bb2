"""Findings of `check` as sentences: a code with data, and its text in the catalogues."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from msgspec import Struct

from keepers.i18n.catalogues import TextId, gettext, text_id
from keepers.model.errors import NearNames, Problem, nearest

TEXTS: dict[str, TextId] = {
    "account_in_account": text_id("finding", "an account is not a member of an account; write its condition directly"),
    "circle": text_id(
        "finding", "definitions refer to each other in a circle: {path}. Take one of the references out."
    ),
    "trusts_anybody": text_id(
        "finding",
        "“{name}” sends transactional messages and accepts events by public keys: anybody who reads a page of the site "
        "can have it write to customers, without consent or limits. Take “trust: any” out.",
    ),
    "waits_for_server": text_id(
        "finding",
        "“{name}” is started by trusted events alone, and all {number} of “{event}” came by public keys. Send them "
        "with a server key: events of public keys start no transactional message.",
    ),
    "emptied_rows": text_id(
        "finding",
        "“{event}” of public keys whose properties are kept no longer ([retention] events_days): {number}. Conditions "
        "on properties that the playbook did not name before do not hold for them.",
    ),
    "lasting_is_not_trusted": text_id(
        "finding",
        "how long somebody has been in “{name}” rests on all events, and browsers can end it and begin it again. "
        "Name a segment with “trust: server” instead.",
    ),
    "accounts_are_not_trusted": text_id(
        "finding",
        "anybody may say that they belong to an account, so of trusted events alone nobody does: this never holds.",
    ),
    "unknown_segment": text_id("finding", "there is no segment “{name}”."),
    "segment_of_people": text_id("finding", "the segment “{name}” is of people, and this condition is about accounts."),
    "segment_of_accounts": text_id(
        "finding",
        "the segment “{name}” is of accounts, and this condition is about people. Write {{account: …}} "
        "for a person's account.",
    ),
    "lifecycle_of_people": text_id(
        "finding", "the lifecycle “{name}” is of people, and this condition is about accounts."
    ),
    "lifecycle_of_accounts": text_id(
        "finding",
        "the lifecycle “{name}” is of accounts, and this condition is about people. Write {{account: …}}"
        " for a person's account.",
    ),
    "unknown_lifecycle": text_id("finding", "there is no lifecycle “{name}”."),
    "unknown_stage": text_id("finding", "the lifecycle “{lifecycle}” has no stage “{name}”."),
    "unseen_event": text_id("finding", "no event “{name}” has arrived so far."),
    "unseen_trait": text_id("finding", "no trait “{name}” has arrived so far."),
    "unseen_property": text_id("finding", "no property “{name}” has arrived so far."),
    "hidden_event": text_id(
        "finding",
        "events named “{name}” arrive too, and this definition hides them; add {name} to “from” to "
        "count them, or give the definition another id",
    ),
    "derived_of_derived": text_id(
        "finding",
        "“{name}” is a derived event itself, and derived events are made of events that arrive. Write "
        "its own events here: {events}",
    ),
    "void_of_itself": text_id("finding", "“{name}” is cancelled by itself; name the event that cancels it"),
    "unseen_word": text_id(
        "finding",
        "“{name}” cannot be recognised yet: none of its events has arrived ({events}). Used by {by}. Map"
        " your own event under “from”, or leave it as it is",
    ),
    "empty_segment": text_id("finding", "nobody can be in this segment"),
    "phases_of_people": text_id("finding", "“{name}” is of people, its phases must be too"),
    "phases_of_accounts": text_id("finding", "“{name}” is of accounts, its phases must be too"),
    "unreachable_stage": text_id("finding", "nobody can reach the stage “{stage}”"),
    "stage_taken_by_anyone": text_id(
        "finding",
        "nobody can reach the stage “{stage}”: “{taker}” comes later in the list and holds for everyone,"
        " and the last stage that holds counts",
    ),
    "stage_taken_by_same": text_id(
        "finding",
        "nobody can reach the stage “{stage}”: “{taker}” comes later in the list with the same rule, and"
        " the last stage that holds counts",
    ),
    "mixed_currencies": text_id(
        "finding",
        "“{path}” of “{event}” has come in several currencies ({shown}), and {figure} takes them all as one; "
        "add a test of the currency, such as where: {{currency: {currency}}}, or read them “as: reporting”",
    ),
    "no_currencies": text_id(
        "finding",
        "“{path}” is read in the reporting currency, but the playbook names none; add currencies: with reporting: and "
        "rates:",
    ),
    "unrated_amounts": text_id(
        "finding",
        "“{path}” of “{event}” is left out where its currency has no rate at the time ({shown}); add rates to "
        "currencies:",
    ),
    "score_unseen": text_id(
        "finding", "the score “{score}” is computed from “{event}”, which neither arrives nor is a derived event."
    ),
    "computed_entry": text_id(
        "finding",
        "“{trait}” is computed when it is read, so no date of it is stored: enter by a segment instead, "
        "{{segment: …, on: entered}} of who: {{trait: {trait}, before: +3d}}",
    ),
    "computed_wait": text_id(
        "finding",
        "“{trait}” is computed when it is read, so no date of it is stored: wait for a condition "
        "instead, wait: {{when: {{trait: {trait}, before: +3d}}}}",
    ),
    "unknown_message": text_id("finding", "there is no message “{name}”."),
    "other_channel": text_id(
        "finding", "“{name}” is not of the channel and topic of “{own}”: the same people must get either"
    ),
    "subject_not_email": text_id("finding", "only e-mails have a subject; give the variant a message of its own"),
    "unknown_pool": text_id("finding", "there is no pool of coupons “{name}”."),
    "no_confirmation": text_id(
        "finding",
        "forms ask to confirm the subscription by the message “{message}”, which is missing: `keepers "
        "init` with a starter journey shows one, in contact.yaml",
    ),
    "unsent": text_id("finding", "nothing sends this message yet"),
    "unknown_step": text_id("finding", "there is no step “{name}” to go to."),
    "unknown_journey": text_id("finding", "there is no journey “{name}”."),
    "not_run_value": text_id("finding", "“{path}” is no value of a run; it begins with “trigger.” or “run.”"),
    "needs_answer": text_id("finding", "“{path}” needs a step “{step}” that gets an answer, and there is none."),
    "loop": text_id("finding", "a loop without a wait: {ring}. Put a delay, wait or window into it."),
    "unreached_step": text_id("finding", "nothing leads to the step “{step}”"),
    "endless_wait": text_id("finding", "without a timeout, a goal or an exit this may wait for ever"),
    "endless": text_id("finding", "from the step “{step}” on the journey never ends"),
    "recurs_once": text_id(
        "finding", "it recurs, and “reentry: never” lets a customer in only once; write “reentry: after_exit”"
    ),
    "unknown_filter": text_id("finding", "there is no filter “{name}”."),
    "unknown_variable": text_id("finding", "there is no variable “{name}”."),
    "unknown_field": text_id("finding", "no field “{name}” in {root}."),
    "gap": text_id(
        "finding",
        "{{{{ {path} }}}} leaves a gap for customers without it; write {{{{ {path} | default: '…' }}}} "
        "or put {{% if {path} %}} around the sentence",
    ),
    "snippet_no_text": text_id("finding", "there is no text in {locale}; {instead} is used instead"),
    "snippet_markup": text_id("finding", "the snippet “{name}” is e-mail markup and cannot be used in {channel}"),
    "too_long": text_id("finding", "longer than 100 KB as HTML: Gmail shows only the beginning"),
    "mailjet_icons": text_id(
        "finding", "the icons of mj-social come from mailjet.com; give each element a src of your own"
    ),
    "no_way_out": text_id(
        "finding",
        "a marketing e-mail needs an unsubscribe link: {{{{ links.unsubscribe }}}}, for instance in a "
        "footer snippet. If it is no marketing, give its topic kind: transactional",
    ),
    "unknown_topic": text_id("finding", "there is no topic “{name}”."),
    "topic_channel": text_id(
        "finding",
        "the topic “{topic}” is not offered on {channel}, but on {offered}; add {channel} to it, or "
        "nobody can agree to it",
    ),
    "no_alt": text_id("finding", 'a picture without alt: say what it shows, or alt="" for decoration'),
    "plain_http": text_id("finding", "http://{host} is not encrypted and looks unsafe to mail filters; use https"),
    "idle_link": text_id("finding", "a link that leads nowhere; give it an address"),
    "at_line": text_id("finding", "line {line}: {sentence}"),
    "no_postal_address": text_id(
        "finding", "marketing e-mail has to give a postal address: set address in [company] of keepers.toml"
    ),
    "no_company_url": text_id(
        "finding", "buttons without a link of their own lead to url in [company], which is empty"
    ),
    "did_you_mean": text_id("finding", "Did you mean {names}?"),
    "known_names": text_id("finding", "Known: {names}."),
    "either": text_id("finding", "{first} or {second}"),
    "listed": text_id("finding", "{first}, {second}"),
    "quoted": text_id("finding", "“{name}”"),
    "hinted": text_id("finding", "{sentence} {hint}"),
}
"""code → text. What the workspace's files hold, such as names of fields, is quoted in them as it is written."""


class Sentence(Struct, frozen=True):
    """A code and the values of its text; sentences among them are given in the same language. `str` is English."""

    code: str
    data: tuple[tuple[str, str | int | Sentence | Problem], ...] = ()

    def in_locale(self, locale: str) -> str:
        values = {name: in_language(v, locale) for name, v in self.data}
        text = TEXTS.get(self.code)
        return gettext(text, locale).format(**values) if text is not None else str(values["text"])

    @property
    def inner(self) -> Sentence:
        """The sentence without its line number and hint."""
        wrapped = dict(self.data).get("sentence")
        return wrapped.inner if isinstance(wrapped, Sentence) else self

    def __str__(self) -> str:
        return self.in_locale("en")


def in_language(value: object, locale: str) -> object:
    """A Problem or Sentence, with those inside it, as a text in a language; any other value as it is."""
    match value:
        case Problem(english, values, near):
            inner = {name: in_language(v, locale) for name, v in values.items()}
            text = gettext(TextId("", english), locale).format(**inner)
            hint = hint_of(near)
            return text if hint is None else sentence("hinted", sentence=text, hint=hint).in_locale(locale)
        case Sentence():
            return value.in_locale(locale)
        case _:
            return value


def sentence(code: str, **data: str | int | Sentence) -> Sentence:
    """A sentence of `TEXTS`. Raises KeyError for a code that is not there."""
    TEXTS[code]
    return Sentence(code, tuple(data.items()))


def as_written(code: str, text: str | Problem) -> Sentence:
    """A sentence that is not in `TEXTS`: a problem, or a template engine's own words."""
    return Sentence(code, (("text", text),))


def with_nearest(finding: Sentence, name: str, known: Iterable[str]) -> Sentence:
    """The sentence about a name that is not known, with the nearest known ones, if any, as a hint."""
    hint = hint_of(nearest(name, known))
    return finding if hint is None else sentence("hinted", sentence=finding, hint=hint)


def hint_of(near: NearNames) -> Sentence | None:
    """The hint at near or known names."""
    names = [sentence("quoted", name=one) for one in near.close or near.few]
    if not names:
        return None
    joiner = "either" if near.close else "listed"
    listed = reduce(lambda first, second: sentence(joiner, first=first, second=second), names)
    return sentence("did_you_mean" if near.close else "known_names", names=listed)
