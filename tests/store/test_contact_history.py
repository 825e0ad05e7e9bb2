"""What is loaded of customers to decide whether a message may go to them."""

from __future__ import annotations

from datetime import datetime, timedelta

from keepers.contact.eligibility import ALLOW, Contact, Hold, MessageCandidate
from keepers.contact.rules import parse_contact
from keepers.model.consent import Topic
from keepers.store.database import Store
from keepers.store.messages.contact_history import StoredEligibility
from keepers.store.profiles import identities

NIGHT = datetime(2026, 3, 2, 23)
ACTIVE = NIGHT - timedelta(minutes=5)


def test_anybody_can_say_that_a_customer_is_active_and_wakes_them_not(store: Store) -> None:
    """Public events lifted the quiet hours of known customers."""
    topics = {"news": Topic("news", basis="legitimate_interest")}
    eligibility = StoredEligibility(parse_contact(None), topics, b"s" * 32)
    with store.begin() as connection:
        (customer,), _ = identities.resolve_many(connection, "user_id", ["anna"], [NIGHT], is_unproven=False)
        (visitor,), _ = identities.resolve_many(connection, "anonymous_id", ["device"], [NIGHT], is_unproven=False)

        def decided(profile_id: int, contact: Contact) -> object:
            candidate = MessageCandidate(profile_id, "email", "news", f"{profile_id}@example.com", contact=contact)
            (decision,) = eligibility.decide(connection, [candidate], NIGHT)
            return decision

        by_anybody = Contact(last_activity_at=ACTIVE)
        assert decided(visitor, by_anybody) == ALLOW
        assert isinstance(decided(customer, by_anybody), Hold)
        assert decided(customer, Contact(last_activity_at=NIGHT, trusted_activity_at=ACTIVE)) == ALLOW
        before = Contact(last_activity_at=NIGHT, trusted_activity_at=NIGHT - timedelta(days=1))
        assert isinstance(decided(customer, before), Hold)
