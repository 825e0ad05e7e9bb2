"""`keepers import`: a file's chunks straight to the warehouse and the identity tables, each exactly once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from time import monotonic
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from keepers.ingest.erased import erased_among
from keepers.ingest.imports import import_counts
from keepers.ingest.imports import stage as staging
from keepers.ingest.imports import write as writing
from keepers.ingest.imports.chunks import Chunk
from keepers.ingest.imports.mapping import ImportPreview, ImportProblem, ImportReport, Mapping
from keepers.ingest.imports.rejects import FOLDER, Rejects
from keepers.ingest.imports.scan import Scan, scan
from keepers.ingest.imports.stage import StagingPlan
from keepers.model.errors import UserError, problem
from keepers.model.moments import format_instant
from keepers.store import counters
from keepers.store.database import Store
from keepers.store.events.log import LogRow
from keepers.store.profiles import identities
from keepers.store.secret import workspace_secret
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import read_batch

__all__ = ["ImportPreview", "ImportProblem", "ImportReport", "Mapping", "dry_run", "run_import"]

_SAMPLE_ROWS = 5
_SHOWN_PROBLEMS = 20


def run_import(
    store: Store,
    warehouse: Warehouse,
    path: Path,
    mapping: Mapping,
    now: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Imports a file. A second run of the same file and mapping adds nothing; an interrupted one goes on.

    `now` (naive UTC) is when the rows were received, and the time of traits without a time column. `progress`
    is called with (lines done, lines of the file) after each chunk. Rejected rows go to `rejects/` beside the
    warehouse. Raises UserError for a file or mapping that cannot be used; nothing is then imported.
    """
    started = monotonic()
    stamp = path.stat() if path.is_file() else None
    scanned = scan(path, mapping)
    with path.open("rb") as stream:
        file_sha = file_digest(stream, "sha256").hexdigest()
    run = _Run(store, warehouse, scanned, mapping, file_sha, now)
    folder = warehouse.path.parent / FOLDER if warehouse.path is not None else None
    rejects = Rejects(folder, path.name, run.key, run.committed_line)
    for number, chunk in enumerate(scanned.chunks()):
        found = path.stat()
        if stamp is None or (found.st_size, found.st_mtime_ns) != (stamp.st_size, stamp.st_mtime_ns):
            raise UserError(
                problem("{path} changed while it was imported. Start the import again.", path=path), code="file"
            )
        run.write(number, chunk, rejects)
        if progress is not None:
            progress(chunk.last_line, scanned.lines)
    run.close()
    return ImportReport(
        rows=run.rows,
        loaded=run.loaded,
        rejected=run.rejected,
        duplicates_skipped=run.skipped,
        erased=run.erased,
        seconds=monotonic() - started,
        rejects_path=rejects.written,
        problems=rejects.first,
    )


def dry_run(path: Path, mapping: Mapping, zone: str = "UTC", now: datetime = datetime(2000, 1, 1)) -> ImportPreview:
    """What an import would do, judged by the file's first chunk; nothing is written.

    `zone` is the workspace's, `now` the time of traits without a time column.
    """
    scanned = scan(path, mapping, chunks=1)
    warehouse = Warehouse.open(None, zone=zone)
    cursor = warehouse.cursor()
    columns = {name: scanned.kinds.get(name, "text") for name in scanned.header}
    found = [ImportProblem(0, scanned.kind.remark)] if scanned.kind.remark else []
    sample: list[dict[str, Any]] = []
    rows = 0
    chunk = next(iter(scanned.chunks()), None)
    if chunk is not None:
        plan = _plan(scanned)
        rejected = staging.stage(
            cursor, chunk.cells, plan, scanned.mapping, scanned.mapping.zone or zone, now, chunk.records is None
        )
        found += sorted(chunk.rejects + staging.problems(rejected, chunk.raw_of), key=lambda p: p.line)
        rows = chunk.cells.num_rows + len(chunk.rejects)
        sample = _sample(cursor, plan, scanned.mapping, chunk)
    warehouse.close()
    return ImportPreview(
        columns, sample, found[:_SHOWN_PROBLEMS], rows, scanned.kind.encoding, scanned.kind.delimiter or None
    )


class _Run:
    """One run over one file: what is in the ledger already, and the chunks as they are written."""

    def __init__(
        self, store: Store, warehouse: Warehouse, scanned: Scan, mapping: Mapping, file_sha: str, now: datetime
    ) -> None:
        self._store = store
        self._warehouse = warehouse
        self._mapping = scanned.mapping
        self._plan = _plan(scanned)
        self._zone = scanned.mapping.zone or warehouse.zone
        self._now = now
        # Profiles found for this run's identifiers, read from the store once. After a merge meanwhile, rows of
        # the old id are found through `canon`, like any event of before the merge.
        warehouse.cursor().execute("CREATE OR REPLACE TEMP TABLE resolved (who VARCHAR, profile_id BIGINT)")
        self.key = (file_sha, mapping.fingerprint(warehouse.zone))
        ledger = warehouse.cursor().execute(
            "SELECT chunk, last_line, rows, rejected FROM import_chunks WHERE file_sha = ? AND mapping_hash = ?",
            list(self.key),
        )
        committed = ledger.fetchall()
        self._done = {(chunk, last): (rows, rejected) for chunk, last, rows, rejected in committed}
        self._in_ledger = sum(rows for _, _, rows, _ in committed)
        self.committed_line = max((last for _, last, _, _ in committed), default=0)
        self.rows = self.loaded = self.rejected = self.skipped = self.erased = 0

    def close(self) -> None:
        """Ends a run that came to the end of the file: what the ledger holds now is all there is to import."""
        with self._store.begin() as connection:
            import_counts.put(connection, *self.key, self._in_ledger)
        self._warehouse.cursor().execute("DROP TABLE resolved")

    def write(self, number: int, chunk: Chunk, rejects: Rejects) -> None:
        """Writes one chunk, unless the ledger says it was.

        Chunks are written in order, so what lies before the last committed line was, also by a version that cut files
        into other chunks. Raises UserError for a chunk of which only a part was.
        """
        if (number, chunk.last_line) in self._done:
            rows, rejected = self._done[number, chunk.last_line]
            self.skipped += rows
        elif chunk.last_line <= self.committed_line:
            rows, rejected = chunk.cells.num_rows, len(chunk.rejects)
            self.skipped += rows
        elif chunk.first_line <= self.committed_line:
            raise UserError(
                problem(
                    "An older version imported this file up to line {line}, in other pieces. Put the lines after it "
                    "into a file of their own.",
                    line=self.committed_line,
                ),
                code="file",
            )
        else:
            rows, rejected = self._write(number, chunk, rejects)
            self.loaded += rows
        self.rejected += rejected
        self.rows += rows + rejected

    def _write(self, number: int, chunk: Chunk, rejects: Rejects) -> tuple[int, int]:
        warehouse, plan, mapping = self._warehouse, self._plan, self._mapping
        with warehouse.writing():
            cursor = warehouse.cursor()
            unusable = staging.stage(cursor, chunk.cells, plan, mapping, self._zone, self._now, chunk.records is None)
            problems = sorted(chunk.rejects + staging.problems(unusable, chunk.raw_of), key=lambda p: p.line)
            rejects.add(problems, staging.who_of(chunk.cells, plan, [line for line, _ in unusable]))
            erased = self._drop_erased(cursor)
            rows = self._resolve(cursor)
            flat = chunk.records is None and writing.is_flat(plan)
            batch = None if flat else read_batch(warehouse, self._messages(cursor, chunk))
            if batch is None:
                writing.add_names(warehouse, plan, mapping)
            with warehouse.transaction() as writer:
                writing.write_profiles(writer, warehouse.zone, self._now)
                if batch is None:
                    writing.write_traits(writer, plan, mapping, self._now)
                    latest = writing.write_events(warehouse, writer, plan, mapping, self._now)
                else:
                    batch.write(writer)
                    latest = batch.latest
                writer.execute(
                    "INSERT INTO import_chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    [*self.key, number, chunk.first_line, chunk.last_line, rows, len(problems), self._now],
                )
            warehouse.latest.update(latest)
            cursor.execute("DROP TABLE numbered")
            cursor.execute("DROP TABLE staged")
        self.erased += erased
        self.rows += erased
        self._in_ledger += rows
        # Last: a crash before it makes the record too small, never too large; the next run makes it right.
        with self._store.begin() as connection:
            import_counts.raise_to(connection, *self.key, self._in_ledger)
        return rows, len(problems)

    def _drop_erased(self, cursor: duckdb.DuckDBPyConnection) -> int:
        """Takes those who were erased out of `staged`; how many rows. See `ingest/erased.py`."""
        who, _ = staging.distinct_ids(cursor)
        secret = workspace_secret(self._store)
        with self._store.read() as connection:
            erased = erased_among(connection, secret, [("user_id", one) for one in who])
        if not erased:
            return 0
        until = [one.erased_at if one.is_known else None for one in erased.values()]
        names = pa.array([value for _, value in erased], pa.string())
        cursor.register("erased_names", pa.table({"who": names, "until": pa.array(until, pa.timestamp("us"))}))
        gone = cursor.execute(
            "DELETE FROM staged USING erased_names e"
            " WHERE staged.who = e.who AND (e.until IS NULL OR staged.time <= e.until)"
        ).fetchall()
        cursor.unregister("erased_names")
        return int(gone[0][0])

    def _resolve(self, cursor: duckdb.DuckDBPyConnection) -> int:
        """Makes `numbered`: each row's profile and seq. Returns how many rows there are.

        The store commits before the warehouse does: after a crash in between the people are there already and
        some numbers are never used, and the chunk is written by the next run all the same.
        """
        who, since = staging.distinct_ids(cursor)
        rows = int(cursor.execute("SELECT count(*) FROM staged").fetchall()[0][0])
        per_row = int(bool(self._plan.traits)) + int(self._mapping.event is not None)
        with self._store.begin() as connection:
            ids, _ = identities.resolve_many(connection, "user_id", who, since, is_unproven=False)
            first = counters.reserve(connection, counters.SEQ, rows * per_row)
        found = pa.table({"who": pa.array(who, pa.string()), "profile_id": pa.array(ids, pa.int64())})
        cursor.register("found", found)
        cursor.execute("INSERT INTO resolved SELECT * FROM found")
        cursor.unregister("found")
        has_zones = bool(cursor.execute("SELECT 1 FROM zone_facts LIMIT 1").fetchall())
        writing.number_rows(cursor, first, per_row, self._warehouse.zone, has_zones)
        return rows

    def _messages(self, cursor: duckdb.DuckDBPyConnection, chunk: Chunk) -> list[LogRow]:
        """The chunk as rows of the log: nested values and traits that move a zone are read as load reads them."""
        found: list[LogRow] = []
        mapping = self._mapping
        for _, seq, profile_id, time, messages in _bodies(cursor, self._plan, mapping, chunk):
            for offset, (kind, body) in enumerate(messages):
                event = mapping.event or "" if kind == "track" else kind
                found.append(
                    LogRow(
                        seq + offset, kind, profile_id, None, event, time, self._now, time, mapping.source, body, 0,
                        "server",
                    )
                )  # fmt: skip
        return found


def _plan(scanned: Scan) -> StagingPlan:
    header = scanned.header
    if scanned.kind.format == "ndjson":
        # The cells hold the profile and the time alone; the rest is read from the parsed objects.
        names = list(dict.fromkeys(n for n in (scanned.mapping.profile, scanned.mapping.time) if n))
        header = names + [name for name in header if name not in names]
    return staging.plan(scanned.mapping, header, scanned.kinds)


def _bodies(
    cursor: duckdb.DuckDBPyConnection, plan: StagingPlan, mapping: Mapping, chunk: Chunk, limit: int | None = None
) -> list[tuple[int, int, int, datetime, list[tuple[str, bytes]]]]:
    """(line, seq, profile_id, time, [(kind, message)]) of the numbered rows, by line."""
    kinds = [kind for kind, is_there in (("identify", plan.traits), ("track", mapping.event)) if is_there]
    end = f" LIMIT {limit}" if limit is not None else ""
    if chunk.records is None:
        made = {
            "identify": writing.message_of("identify", mapping, plan.traits),
            "track": writing.message_of("track", mapping, plan.properties),
        }
        shown = ", ".join(made[kind] for kind in kinds)
        rows = cursor.execute(
            f"SELECT line, seq, profile_id, time, {shown} FROM numbered ORDER BY line{end}"
        ).fetchall()
        return [(*row[:4], [(kind, text.encode()) for kind, text in zip(kinds, row[4:], strict=True)]) for row in rows]
    found = []
    rows = cursor.execute(f"SELECT line, seq, profile_id, time, who FROM numbered ORDER BY line{end}").fetchall()
    for line, seq, profile_id, time, who in rows:
        record = chunk.records[line]
        messages = [(kind, _message(kind, mapping, record, who, time)) for kind in kinds]
        found.append((line, seq, profile_id, time, messages))
    return found


def _message(kind: str, mapping: Mapping, record: dict[str, Any], who: str, time: datetime) -> bytes:
    named = mapping.traits if kind == "identify" else mapping.properties
    held = {name: record[column] for name, column in named.items() if record.get(column) is not None}
    event = {"event": mapping.event} if kind == "track" else {}
    field = "traits" if kind == "identify" else "properties"
    return msgspec.json.encode({"type": kind, **event, "userId": who, field: held, "timestamp": format_instant(time)})


def _sample(
    cursor: duckdb.DuckDBPyConnection, plan: StagingPlan, mapping: Mapping, chunk: Chunk
) -> list[dict[str, Any]]:
    cursor.execute("CREATE TEMP TABLE numbered AS SELECT *, 0 AS seq, 0 AS profile_id FROM staged")
    rows = _bodies(cursor, plan, mapping, chunk, _SAMPLE_ROWS)
    return [msgspec.json.decode(body) for *_, messages in rows for _, body in messages]
