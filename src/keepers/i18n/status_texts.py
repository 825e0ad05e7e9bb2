"""The texts of the status page by key. `{0}` stands for what its script puts in."""

from __future__ import annotations

from keepers.i18n.catalogues import TextId, gettext, text_id

TEXTS: dict[str, TextId] = {
    "title": text_id("status page", "Status"),
    "skip": text_id("status page", "Skip to content"),
    "language": text_id("status page", "Language"),
    "profiles": text_id("status page", "Profiles"),
    "events": text_id("status page", "Events"),
    "as_of": text_id("status page", "Up to date as of"),
    "waiting": text_id("status page", "Requests waiting"),
    "waited": text_id("status page", "longest: {0} s"),
    "took": text_id("status page", "last update took {0} s"),
    "lifecycle": text_id("status page", "Lifecycle"),
    "stages": text_id("status page", "Stages"),
    "over_time": text_id("status page", "Over time"),
    "moves": text_id("status page", "Moves"),
    "last_week": text_id("status page", "Last 7 days"),
    "latest": text_id("status page", "Latest moves"),
    "outside": text_id("status page", "no stage"),
    "no_moves": text_id("status page", "No moves in these seven days."),
    "as_table": text_id("status page", "Show as a table"),
    "date": text_id("status page", "Date"),
    "profile": text_id("status page", "Profile"),
    "from": text_id("status page", "From"),
    "to": text_id("status page", "To"),
    "when": text_id("status page", "When"),
    "count": text_id("status page", "Count"),
    "chart": text_id("status page", "Profiles in each stage over time. Left and right arrow keys read the values."),
    "ok": text_id("status page", "Live"),
    "paused": text_id("status page", "Not ticking"),
    "behind": text_id("status page", "Catching up"),
    "failing": text_id("status page", "Updates fail"),
    "offline": text_id("status page", "No answer"),
    "offline_text": text_id(
        "status page",
        "The server does not answer. This page tries again by itself; the figures shown are the last it received.",
    ),
    "failing_text": text_id("status page", "Updates fail and are tried again: {0}"),
    "loading": text_id("status page", "Loading…"),
    "no_script": text_id(
        "status page", "This page needs JavaScript, which is switched off here. The same figures: keepers stages"
    ),
    "empty_title": text_id("status page", "No customers yet"),
    "empty_text": text_id("status page", "Import an order history or send events: this page fills by itself."),
    "step_import": text_id("status page", "Import an order history: CSV, Parquet or NDJSON"),
    "step_send": text_id("status page", "Send an event. Any Segment SDK works too, with this address as its host"),
    "step_demo": text_id("status page", "Or look at a real shop's eighteen months first"),
    "no_lifecycle_title": text_id("status page", "No lifecycle is in force"),
    "no_lifecycle_text": text_id(
        "status page", "Put a lifecycle into the playbook folder, then apply it. These models ship with Keepers:"
    ),
    "no_history": text_id("status page", "The chart begins with the first moves. What was before can be worked out:"),
    "copy": text_id("status page", "Copy"),
    "copied": text_id("status page", "Copied"),
    "api": text_id("status page", "API description"),
    "metrics": text_id("status page", "Metrics"),
    "sign_in": text_id("status page", "Sign in"),
    "sign_out": text_id("status page", "Sign out"),
    "sign_in_link": text_id("status page", "On the server's machine, this command prints a link that signs you in:"),
    "sign_in_key": text_id("status page", "Or give a secret key that may read:"),
    "wrong_key": text_id("status page", "This key is unknown, has ended, or may not read."),
    "wrong_link": text_id("status page", "This link was used already, or is too old. The command prints another."),
    "go_on": text_id("status page", "Go on to the status page"),
    "refreshed": text_id("status page", "Refreshed {0}"),
}


def status_texts(locale: str) -> dict[str, str]:
    """Every text of the page in a language."""
    return {key: gettext(text, locale) for key, text in TEXTS.items()}
