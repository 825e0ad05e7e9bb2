"""The texts of the public pages, and the language a visitor reads them in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from keepers.i18n.catalogues import TextId, gettext, languages, text_id
from keepers.i18n.locales import language

TEXTS: dict[str, TextId] = {
    "language": text_id("public page", "Language"),
    "visit": text_id("public page", "Go to our website"),
    "broken_title": text_id("public page", "This link does not work"),
    "broken_text": text_id(
        "public page",
        "It may have been cut short on its way, or it is too old. "
        "Please open the message once more and use the link in it.",
    ),
    "failed_title": text_id("public page", "Something went wrong on our side"),
    "failed_text": text_id("public page", "Nothing has been changed. Please try again in a minute."),
    "again": text_id("public page", "Try again"),
    "unsubscribe_title": text_id("public page title", "Unsubscribe"),
    "unsubscribe_lead": text_id("public page", "What should we stop sending?"),
    "option_topic": text_id("public page", "Only “{0}”"),
    "option_all": text_id("public page", "All news and offers"),
    "still": text_id("public page", "Messages you need will still arrive: {0}."),
    "reason_title": text_id("public page", "Why? (optional)"),
    "reason_none": text_id("public page", "Prefer not to say"),
    "reason_too_often": text_id("public page", "Too many messages"),
    "reason_not_relevant": text_id("public page", "Not of interest to me"),
    "reason_never_asked": text_id("public page", "I never signed up"),
    "reason_other": text_id("public page", "Something else"),
    "unsubscribe_button": text_id("public page", "Unsubscribe"),
    "choose_instead": text_id("public page", "Choose topics instead"),
    "done_title": text_id("public page", "You are unsubscribed"),
    "done_topic": text_id("public page", "We will no longer send you “{0}”."),
    "done_all": text_id("public page", "We will no longer send you news or offers."),
    "done_way": text_id("public page", "A message that is already on its way may still reach you."),
    "changed_mind": text_id("public page", "Changed your mind? Choose what you receive"),
    "preferences_title": text_id("public page", "What would you like to receive?"),
    "preferences_lead": text_id("public page", "Tick what interests you and save. It takes effect at once."),
    "saved": text_id("public page", "Saved."),
    "pending": text_id("public page", "awaiting your confirmation"),
    "always_title": text_id("public page", "Always sent"),
    "always_text": text_id("public page", "Needed for what you ordered or agreed with us; no advertising."),
    "language_title": text_id("public page", "Language of our messages"),
    "save": text_id("public page", "Save"),
    "none_button": text_id("public page", "Unsubscribe from everything"),
    "blocked": text_id(
        "public page",
        "Nothing is sent to {0} at present: messages came back, or were reported as unwanted. "
        "Write to us if this should change.",
    ),
    "nothing": text_id("public page", "There is nothing to choose from at present."),
    "confirm_title": text_id("public page", "One last step"),
    "confirm_text": text_id("public page", "Please confirm that you would like to receive “{0}”."),
    "confirm_button": text_id("public page", "Yes, subscribe me"),
    "confirm_ignore": text_id(
        "public page", "If you did not ask for this, simply close this page: nothing will be sent."
    ),
    "confirmed_title": text_id("public page", "Thank you, you are subscribed"),
    "confirmed_text": text_id("public page", "From now on you will receive “{0}”."),
    "manage": text_id("public page", "Choose what you receive"),
    "gone_title": text_id("public page", "This message is no longer kept"),
    "gone_text": text_id("public page", "We keep copies for a limited time, and this one has expired."),
    "channel_email": text_id("public page", "E-mail"),
    "channel_sms": text_id("public page", "SMS"),
    "channel_push": text_id("public page", "Browser notifications"),
    "channel_chat": text_id("public page", "Messenger"),
    "channel_in_app": text_id("public page", "Messages on our site"),
    "stale_text": text_id(
        "public page", "It was used or withdrawn already. On the next page you can choose what you receive."
    ),
    "copy_title": text_id("public page", "Your message"),
}
"""Every text of the public pages by key; `{0}` stands for what is put in."""


def page_text(key: str, locale: str, *values: object) -> str:
    """A text of the public pages in a language."""
    text = gettext(TEXTS[key], locale)
    return text.format(*values) if values else text


def channel_name(channel: str, locale: str) -> str:
    """A channel's name; its id where the catalogue has none."""
    known = TEXTS.get(f"channel_{channel}")
    return gettext(known, locale) if known else channel


def join_names(names: Iterable[str], locale: str) -> str:
    """Names as a list in the language."""
    return ("、" if locale == "zh" else ", ").join(names)


def choose_locale(requested: str, own: str, accepted: str) -> str:
    """The language of a page: asked for by `?lang=`, else the customer's own, else the browser's, else English.

    `own` and `accepted` are a locale such as `pl-PL` and an Accept-Language header, either may be empty.
    """
    for locale in (requested, own):
        if (found := _supported(locale)) is not None:
            return found
    return next((found for tag in _ranked(accepted) if (found := _supported(tag)) is not None), "en")


def _supported(locale: str) -> str | None:
    """The language there is a catalogue in for a locale: that very locale, else its language."""
    known = {name.replace("_", "-").lower(): name for name in languages()}
    return known.get(locale.replace("_", "-").lower()) or known.get(language(locale))


def _ranked(accepted: str) -> Sequence[str]:
    """Language tags of an Accept-Language header (RFC 9110 §12.5.4), the most wanted first."""
    ranked: list[tuple[float, str]] = []
    for part in accepted[:500].split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if weight > 0:
            ranked.append((-weight, tag))
    return [tag for _, tag in sorted(ranked, key=lambda one: one[0])]
