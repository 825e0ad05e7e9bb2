"""A customer of whom everything is held that can be: for tests that look for what is left of her."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import LargeBinary, select

from keepers.app.operations.imports import ImportFile, import_file
from keepers.app.operations.maintenance import UnmergeProfile, unmerge
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.channels.email.bounces.set_aside import FOLDER, SetAside
from keepers.ingest.imports.mapping import Mapping
from keepers.model.consent import Consent, address_hash
from keepers.model.message import Content, DeliveryReport
from keepers.store.journeys import entry_rejections
from keepers.store.journeys.entry_rejections import EntryRejection
from keepers.store.messages import (
    coupons,
    delivery_reports,
    engagement_requests,
    in_app,
    message_copies,
    message_history,
    messages,
)
from keepers.store.messages.coupons import CodeRequest
from keepers.store.messages.engagement_requests import EngagementRow
from keepers.store.messages.in_app import InAppRow
from keepers.store.messages.message_history import HistoryRow
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import consents, push_subscriptions, suppressions
from keepers.store.profiles.push_subscriptions import PushSubscription
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.core import inbox_metadata, merges, metadata
from unit.app.test_locks import JOURNEY, LIFECYCLE
from unit.broadcasts.mailing import NOW, Shop, playbook
from unit.delivery.posting import Wire
from workspaces import send

NAME = "Żaneta Quelle"
USER, FORMER, OLDEST = "zq-user-7731", "zq-former-7731", "zq-oldest-7731"
DEVICES = ("zq-phone-7731", "zq-tablet-7731", "zq-kiosk-7731")
ADDRESS, FORMER_ADDRESS, PHONE = "zq.7731@quelle.example", "zq.before7731@quelle.example", "+48600777331"
VALUES = (
    NAME, USER, FORMER, OLDEST, *DEVICES, ADDRESS, FORMER_ADDRESS, PHONE,
    "zq-order-1", "zq-order-2", "zq-item-9", "zq-street 5", "zq-page", "zq-search", "zq-agent", "zq-ip-hash",
    "zq-reply", "zq-subject", "zq-html", "zq-text", "zq-push", "zq-auth", "zq-note", "zq-late", "zq-public",
    "zq-provider",
)  # fmt: skip
"""every text that is hers alone; those of other customers hold none of them"""


def make(folder: Path, migrated: Path, address: str | None = None) -> Shop:
    """A shop with her and another customer of whom the same is held."""
    written = playbook(journeys=[JOURNEY], lifecycles=[LIFECYCLE], coupons=[{"id": "gift"}])
    shop = Shop(folder, migrated, written, address)
    shop.customers(size=1)
    _live(shop)
    _import(shop, folder.parent / "orders.csv")
    shop.tick()
    shop.start()
    shop.send()
    _stored(shop)
    _files(shop.workspace)
    _arriving(shop)
    return shop


def copied(folder: Path, to: Path) -> Shop:
    """A copy of the shop's workspace on SQLite, open."""
    shutil.copytree(folder, to, symlinks=True)
    shop = Shop.__new__(Shop)
    shop.folder, shop.workspace, shop.wire = to, Workspace.open(to), Wire()
    return shop


def number(shop: Shop) -> int:
    return shop.workspace.find_profile(USER)


def _live(shop: Shop) -> None:
    """Three profiles that became one, in two steps, and one that was taken apart again and came back another way."""
    ship = {"street": "zq-street 5", "lines": [{"sku": "zq-item-9"}, {"sku": "plain"}]}
    workspace = shop.workspace
    send(workspace.store, NOW - timedelta(hours=2), [
        {"type": "page", "anonymousId": DEVICES[0], "name": "zq-page", "messageId": "z1"},
        {"type": "identify", "anonymousId": DEVICES[0], "userId": OLDEST, "messageId": "z2",
         "traits": {"email": FORMER_ADDRESS}},
        {"type": "track", "userId": FORMER, "event": "Order Completed", "messageId": "z3",
         "properties": {"order_id": "zq-order-1", "total": 20, **ship}},
        {"type": "alias", "previousId": OLDEST, "userId": FORMER, "messageId": "z4"},
        {"type": "track", "userId": "u0", "event": "Order Completed", "messageId": "o1"},
        {"type": "track", "userId": "u0-before", "event": "Looked", "messageId": "o2"},
        {"type": "track", "anonymousId": DEVICES[2], "event": "Looked", "messageId": "z5"},
        {"type": "identify", "anonymousId": DEVICES[2], "userId": "u0-before", "messageId": "z6"},
        {"type": "alias", "previousId": "u0-before", "userId": "u0", "messageId": "o3"},
    ])  # fmt: skip
    shop.tick(NOW - timedelta(hours=2))
    with workspace.store.read() as connection:
        _, kiosk = connection.execute(select(merges.c.from_id).order_by(merges.c.id.desc()).limit(2)).scalars()
    unmerge(workspace, COMMAND_LINE, UnmergeProfile(id=f"#{kiosk}"))
    send(workspace.store, NOW - timedelta(hours=1), [
        {"type": "identify", "userId": USER, "messageId": "z7",
         "traits": {"email": ADDRESS, "phone": PHONE, "first_name": NAME, "address": {"street": "zq-street 5"}}},
        {"type": "alias", "previousId": FORMER, "userId": USER, "messageId": "z8"},
        {"type": "identify", "anonymousId": DEVICES[2], "userId": USER, "messageId": "z9"},
        {"type": "group", "userId": USER, "groupId": "firm", "messageId": "z10", "traits": {"plan": "free"}},
    ])  # fmt: skip
    send(workspace.store, NOW - timedelta(hours=1), [
        {"type": "identify", "anonymousId": DEVICES[1], "userId": USER, "messageId": "z11",
         "traits": {"note": "zq-public"}},
        {"type": "track", "anonymousId": DEVICES[1], "event": "Searched", "messageId": "z12",
         "properties": {"query": "zq-search"}},
        {"type": "track", "anonymousId": DEVICES[1], "event": "Never Seen", "messageId": "z13",
         "properties": {"list": ["zq-search"]}},
    ], trust="public")  # fmt: skip
    shop.tick(NOW - timedelta(hours=1))


def _import(shop: Shop, file: Path) -> None:
    file.write_text(
        "customer,when,order,total\n"
        f"{USER},2026-02-01,zq-order-2,5\nu0,2026-02-01,plain,7\n"
        f"{USER},not a day,zq-order-2,5\nu0,not a day,plain,7\n"
    )
    mapping = Mapping(profile="customer", event="Order Completed", time="when", properties={"order_id": "order"})
    import_file(shop.workspace, COMMAND_LINE, ImportFile(path=str(file), mapping=mapping))
    file.unlink()


def _stored(shop: Shop) -> None:
    workspace = shop.workspace
    ids = {USER: number(shop), "u0": workspace.find_profile("u0")}
    at = NOW
    for who, i in ids.items():
        with workspace.store.begin() as connection:
            mine = who == USER
            to = (
                {"email": ADDRESS, "sms": PHONE, "in_app": f"#{i}", "push": f"#{i}"}
                if mine
                else {"email": "x@y.example"}
            )
            rows = [
                MessageRow(
                    key=f"{channel}{i}", profile_id=i, message="again", channel=channel, topic="news",
                    recipient=recipient, address_hash=address_hash(workspace.secret, channel, recipient),
                    decided_at=at, send_after=at, status="sent", sent_at=at, journey="j", version=1, step="mail",
                    data={"order": "zq-order-1"} if mine else {}, provider_id=f"zq-provider{channel}" if mine else None,
                )
                for channel, recipient in to.items()
            ]  # fmt: skip
            made = messages.queue(connection, rows)
            words = "zq" if mine else "other"
            content = Content(subject=f"{words}-subject", html=f"<p>{words}-html {NAME if mine else ''}</p>",
                              text=f"{words}-text", data={"note": f"{words}-note"})  # fmt: skip
            message_copies.put(connection, [(m, content) for m in made.values()], workspace.clock())
            message_history.append(
                connection, [HistoryRow(m, at, "sent", "", f"250 {words}-reply <{to['email']}>") for m in made.values()]
            )
            engagement_requests.append(
                connection,
                [EngagementRow(m, at, f"https://shop.example/{words}-page", f"{words}-agent", f"{words}-ip-hash", "GET")
                 for m in made.values()],
            )  # fmt: skip
            in_app.put(
                connection, [InAppRow(i, next(iter(made.values())), f"{words}-subject", f"{words}-text", "", at)]
            )
            push_subscriptions.put(
                connection,
                PushSubscription(
                    f"https://push.example/{words}-push", i, {"auth": f"{words}-auth"}, at, is_unproven=False
                ),
            )
            hashed = address_hash(workspace.secret, "email", to["email"])
            suppressions.add(
                connection, [Suppression("email", hashed, "hard_bounce", at, "smtp", f"550 <{to['email']}> unknown")]
            )
            entry_rejections.record(connection, [EntryRejection("j", i, at, "caps", i)])
            consents.record(
                connection,
                [
                    Consent(
                        i,
                        "email",
                        "news",
                        "subscribed",
                        at,
                        "form",
                        wording=f"{words}-note",
                        address_hash=hashed,
                        holds_for="person",
                    )
                ],
                at,
            )
    with workspace.store.begin() as connection:
        coupons.put(connection, "gift", ["A", "B"], at)
        coupons.assign(connection, [CodeRequest("gift", f"m{i}", i) for i in ids.values()], at)


def _files(workspace: Workspace) -> None:
    data = workspace.data_folder
    errors = data / "errors.log"
    errors.write_text(
        f'Traceback\n  File "keepers.py", line 12\nValueError: {ADDRESS.upper()} is odd\nAnother line\n',
        encoding="utf-8",
    )
    aside = SetAside(data / FOLDER)
    aside.put(f"To: bounces@shop.example\n\n<{ADDRESS}>: zq-reply".encode())
    aside.put(b"To: bounces@shop.example\n\n<x@y.example>: unknown")


def _arriving(shop: Shop) -> None:
    """What no tick has taken in yet."""
    send(shop.workspace.store, NOW, [
        {"type": "track", "userId": USER, "event": "Looked", "messageId": "z20", "properties": {"q": "zq-late"}},
        {"type": "track", "userId": "u0", "event": "Looked", "messageId": "z21", "properties": {"q": "plain"}},
    ])  # fmt: skip
    with shop.workspace.store.begin() as connection:
        delivery_reports.append(
            connection,
            [
                DeliveryReport(
                    "bounced", "email", NOW, recipient=FORMER_ADDRESS, is_hard=True, detail=f"550 {FORMER_ADDRESS}"
                )
            ],
        )


def forms(value: str) -> set[bytes]:
    """A value as bytes of files: UTF-8, UTF-16, and as JSON escapes it."""
    escaped = value.encode("ascii", "backslashreplace")
    return {value.encode(), value.encode("utf-16-le"), escaped, value.casefold().encode(), value.upper().encode()}


def cells(workspace: Workspace) -> Iterator[tuple[str, Any]]:
    """(table and column, value) of every cell of every table of the three stores."""
    for reading, tables in ((workspace.store.read, metadata), (workspace.store.read_inbox, inbox_metadata)):
        with reading() as connection:
            for table in tables.tables.values():
                for row in connection.execute(select(table)):
                    for column, value in zip(table.columns, row, strict=True):
                        if isinstance(column.type, LargeBinary) and table.name == "message_copies":
                            value = zlib.decompress(value)
                        yield f"{table.name}.{column.name}", value
    cursor = workspace.warehouse.cursor()
    rows = cursor.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal AND table_name <> 'zone_offsets'")
    names = [row[0] for row in rows.fetchall()]
    for name in names:
        cursor.execute(f'SELECT * FROM "{name}"')
        columns = [column[0] for column in cursor.description or ()]
        for row in cursor.fetchall():
            for column, value in zip(columns, row, strict=True):
                yield f"{name}.{column}", value


def held(workspace: Workspace) -> dict[str, set[str]]:
    """Value of hers → the columns it stands in."""
    columns: dict[str, list[bytes]] = {}
    for place, cell in cells(workspace):
        if isinstance(cell, str | bytes):
            columns.setdefault(place, []).append(cell if isinstance(cell, bytes) else cell.encode())
    return _found({place: b"\0".join(values) for place, values in columns.items()})


def _found(contents: dict[str, bytes]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for value in VALUES:
        places = {place for place, content in contents.items() if any(form in content for form in forms(value))}
        if places:
            found[value] = places
    return found


def in_files(folder: Path) -> dict[str, set[str]]:
    """Value of hers → the files it stands in, also inside of what is no text."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    return _found({str(file.relative_to(folder)): file.read_bytes() for file in files})
