"""Ledger, tiers, referral and offers. Arrives with loyalty."""
