"""`account`: member of an account for which a condition holds. The inner condition is a definition of its own."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from keepers.conditions import ast
from keepers.conditions.comparisons import sure
from keepers.conditions.compile.features import Features, Finish, Term
from keepers.conditions.compile.tables import STATES, table
from keepers.conditions.lazy_ibis import ibis

ACCOUNT = "account:"
"""what the ids of hidden definitions of accounts begin with"""


def account_definition(leaf: ast.Account) -> str:
    """The id of the hidden segment of accounts that answers the inner condition: a hash of it."""
    body = msgspec.json.encode(leaf.condition, enc_hook=str)
    return ACCOUNT + hashlib.sha256(body).hexdigest()[:16]


def account(leaf: ast.Account, features: Features) -> Finish:
    """Reads the answers of the hidden definition through present memberships.

    Anybody may say that they belong to an account, so of trusted rows alone nobody does.
    """
    if features.mode.trusted_only:
        return lambda row: Term(ibis.literal(False))
    name = features.name("a")
    query_id = features.query_ids[account_definition(leaf)]
    features.own_table(lambda: _members(query_id, features, name))

    def finish(row: Any) -> Term:
        return Term(sure(row[f"{name}_holds"]), (), (row[f"{name}_next"],), {"accounts": row[f"{name}_count"]})

    return finish


def _members(query_id: int, features: Features, name: str) -> Any:
    members = features.subject_rows.members()
    if features.mode.scoped:
        joined = members.join(features.subject_rows.scope, [("member_id", "profile_id")])
        members = joined.select("member_id", "account_id", "since", "now")
    else:
        members = members.mutate(now=features.mode.now())
    states = table(features.mode.states, STATES)
    holding = states.filter((states.query_id == query_id) & (states.value == 1)).select(holder=states.profile_id)
    rows = members.left_join(holding, [("account_id", "holder")])
    is_member = rows.since <= rows.now
    return (
        rows.group_by("member_id")
        .aggregate(
            **{
                f"{name}_holds": (is_member & rows.holder.notnull()).any(),
                f"{name}_count": rows.holder.nunique(where=is_member),
                f"{name}_next": rows.since.min(where=rows.since > rows.now),
            }
        )
        .rename(profile_id="member_id")
    )
