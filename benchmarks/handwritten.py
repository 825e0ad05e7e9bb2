"""The fifty definitions as the best SQL for DuckDB by hand: one pass per table, FILTER aggregates, no generality.

What its writer knows it makes use of: no time lies ahead, nobody was merged, traits never come from the future nor
two of one time, refunds are all past. The answers are Keepers', `changes_at` included; the benchmark asserts it.
"""

from __future__ import annotations

from datetime import datetime

from keepers.evaluation.active_queries import ActiveQueries

# {scope}: a semi-join for the live tick's subjects, or nothing.
_FIGURES = """
WITH orders AS (
    SELECT o.profile_id, o.seq, o.time, o.total, o.category, o.coupon
    FROM order_completed o
    ANTI JOIN order_refunded r ON r.profile_id = o.profile_id AND r.order_id = o.order_id
    {scope_o}
), bought AS (
    SELECT profile_id,
        count(*) AS n, min(time) AS first, max(time) AS last,
        sum(total::DECIMAL(38, 6)) AS spent,
        count(total) AS n_total,
        max(total) AS most,
        min(time) FILTER (time > {now} - INTERVAL 90 DAY) AS first90,
        sum(total::DECIMAL(38, 6)) FILTER (time > {now} - INTERVAL 90 DAY) AS spent90,
        min(time) FILTER (time > {now} - INTERVAL 365 DAY) AS first365,
        sum(total::DECIMAL(38, 6)) FILTER (time > {now} - INTERVAL 365 DAY) AS spent365,
        bool_or(category = 'shoes') AS shoes,
        count(*) FILTER (category IN ('shoes', 'boots') AND time > {now} - INTERVAL 365 DAY) AS footwear,
        min(time) FILTER (category IN ('shoes', 'boots') AND time > {now} - INTERVAL 365 DAY) AS first_footwear,
        count(coupon) AS coupons,
        max_by(total, (time, seq)) AS last_total,
        count(DISTINCT category) AS categories,
        bool_or(time >= TIMESTAMP '2025-12-01' AND time < TIMESTAMP '2026-01-01') AS christmas
    FROM orders GROUP BY profile_id
), viewed AS (
    SELECT profile_id,
        max(time) AS last,
        count(*) FILTER (time > {now} - INTERVAL 90 DAY) AS n90,
        min(time) FILTER (time > {now} - INTERVAL 90 DAY) AS first90,
        max(time) FILTER (category = 'shoes') AS last_shoes,
        count(*) FILTER (price >= 150) AS luxury,
        min(time) FILTER (price >= 150) AS first_luxury,
        min(time) AS first180,
        count(DISTINCT category) AS categories
    FROM product_viewed t WHERE time > {now} - INTERVAL 180 DAY {scope} GROUP BY profile_id
), visited AS (
    SELECT profile_id,
        max(time) AS last,
        max(time) FILTER (device = 'app') AS last_app,
        count(*) FILTER (time > {now} - INTERVAL 180 DAY) AS n180,
        min(time) FILTER (time > {now} - INTERVAL 180 DAY) AS first180,
        count(DISTINCT device) AS devices
    FROM session_started t WHERE true {scope} GROUP BY profile_id
), opened AS (
    SELECT profile_id, max(time) AS last, count(*) AS n180, min(time) AS first180
    FROM email_opened t WHERE time > {now} - INTERVAL 180 DAY {scope} GROUP BY profile_id
), carted AS (
    SELECT profile_id, max(time) AS last, min(time) AS first14, max(amount) AS most
    FROM cart_updated t WHERE time > {now} - INTERVAL 14 DAY {scope} GROUP BY profile_id
), traits AS (
    SELECT profile_id,
        max_by(text, time) FILTER (trait = 'country') AS country,
        max_by(text, time) FILTER (trait = 'plan') AS plan,
        max_by(number, time) FILTER (trait = 'points') AS points,
        max_by(boolean, time) FILTER (trait = 'consent') AS consent,
        max_by(instant, time) FILTER (trait = 'signed_up') AS signed_up
    FROM trait_values t WHERE true {scope} GROUP BY profile_id
), people AS (
    SELECT p.profile_id,
        coalesce(b.n, 0) AS orders, b.first, b.last, coalesce(b.spent, 0) AS spent, b.spent::DOUBLE / b.n_total AS mean,
        b.most, b.first90, coalesce(b.spent90, 0) AS spent90, b.first365, coalesce(b.spent365, 0) AS spent365,
        coalesce(b.shoes, false) AS shoes, coalesce(b.footwear, 0) AS footwear, b.first_footwear,
        coalesce(b.coupons, 0) AS coupons, b.last_total, coalesce(b.categories, 0) AS categories,
        coalesce(b.christmas, false) AS christmas,
        v.last AS viewed, coalesce(v.n90, 0) AS views90, v.first90 AS viewed_first90, v.last_shoes AS viewed_shoes,
        coalesce(v.luxury, 0) AS luxury, v.first_luxury, v.first180 AS viewed_first180,
        coalesce(v.categories, 0) AS viewed_categories,
        s.last AS visited, s.last_app AS visited_app, coalesce(s.n180, 0) AS visits180,
        s.first180 AS visited_first180, coalesce(s.devices, 0) AS devices,
        e.last AS opened, coalesce(e.n180, 0) AS opens180, e.first180 AS opened_first180,
        c.last AS carted, c.first14 AS carted_first14, c.most AS cart,
        coalesce(t.country, '') AS country, coalesce(t.plan, '') AS plan, t.points,
        coalesce(t.consent, false) AS consent, t.signed_up,
        coalesce(b.last > {now} - INTERVAL 90 DAY, false) AS active,
        coalesce(b.n, 0) >= 5 AS loyal,
        coalesce(b.spent, 0) >= 800 AS vip,
        coalesce(b.n, 0) > 0 AND NOT coalesce(b.last > {now} - INTERVAL 180 DAY, false) AS lapsed,
        coalesce(e.last > {now} - INTERVAL 90 DAY, false) AS engaged
    FROM profiles p
    LEFT JOIN bought b ON b.profile_id = p.profile_id
    LEFT JOIN viewed v ON v.profile_id = p.profile_id
    LEFT JOIN visited s ON s.profile_id = p.profile_id
    LEFT JOIN opened e ON e.profile_id = p.profile_id
    LEFT JOIN carted c ON c.profile_id = p.profile_id
    LEFT JOIN traits t ON t.profile_id = p.profile_id
    {scope_p}
)
"""
# id → (answer, the instants at which it may change by itself: earliest first, or one expression)
_ANSWERS: dict[str, tuple[str, tuple[tuple[str, int], ...]]] = {
    "active": ("active", (("last", 90),)),
    "buyers": ("orders > 0", ()),
    "never_bought": ("orders = 0", ()),
    "one_time": ("orders = 1", ()),
    "repeat": ("orders >= 2", ()),
    "loyal": ("loyal", ()),
    "bought_30d": ("last > {now} - INTERVAL 30 DAY", (("last", 30),)),
    "bought_7d": ("last > {now} - INTERVAL 7 DAY", (("last", 7),)),
    "lapsed": ("lapsed", (("last", 180),)),
    "spent_100_in_90d": ("spent90 >= 100", (("first90", 90),)),
    "spent_500_in_365d": ("spent365 >= 500", (("first365", 365),)),
    "vip": ("vip", ()),
    "good_basket": ("mean >= 110", ()),
    "big_basket": ("most >= 195", ()),
    "shoe_buyers": ("shoes", ()),
    "footwear_fans": ("footwear >= 2", (("first_footwear", 365),)),
    "coupon_hunters": ("coupons >= 3", ()),
    "first_bought_60d": ("first > {now} - INTERVAL 60 DAY", (("first", 60),)),
    "last_was_big": ("last_total > 150", ()),
    "all_rounders": ("categories >= 4", ()),
    "christmas_buyers": ("christmas", ()),
    "browsing_7d": ("viewed > {now} - INTERVAL 7 DAY", (("viewed", 7),)),
    "window_shoppers": ("views90 >= 2 AND NOT active", (("viewed_first90", 90), ("last", 90))),
    "shoe_viewers": ("viewed_shoes > {now} - INTERVAL 14 DAY", (("viewed_shoes", 14),)),
    "luxury_viewers": ("luxury >= 2", (("first_luxury", 180),)),
    "curious": ("viewed_categories >= 3", (("viewed_first180", 180),)),
    "not_browsing": ("coalesce(viewed <= {now} - INTERVAL 90 DAY, true)", (("viewed", 90),)),
    "app_users": ("visited_app > {now} - INTERVAL 30 DAY", (("visited_app", 30),)),
    "frequent_visitors": ("visits180 >= 3", (("visited_first180", 180),)),
    "dormant": ("visited <= {now} - INTERVAL 180 DAY", (("visited", 180),)),
    "two_devices": ("devices >= 2", ()),
    "engaged": ("engaged", (("opened", 90),)),
    "email_fans": ("opens180 >= 2", (("opened_first180", 180),)),
    "unengaged": ("opened IS NULL", (("opened", 180),)),
    "reads_but_does_not_buy": (
        "opened > {now} - INTERVAL 60 DAY AND coalesce(last <= {now} - INTERVAL 60 DAY, true)",
        (("opened", 60), ("last", 60)),
    ),
    "cart_left": (
        "carted > {now} - INTERVAL 3 DAY AND coalesce(last <= {now} - INTERVAL 3 DAY, true)",
        (("carted", 3), ("last", 3)),
    ),
    "full_cart": ("cart >= 100", (("carted_first14", 14),)),
    "poland": ("country = 'PL'", ()),
    "europe": ("country IN ('PL', 'DE', 'IT', 'FR', 'ES')", ()),
    "gold_with_points": ("plan = 'gold' AND points >= 700", ()),
    "consenting": ("consent", ()),
    "new_sign_ups": (
        "signed_up > {now} - INTERVAL 30 DAY AND signed_up <= {now}",
        (("signed_up", 0), ("signed_up", 30)),
    ),
    "local_or_poor": (
        "coalesce(country = 'DE' AND last > {now} - INTERVAL 30 DAY, false) OR (NOT consent AND points < 100)",
        (("last", 30),),
    ),
    "left_cold": (
        "NOT engaged AND coalesce(visited <= {now} - INTERVAL 90 DAY, true) AND NOT active",
        (("opened", 90), ("visited", 90), ("last", 90)),
    ),
    "at_risk": ("loyal AND NOT active", ()),
    "german_vips": ("vip AND country = 'DE'", ()),
    "win_back": ("lapsed AND engaged", ()),
    "churned_vips": ("orders > 0 AND NOT active AND vip", ()),
}
_LIFECYCLES: dict[str, tuple[str, tuple[tuple[str, int], ...]]] = {
    "value": (
        "CASE WHEN orders = 0 THEN 1 WHEN NOT active THEN 4 WHEN orders >= 2 THEN 3 ELSE 2 END",
        (),
    ),
    "interest": (
        """CASE WHEN carted > {now} - INTERVAL 7 DAY THEN 4 WHEN viewed > {now} - INTERVAL 30 DAY THEN 3
           WHEN visited IS NOT NULL THEN 2 ELSE 1 END""",
        (("viewed", 30), ("carted", 7)),
    ),
}


def sql(queries: ActiveQueries, now: datetime, *, scoped: bool = False, with_changes: bool = True) -> str:
    """profile_id, v<ask> and (`with_changes`) x<ask>, for everybody or for the profiles in table `hand_scope`."""
    parts = []
    for name, query in queries.by_id.items():
        kind, _, short = name.partition(":")
        answer, edges = (_ANSWERS if kind == "segment" else _LIFECYCLES)[short]
        value = answer if kind == "lifecycle" else f"coalesce({answer}, false)"
        parts.append(f"({value})::SMALLINT AS v{query.number}")
        if with_changes:
            parts.append(f"{_earliest(edges)} AS x{query.number}")
    semi = "AND t.profile_id IN (SELECT profile_id FROM hand_scope)"
    figures = _FIGURES.replace("{scope_o}", semi.replace("t.", "o.").replace("AND", "WHERE", 1) if scoped else "")
    figures = figures.replace("{scope_p}", semi.replace("t.", "p.").replace("AND", "WHERE", 1) if scoped else "")
    figures = figures.replace("{scope}", semi if scoped else "")
    listed = ",\n    ".join(parts)
    return f"{figures} SELECT profile_id,\n    {listed}\nFROM people".replace("{now}", f"TIMESTAMP '{now}'")


def _earliest(edges: tuple[tuple[str, int], ...]) -> str:
    if not edges:
        return "NULL::TIMESTAMP"
    ahead = [
        f"CASE WHEN {column} + INTERVAL {days} DAY > {{now}} THEN {column} + INTERVAL {days} DAY END"
        for column, days in edges
    ]
    return ahead[0] if len(ahead) == 1 else f"least({', '.join(ahead)})"
