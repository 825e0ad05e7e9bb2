"""The commands from an empty folder to every customer's stage, on real purchases, against figures worked out apart."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

import workspaces
from conftest import ENGINES, Postgres
from keepers.app.operations.events import EventIntake
from keepers.http.application import create_app
from keepers.scores.rhythm import Fit
from stories import shop_figures
from workspaces import keepers

END = datetime(1998, 7, 1)
THEN = datetime(1997, 10, 1)
ORDERS = ["--event", "Order Completed", "--profile", "who", "--time", "date", "--time-format", "%Y%m%d"]
ORDERS += ["--columns", "master,who,date,cds,dollars", "--delimiter", "whitespace"]
ORDERS += ["--property", "total=dollars", "--property", "cds=cds", "--now", "1998-07-01"]
CONDITION = "{did: purchase, count: {gte: 2}, within: 180d}\n"


@pytest.fixture
def cdnow(shared_data: Path) -> Path:
    return shared_data / "cdnow" / "CDNOW_sample.txt"


def purchases_of(file: Path) -> shop_figures.Purchases:
    rows = [line.split() for line in file.read_text().splitlines() if line.strip()]
    return shop_figures.occasions([(row[1], datetime.strptime(row[2], "%Y%m%d")) for row in rows])


def json_of(folder: Path, *arguments: object) -> Any:
    """A command's JSON answer."""
    ran = keepers("-w", folder, *arguments, "--json")
    assert ran.code == 0, ran
    return ran.json


def stages(folder: Path, now: datetime | None = None, lifecycle: str = "value") -> dict[str, int]:
    moment = ["--now", now.isoformat()] if now else []
    return {s["id"]: s["profiles"] for s in json_of(folder, "stages", lifecycle, *moment)["stages"]}


def frozen_gaps(folder: Path) -> tuple[float, float]:
    """The shop's typical and longest gap as they were frozen, in days."""
    with workspaces.opened(folder) as workspace:
        live = workspace.active_playbook()
        fit = live.figures.get("rhythm", Fit())
    day = timedelta(days=1)
    return fit.typical_gap / day, fit.longest_gap / day


def test_a_shop_from_its_order_file_to_everybodys_stage(tmp_path: Path, cdnow: Path) -> None:
    folder, purchases = tmp_path / "shop", purchases_of(cdnow)
    made = keepers("init", folder, "--lifecycle", "value", "--json").json
    assert {kind for kind, token in made["keys"].items() if token} == {"write", "server", "secret"}
    preview = json_of(folder, "import", cdnow, *ORDERS, "--dry-run")
    assert (len(preview["sample"]), preview["problems"]) == (5, [])
    report = json_of(folder, "import", cdnow, *ORDERS)
    assert (report["rows"], report["loaded"], report["rejected"]) == (6919, 6919, 0)
    assert len(purchases) == 2357
    assert json_of(folder, "import", cdnow, *ORDERS)["loaded"] == 0
    ticked = json_of(folder, "tick", "--until-idle", "--now", END.isoformat())
    assert ticked["now"] == "1998-07-01T00:00:00Z"

    typical, longest = frozen_gaps(folder)
    assert typical == pytest.approx(shop_figures.typical_gap(purchases, END), abs=0.01)
    assert longest == pytest.approx(shop_figures.longest_gap(purchases), abs=0.01)
    for now in (None, END, THEN, datetime(1997, 1, 15)):
        wanted = shop_figures.value_stages(purchases, typical, longest, now or END)
        assert stages(folder, now) == wanted
    assert sum(stages(folder).values()) == 2357

    condition = tmp_path / "often.yaml"
    condition.write_text(CONDITION)
    for now in (END, THEN):
        often = sum(sum(now - timedelta(days=180) < at <= now for at in times) >= 2 for times in purchases.values())
        assert json_of(folder, "count", condition, "--now", now.isoformat())["count"] == often
    active = stages(folder)
    assert json_of(folder, "count", "active")["count"] == active["new"] + active["loyal"]

    moved = json_of(folder, "moves", "value", "--since", THEN.isoformat())
    net: dict[str | None, int] = dict.fromkeys([*active, None], 0)
    for move in moved["counts"]:
        net[move["source"]] -= move["profiles"]
        net[move["target"]] += move["profiles"]
    before = stages(folder, THEN)
    assert {stage: active[stage] - before[stage] for stage in active} == {stage: net[stage] for stage in active}

    who, times = max(purchases.items(), key=lambda item: (len(item[1]), item[0]))
    profile = json_of(folder, "profile", who)
    assert profile["identities"] == [{"kind": "user_id", "value": who}]
    (place,) = [place for place in profile["lifecycles"] if place["lifecycle"] == "value"]
    assert place["stage"] == ("loyal" if shop_figures.lost_at(times, typical, longest) > END else "churned")
    assert profile["last_events"][0]["time"].startswith(times[-1].date().isoformat())

    assert json_of(folder, "check")["errors"] == 0
    assert json_of(folder, "plan")["changes"] == []
    _edit_and_apply(folder, purchases)
    doctor = json_of(folder, "doctor")
    assert (doctor["events"], doctor["profiles"], doctor["inbox"], doctor["dirty"]) == (6919, 2357, 0, 0)
    assert len(json_of(folder, "templates")["items"]) == 11
    assert json_of(folder, "rebuild") == {"rebuilt": True}
    assert stages(folder) == active


def _edit_and_apply(folder: Path, purchases: shop_figures.Purchases) -> None:
    """A new segment: planned with its count, applied, answered at the next tick, then taken out again."""
    fans = sum(len(times) >= 5 for times in purchases.values())
    workspaces.write_playbook(folder, {"segments": [{"id": "fans", "who": {"did": "purchase", "count": {"gte": 5}}}]})
    plan = json_of(folder, "plan")
    assert [(c["key"], c["action"]) for c in plan["changes"]] == [("segment/fans", "add")]
    (flow,) = plan["flows"]
    assert (flow["before"], flow["after"], flow["enter"], flow["leave"]) == (0, fans, fans, 0)
    assert json_of(folder, "apply")["applied"] == [{"key": "segment/fans", "action": "add"}]
    assert json_of(folder, "tick", "--now", END.isoformat())["changes"] == fans
    assert json_of(folder, "count", "fans")["count"] == fans
    (folder / "playbook" / "own.yaml").unlink()
    assert json_of(folder, "apply")["applied"] == [{"key": "segment/fans", "action": "remove"}]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_orders_by_file_and_over_http_are_the_same_shop(
    engine: str, tmp_path: Path, cdnow: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if engine == "postgres" else None
    part = tmp_path / "part.txt"
    lines = [line for line in cdnow.read_text().splitlines() if line.strip() and int(line.split()[1]) <= 100]
    part.write_text("\n".join(lines) + "\n")
    ended, addresses = [], []
    for way in ("file", "http"):
        if postgres:
            addresses.append(postgres.empty())
            monkeypatch.setenv("KEEPERS_STORE_URL", addresses[-1])
        folder = tmp_path / way
        made = keepers("init", folder, "--lifecycle", "value", "--json").json
        assert keepers("-w", folder, "tick", "--now", "1996-12-01").code == 0
        if way == "file":
            assert json_of(folder, "import", part, *ORDERS)["loaded"] == len(lines)
        else:
            _send(folder, lines, made["keys"]["server"])
        for now in ("1997-03-01", "1998-07-01"):
            json_of(folder, "tick", "--until-idle", "--now", now)
        answers = [stages(folder, now) for now in (None, THEN, datetime(1997, 2, 1))]
        assert answers[0] == shop_figures.value_stages(purchases_of(part), *frozen_gaps(folder), END)
        with workspaces.opened(folder) as workspace:
            outcome = workspaces.outcome(workspace)
            assert workspace.store.is_sqlite == (engine == "sqlite")
        tracked = [(who, event, time) for who, _, event, time, *_ in outcome.tracks]
        ended.append((answers, tracked, outcome.states, outcome.changes, outcome.fold))
        assert json_of(folder, "doctor")["inbox"] == 0
    assert ended[0] == ended[1]
    for address in addresses:
        if postgres:
            postgres.drop(address)


def _send(folder: Path, lines: list[str], token: str) -> None:
    calls = []
    for line in lines:
        _, who, date, cds, dollars = line.split()
        time = datetime.strptime(date, "%Y%m%d").isoformat() + "Z"
        properties = {"total": float(dollars), "cds": int(cds)}
        track = {"type": "track", "event": "Order Completed", "userId": who, "timestamp": time}
        calls.append({**track, "properties": properties})
    with workspaces.opened(folder) as workspace:
        app = create_app(EventIntake(workspace.store), clock=lambda: END)
        with TestClient(app) as client:
            for start in range(0, len(calls), 100):
                answer = client.post("/v1/batch", json={"batch": calls[start : start + 100]}, auth=(token, ""))
                assert answer.json() == {"success": True}


def test_a_gift_shops_invoices_with_known_figures(tmp_path: Path, shared_data: Path) -> None:
    file = shared_data / "online_retail" / "online_retail_2010_2011.parquet"
    folder = tmp_path / "gifts"
    assert keepers("init", folder, "--lifecycle", "value", "--zone", "Europe/London").code == 0
    options = ["--event", "Order Completed", "--profile", "CustomerID", "--time", "InvoiceDate", "--now", "2012-01-01"]
    options += ["--property", "quantity=Quantity", "--property", "price=UnitPrice", "--property", "order_id=InvoiceNo"]
    report = json_of(folder, "import", file, *options)
    assert (report["rows"], report["loaded"], report["rejected"]) == (541_909, 541_909 - 135_080, 135_080)
    assert "CustomerID" in report["problems"][0]["reason"] or "profile" in report["problems"][0]["reason"]
    json_of(folder, "tick", "--until-idle", "--now", "2012-01-01")
    condition = tmp_path / "bought.yaml"
    condition.write_text("{did: Order Completed, where: {quantity: {gt: 0}}}\n")
    assert json_of(folder, "count", condition)["count"] == 4339
    assert sum(stages(folder).values()) == 4372
    with workspaces.opened(folder) as workspace:
        query = "SELECT count(*), sum(quantity * price)::DECIMAL(20,3)::VARCHAR FROM order_completed WHERE quantity > 0"
        assert workspace.warehouse.cursor().execute(query).fetchall() == [(397_924, "8911407.904")]
