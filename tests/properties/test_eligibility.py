"""One eligibility: the store, a broadcast's sets and a dry run load the same facts of a world, and decide the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple, cast, get_args

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from keepers.broadcasts.audience_filter import AudienceFilter
from keepers.broadcasts.audiences import Member
from keepers.broadcasts.context import BroadcastContext
from keepers.contact.eligibility import ALLOW, SAME_ADDRESS, Allow, Contact, Decision, Hold, MessageCandidate, Skip
from keepers.contact.places import ContactHistory, OtherMessage
from keepers.contact.rules import ContactRules, Priority, parse_contact
from keepers.contact.wave import EligibilityWave, RecipientFacts
from keepers.delivery import warm_up
from keepers.journeys.broadcast import Broadcast
from keepers.journeys.requests import CheckEligibility
from keepers.model.consent import Consent, ConsentState, HoldsFor, SuppressionReason, Topic, address_hash
from keepers.orchestration.dry_run.recorded_effects import DryRun, Known
from keepers.render.definition import MessageTemplate
from keepers.store.database import Store
from keepers.store.messages import claims, messages, sending_switches
from keepers.store.messages.contact_history import StoredEligibility, candidate_of
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.warehouse.profile_lookup import ProfileSnapshot

SECRET = b"s" * 32
EPOCH = datetime(2026, 3, 4)
ADDRESSES = {"email": "email", "sms": "phone"}
SPELLINGS = {
    "email": ("a@x.example", "A@x.example", "b@x.example"),
    "sms": ("+48601100200", "+48 601 100 200", "+48601100201"),
}
TOPICS = {
    "news": Topic("news"),
    "hints": Topic("hints", basis="legitimate_interest"),
    "orders": Topic("orders", kind="transactional", basis="contract"),
}
LASTING = (
    "unconfirmed_address",
    "suppressed.",
    "no_address",
    "unsubscribed",
    "no_consent",
    "consent_pending",
    "sunset",
)
HOUR = timedelta(hours=1)

CHANNEL = st.sampled_from(["email", "sms"])
RANK = st.integers(0, 3)
AGO = st.sampled_from([0, 1, 2, 23, 24, 25, 60, 24 * 6, 24 * 7, 24 * 8]).map(lambda hours: hours * HOUR)
EXPIRY = st.sampled_from([None, None, None, -1, 0, 1, 5, 30]).map(lambda hours: None if hours is None else hours * HOUR)


class Customer(NamedTuple):
    zone: str
    country: str | None
    email: str | None
    phone: str | None
    silent: timedelta | None
    """how long ago they engaged last"""
    active: timedelta | None
    """how long ago they were active last"""
    is_unconfirmed: bool = False
    """their addresses are known from public keys alone"""

    def address(self, channel: str) -> str | None:
        return self.email if channel == "email" else self.phone


class Mail(NamedTuple):
    """A message of the world; `sent` how long ago, or waiting until so long from now."""

    customer: int
    channel: str
    topic: str
    priority: int
    decided: timedelta
    sent: timedelta | None
    waits: timedelta
    expires: timedelta | None


class ContactScenario(NamedTuple):
    now: datetime
    rules: ContactRules
    customers: list[Customer]
    agreed: list[tuple[int, str, str, ConsentState, timedelta, HoldsFor | None]]
    """customer, channel, topic, state, how long ago, and for whom: with the address of the customer, or None without"""
    suppressed: list[tuple[str, str, SuppressionReason]]
    mails: list[Mail]
    is_stopped: bool
    stopped_stream: str | None

    def hash(self, channel: str, recipient: str | None) -> str:
        return address_hash(SECRET, channel, recipient) if recipient else ""

    def contact(self, n: int, *, is_active: bool = True) -> Contact:
        customer = self.customers[n]
        active = self.now - customer.active if is_active and customer.active is not None else None
        engaged = self.now - customer.silent if customer.silent is not None else None
        unconfirmed = tuple(ADDRESSES) if customer.is_unconfirmed else ()
        return Contact(customer.zone, customer.country, active, engaged, unconfirmed)

    def rows(self) -> list[MessageRow]:
        made = []
        for n, mail in enumerate(self.mails):
            recipient = self.customers[mail.customer].address(mail.channel)
            sent = self.now - mail.sent if mail.sent is not None else None
            decided = self.now - mail.decided - (mail.sent or timedelta(0))
            made.append(
                MessageRow(
                    f"m{n}", mail.customer + 1, "m", mail.channel, mail.topic, recipient or "",
                    self.hash(mail.channel, recipient), decided, sent or self.now + mail.waits,
                    status="sent" if sent else "held", is_transactional=mail.topic == "orders",
                    priority=mail.priority, expires_at=self.now + mail.expires if mail.expires is not None else None,
                    counted_at=None if mail.topic == "orders" else sent, data=self.contact(mail.customer).data(),
                )
            )  # fmt: skip
        return made


def some_rules() -> st.SearchStrategy[ContactRules]:
    windows = st.dictionaries(st.sampled_from(["1d", "2d", "7d"]), st.sampled_from([1, 2, 1, 0, 3]), max_size=2)
    caps = st.fixed_dictionaries(dict.fromkeys(("email", "sms", "push", "all"), windows))
    hours = [{"from": "21:00", "to": "07:00"}, {"from": "08:00", "to": "20:00", "sundays": True}]
    quiet = st.sampled_from([{}, {}, {}, *hours])
    sunset = st.none() | st.just({"after": "30d", "grace": "2d"})
    return st.builds(
        lambda caps, email, sms, sunset: parse_contact(
            {"caps": caps, "quiet": {"email": email, "sms": sms}, "sunset": sunset}
        ),
        caps, quiet, quiet, sunset,
    )  # fmt: skip


@st.composite
def scenarios(draw: st.DrawFn) -> ContactScenario:
    customer = st.builds(
        Customer,
        zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
        country=st.sampled_from([None, "PL", "JP"]),
        email=st.sampled_from([*SPELLINGS["email"], *SPELLINGS["email"], None]),
        phone=st.sampled_from([*SPELLINGS["sms"], *SPELLINGS["sms"], None]),
        silent=st.sampled_from([None, 1, 31, 32, 33]).map(lambda days: None if days is None else timedelta(days=days)),
        active=st.none() | st.sampled_from([1, 3]).map(lambda hours: hours * HOUR),
        is_unconfirmed=st.sampled_from([False, False, False, False, True]),
    )
    customers = draw(st.lists(customer, min_size=1, max_size=3))
    who = st.integers(0, len(customers) - 1)
    topic = st.sampled_from([*TOPICS, "*"])
    said_for = st.sampled_from([None, *get_args(HoldsFor)])
    agreed = st.tuples(who, CHANNEL, topic, st.sampled_from(get_args(ConsentState)), AGO, said_for)
    usual: list[tuple[int, str, str, ConsentState, timedelta, HoldsFor | None]] = [
        (n, channel, "news", "subscribed", 9 * 24 * HOUR, None) for n in range(len(customers)) for channel in ADDRESSES
    ]
    stopped = CHANNEL.flatmap(
        lambda channel: st.tuples(
            st.just(channel), st.sampled_from(SPELLINGS[channel]), st.sampled_from(get_args(SuppressionReason))
        )
    )
    mail = st.builds(
        Mail, customer=who, channel=CHANNEL, topic=st.sampled_from(["news", *TOPICS]), priority=RANK, decided=AGO,
        sent=st.none() | AGO, waits=st.sampled_from([0, -1, 0, -1, 5, 24, 25]).map(lambda hours: hours * HOUR),
        expires=EXPIRY,
    )  # fmt: skip
    return ContactScenario(
        now=EPOCH + draw(st.integers(0, 7 * 24)) * HOUR,
        rules=draw(some_rules()),
        customers=customers,
        agreed=usual + draw(st.lists(agreed, max_size=3)),
        suppressed=draw(st.lists(stopped, max_size=1)),
        mails=draw(st.lists(mail, min_size=3, max_size=9)),
        is_stopped=draw(st.sampled_from([False, False, False, False, True])),
        stopped_stream=draw(
            st.sampled_from([None, None, None, "email.marketing", "sms.marketing", "email.transactional"])
        ),
    )


class _UndoError(Exception):
    """Rolls back what an example put into the store."""


@contextmanager
def stored(store: Store, scenario: ContactScenario) -> Iterator[Connection]:
    """The world in the store, until the end of the example."""
    try:
        with store.begin() as connection:
            messages.queue(connection, scenario.rows())
            statements = [
                Consent(
                    n + 1,
                    channel,
                    topic,
                    state,
                    scenario.now - ago,
                    "form",
                    address_hash=scenario.hash(channel, scenario.customers[n].address(channel)) if said_for else "",
                    holds_for=said_for or "person",
                )
                for n, channel, topic, state, ago, said_for in scenario.agreed
            ]
            consents.record(connection, statements, scenario.now, is_import=True)
            listed = [
                Suppression(channel, scenario.hash(channel, address), reason, scenario.now)
                for channel, address, reason in scenario.suppressed
            ]
            suppressions.add(connection, listed)
            yield connection
            raise _UndoError
    except _UndoError:
        pass


def switch_off(connection: Connection, scenario: ContactScenario) -> None:
    if scenario.is_stopped:
        sending_switches.put(connection, sending_switches.SENDING, False, "", scenario.now)
    if scenario.stopped_stream:
        sending_switches.set_breaker(connection, scenario.stopped_stream, True, "complaints", scenario.now)


def all_messages(connection: Connection) -> list[MessageRow]:
    return list(map(messages.message_of, connection.execute(messages.columns).all()))


def due_messages(connection: Connection, scenario: ContactScenario) -> list[MessageRow]:
    """Those that may be handed over now, best priority first."""
    rows = [m for m in all_messages(connection) if m.status == "held" and m.send_after <= scenario.now]
    return sorted(rows, key=lambda m: (m.priority, m.id))


def others(connection: Connection) -> list[OtherMessage]:
    """Every marketing message, by no condition of a loader's."""
    return [
        OtherMessage(
            m.id, m.profile_id, m.address_hash, m.channel, m.priority, m.decided_at, m.send_after, m.expires_at,
            m.counted_at,
        )
        for m in all_messages(connection)
        if not m.is_transactional
    ]  # fmt: skip


def in_bulk(
    connection: Connection, scenario: ContactScenario, template: MessageTemplate, queued_at: datetime
) -> tuple[list[Decision], int]:
    """A broadcast's decisions about all customers, and the priority of its messages."""
    context = BroadcastContext(Broadcast("b", "m"), 1, {"m": template}, {}, TOPICS, scenario.rules, {})
    addresses = [customer.address(template.channel) for customer in scenario.customers]
    hashes = [scenario.hash(template.channel, address) for address in addresses]
    members = [
        Member(
            n + 1, f"{n}", customer.zone, customer.country, addresses[n], hashes.count(hashes[n]) > 1,
            scenario.contact(n).engaged_at, "{}", customer.is_unconfirmed,
        )
        for n, customer in enumerate(scenario.customers)
    ]  # fmt: skip
    decided = AudienceFilter(context, SECRET, queued_at).decide(connection, members, queued_at)
    return [_decision(verdict) for verdict in decided], context.priority


def _decision(verdict: Any) -> Decision:
    if verdict.reason:
        return Skip(verdict.reason)
    return Hold(verdict.at, "quiet_hours") if verdict.is_held else ALLOW


def in_a_dry_run(connection: Connection, scenario: ContactScenario, template: MessageTemplate) -> list[Decision]:
    """A replayed journey's decisions about all customers."""
    index = SimpleNamespace(
        playbook=SimpleNamespace(messages={"m": template}, contact=scenario.rules, topics=TOPICS),
        live={},
        rank=lambda template, journey: scenario.rules.rank(template.priority),
    )
    stated = consents.load_all(connection, range(1, len(scenario.customers) + 1), {})
    listed = {one[:2]: one for one in suppressions.everything(connection)}
    contacts = {n + 1: scenario.contact(n) for n in range(len(scenario.customers))}
    engaged = {who: [contact.engaged_at] for who, contact in contacts.items() if contact.engaged_at is not None}
    known = Known(stated, listed, {}, engaged, others(connection))
    dry_run = DryRun(cast(Any, index), ADDRESSES, SECRET, scenario.rules, TOPICS, known)
    question = CheckEligibility(("m",))
    jobs = [SimpleNamespace(answers={}, at=scenario.now, run=SimpleNamespace(journey="j")) for _ in scenario.customers]
    profiles = [
        ProfileSnapshot(
            n + 1,
            f"{n}",
            c.zone,
            {"country": c.country, "email": c.email, "phone": c.phone},
            unconfirmed=frozenset(ADDRESSES.values()) if c.is_unconfirmed else frozenset(),
        )
        for n, c in enumerate(scenario.customers)
    ]
    dry_run.check([(cast(Any, job), profiles[n], question) for n, job in enumerate(jobs)], scenario.now)
    return [cast(Decision, job.answers[question]) for job in jobs]


CROWDED = ContactScenario(
    now=EPOCH,
    rules=parse_contact({"caps": {"email": {"1d": 1}, "all": {}}, "quiet": {"email": {}}}),
    customers=[Customer("UTC", None, f"{name}@x.example", None, None, None) for name in "abc"],
    agreed=[(n, "email", "news", "subscribed", 9 * 24 * HOUR, None) for n in range(3)],
    suppressed=[],
    mails=[
        Mail(0, "email", "news", 3, HOUR, None, 0 * HOUR, None),
        Mail(0, "email", "news", 0, HOUR, None, 5 * HOUR, None),
        Mail(1, "email", "news", 3, HOUR, HOUR, 0 * HOUR, None),
    ],
    is_stopped=False,
    stopped_stream=None,
)
"""a better message waits for the one customer, the other had one, and the third is like them with a place left"""


@example(scenario=CROWDED, channel="email", topic="news", priority="newsletter")
@given(
    scenario=scenarios(),
    channel=CHANNEL,
    topic=st.sampled_from([*TOPICS]),
    priority=st.sampled_from(get_args(Priority)),
)
@settings(max_examples=100, derandomize=False, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_live_in_bulk_and_in_a_dry_run_the_same_messages_may_go(
    store: Store, scenario: ContactScenario, channel: Any, topic: str, priority: Priority
) -> None:
    template = MessageTemplate("m", channel, topic, {}, priority=priority, expires=timedelta(days=30))
    eligibility = StoredEligibility(scenario.rules, TOPICS, SECRET)

    def live(connection: Connection, priority: int) -> list[Decision]:
        candidates = [
            MessageCandidate(
                n + 1, channel, topic, customer.address(channel), priority, topic == "orders",
                contact=scenario.contact(n, is_active=False), decided_at=scenario.now,
            )
            for n, customer in enumerate(scenario.customers)
        ]  # fmt: skip
        wave = eligibility.decide(connection, candidates, scenario.now)
        singly = [eligibility.decide(connection, [candidate], scenario.now)[0] for candidate in candidates]
        assert wave == singly
        return wave

    with stored(store, scenario) as connection:
        assert in_a_dry_run(connection, scenario, template) == live(connection, scenario.rules.rank(priority))
        bulk, newsletter = in_bulk(connection, scenario, template, scenario.now)
        assert bulk == once_an_address(scenario, channel, live(connection, newsletter))


def once_an_address(scenario: ContactScenario, channel: str, decisions: Sequence[Decision]) -> list[Decision]:
    """What a broadcast adds: of customers with one address the first who may be written to gets it."""
    taken: set[str] = set()
    found: list[Decision] = []
    for customer, decision in zip(scenario.customers, decisions, strict=True):
        hashed = scenario.hash(channel, customer.address(channel))
        is_lasting = isinstance(decision, Skip) and decision.reason.startswith(LASTING)
        if not is_lasting and hashed in taken:
            decision = Skip(SAME_ADDRESS)
        if not isinstance(decision, Skip):
            taken.add(hashed)
        found.append(decision)
    return found


def handed_over(
    connection: Connection, scenario: ContactScenario, rules: ContactRules, at_once: bool
) -> list[Decision]:
    """Decisions about all that is due, by priority: in one wave, or one message after the other is written down."""
    due = due_messages(connection, scenario)
    eligibility = StoredEligibility(rules, TOPICS, SECRET)
    found: list[Decision] = []
    for some in [due] if at_once else [[one] for one in due]:
        candidates = [candidate_of(one) for one in some]
        allowance = warm_up.load_allowance(connection, rules, scenario.now)
        decided = eligibility.decide(connection, candidates, scenario.now, reserving=True, allowance=allowance)
        if allowance is not None:
            warm_up.save_allowance(connection, allowance, scenario.now)
        for one, decision in zip(some, decided, strict=True):
            match decision:
                case Allow():
                    claims.claim(connection, "w", [one], scenario.now)
                case Hold(until, reason):
                    claims.postpone(connection, "held", [(one, reason, until)], scenario.now)
                case Skip(reason):
                    claims.skip(connection, [(one, reason)], scenario.now)
        found += decided
    return found


def holds_for(said: Consent, message: MessageRow) -> bool:
    """Whether a statement is about a message's customer (nobody here has a user id) or its address."""
    same_address = said.address_hash == message.address_hash != ""
    if said.profile_id == message.profile_id:
        return said.holds_for != "address" or same_address
    return said.holds_for != "visitor" and same_address


def in_memory(connection: Connection, scenario: ContactScenario, rules: ContactRules) -> list[Decision]:
    """The same from the world as it was made, without a loader."""
    due = due_messages(connection, scenario)
    stops = sending_switches.stops(sending_switches.everything(connection))
    allowance = warm_up.load_allowance(connection, rules, scenario.now)
    wave = EligibilityWave(rules, TOPICS, ContactHistory(others(connection)), stops, allowance)
    stated = list(consents.everything(connection))
    listed = {one[:2]: one.reason for one in suppressions.everything(connection)}
    found = []
    for one in due:
        own = [
            (one_statement.at, n, one_statement.state)
            for n, one_statement in enumerate(stated)
            if one_statement.channel == one.channel
            and one_statement.topic in (one.topic, "*")
            and holds_for(one_statement, one)
        ]
        decided = [said for said in own if said[2] != "pending"]
        is_confirmed = any(
            said.profile_id == one.profile_id
            and said.channel == one.channel
            and said.address_hash == one.address_hash != ""
            and said.state == "subscribed"
            and said.holds_for != "visitor"
            and said.topic in (one.topic, "*")
            for said in stated
        )
        recipient = RecipientFacts(
            max(decided or own)[2] if own else None,
            listed.get((one.channel, one.address_hash)),
            scenario.contact(one.profile_id - 1),
            is_confirmed=is_confirmed,
        )
        found.append(wave.decide(candidate_of(one), recipient, scenario.now, reserving=True))
    return found


@example(scenario=CROWDED, ramp=None)
@example(scenario=CROWDED, ramp=1)
@given(scenario=scenarios(), ramp=st.none() | st.integers(1, 3))
@settings(max_examples=100, derandomize=False, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_places_are_given_alike_to_a_wave_and_to_one_message_after_the_other(
    sqlite_store: Store, scenario: ContactScenario, ramp: int | None
) -> None:
    steps = parse_contact({"warm_up": [{"day": 1, "most": ramp}]}).warm_up if ramp else ()
    rules = _with_ramp(scenario.rules, steps)
    found = []
    for at_once in (True, False):
        with stored(sqlite_store, scenario) as connection:
            switch_off(connection, scenario)
            found.append(in_memory(connection, scenario, rules))
            found.append(handed_over(connection, scenario, rules, at_once))
    assert all(one == found[0] for one in found[1:])


def _with_ramp(rules: ContactRules, steps: Any) -> ContactRules:
    return ContactRules(caps=rules.caps, quiet=rules.quiet, sunset=rules.sunset, warm_up=steps)
