"""Answers about journeys, messages and consent as examples for the OpenAPI document."""

from __future__ import annotations

from typing import Any

_AT = "2026-03-02T10:00:00Z"
_SINCE = "2026-03-01T09:00:00Z"
_NEXT = "pMJVvnfeqiQ-_Dp7WzUwXQ"

_GOAL = {"reason": "goal", "says": "reached the goal", "number": 310}
_SUMMARY: dict[str, Any] = {
    "id": "welcome",
    "name": "Welcome",
    "description": "Greets whoever signs up",
    "version": 2,
    "is_paused": False,
    "entered": 1204,
    "active": 41,
    "ended": [_GOAL],
    "messages": {"sent": 1180, "skipped": 24},
}
JOURNEY_LIST: dict[str, Any] = {"items": [_SUMMARY]}
JOURNEY: dict[str, Any] = _SUMMARY | {
    "enter": ["event Signed Up"],
    "if": "not (did purchase)",
    "goal": "did purchase",
    "versions": [{"version": 2, "active": 41}],
    "refused": [{"reason": "already_entered", "says": "the customer has been in it, and may enter once", "number": 12}],
    "steps": [
        {
            "id": "hello",
            "kind": "message",
            "name": "",
            "entered": 1204,
            "waiting": 0,
            "passed": 1204,
            "dropped": [],
            "messages": {"sent": 1180, "skipped": 24},
            "skipped": [{"reason": "no_consent", "says": "the customer has not agreed to this topic", "number": 24}],
        }
    ],
    "body": {"id": "welcome", "enter": [{"event": "Signed Up"}], "steps": [{"id": "hello", "message": "hello"}]},
}
_RUN: dict[str, Any] = {
    "id": 7,
    "journey": "welcome",
    "version": 2,
    "profile": "ann",
    "profile_id": 12,
    "status": "active",
    "reason": "",
    "step": "rest",
    "is_paused": False,
    "is_test": False,
    "entered_at": _SINCE,
    "since": _SINCE,
    "wake_at": "2026-03-04T09:00:00Z",
    "ended_at": None,
    "trigger": {"event": "Signed Up", "time": _SINCE, "plan": "pro"},
}
RUN_PAGE: dict[str, Any] = {"items": [_RUN], "next": _NEXT}
RUN_ENDED: dict[str, Any] = _RUN | {"status": "ended", "reason": "removed by hand", "wake_at": None, "ended_at": _AT}
PAUSED: dict[str, Any] = {"journey": "welcome", "is_paused": True, "runs": 0}
ENROLLED: dict[str, Any] = {"journey": "welcome", "segment": None, "count": 1, "enrolled": 1}
SCHEMAS: dict[str, Any] = {"journey": {"title": "Journey", "type": "object"}, "contact": {"type": "object"}}
_SENT: dict[str, Any] = {
    "at": _AT,
    "kind": "message",
    "code": "sent",
    "says": "“hello” was sent.",
    "reason": "",
    "journey": "welcome",
    "step": "hello",
    "run": 7,
    "message": 31,
    "data": {"template": "hello", "channel": "email", "topic": "newsletter"},
}
WHY: dict[str, Any] = {
    "profile": "ann",
    "profile_id": 12,
    "as_of": _AT,
    "waiting": [
        {
            "run": 7,
            "journey": "welcome",
            "version": 2,
            "step": "rest",
            "since": _SINCE,
            "until": "2026-03-04T09:00:00Z",
            "waits_for": "",
            "leaves": ["did purchase"],
            "is_paused": False,
            "says": "Waits at the step “rest” of the journey “welcome”; until 2026-03-04T09:00:00Z.",
        }
    ],
    "lines": [_SENT],
    "not_yet": None,
}
_MESSAGE: dict[str, Any] = {
    "id": 31,
    "key": "mkz4ssvd6gacqnyfy2ub4vqd",
    "message": "hello",
    "channel": "email",
    "topic": "newsletter",
    "status": "sent",
    "reason": "",
    "why": "",
    "profile": "ann",
    "profile_id": 12,
    "recipient": "ann@example.com",
    "journey": "welcome",
    "version": 2,
    "step": "hello",
    "visit": 1,
    "run_id": 7,
    "broadcast": None,
    "is_transactional": False,
    "template_version": 1,
    "locale": "en",
    "attempts": 1,
    "message_id": "<mkz4ssvd6gacqnyfy2ub4vqd@shop.example>",
    "provider_id": None,
    "decided_at": _SINCE,
    "send_after": _SINCE,
    "expires_at": "2026-03-04T09:00:00Z",
    "handed_over_at": _AT,
    "sent_at": _AT,
}
MESSAGE_PAGE: dict[str, Any] = {"items": [_MESSAGE], "next": _NEXT}
MESSAGE_STORY: dict[str, Any] = {
    "message": _MESSAGE,
    "timeline": [_SENT],
    "links": [{"url": "https://shop.example/", "people": 1, "machines": 2}],
    "data": {"trigger": {"event": "Signed Up", "plan": "pro"}},
    "has_copy": True,
}
COPY: dict[str, Any] = {
    "subject": "Good to have you here",
    "html": "<!doctype html>…",
    "text": "Good to have you here",
    "title": "",
    "url": "",
    "locale": "en",
    "data": {},
    "kept_until": "2027-04-02T10:00:00Z",
}
PREVIEW: dict[str, Any] = {
    "message": "welcome_hello",
    "channel": "email",
    "topic": "lifecycle",
    "profile": "ann",
    "content": COPY | {"kept_until": None},
}
RETRIED: dict[str, Any] = {"asked": 1, "queued": 1}
_STATEMENT: dict[str, Any] = {
    "channel": "email",
    "topic": "newsletter",
    "state": "subscribed",
    "at": _SINCE,
    "source": "checkout",
    "wording": "Yes, send me news",
    "basis": "consent",
}
CONSENTS: dict[str, Any] = {
    "profile": "ann",
    "profile_id": 12,
    "topics": [
        {
            "channel": "email",
            "topic": "newsletter",
            "name": "News",
            "kind": "marketing",
            "basis": "consent",
            "state": "subscribed",
            "since": _SINCE,
            "may_be_written_to": True,
        }
    ],
    "statements": [_STATEMENT],
}
RECORDED: dict[str, Any] = {"profile": "ann", "changed": True} | _STATEMENT
SUPPRESSION_PAGE: dict[str, Any] = {
    "items": [
        {
            "channel": "email",
            "hash": "50266b50cf0b9b71ae43a3055ac13b51d14c14b31b5e968b3ca6ff854b75c83e",
            "reason": "hard_bounce",
            "at": _AT,
            "source": "dsn",
            "detail": "5.1.1 no such user",
        }
    ],
    "next": None,
}
POOL_LIST: dict[str, Any] = {
    "items": [{"pool": "gift", "name": "A gift", "left": 310, "taken": 190, "low": 50, "is_low": False}]
}
CODES_ADDED: dict[str, Any] = {"pool": "gift", "read": 500, "added": 480, "known_already": 20}
_BRAKE: dict[str, Any] = {"stream": "email.marketing", "holds": True, "reason": "complaints", "at": _AT}
SENDING_STATE: dict[str, Any] = {
    "is_sending": True,
    "reason": "",
    "since": None,
    "brakes": [_BRAKE],
    "warnings": [],
}
