"""Local time over changes of clocks, quiet hours and caps, in any zone at any instant."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from keepers.contact.eligibility import ALLOW, Facts, Hold, decide
from keepers.contact.local_time import next_open, next_time, quiet_until, to_instant, to_local
from keepers.contact.rules import ContactRules
from keepers.model.channels import COUNTED
from keepers.warehouse.zone_offsets import offset_at, to_utc
from profiles import examples

ZONES = st.sampled_from(
    [
        "UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns",
        "Africa/Casablanca", "America/Santiago", "Pacific/Chatham", "Asia/Tehran",
    ]
)  # fmt: skip
INSTANTS = st.one_of(
    st.datetimes(datetime(2023, 1, 1), datetime(2032, 1, 1)),
    # near the changes of clocks of Warsaw, New York and Lord Howe in 2026
    st.sampled_from(
        ["2026-03-29 01:00", "2026-10-25 01:00", "2026-03-08 07:00", "2026-11-01 06:00", "2026-10-03 15:30"]
    )
    .map(datetime.fromisoformat)
    .flatmap(lambda t: st.timedeltas(timedelta(hours=-30), timedelta(hours=30)).map(lambda d: t + d)),
)
CLOCKS = st.times().map(lambda t: t.replace(second=0, microsecond=0))
DAYS = st.sets(st.integers(0, 6), min_size=1).map(frozenset)
HALF_A_DAY = timedelta(hours=12)


def never(day: date) -> bool:
    return False


@given(INSTANTS, ZONES)
def test_wall_time_is_that_of_the_warehouse(instant: datetime, zone: str) -> None:
    local = to_local(instant, zone)
    assert local == instant + offset_at(zone, instant)
    assert to_instant(local, zone) == to_utc(zone, local)
    assert to_instant(local, zone) <= instant


@given(INSTANTS, ZONES, CLOCKS, DAYS)
def test_the_next_time_is_the_first_after_and_shows_on_the_clock(
    after: datetime, zone: str, clock: time, weekdays: frozenset[int]
) -> None:
    found = next_time(zone, after, clock, weekdays)
    assert after < found <= after + timedelta(days=8, hours=2)
    local = to_local(found, zone)
    in_gap = to_local(to_instant(local, zone), zone) == local and local.time() != clock
    assert local.time() == clock or in_gap
    assert (local.weekday() in weekdays) or in_gap


@given(INSTANTS, ZONES, CLOCKS)
def test_a_daily_time_happens_once_each_local_day(start: datetime, zone: str, clock: time) -> None:
    moment, days = start, []
    for _ in range(5):
        moment = next_time(zone, moment, clock)
        days.append(to_local(moment, zone).date())
    assert days == [days[0] + timedelta(days=n) for n in range(5)]


@given(INSTANTS, ZONES, CLOCKS, CLOCKS, DAYS)
def test_a_window_is_open_when_it_opens(
    now: datetime, zone: str, start: time, end: time, weekdays: frozenset[int]
) -> None:
    opens = next_open(zone, now, start, end, weekdays)
    assert opens >= now
    assert next_open(zone, opens, start, end, weekdays) == opens
    if opens > now:
        just_before = opens - timedelta(microseconds=1)
        assert next_open(zone, just_before, start, end, weekdays) == opens


@given(INSTANTS, ZONES, CLOCKS, CLOCKS, st.booleans())
def test_when_quiet_is_over_it_is_not_quiet_and_was_until_then(
    now: datetime, zone: str, start: time, end: time, sundays: bool
) -> None:
    if start == end:
        return  # quiet all day, every day

    def is_closed(day: date) -> bool:
        return sundays and day.weekday() == 6

    until = quiet_until(zone, now, start, end, is_closed)
    if until is None:
        return
    assert until > now
    assert quiet_until(zone, until, start, end, is_closed) is None
    assert quiet_until(zone, until - timedelta(microseconds=1), start, end, is_closed) == until


@examples(0.6)
@given(
    st.lists(st.tuples(st.sampled_from(COUNTED), st.timedeltas(timedelta(0), timedelta(days=3))), max_size=60),
    ZONES,
)
def test_caps_are_never_exceeded_and_nothing_goes_out_at_night(
    attempts: list[tuple[str, timedelta]], zone: str
) -> None:
    rules = ContactRules()
    now = datetime(2026, 3, 20, 12)
    sent: dict[str, tuple[datetime, ...]] = {}
    for channel, pause in attempts:
        now += pause
        facts = Facts(now=now, zone=zone, channel=channel, recipient="a", consent="subscribed", country="PL", sent=sent)
        decision = decide(rules, facts)
        if isinstance(decision, Hold):
            now = decision.until
            facts = Facts(
                now=now, zone=zone, channel=channel, recipient="a", consent="subscribed", country="PL", sent=sent
            )
            decision = decide(rules, facts)
            assert not isinstance(decision, Hold)
        if decision == ALLOW:
            sent[channel] = (*sent.get(channel, ()), now)
            hour = to_local(now, zone).hour
            assert 7 <= hour < 21 if channel == "email" else 9 <= hour < 20
    for scope, windows in rules.windows.items():
        times = sorted(t for channel, at in sent.items() if scope in ("all", channel) for t in at)
        for window, most, _ in windows:
            assert all(later - earlier >= window for earlier, later in zip(times, times[most:], strict=False))
