"""Real purchase histories for the demo: CDNOW's, and any in the form of UCI's Online Retail."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from msgspec import Struct

from keepers.devtools.demo_mail import is_played, is_sampled
from keepers.model.errors import NotFoundError, UserError
from keepers.warehouse.names import literal

SAMPLE = "sample.csv"
NOBODY = "''"
Mapped = tuple[Path, dict[str, Any]]
STAMP = "'%Y-%m-%d %H:%M:%S'"
RETAIL_COLUMNS = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")


class PurchaseHistory(Struct, frozen=True):
    """A shop's history. `prepare` writes files with shifted dates into a folder and gives each with its mapping."""

    shop: str
    about: str
    first: datetime
    last: datetime
    prepare: Callable[[Path, timedelta], list[Mapped]]
    notes: tuple[str, ...] = ()
    sample: str = ""
    """the file `prepare` writes of customers whose days are played one by one, with e-mails"""


def weeks_to_shift(last: datetime, now: datetime) -> int:
    """Whole weeks by which dates move so that the history ends within the week before now."""
    return max(0, (now - timedelta(days=1) - last) // timedelta(weeks=1))


def cdnow(share: int, played: int = 100, weeks: int | None = None) -> PurchaseHistory:
    """CDNOW's master set: 23,570 customers who first bought in January to March 1997, until June 1998.

    `played` percent of them are taken, the others left out; `share` percent of those are the sample that is written to.
    With `weeks`, the history ends after so many.

    Raises NotFoundError when the data, which ship inside the lifetimes wheel, are not installed.
    """
    spec = importlib.util.find_spec("lifetimes")
    path = Path(spec.origin).parent / "datasets" / "CDNOW_master.txt" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise NotFoundError(
            "The CDNOW history is not installed. `make install` brings it, or: pip install 'keepers[demo]'.",
            code="demo",
        )
    source = path
    read = (
        f"SELECT row[1] AS customer, strptime(row[2], '%Y%m%d') AS date, row[3] AS cds, row[4] AS total"
        f" FROM (SELECT string_split_regex(trim(line), '\\s+') AS row"
        f" FROM read_csv({literal(str(path))}, columns = {{'line': 'VARCHAR'}}, header = true, delim = '\\0',"
        f" quote = '', escape = '', auto_detect = false))"
    )
    names = [name for (name,) in duckdb.execute(f"SELECT DISTINCT customer FROM ({read})").fetchall()]
    first, last = duckdb.execute(f"SELECT min(date), max(date) FROM ({read})").fetchall()[0]
    parts: list[str] = []
    if weeks is not None and first + timedelta(weeks=weeks) < last:
        last = first + timedelta(weeks=weeks)
        read = f"SELECT * FROM ({read}) WHERE date <= TIMESTAMP '{last}'"
        parts.append(f"the first {weeks} weeks")
    if played < 100:
        taken = ", ".join(literal(name) for name in names if is_played(name, played))
        read = f"SELECT * FROM ({read}) WHERE customer IN ({taken or NOBODY})"
        parts.append(f"{played} % of the customers")
    customers, purchases = duckdb.execute(f"SELECT count(DISTINCT customer), count(*) FROM ({read})").fetchall()[0]

    def prepare(folder: Path, shift: timedelta) -> list[Mapped]:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / "cdnow.csv"
        sampled = ", ".join(literal(name) for name in names if is_sampled(name, share))
        for file, part in ((target, "NOT IN"), (folder / SAMPLE, "IN")):
            duckdb.execute(
                f"COPY (SELECT customer, strftime(date + INTERVAL {shift.days} DAY, '%Y-%m-%d') AS date, cds, total"
                f" FROM ({read}) WHERE customer {part} ({sampled or NOBODY})) TO {literal(str(file))} (HEADER)"
            )
        properties = {"total": "total", "cds": "cds"}
        return [(target, {"event": "Order Completed", "profile": "customer", "time": "date", "properties": properties})]

    return PurchaseHistory(
        "CDNOW",
        f"an online music shop: {customers:,} customers, {purchases:,} purchases, {first.date()} to {last.date()} "
        f"({', '.join([f'from {source.name} of the lifetimes package', *parts])})",
        first,
        last,
        prepare,
        sample=SAMPLE if share else "",
    )


def online_retail(path: Path) -> PurchaseHistory:
    """Invoices in the form of UCI's Online Retail (Parquet or CSV). An invoice is an order; `C…` invoices cancel.

    Raises NotFoundError or UserError for a file that is not of this form.
    """
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.")
    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    table = f"{reader}({literal(str(path))})"
    try:
        columns = [row[0] for row in duckdb.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()]
    except duckdb.Error as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}", code="file") from None
    missing = [c for c in RETAIL_COLUMNS if c not in columns]
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(missing)}. The demo reads invoices with the columns "
            f"{', '.join(RETAIL_COLUMNS)}; import other files with `keepers import`.",
            code="file",
        )
    return _retail(path, table)


def _retail(path: Path, table: str) -> PurchaseHistory:
    connection = duckdb.connect()
    connection.execute(
        f"""
        CREATE TABLE lines AS
        SELECT CAST(InvoiceNo AS VARCHAR) AS invoice, CAST(InvoiceDate AS TIMESTAMP) AS time,
               TRY_CAST(CAST(CustomerID AS VARCHAR) AS DOUBLE)::BIGINT::VARCHAR AS customer,
               CAST(StockCode AS VARCHAR) AS product, Quantity AS quantity, UnitPrice AS price,
               row_number() OVER () AS line
        FROM {table}
        """
    )
    total, anonymous, first, last = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE customer IS NULL), min(time), max(time) FROM lines"
    ).fetchall()[0]
    cancelled_lines, cancelled_sum = connection.execute(
        "SELECT count(*), sum(quantity * price) FROM lines WHERE invoice LIKE 'C%' AND customer IS NOT NULL"
    ).fetchall()[0]
    connection.execute(NETTED)
    orders, voided, reduced = connection.execute(
        """
        SELECT count(*), count(*) FILTER (WHERE total <= 0.005 AND cancelled_at IS NOT NULL),
               count(*) FILTER (WHERE total > 0.005 AND cancelled_at IS NOT NULL) FROM orders
        """
    ).fetchall()[0]
    notes = (
        f"{anonymous:,} of {total:,} invoice lines name no customer: they are nobody's history and are left out.",
        f"{cancelled_lines:,} lines on cancelled invoices (Σ {cancelled_sum:,.2f}) are netted against the customer's "
        f"earlier purchases of the same product: {voided:,} of {orders:,} orders are wholly taken back and sent as "
        f"Order Cancelled, {reduced:,} count with a smaller value.",
    )

    def prepare(folder: Path, shift: timedelta) -> list[Mapped]:
        folder.mkdir(parents=True, exist_ok=True)
        completed, cancelled = folder / "orders.csv", folder / "cancellations.csv"
        days = f"INTERVAL {shift.days} DAY"
        connection.execute(
            f"COPY (SELECT customer, invoice AS order_id, strftime(time + {days}, {STAMP}) AS time,"
            f" CASE WHEN cancelled_at IS NOT NULL AND total <= 0.005 THEN gross ELSE total END AS total, items"
            f" FROM orders ORDER BY time) TO {literal(str(completed))} (HEADER)"
        )
        connection.execute(
            f"COPY (SELECT customer, invoice AS order_id, strftime(cancelled_at + {days}, {STAMP}) AS time"
            f" FROM orders WHERE total <= 0.005 AND cancelled_at IS NOT NULL ORDER BY time)"
            f" TO {literal(str(cancelled))} (HEADER)"
        )
        common = {"profile": "customer", "time": "time", "zone": "Europe/London"}
        return [
            (
                completed,
                common
                | {
                    "event": "Order Completed",
                    "properties": {"order_id": "order_id", "total": "total", "items": "items"},
                },
            ),
            (cancelled, common | {"event": "Order Cancelled", "properties": {"order_id": "order_id"}}),
        ]

    return PurchaseHistory(
        "Online Retail",
        f"a gift shop's invoices: {total:,} lines, {first.date()} to {last.date()} (from {path.name})",
        first,
        last,
        prepare,
        notes,
    )


NETTED = """
CREATE TABLE orders AS
WITH returned AS (
    SELECT customer, product, sum(-quantity) AS quantity, max(time) AS time
    FROM lines
    WHERE invoice LIKE 'C%' AND customer IS NOT NULL
    GROUP BY ALL
),
sold AS (
    SELECT *, coalesce(sum(quantity) OVER (
               PARTITION BY customer, product
               ORDER BY time DESC, invoice DESC, line DESC
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS sold_later
    FROM lines
    WHERE invoice NOT LIKE 'C%' AND customer IS NOT NULL AND quantity > 0
),
netted AS (
    SELECT s.*, r.time AS returned_at,
           greatest(0, least(s.quantity, coalesce(r.quantity, 0) - s.sold_later)) AS taken_back
    FROM sold s
    LEFT JOIN returned r ON r.customer = s.customer AND r.product = s.product
)
SELECT customer, invoice, min(time) AS time, round(sum(quantity * price), 2) AS gross, sum(quantity) AS items,
       round(sum((quantity - taken_back) * price), 2) AS total,
       greatest(min(time), max(returned_at) FILTER (WHERE taken_back > 0)) AS cancelled_at
FROM netted
GROUP BY customer, invoice
"""
"""Orders net of returns: what a customer sent back of a product is taken from the latest purchases of it."""
