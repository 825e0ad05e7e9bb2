"""Files that unpack or read into more than they are, imported in a process with little memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.ingest.imports import chunks as reading
from keepers.ingest.imports import parquet
from keepers.ingest.imports.chunks import LONGEST_LINE, csv_chunks, ndjson_chunks
from keepers.ingest.imports.file_kind import FileKind, detect
from keepers.ingest.imports.mapping import Mapping
from keepers.ingest.imports.parquet import ParquetFile
from keepers.model.errors import UserError

MAPPING = Mapping(profile="who", event="Seen", time="at")
READER = """
import sys, resource
from pathlib import Path
from keepers.ingest.imports.chunks import csv_chunks, header_of, ndjson_chunks
from keepers.ingest.imports.file_kind import detect
from keepers.ingest.imports.mapping import Mapping
from keepers.model.errors import UserError
path, mapping = Path(sys.argv[1]), Mapping(profile="who", event="Seen", time="at")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    kind = detect(path, None)
    if kind.format == "ndjson":
        chunks = ndjson_chunks(path, kind, mapping)
    else:
        chunks = csv_chunks(path, kind, header_of(path, kind, mapping), True)
    for chunk in chunks:
        for reject in chunk.rejects:
            print(reject.line, reject.reason)
        print(chunk.first_line, chunk.last_line, sum(map(bool, chunk.cells.column(1).to_pylist())))
except UserError as error:
    print(error.message)
print("memory", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def read(path: Path) -> tuple[list[str], int]:
    """What reading a file says, and the megabytes it took, in a process that is ended after 60 seconds."""
    ran = subprocess.run(
        [sys.executable, "-c", READER, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    *lines, last = ran.stdout.splitlines()
    return lines, int(last.removeprefix("memory "))


def packed(path: Path, write: Callable[[gzip.GzipFile], None], level: int = 1) -> Path:
    with gzip.open(path, "wb", level) as file:
        write(file)
    return path


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("x.csv.gz", b"who,at\nann,2026-01-01\nbob,", b"\nann,2026-01-02\n"),
        ("x.ndjson.gz", b'{"who":"ann","at":"2026-01-01"}\n{"who":"', b'"}\n{"who":"ann"}\n'),
    ],
)
def test_a_gzip_of_one_line_of_150_mb_takes_little_memory(tmp_path: Path, name: str, start: bytes, end: bytes) -> None:
    def write(file: gzip.GzipFile) -> None:
        file.write(start)
        # Noise, so that the file is not refused for how well it is packed.
        noise = bytes(33 + n * n % 89 for n in range(2048)).replace(b'"', b"'").replace(b"\\", b"/")
        block = b"".join(noise[n % 1000 :] for n in range(700))
        for _ in range(150):
            file.write(block)
        file.write(end)

    lines, memory = read(packed(tmp_path / name, write))
    assert any("longer than 1 MB" in line for line in lines), lines
    assert lines[-1].split()[2] == "2", "the other lines are read"
    assert memory < 100


def test_a_first_line_without_end_is_no_header(tmp_path: Path) -> None:
    lines, memory = read(packed(tmp_path / "x.csv.gz", lambda file: [file.write(b"a" * 50_000_000 + b"\n")].clear()))
    assert "the first line is longer than 1 MB" in lines[0]
    assert memory < 60


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    def write(file: gzip.GzipFile) -> None:
        file.write(b"who,at\n")
        for _ in range(100):
            file.write((b"ann," + b"2" * 1000 + b"\n") * 1000)

    lines, memory = read(packed(tmp_path / "x.csv.gz", write, 9))
    assert "200 times larger unpacked" in lines[-1]
    assert memory < 200


def test_chunks_are_bounded_by_their_bytes_and_hold_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(reading, "RECORDS_BYTES", 1000)
    rows = [f'c{n},"text, {n}\nof two lines"' if n % 7 == 0 else f"c{n},{'x' * (n % 200)}" for n in range(300)]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["who,at", *rows]) + "\n")
    found = list(csv_chunks(path, detect(path, None), ["who", "at"], True))
    assert len(found) > 20
    assert [who for chunk in found for who in chunk.cells.column("c0").to_pylist()] == [f"c{n}" for n in range(300)]
    assert all(b.first_line == a.last_line + 1 for a, b in pairwise(found))
    path = tmp_path / "x.ndjson"
    path.write_text("".join(f'{{"who":"c{n}"}}\n' for n in range(300)))
    records = list(ndjson_chunks(path, detect(path, None), MAPPING))
    assert len(records) > 4
    assert [r["who"] for chunk in records for r in (chunk.records or {}).values()] == [f"c{n}" for n in range(300)]


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 9))
def test_lines_read_in_pieces_are_the_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], n: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_READ", n)
        data = b'{"who":"a"}\n' + b"\n".join(lines)
        path = tmp_path_factory.getbasetemp() / "lines.ndjson"
        path.write_bytes(data)
        found = list(ndjson_chunks(path, FileKind("ndjson", False, "utf-8", ""), MAPPING))
        assert found[-1].last_line == data.count(b"\n") + (not data.endswith(b"\n"))


def test_a_parquet_file_that_repeats_a_long_text_is_refused(tmp_path: Path) -> None:
    table = pa.table({"who": pa.array(["a" * LONGEST_LINE]).dictionary_encode().take(pa.array([0] * 20_000))})
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 1_000_000
    with pytest.raises(UserError, match="hold over 256 MB of text"):
        next(ParquetFile(path).chunks())


def test_a_parquet_file_of_long_rows_has_smaller_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MOST_TEXT", 1 << 21)
    table = pa.table({"who": [f"c{n}" for n in range(5000)], "text": ["x" * 1000] * 5000})
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, compression="zstd")
    chunks = [(c.first_line, c.last_line, c.cells.num_rows) for c in ParquetFile(path).chunks()]
    assert [first for first, _, _ in chunks] == [1, *(last + 1 for _, last, _ in chunks[:-1])]
    assert chunks[-1][1] == sum(rows for _, _, rows in chunks) == 5000
    assert all(1010 * rows < 1 << 21 for _, _, rows in chunks)
