"""Answers as examples for the OpenAPI document; a test holds each against the type it is an example of."""

from __future__ import annotations

from typing import Any

_AT = "2026-03-02T10:00:00Z"
_SINCE = "2026-01-14T16:20:00Z"
_NEXT = "pMJVvnfeqiQ-_Dp7WzUwXQ"

PROFILE_PAGE: dict[str, Any] = {
    "items": [
        {
            "id": "#12",
            "kind": "person",
            "known_since": "2025-11-03T08:15:00Z",
            "zone": "Europe/Warsaw",
            "identities": [{"kind": "user_id", "value": "ann"}],
            "traits": {"country": "PL"},
            "since": _SINCE,
        }
    ],
    "next": _NEXT,
}
_WHY: dict[str, Any] = {
    "says": "did Order Completed in the last 60d",
    "holds": True,
    "seen": {"count": 2},
    "parts": [],
}
PROFILE: dict[str, Any] = {
    "id": "#12",
    "kind": "person",
    "as_of": _AT,
    "known_since": "2025-11-03T08:15:00Z",
    "zone": "Europe/Warsaw",
    "identities": [{"kind": "user_id", "value": "ann"}],
    "traits": {"country": "PL"},
    "rhythm": {"due_at": "2026-04-01T09:00:00Z", "rhythm_days": 46.0},
    "segments": [{"id": "regulars", "name": "Regulars", "in": True, "since": _SINCE, "why": _WHY}],
    "lifecycles": [
        {
            "lifecycle": "value",
            "name": "Customer value",
            "stage": "loyal",
            "since": _SINCE,
            "stages": [{"id": "loyal", "name": "Loyal customers", "in": True, "since": _SINCE, "why": _WHY}],
        }
    ],
}
TIMELINE_PAGE: dict[str, Any] = {
    "items": [
        {"time": _SINCE, "kind": "track", "name": "Order Completed", "data": {"total": 49.9}},
        {
            "time": _SINCE,
            "kind": "change",
            "name": "lifecycle:value",
            "data": {"from": "new", "to": "loyal", "cause": "event:Order Completed", "initial": False},
        },
    ],
    "next": None,
}
_SEGMENT: dict[str, Any] = {
    "id": "regulars",
    "name": "Regulars",
    "description": "Five orders or more",
    "of": "person",
    "says": "did Order Completed at least 5",
    "count": 4210,
}
SEGMENT_LIST: dict[str, Any] = {"as_of": _AT, "items": [_SEGMENT]}
SEGMENT: dict[str, Any] = _SEGMENT | {
    "as_of": _AT,
    "version": 2,
    "who": {"did": "Order Completed", "count": {"gte": 5}},
}
LIFECYCLE_LIST: dict[str, Any] = {
    "as_of": _AT,
    "items": [
        {
            "id": "value",
            "name": "Customer value",
            "description": "",
            "of": "person",
            "phases_of": None,
            "stages": [
                {"id": "new", "name": "New customers", "profiles": 1204},
                {"id": "loyal", "name": "Loyal customers", "profiles": 7691},
            ],
        }
    ],
}
LIFECYCLE: dict[str, Any] = {
    "id": "value",
    "name": "Customer value",
    "description": "",
    "of": "person",
    "as_of": _AT,
    "version": 1,
    "stages": [
        {
            "id": "new",
            "name": "New customers",
            "profiles": 1204,
            "says": "did purchase exactly 1",
            "description": "Bought once",
            "needs": ["Onboarding and support"],
            "signals": ["First purchase"],
            "touchpoints": ["Welcome e-mail"],
            "metrics": ["Repeat rate"],
        }
    ],
    "body": {"id": "value", "stages": [{"id": "new", "when": {"did": "purchase", "count": 1}}]},
}
HISTORY: dict[str, Any] = {
    "lifecycle": "value",
    "stages": ["potential", "new", "loyal", "churned"],
    "points": [{"at": _AT, "profiles": [310, 1204, 7691, 15879]}],
}
MOVES: dict[str, Any] = {
    "lifecycle": "value",
    "since": "2026-02-23T10:00:00Z",
    "until": _AT,
    "is_recorded": True,
    "counts": [{"source": "new", "target": "loyal", "profiles": 30}],
    "latest": [
        {
            "profile": "#12",
            "identity": "ann",
            "source": "new",
            "target": "loyal",
            "at": "2026-03-01T16:20:00Z",
            "cause": "event:Order Completed",
        }
    ],
}
COUNTED: dict[str, Any] = {"count": 2469, "as_of": _AT}
DESCRIBED: dict[str, Any] = {"says": "did Order Completed at least 2", "of": "person"}
_BODY: dict[str, Any] = {"id": "regulars", "who": {"did": "Order Completed", "count": {"gte": 5}}}
DEFINITION_LIST: dict[str, Any] = {
    "items": [{"kind": "segment", "id": "regulars", "version": 2, "applied_at": _SINCE, "body": _BODY}]
}
DEFINITION_VERSIONS: dict[str, Any] = {
    "kind": "segment",
    "id": "regulars",
    "versions": [{"version": 2, "applied_at": _SINCE, "is_active": True, "body": _BODY}],
}
PLAN: dict[str, Any] = {
    "now": _AT,
    "changes": [
        {
            "key": "segment/regulars",
            "action": "change",
            "file": "playbook/regulars.yaml",
            "line": 2,
            "answers_change": True,
        }
    ],
    "flows": [
        {"definition": "segment:regulars", "stage": "in", "before": 4210, "after": 3877, "enter": 0, "leave": 333}
    ],
    "refits_rhythm": False,
}
APPLIED: dict[str, Any] = {
    "applied": [{"key": "segment/regulars", "action": "change"}],
    "files": ["regulars.yaml"],
}
IMPORT_REPORT: dict[str, Any] = {
    "rows": 69659,
    "loaded": 69659,
    "rejected": 0,
    "duplicates_skipped": 0,
    "seconds": 2.2,
    "problems": [],
}
LEDGER: dict[str, Any] = {
    "items": [
        {
            "file_sha256": "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef",
            "mapping_sha256": "48e4e9463d7ccf010073164760886adbc7db035e144bb77f02483a91ebe3b4fc",
            "chunks": 1,
            "lines": 69660,
            "rows": 69659,
            "rejected": 0,
            "first_at": _SINCE,
            "last_at": _SINCE,
        }
    ]
}
HEALTH: dict[str, Any] = {
    "status": "ok",
    "trouble": "",
    "is_ticking": True,
    "last_tick": _AT,
    "tick_seconds": 0.04,
    "inbox_requests": 0,
    "lag_seconds": 0.0,
    "log_seq": 81220,
    "loaded_seq": 81220,
    "profiles": 23570,
    "events": 69659,
}
