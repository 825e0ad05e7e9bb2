"""When messages go: the throttle over all zones, quiet hours, and after a restart."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from keepers.broadcasts.send_times import MINUTE, Slots
from keepers.contact.rules import ContactRules, parse_contact

NOON = datetime(2026, 3, 2, 12)
LOUD = parse_contact({"quiet": {"email": {}}})


def slots(per_hour: int | None, rules: ContactRules = LOUD) -> Slots:
    return Slots(rules, "email", is_exempt=False, per_hour=per_hour)


def test_without_a_throttle_everybody_goes_at_once() -> None:
    one = slots(None)
    assert {one.assign("UTC", None, NOON) for _ in range(1000)} == {(NOON, False)}


@given(per_hour=st.integers(1, 5000), number=st.integers(1, 300))
def test_no_hour_has_more_than_it_is_given(per_hour: int, number: int) -> None:
    one = slots(per_hour)
    zones = ("UTC", "Asia/Tokyo", "Europe/Warsaw")
    times = sorted(one.assign(zones[n % 3], None, NOON + (n % 3) * 20 * MINUTE)[0] for n in range(number))
    for start in times:
        within = [at for at in times if start <= at < start + 60 * MINUTE]
        assert len(within) <= per_hour + -(-per_hour // 60), "an hour, and the minute it is cut in"


def test_a_restart_goes_on_where_it_was() -> None:
    whole, cut = slots(60), slots(60)
    wanted = [whole.assign("UTC", None, NOON)[0] for _ in range(200)]
    found = [cut.assign("UTC", None, NOON)[0] for _ in range(90)]
    again = slots(60)
    again.restore(Counter(found))
    found += [again.assign("UTC", None, NOON)[0] for _ in range(110)]
    assert found == wanted


def test_at_night_it_waits_for_the_morning() -> None:
    rules = parse_contact(None)
    night = datetime(2026, 3, 2, 22)
    assert slots(None, rules).assign("UTC", None, night) == (datetime(2026, 3, 3, 7), True)
    assert slots(None, rules).assign("America/New_York", None, night) == (night, False)
    assert Slots(rules, "email", is_exempt=True, per_hour=None).assign("UTC", None, night) == (night, False)


def test_a_throttle_that_comes_into_the_night_goes_on_in_the_morning_at_the_same_rate() -> None:
    one = slots(60, parse_contact(None))
    times = [one.assign("UTC", None, datetime(2026, 3, 2, 20))[0] for _ in range(180)]
    by_hour = Counter(at.replace(minute=0) for at in times)
    assert by_hour == {datetime(2026, 3, 2, 20): 60, datetime(2026, 3, 3, 7): 60, datetime(2026, 3, 3, 8): 60}
