"""Which faces of an earlier run are used again, and which never."""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from places import TESTS

from reid_audit import (
    Cohort,
    Decision,
    EngineError,
    Face,
    InputError,
    ScanRef,
    Settings,
    Status,
    StoreError,
    View,
    audit,
)
from reid_audit.attack import Aligned, Attack, choose_attacks
from reid_audit.audit import Engines, FaceCache, Recogniser, acquire_faces
from reid_audit.audit import acquire as acquire_room
from reid_audit.audit import face_cache as kept_room
from reid_audit.audit.plan import plan_faces
from reid_audit.audit.scan import Knowledge
from reid_audit.cli import main
from reid_audit.cli.options import _LinesOfProgress
from reid_audit.dataset import read_manifest, take_subjects, write_manifest
from reid_audit.records import ORIGINAL, FaceRecord, Grid, Modality
from reid_audit.work import Store, local_executor
from reid_audit.work import local as local_room
from reid_audit.work.local import plan_workers

SETTINGS = Settings(encoders=("dlib",), renderer="raycast")
DLIB, ARCFACE = (Recogniser(name, name, "dlib", "", {"model": "1"}) for name in ("dlib", "ArcFace"))
ENGINES = Engines(SETTINGS, (DLIB,), {"pixels": "1"})


@dataclass
class Counted:
    """Stands in for `examine_scan`: a face made of the file's bytes; counts what was asked of it."""

    asked: list[str]
    status: Status = Status.OK
    after: Callable[[ScanRef], None] = lambda scan: None

    def __call__(
        self, scan: ScanRef, engines: Engines, *, attacks: Sequence[Attack], knowledge: Mapping[str, Knowledge]
    ) -> list[FaceRecord]:
        self.asked += [scan.key if len(engines.encoders) == 1 else f"{scan.key} {name}" for name in knowledge]
        self.after(scan)
        return [self._look(scan, encoder, attacks) for encoder in knowledge]

    def _look(self, scan: ScanRef, encoder: str, attacks: Sequence[Attack]) -> FaceRecord:
        if not scan.path.exists():
            return FaceRecord(scan, Face(Status.UNREADABLE, encoder, reason=f"{scan.path.name}: no such file"))
        number = scan.path.read_bytes()[0]
        vector = np.random.default_rng(number).normal(size=128)
        face = Face(self.status, encoder, np.float32(vector / np.linalg.norm(vector)), (1, 2, 3, 4), confidence=1.0)
        grid = Grid((9, 9, 9), np.eye(4), Modality.CT, scan.path.name)
        seen = FaceRecord(scan, face, skin_level=float(number), view=View(float(number)), grid=grid, digest=str(number))
        return (
            seen
            if scan.condition == ORIGINAL
            else replace(seen, looks={a.name: (face,) for a in attacks if not a.encoder})
        )


@pytest.fixture(autouse=True)
def examine(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted([])
    monkeypatch.setattr(acquire_room, "examine_scan", counted)
    return counted


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Three people in two visits, the first defaced by two tools. All that is in a file is its number."""
    scans = []
    for person in range(3):
        for visit, condition in (("1", ORIGINAL), ("2", ORIGINAL), ("1", "a"), ("1", "b")):
            path = tmp_path / f"p{person}_{visit}_{condition}.nii.gz"
            path.write_bytes(bytes([len(scans)]))
            os.utime(path, (0, 0))
            scans.append(ScanRef(f"p{person}", visit, condition, path, Modality.CT))
    write_manifest(tmp_path / "manifest.csv", scans)
    return read_manifest(tmp_path / "manifest.csv")


def _acquire(cohort: Cohort, folder: Path, *, engines: Engines = ENGINES, **more) -> list[FaceRecord]:
    return acquire_faces(cohort, engines, cache=FaceCache(Store(folder / "store"), engines), **more)


def _same(a: list[FaceRecord], b: list[FaceRecord]) -> bool:
    return all(kept_room.digest_of(x) == kept_room.digest_of(y) for x, y in zip(a, b, strict=True))


def test_what_was_done_is_not_done_again_and_is_the_same(cohort: Cohort, tmp_path: Path, examine: Counted) -> None:
    first = _acquire(cohort, tmp_path)
    assert len(examine.asked) == 12
    again = _acquire(cohort, tmp_path)
    assert len(examine.asked) == 12
    assert _same(first, again)
    assert [record.scan for record in again] == list(cohort.scans)
    assert _same(first, acquire_faces(cohort, ENGINES))  # and as without a store


def test_a_changed_scan_is_done_again_with_what_depends_on_it(cohort: Cohort, tmp_path: Path, examine: Counted) -> None:
    _acquire(cohort, tmp_path)
    examine.asked.clear()
    (tmp_path / "p1_1_a.nii.gz").write_bytes(b"\x63")
    actual = {record.scan.key: record for record in _acquire(cohort, tmp_path)}
    assert examine.asked == ["p1/1/a"]
    assert actual["p1/1/a"].skin_level == 99
    examine.asked.clear()
    (tmp_path / "p1_1_original.nii.gz").write_bytes(b"\x64")  # hands another camera to its partners
    actual = {record.scan.key: record for record in _acquire(cohort, tmp_path)}
    assert {"p1/1/original", "p1/1/a", "p1/1/b"} <= set(examine.asked)
    assert "p1/2/original" not in examine.asked
    assert actual["p1/1/original"].skin_level == 100


@pytest.mark.parametrize(
    "other",
    [
        replace(ENGINES, settings=replace(SETTINGS, skin_level=-200.0)),
        replace(ENGINES, recognisers=(ARCFACE,)),
        replace(ENGINES, recognisers=(replace(DLIB, identity={"model": "2"}),)),
        replace(ENGINES, drawing={"pixels": "2"}),
    ],
    ids=["level", "encoder", "weights", "renderer"],
)
def test_other_settings_and_engines_never_meet_an_old_face(
    cohort: Cohort, tmp_path: Path, examine: Counted, other: Engines
) -> None:
    _acquire(cohort, tmp_path)
    _acquire(cohort, tmp_path, engines=other)
    assert len(examine.asked) == 24


def test_another_stage_or_package_never_meets_an_old_face(
    cohort: Cohort, tmp_path: Path, examine: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    _acquire(cohort, tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(kept_room.STAGE_VERSIONS, "surface", 99)
        _acquire(cohort, tmp_path)
    assert len(examine.asked) == 24
    with monkeypatch.context() as patch:
        patch.setattr(kept_room, "software_versions", lambda: {"numpy": "99"})
        _acquire(cohort, tmp_path)
    assert len(examine.asked) == 36


def test_another_attacker_does_the_defaced_scans_again_and_no_original(
    cohort: Cohort, tmp_path: Path, examine: Counted
) -> None:
    _acquire(cohort, tmp_path)
    examine.asked.clear()
    _acquire(cohort, tmp_path, attacks=choose_attacks(["aligned"]))
    assert sorted(examine.asked) == sorted(scan.key for scan in cohort.scans if scan.condition != ORIGINAL)


def test_one_more_recogniser_looks_alone(cohort: Cohort, tmp_path: Path, examine: Counted) -> None:
    first = _acquire(cohort, tmp_path)
    examine.asked.clear()
    both = replace(ENGINES, recognisers=(DLIB, ARCFACE))
    actual = _acquire(cohort, tmp_path, engines=both)
    assert sorted(examine.asked) == sorted(f"{scan.key} ArcFace" for scan in cohort.scans)
    assert _same(actual[:12], first)
    assert {record.face.encoder for record in actual[12:]} == {"ArcFace"}
    examine.asked.clear()
    (tmp_path / "p1_1_a.nii.gz").write_bytes(b"\x63")
    _acquire(cohort, tmp_path, engines=both)
    assert examine.asked == ["p1/1/a dlib", "p1/1/a ArcFace"]  # one task, both encoders


def test_a_newer_version_of_an_attacker_looks_again(cohort: Cohort, tmp_path: Path, examine: Counted) -> None:
    class Newer(Aligned):
        version = 2

    for attack, times in ((Aligned(), 12), (Newer(), 18), (Newer(), 18)):
        _acquire(cohort, tmp_path, attacks=(attack,))
        assert len(examine.asked) == times


def test_subject_session_and_folder_may_change_and_stand_in_no_entry(
    cohort: Cohort, tmp_path: Path, examine: Counted
) -> None:
    _acquire(cohort, tmp_path)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    scans = []
    for scan in cohort.scans:
        path = moved / scan.path.name
        path.write_bytes(scan.path.read_bytes())
        scans.append(replace(scan, subject=f"secret-{scan.subject}", path=path))
    write_manifest(moved / "manifest.csv", scans)
    actual = _acquire(read_manifest(moved / "manifest.csv"), tmp_path)
    assert len(examine.asked) == 12
    assert actual[0].scan.subject == "secret-p0"
    for entry in (tmp_path / "store").rglob("*"):
        assert entry.is_dir() or str(tmp_path).encode() not in entry.read_bytes()


@pytest.mark.parametrize("status", [Status.BACKEND_ERROR, Status.RENDER_FAILED, Status.UNREADABLE])
def test_what_another_attempt_may_mend_is_not_kept(
    cohort: Cohort, tmp_path: Path, examine: Counted, status: Status
) -> None:
    examine.status = status
    _acquire(cohort, tmp_path)
    examine.status = Status.OK
    assert all(record.face.status is Status.OK for record in _acquire(cohort, tmp_path))
    assert len(examine.asked) == 24


def test_an_absent_scan_is_looked_at_each_time(cohort: Cohort, tmp_path: Path, examine: Counted) -> None:
    _acquire(cohort, tmp_path)
    (tmp_path / "p2_1_b.nii.gz").unlink()
    actual = {record.scan.key: record for record in _acquire(cohort, tmp_path)}
    assert actual["p2/1/b"].face.status is Status.UNREADABLE


def test_a_scan_that_changes_while_it_is_read_is_not_kept(cohort: Cohort, tmp_path: Path, examine: Counted) -> None:
    examine.after = lambda scan: scan.path.write_bytes(b"\x07") if scan.key == "p0/1/a" else None
    _acquire(cohort, tmp_path)
    examine.after = lambda scan: None
    examine.asked.clear()
    _acquire(cohort, tmp_path)
    assert examine.asked == ["p0/1/a"]


def test_a_run_that_stops_keeps_what_it_finished(cohort: Cohort, tmp_path: Path, examine: Counted) -> None:
    def stop(scan: ScanRef) -> None:
        if len(examine.asked) == 5:
            raise KeyboardInterrupt

    examine.after = stop
    with pytest.raises(KeyboardInterrupt):
        _acquire(cohort, tmp_path)
    examine.after = lambda scan: None
    examine.asked.clear()
    stages: dict[str, tuple[int, int]] = {}
    _acquire(cohort, tmp_path, progress=lambda stage, done, total: stages.update({stage: (done, total)}))
    assert len(examine.asked) == 12 - 4
    assert stages["originals (4 more are in the store)"] == (2, 2)
    assert stages["defaced scans"] == (6, 6)


def test_a_store_that_cannot_be_written_ends_the_run_with_its_remedy(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "_write", full)
    with pytest.raises(StoreError, match=r"No space left on device.*--store DIR"):
        _acquire(cohort, tmp_path)


def test_a_worker_with_other_engines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(
        ENGINES, recognisers=(replace(DLIB, identity={"model": "2"}),), drawing={"pixels": "1", "driver": "x"}
    )
    for here, complaint in ((ENGINES, ""), (other, "another model: 2 instead of 1")):
        kept_room._seen_here.clear()
        monkeypatch.setattr(kept_room, "look_again", lambda engines, here=here: here)
        expected = FaceCache(Store(Path("unused")), ENGINES).of_run
        if not complaint:
            kept_room.check_engines_here(ENGINES, expected)
            continue
        with pytest.raises(EngineError, match=complaint):
            kept_room.check_engines_here(ENGINES, expected)


# --- dry runs and parts ---


def test_a_plan_tells_what_would_be_done(
    cohort: Cohort, tmp_path: Path, examine: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FaceCache(Store(tmp_path / "store"), ENGINES)
    plan = plan_faces(cohort, ENGINES, cache=cache)
    assert (plan.originals, plan.originals_kept, plan.defaced, plan.defaced_kept) == (6, 0, 6, 0)
    assert plan.to_do == 12
    assert not (tmp_path / "store").exists()
    assert plan_faces(cohort, ENGINES).to_do == 12
    monkeypatch.setattr("reid_audit.work.digests._SETTLED_NS", -1)  # without the patience of two seconds
    _acquire(cohort, tmp_path)
    plan = plan_faces(cohort, ENGINES, cache=cache)
    assert (plan.originals_kept, plan.defaced_kept, plan.to_do) == (6, 6, 0)
    (tmp_path / "p1_1_b.nii.gz").unlink()
    plan = plan_faces(cohort, ENGINES, cache=cache)
    assert plan.absent == ("p1/1/b",)
    assert (plan.defaced_kept, plan.to_do) == (5, 0)
    assert len(examine.asked) == 12
    (tmp_path / "p0_2_original.nii.gz").write_bytes(b"\x63")  # has a part in where a face is on average
    plan = plan_faces(cohort, ENGINES, cache=cache)
    assert (plan.originals_kept, plan.defaced_kept, plan.to_do) == (5, 0, 6)


def test_the_first_people_are_a_cohort(cohort: Cohort) -> None:
    part = take_subjects(cohort, 2)
    assert part.subjects == ("p0", "p1")
    assert len(part.scans) == 8
    assert list(part.strata.index) == ["p0", "p1"]
    assert take_subjects(cohort, None) is cohort
    assert take_subjects(cohort, 3) is cohort
    with pytest.raises(InputError, match="--limit must be at least 1"):
        take_subjects(cohort, 0)


@pytest.mark.slow
def test_an_audit_of_a_part_is_incomplete_at_best(cohort: Cohort, tmp_path: Path) -> None:
    result = audit(cohort, settings=Settings(encoders=("dlib",), renderer="raycast"), limit=2, draws=20)
    check = {check.name: check for check in result.verdict.checks}["limited"]
    assert check.decision is Decision.INCOMPLETE
    assert "2 of 3 people" in check.text
    assert result.verdict.decision in (Decision.INCOMPLETE, Decision.FAIL)


@pytest.mark.slow
def test_dry_run_limit_and_log_on_the_command_line(
    cohort: Cohort, tmp_path: Path, examine: Counted, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, result, log = str(tmp_path / "manifest.csv"), tmp_path / "result", tmp_path / "run.log"
    common = ["--encoder", "dlib", "--renderer", "raycast", "--workers", "1", "--store", str(tmp_path / "store")]
    assert main(["score", manifest, "-o", str(result), *common, "--dry-run", "--limit", "2"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"originals +4 .*\n.*defaced +4 .*\n.*canaries +4 ", told)
    assert "12 scans would be read" in told  # two canaries of each person
    assert examine.asked == []
    assert not result.exists()
    calibrate = ["calibrate", manifest, "-o", str(tmp_path / "calibration.json"), *common]
    assert main([*calibrate, "--limit", "2", "--log", str(log)]) == 0
    assert len(examine.asked) == 4
    text = log.read_text()
    assert "p0/1/original: ok by dlib in" in text
    assert text.rstrip().endswith("Z INFO ended")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert logging.getLogger("reid_audit").handlers == []
    assert main([*calibrate, "--dry-run"]) == 0
    assert "6" in capsys.readouterr().out
    score = ["score", manifest, "-o", str(result), "--calibration", str(tmp_path / "calibration.json"), *common]
    score += ["--attack", "naive,aligned,registered,fusion"]  # what `examine` gives is no map for shape
    assert main([*score, "--log", str(log)]) in (1, 3, 4)
    assert len(examine.asked) == 18  # calibrate left its faces to score, which adds six canaries
    assert "p0/1/original: ok by dlib, from the store" in log.read_text()
    assert main([*calibrate, "--no-store"]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert main([*calibrate, "--log", str(tmp_path / "no" / "run.log")]) == 2
    assert "--log: run.log cannot be written" in capsys.readouterr().err


# --- progress, workers, schedulers ---


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = _LinesOfProgress(clock=lambda: now)
    for done in range(101):
        now = 2.0 * done
        lines("originals", done, 100)
    quick = _LinesOfProgress(clock=lambda: 0.0)
    for done in range(11):
        quick("heads", done, 10)
    text = capsys.readouterr().err.splitlines()
    assert text[0] == "originals: 15 of 100 after 0:00:30, about 0:02:50 left"
    assert text[-1] == "originals: 100 of 100 after 0:03:20"
    assert len(text) == 7


def test_never_more_workers_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_room, "free_memory_bytes", lambda: int(4.7e9))
    plan = plan_workers(8)
    assert plan.count == 2
    assert plan.notice.startswith("2 workers run instead of 8: 4.7 GB of memory are free")
    assert plan_workers(2).notice == ""
    monkeypatch.setattr(local_room, "free_memory_bytes", lambda: 0)
    assert plan_workers(4).count == 1
    said: list[str] = []
    with local_executor(4, say=said.append) as executor:
        assert executor.submit(os.getpid).result() == os.getpid()
    assert len(said) == 1
    assert said[0].startswith("1 worker runs instead of 4")


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("max", "5000000"), ("current", "2000000"), ("none", "max")):
        (tmp_path / name).write_text(text)
    files = [(str(tmp_path / "none"), str(tmp_path / "current")), (str(tmp_path / "absent"), "x")]
    monkeypatch.setattr(local_room, "_CGROUP_FILES", files)
    assert local_room.free_memory_bytes() > 5_000_000
    monkeypatch.setattr(local_room, "_CGROUP_FILES", [*files, (str(tmp_path / "max"), str(tmp_path / "current"))])
    assert local_room.free_memory_bytes() == 3_000_000


@pytest.mark.parametrize("address", ["", "host:8786", "tcp://host", "tcp://:1", "ftp://host:1", "tcp://host:port"])
def test_an_address_that_is_none_is_refused(address: str, capsys: pytest.CaptureFixture[str], cohort: Cohort) -> None:
    manifest = cohort.scans[0].path.parent / "manifest.csv"
    assert main(["calibrate", str(manifest), "--scheduler", address, "--encoder", "dlib"]) == 2
    assert "--scheduler must be 'local' or an address" in " ".join(capsys.readouterr().err.split())


def test_without_dask_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cohort: Cohort
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    manifest = cohort.scans[0].path.parent / "manifest.csv"
    assert main(["calibrate", str(manifest), "--scheduler", "local", "--encoder", "dlib"]) == 2
    assert "pip install 'reid-audit[cluster]'" in " ".join(capsys.readouterr().err.split())


LOCAL_CLUSTER = """
from reid_audit import cluster_executor
from reid_audit.work import default_workers, run_all

if __name__ == "__main__":
    with cluster_executor("local", workers=1, say=print) as executor:
        print(run_all(executor, pow, [(n, 2) for n in range(5)]))
"""


@pytest.mark.slow
def test_a_cluster_of_this_machine_says_where_its_dashboard_is(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LOCAL_CLUSTER)
    done = subprocess.run(
        [sys.executable, "program.py"], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 Dask worker; dashboard: http://127.0.0.1:" in done.stdout
    assert "[0, 1, 4, 9, 16]" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


@pytest.mark.slow
def test_the_benchmark_of_the_work_runs() -> None:
    """Its bounds are for a quiet machine; here it must run and tell all of them."""
    program = TESTS / "benchmarks" / "bench_work.py"
    words = [sys.executable, str(program), "--scans", "2", "--more", "4", "--voxel-mm", "4"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    for line in ("gain of the second worker", "s per scan, growth", "largest worker"):
        assert line in done.stdout
