"""Browsers that may have been taken unsigned count no longer for customers, nor do the consents that came with them.

Before trust, a browser was taken with a signed user id or, by a public key, with an anonymous id, and both were stored
alike. A profile that has no anonymous id can only have signed ones. Signed browsers return with the customer's visit.
"""

from __future__ import annotations

from alembic import op

revision = "main_0011"
down_revision = "main_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    visited = "SELECT 1 FROM identities WHERE kind = 'anonymous_id' AND identities.profile_id = "
    op.execute(
        f"UPDATE push_subscriptions SET is_unproven = TRUE WHERE EXISTS ({visited}push_subscriptions.profile_id)"
    )
    op.execute(
        "UPDATE consents SET holds_for = 'visitor' WHERE channel = 'push' AND source = 'browser permission'"
        f" AND state = 'subscribed' AND EXISTS ({visited}consents.profile_id)"
    )
