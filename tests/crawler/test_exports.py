"""Exports hold each committed item exactly once, whatever stopped the crawl, and nothing of another's."""

from __future__ import annotations

import csv
import json
import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import StorageError, UsageError
from crawler.exports import Cursor, Export, open_export, write_all
from crawler.exports.warc import write_warc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TEXT = st.text(st.sampled_from('ab",;\t\r\n\0 é\u2028😀'), max_size=8)
KEYS = st.sampled_from(["a", "b", "c", 'odd,"key\n', "é"])
VALUES = st.none() | st.booleans() | st.integers() | TEXT | st.lists(st.integers(), max_size=2)
ITEMS = st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=12)


def texts(items: Sequence[Any]) -> list[str]:
    return [json.dumps(item, ensure_ascii=False) for item in items]


def write_whole(path: Path, items: Sequence[Any]) -> bytes:
    """What one uninterrupted run makes of `items`."""
    write_all(str(path), texts(items))
    return path.read_bytes()


def as_cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def expected_rows(items: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    columns = dict.fromkeys(key for item in items for key in item)
    return [{column: as_cell(item.get(column)) for column in columns} for item in items]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the nearest thing to a full disk that needs no disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_json_lines_hold_the_items_as_they_were_yielded(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    items = ['{"a":1,"text":"é\\n"}', '{"b":[1.50,{"c":null}]}']
    assert write_all(str(path), items) == 2
    assert path.read_text(encoding="utf-8").splitlines() == items


@pytest.mark.parametrize("extension", ["jsonl", "ndjson", "jl", "csv", "CSV"])
def test_the_extension_chooses_the_format(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out.{extension}"
    written = write_whole(path, [{"a": "x"}]).decode()
    assert written == ("a\r\nx\r\n" if extension.lower() == "csv" else '{"a": "x"}\n')


def test_a_csv_whose_columns_are_known_has_its_header_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write_all(str(path), [], ["url", "status"])
    assert path.read_bytes() == b"url,status\r\n"


def test_numbers_and_nested_values_keep_their_text_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write_all(str(path), ['{"n":1.50,"big":123456789012345678901234567890,"t":true,"x":null,"l":["a",1]}'])
    assert path.read_bytes() == b'n,big,t,x,l\r\n1.50,123456789012345678901234567890,true,,"[""a"",1]"\r\n'


def test_there_is_an_end_to_the_columns_of_a_csv(tmp_path: Path) -> None:
    """Each row is as long as the header: without one, the file and the cursor would grow with the square of the items."""
    path = tmp_path / "out.csv"
    items = [{"_more": 1, "x" * 256: 2}, *({f"key {n}": n} for n in range(1100)), {"key 1050": "é", "key 1": None}]
    export = open_export(str(path))
    export.open(None)
    cursor = export.write(1, texts(items[:700]))
    export.abandon()
    again = open_export(str(path))
    assert again.open(cursor) == cursor
    assert len(again.write(701, texts(items[700:])).extra["columns"]) == 1001
    again.close()
    rows = read_rows(path)
    assert list(rows[0]) == ["_more", *(f"key {n}" for n in range(1000))]
    assert [json.loads(row["_more"]) for row in (rows[0], *rows[1001:])] == [
        {"_more": 1, "x" * 256: 2},
        *({f"key {n}": n} for n in range(1000, 1100)),
        {"key 1050": "é"},
    ]
    assert [row[f"key {n}"] for n, row in enumerate(rows[1:1001])] == [str(n) for n in range(1000)]


@settings(deadline=None)  # a sync takes as long as the disk likes
@given(batches=st.lists(ITEMS, max_size=5))
def test_csv_rows_read_back_as_the_items_whenever_their_columns_appear(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[dict[str, Any]]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    export = open_export(str(path))
    export.open(None)
    written = 0
    for batch in batches:
        export.write(written + 1, texts(batch))
        written += len(batch)
    cursor = export.close()
    items = [item for batch in batches for item in batch]
    assert read_rows(path) == (expected_rows(items) if any(items) else []), "CSV has no rows without columns"
    assert cursor.item == written
    assert cursor.bytes == path.stat().st_size


@settings(deadline=None)
@given(
    items=st.lists(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), min_size=1, max_size=10),
    kept=st.integers(0, 10),
    lost=st.integers(0, 10),
    killed=st.booleans(),
    extension=st.sampled_from(["jsonl", "csv"]),
)
def test_a_file_cut_back_to_its_cursor_ends_as_if_never_interrupted(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    items: list[dict[str, Any]],
    kept: int,
    lost: int,
    killed: bool,
    extension: str,
) -> None:
    """The law behind exactly once: `kept` items were covered by the cursor that was committed, `lost` more only written."""
    folder = tmp_path_factory.mktemp("cut")
    whole, cut = folder / f"whole.{extension}", folder / f"cut.{extension}"
    write_whole(whole, items)

    rows = texts(items)
    first = open_export(str(cut))
    first.open(None)
    committed = first.write(1, rows[:kept])
    first.write(committed.item + 1, rows[kept : kept + lost])
    if killed:
        first.abandon()  # which leaves the file as it is
    else:
        first.close()

    second = open_export(str(cut))
    item = second.open(Cursor.from_json(committed.to_json())).item
    assert item in (committed.item, 0)
    second.write(item + 1, rows[item:])
    second.close()
    if extension == "csv":
        assert read_rows(cut) == expected_rows(items)
    else:
        assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("extension", ["jsonl", "csv"])
@pytest.mark.parametrize("damage", ["gone", "shorter", "zeros", "hole"])
def test_a_file_that_lost_what_its_cursor_covers_begins_anew(tmp_path: Path, extension: str, damage: str) -> None:
    """As after a power cut, since nothing is synced before the end; or when the user has moved the file away."""
    path = tmp_path / f"out.{extension}"
    export = open_export(str(path))
    export.open(None)
    items = ['{"a":1}', json.dumps({"a": "x" * 3000}), '{"a":3}']
    cursor = export.write(1, items)
    export.close()
    match damage:
        case "gone":
            path.unlink()
        case "shorter":
            path.write_bytes(path.read_bytes()[:-3])
        case "zeros":
            path.write_bytes(path.read_bytes()[:-3] + bytes(3))
        case "hole":
            path.write_bytes(path.read_bytes()[:1024] + bytes(512) + path.read_bytes()[1536:])
    again = open_export(str(path))
    assert again.open(cursor).item == 0
    assert again.write(1, items) == cursor
    again.close()


def test_a_csv_that_is_not_the_cursors_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    export = open_export(str(path))
    export.open(None)
    cursor = export.write(1, ['{"a":1}'])
    export.close()
    path.write_text("b\n1\n")
    again = open_export(str(path))
    assert again.open(cursor) == Cursor(extra={"columns": [], "widths": []})
    again.close()


def test_a_levelled_csv_goes_on_from_the_cursor_that_closing_it_gave(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    export = open_export(str(path))
    export.open(None)
    export.write(1, ['{"a":1}'])
    export.write(2, ['{"b":"x\\ny"}'])
    cursor = Cursor.from_json(export.close().to_json())
    again = open_export(str(path))
    assert again.open(cursor).item == 2
    again.write(3, ['{"a":3,"b":3}'])
    again.close()
    assert path.read_bytes() == b'a,b\r\n1,\r\n,"x\ny"\r\n3,3\r\n'


def test_levelling_keeps_the_files_permissions_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.touch(mode=0o600)
    export = open_export(str(path))
    export.open(None)
    export.write(1, ['{"a":1}'])
    export.write(2, ['{"b":2}'])
    export.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("extension", ["jsonl", "csv"])
def test_a_full_disk_is_reported_and_leaves_no_torn_line(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out.{extension}"
    export = open_export(str(path))
    export.open(None)
    cursor = export.write(1, ['{"a":"first"}'])
    before = path.read_bytes()
    with (
        full_disk(len(before) + 100),
        pytest.raises(StorageError, match=r"cannot write .*out.* run the same command again"),
    ):
        export.write(2, ['{"a":"' + "x" * 200 + '"}'])
    assert path.read_bytes() == before
    assert export.write(2, ['{"a":"second"}']).item == 2, "and it can go on once there is room"
    export.close()
    assert path.read_bytes()[: cursor.bytes] == before


def test_a_disk_that_is_full_when_a_csv_is_levelled_leaves_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    export = open_export(str(path))
    export.open(None)
    export.write(1, [json.dumps({"a": n}) for n in range(100)])
    cursor = export.write(101, ['{"b":1}'])
    before = path.read_bytes()
    with full_disk(len(before) // 2), pytest.raises(StorageError):
        export.close()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    again = open_export(str(path))
    assert again.open(cursor) == cursor
    again.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out", "no extension; formats: JSON Lines"),
        ("out.xlsx", r"no format is called \.xlsx; formats: .*\.csv"),
        ("out.warc.gz", r"WARC is for pages that were kept: crawl export STATE pages -o .*out\.warc\.gz"),
        ("missing/out.jsonl", "there is no folder .*missing; create it"),
        ("folder.jsonl", "it is a folder"),
        ("pipe.csv", "not a regular file"),
        ("file.txt/out.csv", "there is no folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_created(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file.txt").touch()
    os.mkfifo(tmp_path / "pipe.csv")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=message):
        open_export(str(tmp_path / name))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_no_file_can_keep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the name must be UTF-8"):
        open_export(f"{tmp_path}/caf\udce9.jsonl")
    with pytest.raises(UsageError, match="the name must be UTF-8"):
        write_warc(f"{tmp_path}/caf\udce9.warc", [], {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", ["jsonl", "csv", "sqlite", "parquet"])
def test_a_folder_that_goes_away_after_the_check_is_the_same_clear_error(tmp_path: Path, extension: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    export = open_export(str(folder / f"out.{extension}"))
    folder.rmdir()
    with pytest.raises(UsageError, match="No such file or directory; create its folder first"):
        export.open(None)
    export.close()


@pytest.mark.parametrize("extension", ["jsonl", "csv", "sqlite"])
@pytest.mark.parametrize("successor", [None, "somebody else's\n"])
def test_a_file_that_is_taken_away_meanwhile_is_missed_and_written_anew(
    tmp_path: Path, extension: str, successor: str | None
) -> None:
    path = tmp_path / f"out.{extension}"
    export = open_export(str(path))
    export.open(None)
    cursor = export.write(1, texts([{"a": 1}]))
    path.unlink()
    if successor:
        path.write_text(successor)
    cursor = export.write(2, texts([{"a": 2, "b": 3}]))
    with pytest.raises(StorageError, match="was removed or replaced while it was written to"):
        export.close()
    if successor:
        assert path.read_text() == successor
        path.unlink()
    again = open_export(str(path))
    assert again.open(cursor).item == 0
    again.close()


WRITER = """
import os, sys
from pathlib import Path
from crawler.exports import Cursor, open_export

_, path, step = sys.argv
export = open_export(path)
export.open(None)
if step != "opened":
    cursor = export.write(1, ['{"a":1}'])
if step in ("resumed", "begun anew"):
    export.abandon()
    export = open_export(path)
    cursor = export.open(cursor if step == "resumed" else Cursor(item=1, bytes=1))
    export.write(cursor.item + 1, ['{"a":2}'])
if step == "read":
    Path(path).read_bytes()
if step == "forked" and not os.fork():
    print(flush=True)
    sys.stdin.read()
    os._exit(0)
if step != "forked":
    print(flush=True)
    sys.stdin.read()
    export.close()
"""
"""A process that has an output open, says so at a given step, and stays there until its input ends."""


@contextmanager
def another_writes(path: Path, step: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", WRITER, str(path), step]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        yield other
        other.communicate()
    assert other.returncode == 0


@pytest.mark.parametrize("extension", ["jsonl", "csv", "sqlite"])
@pytest.mark.parametrize("step", ["opened", "written", "resumed", "begun anew", "read"])
def test_a_file_that_another_process_writes_is_refused(tmp_path: Path, extension: str, step: str) -> None:
    path = tmp_path / f"out.{extension}"
    with another_writes(path, step):
        before = path.read_bytes()
        with pytest.raises(UsageError, match="another crawl does; name another file"):
            open_export(str(path)).open(None)
        assert path.read_bytes() == before
    export = open_export(str(path))
    export.open(None)
    export.close()


def test_another_process_can_read_what_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "out.sqlite"
    with another_writes(path, "written"), closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT a FROM items").fetchall() == [(1,)]


@pytest.mark.parametrize("extension", ["jsonl", "csv", "sqlite"])
def test_a_fork_does_not_keep_the_file_of_whom_it_was_forked_from(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out.{extension}"
    with another_writes(path, "forked") as writer:
        writer.wait()
        export = open_export(str(path))
        export.open(None)
        export.close()


def test_writing_all_replaces_a_file_only_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("before\n")

    def interrupted() -> Iterator[str]:
        yield '{"a":1}'
        assert path.read_text() == "before\n"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(str(path), interrupted())
    assert path.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_may_be_a_link_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_whole(tmp_path / "link.csv", [{"a": 1}])
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"a\r\n1\r\n"


class Redirected:
    """A standard output whose bytes can be looked at, or whose reader has gone."""

    def __init__(self, error: OSError | None = None) -> None:
        self.buffer = self
        self.data = b""
        self.error = error

    def write(self, data: Any) -> int:
        if self.error:
            raise self.error
        self.data += data
        return len(data)

    def flush(self) -> None:
        return None


def printed(monkeypatch: pytest.MonkeyPatch, error: OSError | None = None) -> tuple[Export, Redirected]:
    output = Redirected(error)
    monkeypatch.setattr("sys.stdout", output)
    return open_export("-"), output


def test_standard_output_continues_after_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    export, output = printed(monkeypatch)
    assert export.path == "-"
    assert export.open(Cursor(item=4, bytes=100)) == Cursor(item=4, bytes=100)
    assert export.write(5, ['{"a":"é"}', "2"]) == export.close() == Cursor(item=6, bytes=113)
    assert output.data.decode() == '{"a":"é"}\n2\n'


def test_standard_output_on_a_full_disk_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    export, _ = printed(monkeypatch, OSError(28, "full"))
    export.open(None)
    with pytest.raises(StorageError, match="cannot write standard output: No space left on device; make room"):
        export.write(1, ["1"])


def test_a_reader_that_has_gone_is_told_apart_from_a_disk_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    export, _ = printed(monkeypatch, BrokenPipeError(32, "gone"))
    export.open(None)
    with pytest.raises(StorageError, match="cannot write standard output: Broken pipe; its reader has gone") as error:
        export.write(1, ["1"])
    assert isinstance(error.value.__cause__, BrokenPipeError)
