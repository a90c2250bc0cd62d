"""Finished work on disk: whole or not there, private, limited, and told from work on anything else."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from reid_audit import Face, InputError, ScanRef, Settings, Status, StoreError, View
from reid_audit.audit import Engines, FaceCache, Recogniser
from reid_audit.audit.scan import Knowledge
from reid_audit.cli import main
from reid_audit.records import FaceRecord, Finding, Grid, Modality
from reid_audit.work import SerialExecutor, Store, digest_files, digest_of, digest_of_state, pack, unpack

RNG = np.random.default_rng(0)


def _face(seed: int = 0) -> Face:
    rng = np.random.default_rng(seed)
    return Face(
        Status.MANY_FACES,
        "dlib",
        rng.normal(size=128).astype(np.float32),
        (1.5, -2.25, 1 / 3, 4.0),
        landmarks_px=rng.normal(size=(5, 2)),
        layout="five",
        confidence=0.1 + 0.2,
        reason='a "quoted" reason, über and\nbeyond',
    )


def _record() -> FaceRecord:
    scan = ScanRef("p1", "2", "tool", Path("a b/ü.nii.gz"), Modality.MR)
    grid = Grid((3, 4, 5), RNG.normal(size=(4, 4)), Modality.CT, "ü.nii.gz")
    actual = (Finding("code", "unfit", "words", 1.25), Finding("other", "info", "no number"))
    return FaceRecord(
        scan,
        _face(),
        skin_level=0.1,
        view=View(3.0),
        grid=grid,
        digest="ab",
        looks={"aligned": (_face(1),)},
        findings=actual,
    )


def _key(number: int = 0) -> str:
    return digest_of("test", number)


# --- records as bytes ---


def test_a_record_comes_back_bit_by_bit() -> None:
    record = _record()
    back = unpack(pack(record), FaceRecord)
    assert digest_of(back) == digest_of(record)
    assert isinstance(back.face.status, Status)
    assert back.face.vector.dtype == np.float32
    assert np.array_equal(back.face.vector, record.face.vector)
    assert back.grid.voxel_to_ras_mm.tobytes() == record.grid.voxel_to_ras_mm.tobytes()
    assert (back.scan, back.view, back.findings) == (record.scan, record.view, record.findings)
    assert back.face.confidence == 0.1 + 0.2
    assert type(back.grid.shape) is tuple
    assert back.looks["aligned"][0].box_px == (1.5, -2.25, 1 / 3, 4.0)
    assert len(pack(record)) < 10_000


def test_a_record_of_nothing_comes_back() -> None:
    record = FaceRecord(ScanRef("", "", "", Path("x")), Face(Status.NO_FACE, "dlib"))
    back = unpack(pack(record), FaceRecord)
    assert math.isnan(back.skin_level)
    assert math.isnan(back.face.confidence)
    assert (back.face.vector, back.view, back.grid, back.scan.modality) == (None, None, None, None)


@dataclass(frozen=True)
class _Older:
    name: str


@dataclass(frozen=True)
class _Newer:
    name: str
    count: int


def test_what_is_no_record_of_the_kind_is_an_error() -> None:
    for payload in (b"nonsense", b"", pack(_Older("a")), pack(_record())[:-100]):
        with pytest.raises(ValueError, match="no _Newer"):
            unpack(payload, _Newer)
    with pytest.raises(ValueError, match="no _Older"):
        unpack(pack(_Newer("a", 1)), _Older)


@pytest.mark.parametrize("value", [object(), {1: "key"}, np.array([object()])], ids=["object", "key", "objects"])
def test_programs_and_objects_are_not_kept(value: object) -> None:
    @dataclass
    class Odd:
        value: object

    with pytest.raises(TypeError):
        pack(Odd(value))


# --- digests ---


def test_equal_values_have_equal_digests_and_others_do_not() -> None:
    values = [
        (),
        (1,),
        (1.0000000000000002,),
        ("1",),
        (True,),
        ((1, 2),),
        (1, 2),
        ({"a": 1, "b": 2},),
        (np.zeros(2),),
        (np.zeros(2, np.float32),),
        (np.zeros((1, 2)),),
        (None,),
        (_face(0),),
        (_face(1),),
    ]
    assert len({digest_of(*each) for each in values}) == len(values)
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of(_face(0)) == digest_of(_face(0))


def test_every_field_of_a_face_is_in_its_digest() -> None:
    face = _face()
    others = {
        "status": Status.OK,
        "encoder": "x",
        "vector": None,
        "box_px": None,
        "landmarks_px": None,
        "eyes_px": np.ones((2, 2)),
        "layout": "",
        "confidence": 0.0,
        "reason": "",
    }
    for part in fields(Face):
        if part.name in others:
            assert digest_of(replace(face, **{part.name: others[part.name]})) != digest_of(face), part.name


def test_files_are_told_by_their_bytes(tmp_path: Path) -> None:
    scan = tmp_path / "a.nii"
    scan.write_bytes(b"1")
    first, state = digest_files(scan), digest_of_state(scan)
    (tmp_path / "b.nii").write_bytes(b"1")
    assert digest_files(tmp_path / "b.nii") == first
    scan.write_bytes(b"2")
    os.utime(scan, ns=(0, 0))  # as a copying tool sets times back
    assert digest_files(scan) != first
    assert digest_of_state(scan).digest != state.digest
    assert digest_files(tmp_path / "absent.nii") is None
    assert digest_of_state(tmp_path / "absent.nii") is None


def test_a_file_that_changed_a_moment_ago_is_not_settled(tmp_path: Path) -> None:
    scan = tmp_path / "a.nii"
    scan.write_bytes(b"1")
    assert not digest_of_state(scan).settled


def test_a_folder_is_told_by_all_its_files_and_their_names(tmp_path: Path) -> None:
    for name in ("1.dcm", "2.dcm"):
        (tmp_path / name).write_bytes(name.encode())
    seen = {digest_files(tmp_path)}
    (tmp_path / "2.dcm").rename(tmp_path / "3.dcm")
    seen.add(digest_files(tmp_path))
    (tmp_path / "4.dcm").write_bytes(b"")
    seen.add(digest_files(tmp_path))
    assert len(seen) == 3
    assert digest_files(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.mhd", "NDims = 3\nElementDataFile = data.raw\n"),
        ("a.nrrd", "NRRD0004\nencoding: raw\ndata file: data.raw\n\n"),
    ],
)
def test_data_beside_their_header_count(tmp_path: Path, name: str, header: str) -> None:
    (tmp_path / name).write_text(header)
    assert digest_files(tmp_path / name) is None  # without the data nothing is certain
    (tmp_path / "data.raw").write_bytes(b"1")
    first = digest_files(tmp_path / name)
    (tmp_path / "data.raw").write_bytes(b"2")
    assert first is not None
    assert digest_files(tmp_path / name) not in (first, None)
    (tmp_path / name).write_text(header.replace("data.raw", "LIST"))
    assert digest_files(tmp_path / name) is None


# --- the store ---


def test_making_a_store_touches_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert store.get(_key()) is None
    assert store.info().entries == 0
    assert store.prune() == store.clear() == 0
    assert list(tmp_path.iterdir()) == []


def test_what_was_put_is_found_by_another_store_and_is_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        Store(tmp_path / "store").put(_key(), b"payload")
    finally:
        os.umask(before)
    store = Store(tmp_path / "store")
    assert store.get(_key()) == b"payload"
    assert store.get(_key(1)) is None
    assert store.info().entries == 1
    for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert b"8a477f597d28d172789f06886806bc55" in (tmp_path / "store" / "CACHEDIR.TAG").read_bytes()


@pytest.mark.parametrize("spoil", ["cut", "flip", "empty", "exchange"])
def test_a_damaged_entry_is_noticed_dropped_and_made_again(
    tmp_path: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "store")
    store.put(_key(), b"payload" * 100)
    store.put(_key(1), b"other" * 100)
    place = store._place(_key())
    content = place.read_bytes()
    if spoil == "exchange":
        os.replace(store._place(_key(1)), place)
    else:
        place.write_bytes({"cut": content[:-1], "flip": content[:-1] + b"!", "empty": b""}[spoil])
    assert store.get(_key()) is None
    assert "damaged" in caplog.text
    assert not place.exists()
    store.put(_key(), b"again")
    assert store.get(_key()) == b"again"


def test_an_entry_that_is_whole_and_no_face_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    recogniser = Recogniser("dlib", "dlib", "dlib", "", {})
    cache = FaceCache(store, Engines(Settings(), (recogniser,), {}))
    path = tmp_path / "scan.nii"
    scan = replace(_record().scan, path=path)
    assert cache.find(scan, "dlib") is None  # its bytes are not known
    path.write_bytes(b"1")
    cache.read_files([scan], executor=SerialExecutor())
    key = cache.key_of(scan, "dlib", Knowledge(), ())
    store.put(key, b"not an archive")
    assert cache.find(scan, "dlib") is None
    assert store.get(key) is None


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for number in range(10):
        store.put(_key(number), b"x" * 5000)
        os.utime(store._place(_key(number)), (number, number))
    store.get(_key(0))  # used now
    each = store.info().size_bytes // 10
    assert store.prune(each * 3) == 7
    assert [n for n in range(10) if store.get(_key(n))] == [0, 8, 9]


def test_a_store_keeps_to_its_limit_by_itself(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", max_bytes=100_000)
    for number in range(100):
        store.put(_key(number), RNG.bytes(5000))
        assert store.info().size_bytes <= 100_000 * 1.05 + 8192
    assert store.get(_key(99)) is not None
    assert store.get(_key(0)) is None


def test_what_killed_processes_left_is_swept_up(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.put(_key(), b"payload")
    old, young = (store._place(_key()).parent / name for name in (".1-old", ".2-young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - 10_000))
    assert store.info().entries == 1
    assert not old.exists()
    assert young.exists()  # its process may still be writing


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="--store must be a new or empty folder"):
        Store(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        Store(tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_only_entries_are_cleared(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.put(_key(), b"payload")
    (tmp_path / "store" / "note.txt").write_text("mine")
    assert store.clear() == 1
    assert store.info().entries == 0
    assert (tmp_path / "store" / "note.txt").exists()
    store.put(_key(), b"again")
    assert store.get(_key()) == b"again"


def _fill(folder: Path, seed: int) -> int:
    """Write and read the same keys as everybody else, pruning and clearing now and then; count wrong answers."""
    rng = np.random.default_rng(seed)
    store, wrong = Store(folder, max_bytes=200_000), 0
    for turn in range(150):
        number = int(rng.integers(40))
        expected = digest_of(number).encode() * 100
        actual = store.get(_key(number))
        wrong += actual not in (None, expected)
        store.put(_key(number), expected)
        if turn % 50 == seed:
            store.prune(50_000)
        if turn % 100 == seed:
            store.clear()
    return wrong


def test_several_processes_share_one_store(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(_fill, [tmp_path / "store"] * 3, range(3))) == [0, 0, 0]
    store = Store(tmp_path / "store")
    assert not list(store.folder.rglob(".*"))
    assert all(store.get(_key(n)) in (None, digest_of(n).encode() * 100) for n in range(40))


FULL = """
import resource, sys
from pathlib import Path
from reid_audit import StoreError
from reid_audit.work import Store, digest_of
store = Store(Path(sys.argv[1]))
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    for number in range(1000):
        store.put(digest_of("test", number), b"x" * 3000 * (number + 1))
except StoreError as error:
    print(number, error)
"""


@pytest.fixture(params=["limit", "tmpfs"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that holds little: by a limit on the process, or where that is allowed by a small file system."""
    if request.param == "limit":
        yield tmp_path, "limit"
        return
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield tmp_path, "disk"
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_a_clear_error_and_the_store_stays_whole(small_disk: tuple[Path, str]) -> None:
    folder, how = small_disk
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder / "store"), how], capture_output=True, text=True, check=True
    )
    count, _, message = done.stdout.partition(" ")
    assert "cannot be written" in message
    assert "--store DIR" in message
    assert "--no-store" in message
    assert str(folder / "store") in message
    store = Store(folder / "store")
    assert int(count) > 2
    assert store.info().entries == int(count)
    assert all(store.get(_key(n)) == b"x" * 3000 * (n + 1) for n in range(int(count)))
    assert not list((folder / "store").rglob(".*"))


def test_a_store_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--store DIR"):
        Store(tmp_path / "file" / "store").put(_key(), b"")


def test_a_key_is_a_digest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a key"):
        Store(tmp_path).put("../../etc/passwd", b"")


def test_rereading_a_store_costs_little_memory(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for number in range(50):
        store.put(_key(number), pack(_record()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5):
        assert all(unpack(store.get(_key(n)), FaceRecord).face.acquired for n in range(50))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB


# --- the command ---


def test_the_store_is_looked_at_pruned_and_emptied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my store"
    store = Store(folder)
    for number in range(5):
        store.put(_key(number), b"x" * 5000)
    assert main(["store", "info", "--store", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "my store" in text
    assert "5 entries" in text
    assert main(["store", "prune", "--max-mb", "0.02", "--store", str(folder)]) == 0
    assert "3 entries dropped" in capsys.readouterr().out
    assert main(["store", "clear", "--store", str(folder)]) == 0
    assert "2 entries dropped" in capsys.readouterr().out
    assert store.info().entries == 0


def test_the_store_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REID_AUDIT_STORE", str(tmp_path / "elsewhere"))
    assert main(["store", "info"]) == 0
    assert "elsewhere" in capsys.readouterr().out
    assert not (tmp_path / "elsewhere").exists()
    monkeypatch.setenv("REID_AUDIT_STORE_GB", "0.5")
    assert main(["store", "info"]) == 0
    assert "of at most 500.0 MB" in capsys.readouterr().out
    for wrong in ("0", "-1", "much", "inf", "nan"):
        monkeypatch.setenv("REID_AUDIT_STORE_GB", wrong)
        with pytest.raises(InputError, match=f"REID_AUDIT_STORE_GB must be a number above 0.*{wrong}"):
            Store()
    monkeypatch.delenv("REID_AUDIT_STORE_GB")
    monkeypatch.delenv("REID_AUDIT_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Store().folder == tmp_path / "cache" / "reid-audit" / "store"


def test_clearing_the_wrong_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert main(["store", "clear", "--store", str(tmp_path)]) == 2
    assert "holds other files" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "thesis.txt").exists()
