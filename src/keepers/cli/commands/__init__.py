"""The commands. A module adds its commands when it is loaded, and is loaded when one of them is given."""

NAMES = {
    "broadcasts": ("broadcast",),
    "consent": ("consent", "suppress"),
    "coupons": ("coupons",),
    "customers": ("erase", "export", "count", "stages", "moves", "profile"),
    "delivery": ("deliver", "stop-sending", "start-sending", "breakers"),
    "demo": ("demo", "mailbox"),
    "dkim": ("dkim",),
    "imports": ("import",),
    "journeys": ("journeys", "journey", "enroll", "leave", "why"),
    "keys": ("keys", "audit"),
    "messages": ("messages", "message", "machine-rules", "dead-letters", "new-secret"),
    "operations": (
        *("tick", "backfill", "doctor", "rewind", "rebuild", "compact", "unmerge"),
        *("backup", "backups", "restore"),
    ),
    "playbook": ("init", "check", "plan", "apply", "templates", "rhythm"),
    "replay": ("replay",),
    "serve": ("serve", "collect", "open"),
}
"""module → the names it adds to `keepers`"""
