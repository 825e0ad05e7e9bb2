"""The shipped rules put customers where DEFAULTS says: short histories, answered by the real evaluator.

Rhythm figures are the defaults: P = 60 days, so a one-time buyer slips after 120 days and is lost after 240 or
the shop's longest gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from keepers.evaluation.active_queries import ActiveQueries, Definitions, build
from keepers.evaluation.evaluator import Evaluator
from keepers.playbook.shipped import lifecycles as catalog
from keepers.scores.registry import configured_scores
from keepers.scores.rhythm import Fit
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from warehouse_rows import START, Row, row

NOW = START + timedelta(days=800)
PERSON, ACCOUNT, COLLEAGUE = 1, 2, 3
Story = list[tuple[Any, ...]]
"""(event, days ago[, properties[, who]]), the oldest first or not"""

ORDER = "Order Completed"
VIEWS: Story = [("Product Viewed", 6), ("Product Viewed", 5)]
LOST: Story = [(ORDER, 700)]
ONCE: Story = [(ORDER, 50)]
TWICE: Story = [(ORDER, 130), (ORDER, 50)]
FOUR: Story = [(ORDER, n) for n in (230, 170, 110, 50)]
FOUR_SLIPPING: Story = [(ORDER, n) for n in (330, 270, 210, 150)]
REVIEW: Story = [("Product Reviewed", 20, {"rating": 5, "review_body": "Warm and light"})]
FRESH: Story = [(ORDER, 3, {"order_id": "A"})]
COMPLAINT: Story = [("Complaint Opened", 9, {"complaint_id": "c1"})]


def _queries() -> ActiveQueries:
    shipped = catalog.shipped()
    return build(
        Definitions(
            shipped.events,
            shipped.segments,
            shipped.lifecycles,
            configured_scores(figures={"rhythm": Fit(longest_gap=timedelta(days=240))}),
        )
    )


QUERIES = _queries()


PEOPLE: dict[str, tuple[Story, str]] = {
    "a stranger": (
        [],
        "three-phase=collect three-phase-steps=identify-audience funnel=awareness value=potential "
        "value-phases=introduction finders-keepers=awareness attract-advocate=attract "
        "acquisition-advocacy=acquisition discovery-referral=discovery four-stage=acquisition six-stage=awareness "
        "journey=awareness",
    ),
    "one view only": ([("Product Viewed", 5)], "finders-keepers=awareness funnel=awareness journey=awareness"),
    "interest": (
        VIEWS,
        "three-phase=convert three-phase-steps=inform funnel=consideration value=potential "
        "finders-keepers=consideration attract-advocate=convert acquisition-advocacy=acquisition journey=deliberation",
    ),
    "interest long ago": ([("Signed Up", 40)], "finders-keepers=awareness three-phase-steps=connect journey=awareness"),
    "a machine's click": ([("Email Link Clicked", 2, {"machine": True})], "finders-keepers=awareness"),
    "known by e-mail": ([("traits", 20, {"email": "a@example.com"})], "three-phase-steps=reach"),
    "a question": ([("Question Asked", 50)], "funnel=engagement finders-keepers=awareness"),
    "a cart": ([("Product Added", 9)], "three-phase-steps=offer journey=decision three-phase=convert"),
    "a cart gone cold": ([("Product Added", 20)], "three-phase-steps=inform journey=deliberation"),
    "a quote": ([("Quote Sent", 9, {"quote_id": "q"})], "three-phase-steps=offer journey=decision"),
    "a quote declined": (
        [("Quote Sent", 9, {"quote_id": "q"}), ("Quote Declined", 2, {"quote_id": "q"})],
        "three-phase-steps=identify-audience journey=awareness",
    ),
    "a comparison": ([("Products Compared", 9)], "journey=decision three-phase=collect"),
    "a checkout": ([("Checkout Started", 3)], "three-phase-steps=close"),
    "a sales task": ([("Sales Task Created", 3)], "three-phase-steps=close three-phase=convert"),
    "a fresh order": (
        FRESH,
        "three-phase=create three-phase-steps=deliver funnel=conversion value=new value-phases=nurture "
        "finders-keepers=purchase attract-advocate=fulfil acquisition-advocacy=onboarding four-stage=onboarding "
        "discovery-referral=purchase six-stage=purchase journey=purchase",
    ),
    "an order cancelled": ([*FRESH, ("Order Cancelled", 1, {"order_id": "A"})], "value=potential journey=awareness"),
    "a test order": ([(ORDER, 3, {"test": True})], "value=potential"),
    "undelivered for 40 days": ([(ORDER, 40, {"order_id": "A"})], "attract-advocate=fulfil journey=purchase"),
    "undelivered for 46 days": (
        [(ORDER, 46, {"order_id": "A"})],
        "attract-advocate=retain journey=post-purchase three-phase-steps=grow acquisition-advocacy=onboarding",
    ),
    "delivered 10 days ago": (
        [(ORDER, 30, {"order_id": "A"}), ("Order Delivered", 10, {"order_id": "A"})],
        "attract-advocate=fulfil journey=purchase acquisition-advocacy=onboarding",
    ),
    "delivered 20 days ago": (
        [(ORDER, 30, {"order_id": "A"}), ("Order Delivered", 20, {"order_id": "A"})],
        "attract-advocate=retain journey=post-purchase acquisition-advocacy=onboarding",
    ),
    "delivered 31 days ago": (
        [(ORDER, 35, {"order_id": "A"}), ("Order Delivered", 31, {"order_id": "A"})],
        "acquisition-advocacy=engagement four-stage=engagement",
    ),
    "one delivered, one on its way": (
        [(ORDER, 40, {"order_id": "A"}), ("Order Delivered", 35, {"order_id": "A"}), (ORDER, 20, {"order_id": "B"})],
        "attract-advocate=fulfil four-stage=retention",
    ),
    "two orders on one day": ([(ORDER, 50), (ORDER, 49.9)], "value=new"),
    "once": (ONCE, "value=new value-phases=nurture attract-advocate=retain journey=post-purchase funnel=conversion"),
    "once, slipping": ([(ORDER, 130)], "value=new value-phases=maintenance finders-keepers=purchase"),
    "twice": (
        TWICE,
        "three-phase-steps=grow funnel=retention value=loyal value-phases=maturity finders-keepers=retention "
        "discovery-referral=loyalty acquisition-advocacy=retention four-stage=retention six-stage=retention",
    ),
    "lost": (
        LOST,
        "three-phase=collect three-phase-steps=identify-audience funnel=consideration value=churned "
        "value-phases=maintenance finders-keepers=consideration attract-advocate=attract "
        "acquisition-advocacy=acquisition discovery-referral=interest six-stage=consideration journey=awareness",
    ),
    "lost, looking again": ([*LOST, *VIEWS], "attract-advocate=convert three-phase=convert journey=deliberation"),
    "four on time": (FOUR, "funnel=loyalty six-stage=retention value=loyal"),
    "four, slipping": (FOUR_SLIPPING, "funnel=retention value=loyal value-phases=maintenance"),
    "three and an advocate": ([*FOUR[1:], *REVIEW], "funnel=loyalty six-stage=advocacy"),
    "an advocate": (
        [*TWICE, *REVIEW],
        "finders-keepers=advocacy acquisition-advocacy=advocacy attract-advocate=advocate six-stage=advocacy "
        "discovery-referral=loyalty funnel=retention",
    ),
    "an advocate with four": ([*FOUR, *REVIEW], "six-stage=loyalty funnel=loyalty"),
    "an advocate with a code": ([*TWICE, *REVIEW, ("Invite Sent", 30)], "discovery-referral=referral"),
    "an advocate waiting": ([*TWICE, *FRESH, *REVIEW], "attract-advocate=fulfil finders-keepers=advocacy"),
    "three stars": ([*TWICE, ("Product Reviewed", 20, {"rating": 3, "review_body": "So-so"})], "six-stage=retention"),
    "stars without words": ([*TWICE, ("Product Reviewed", 20, {"rating": 5})], "six-stage=retention"),
    "nine without a share": ([*TWICE, ("NPS Answered", 20, {"score": 9})], "six-stage=retention"),
    "nine with a share": (
        [*TWICE, ("NPS Answered", 20, {"score": 9}), ("Product Shared", 300)],
        "six-stage=advocacy discovery-referral=loyalty",
    ),
    "a referral a year ago": ([*TWICE, ("Referral Converted", 366)], "six-stage=retention"),
    "a referral": ([*TWICE, ("Referral Converted", 360)], "six-stage=advocacy"),
    "an open complaint": ([*TWICE, *REVIEW, *COMPLAINT], "six-stage=retention"),
    "a complaint resolved": (
        [*TWICE, *REVIEW, *COMPLAINT, ("Complaint Resolved", 4, {"complaint_id": "c1"})],
        "six-stage=advocacy",
    ),
    "another one resolved": (
        [*TWICE, *REVIEW, *COMPLAINT, ("Complaint Resolved", 4, {"complaint_id": "c0"})],
        "six-stage=retention",
    ),
    "a lost advocate": ([*LOST, *REVIEW], "six-stage=consideration"),
}


WON: Story = [("Contract Signed", 30, {"contract_id": "k"})]
LIVE: Story = [("Contract Signed", 300, {"contract_id": "k"}), ("Went Live", 250), ("page", 9)]
COMPANIES: dict[str, tuple[Story, str, str]] = {
    "just known": ([], "awareness", "awareness"),
    "one engaged contact": ([("Product Added", 5)], "awareness", "consideration"),
    "a demo": ([("Demo Held", 20)], "consideration", "consideration"),
    "an old demo": ([("Demo Held", 40)], "awareness", "awareness"),
    "an open quote": ([("Quote Sent", 80, {"quote_id": "q"}), ("Signed In", 70)], "decision", "decision"),
    "a running trial": ([("Trial Started", 20, {"trial_id": "t"})], "decision", "decision"),
    "a trial that ended": (
        [("Trial Started", 20, {"trial_id": "t"}), ("Trial Ended", 1, {"trial_id": "t"})],
        "awareness",
        "awareness",
    ),
    "signed": (WON, "implementation", "implementation"),
    "signed and live": ([*WON, ("Went Live", 5)], "retention", "retention"),
    "signed, 90 days past": ([("Contract Signed", 95, {"contract_id": "k"})], "retention", "retention"),
    "only orders": ([(ORDER, 300), (ORDER, 100)], "retention", "retention"),
    "ended": ([*LIVE, ("Contract Ended", 5, {"contract_id": "k"})], "awareness", "awareness"),
    "silent": ([("Contract Signed", 400, {"contract_id": "k"}), ("Went Live", 350)], "awareness", "awareness"),
    "a reference": (
        [*LIVE[:2], ("Reference Given", 30), ("traits", 10, {"health": 70}, ACCOUNT)],
        "advocacy",
        "advocacy",
    ),
    "a reference, unwell": (
        [*LIVE[:2], ("Reference Given", 30), ("traits", 10, {"health": 69}, ACCOUNT)],
        "retention",
        "retention",
    ),
}


TWO_CONTACTS: Story = [("Product Added", 5), ("Product Added", 4, {}, COLLEAGUE)]


def _profile(subject: int, kind: str) -> Row:
    body = msgspec.json.encode({"kind": kind, "bucket_key": f"key {subject}"})
    return row(0, "profile", subject)._replace(body=body)


def _rows(story: Story, base: int) -> Iterator[Row]:
    """A person and a colleague in a company of their own, and what they did."""
    account = base + ACCOUNT
    yield from (_profile(base + who, "account" if who == ACCOUNT else "person") for who in (PERSON, ACCOUNT, COLLEAGUE))
    yield from (row(0, "group", base + who, other=account, traits={}) for who in (PERSON, COLLEAGUE))
    for event, ago, *more in sorted(story, key=lambda s: -s[1]):
        at = 24 * (800 - ago)
        properties, who = (*more, {})[0], more[1] if len(more) > 1 else PERSON
        if event == "traits" and who == ACCOUNT:
            yield row(0, "group", base + PERSON, other=account, at=at, traits=properties)
        elif event == "traits":
            yield row(0, "identify", base + who, at=at, traits=properties)
        else:
            yield row(0, "track", base + who, event=event, at=at, properties=properties)


Where = dict[tuple[str, int], dict[str, str]]


def _answer(stories: dict[str, Story], lifecycles: list[str]) -> Where:
    """(story, who) → lifecycle → stage. All stories are answered at once: compiling is what takes time."""
    rows = [r for n, story in enumerate(stories.values()) for r in _rows(story, 10 * n)]
    warehouse = Warehouse.open(None)
    load(warehouse, [r._replace(seq=seq) for seq, r in enumerate(rows, start=1)])
    cursor = Evaluator(warehouse).as_of(QUERIES, [f"lifecycle:{name}" for name in lifecycles], NOW)
    found: Where = {(name, who): {} for name in stories for who in (PERSON, ACCOUNT)}
    wanted = {QUERIES.by_id[f"lifecycle:{x}"].number: QUERIES.definitions.lifecycles[x] for x in lifecycles}
    names = list(stories)
    for query_id, profile_id, value in cursor.execute("SELECT query_id, profile_id, value FROM asof_states").fetchall():
        if query_id in wanted and value and profile_id % 10 != COLLEAGUE:
            found[names[profile_id // 10], profile_id % 10][wanted[query_id].id] = wanted[query_id].stages[value - 1].id
    warehouse.close()
    return found


@pytest.fixture(scope="module")
def people() -> Where:
    shop = [name for name in QUERIES.definitions.lifecycles if not name.startswith("b2b")]
    return _answer({name: story for name, (story, _) in PEOPLE.items()}, shop)


@pytest.fixture(scope="module")
def companies() -> Where:
    stories = {name: story for name, (story, *_) in COMPANIES.items()}
    return _answer({**stories, "two contacts": TWO_CONTACTS}, ["b2b", "b2b-people"])


@pytest.mark.parametrize("name", PEOPLE)
def test_people_are_where_defaults_puts_them(name: str, people: Where) -> None:
    wanted = dict(pair.split("=") for pair in PEOPLE[name][1].split())
    assert {lifecycle: people[name, PERSON].get(lifecycle) for lifecycle in wanted} == wanted


@pytest.mark.parametrize("name", COMPANIES)
def test_companies_and_their_people_are_where_defaults_puts_them(name: str, companies: Where) -> None:
    _, company, person = COMPANIES[name]
    assert companies[name, ACCOUNT]["b2b"] == company
    assert companies[name, PERSON]["b2b-people"] == person


def test_two_engaged_contacts_of_a_company_are_consideration(companies: Where) -> None:
    assert companies["two contacts", ACCOUNT]["b2b"] == "consideration"
