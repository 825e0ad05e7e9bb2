"""Commands of whoever runs sending: a key to sign with, erasing a customer, what doctor and check say of sending."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from keepers.model.consent import Consent, address_hash
from keepers.model.message import Content
from keepers.store.messages import coupons, message_copies, message_history, messages
from keepers.store.messages.coupons import CodeRequest
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import consents, suppressions
from workspaces import keepers, make, opened, send

NOW = datetime(2026, 3, 2, 10)
MARKETING = {
    "topics": [{"id": "news", "name": "News"}],
    "coupons": [{"id": "gift", "name": "Gifts", "low": 5}, {"id": "spare", "name": "Not given yet", "low": 5}],
    "messages": [
        {
            "id": "hello",
            "channel": "email",
            "topic": "news",
            "content": {
                "en": {
                    "subject": "Hello",
                    "body": "<mj-section><mj-column><mj-text><a href='{{ links.unsubscribe }}'>stop</a></mj-text>"
                    "</mj-column></mj-section>",
                }
            },
        }
    ],
    "journeys": [{"id": "hi", "enter": [{"api": True}], "steps": [{"id": "hello", "message": "hello"}]}],
    "broadcasts": [{"id": "gifts", "message": "hello", "coupon": "gift"}],
}


@pytest.fixture
def shop(tmp_path: Path, migrated_folder: Path) -> Path:
    return make(tmp_path / "shop", migrated_folder, playbook=MARKETING)


def test_a_key_is_made_once_and_its_record_shown(shop: Path) -> None:
    with (shop / "keepers.toml").open("a") as settings:
        settings.write('[channels.email]\nsender = "Shop <hello@shop.example>"\ntls = "none"\n')
    first = keepers("-w", shop, "dkim", "--kind", "ed25519", "--json").json
    assert first["record"]["name"] == "keepers._domainkey.shop.example"
    assert first["record"]["value"].startswith("v=DKIM1; k=ed25519; p=")
    assert (shop / "data" / "dkim.pem").stat().st_mode & 0o777 == 0o600
    again = keepers("-w", shop, "dkim", "--json").json
    assert (again["is_new"], again["record"]) == (False, first["record"])
    with (shop / "keepers.toml").open("a") as settings:
        settings.write('dkim_key_file = "data/dkim.pem"\n')
    with opened(shop) as workspace:
        email = workspace.sending.email()
        assert email is not None
        assert email.signer is not None


def test_doctor_and_check_say_what_sending_lacks(shop: Path) -> None:
    report = keepers("-w", shop, "doctor", "--json").json
    assert report["sending"]["switch"] == "on"
    found = " ".join(report["findings"])
    for part in ("There are messages for email", "The pool “gift” has 0 codes left", "postal address"):
        assert part in found
    assert "spare" not in found
    checked = keepers("-w", shop, "check", "--json").json
    assert {"company.address", "company.url"} <= {f["field"] for f in checked["findings"]}
    with (shop / "keepers.toml").open("a") as settings:
        settings.write('[company]\naddress = "1 Mill Lane"\nurl = "https://shop.example"\n')
    assert keepers("-w", shop, "check", "--json").json["warnings"] == 0


def test_old_copies_go_by_themselves_and_a_pool_that_runs_low_is_said_once(
    shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(shop) as workspace:
        with workspace.store.begin() as connection:
            copies = [(n, Content(subject="Hello")) for n in (1, 2)]
            message_copies.put(connection, copies[:1], NOW, timedelta(days=1))
            message_copies.put(connection, copies[1:], NOW, timedelta(days=9))
        for days in range(3):
            workspace.sending.collect_feedback(NOW + timedelta(days=days))
        with workspace.store.read() as connection:
            assert [message_copies.get(connection, n, NOW) is None for n in (1, 2)] == [True, False]
    assert [r.message for r in caplog.records if "runs low" in r.message] == [
        "The pool of codes “gift” runs low: 0 are left."
    ]


def test_erasing_leaves_nothing_but_hashes(shop: Path) -> None:
    with opened(shop) as workspace:
        calls = [
            {"type": "identify", "userId": name, "traits": {"email": f"{name}@{host}"},
             "timestamp": NOW.isoformat() + "Z"}
            for host in ("old.example", "example.com") for name in ("ida", "bob")
        ]  # fmt: skip
        calls[0]["traits"] |= {"phone": 600100200, "country": "pl"}
        send(workspace.store, NOW, calls)
        workspace.ticker.tick(NOW)
        secret, ids = workspace.secret, [workspace.find_profile(name) for name in ("ida", "bob")]
        with workspace.store.begin() as connection:
            consents.record(
                connection,
                [Consent(i, "email", "news", "subscribed", NOW, "form", holds_for="person") for i in ids],
                NOW,
            )
            rows = [
                MessageRow(
                    key=f"m{i}", profile_id=i, message="hello", channel="email", topic="news", recipient=f"{i}@old",
                    address_hash=address_hash(secret, "email", f"{name}@old.example"), decided_at=NOW,
                    send_after=NOW, status="sent", sent_at=NOW,
                )
                for i, name in zip(ids, ("ida", "bob"), strict=True)
            ]  # fmt: skip
            own = f"#{ids[0]}"
            inner = [
                msgspec.structs.replace(
                    rows[0],
                    key=channel,
                    channel=channel,
                    recipient=own,
                    address_hash=address_hash(secret, channel, own),
                )
                for channel in ("in_app", "push", "webhook")
            ]
            messages.queue(connection, inner)
            made = messages.queue(connection, rows)
            copies = [(number, Content(subject="Hello")) for number in made.values()]
            message_copies.put(connection, copies, NOW, timedelta(days=999))
            coupons.put(connection, "gift", ["A", "B"], NOW)
            coupons.assign(connection, [CodeRequest("gift", f"m{ids[0]}", ids[0])], NOW)
    assert keepers("-w", shop, "erase", "ida").code == 2
    gone = keepers("-w", shop, "erase", "ida", "--yes", "--json").json
    assert (gone["messages"], gone["message_copies"], gone["consents"], gone["coupons"]) == (4, 1, 1, 1)
    assert keepers("-w", shop, "erase", "ida", "--yes").code == 2  # nobody is known by that name any more
    with opened(shop) as workspace, workspace.store.read() as connection:
        assert set(messages.by_keys(connection, [row.key for row in rows])) == {f"m{ids[1]}"}
        assert [len(consents.history(connection, i)) for i in ids] == [0, 1]
        assert message_history.of_messages(connection, [made[f"m{ids[0]}"]]) == {}
        assert coupons.stock(connection, NOW)["gift"] == ("gift", 1, 1)
        hashes = [address_hash(secret, "email", to) for to in ("ida@example.com", "ida@old.example")]
        found = suppressions.find(connection, hashes)
        assert [found["email", h].reason for h in hashes] == ["erased", "erased"]
        phone = ("sms", address_hash(secret, "sms", "+48600100200"))
        stopped = {(one.channel, one.hash) for one in suppressions.everything(connection)}
        assert stopped == {("email", h) for h in hashes} | {phone}
