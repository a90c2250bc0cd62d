"""Photographs as references: whose they are, what becomes of bad ones, and what the report keeps of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_audit import Decision, Face, InputError, Portrait, ScanRef, Settings, Status
from reid_audit.attack import choose_attacks, read_photo, search_photographs
from reid_audit.audit import Engines, assess_scores
from reid_audit.audit import acquire as acquire_room
from reid_audit.audit.acquire import examine_photo
from reid_audit.audit.findings import check_photographs
from reid_audit.dataset import Cohort, read_gallery
from reid_audit.match import compare_attacks
from reid_audit.match.attackers import compare_photographs
from reid_audit.records import ORIGINAL, FaceRecord, Policy
from reid_audit.verdict.rules.sight import binds


def _photo(path: Path, grey: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 40), (grey, 0, 0)).save(path)
    return path


def test_photographs_in_a_folder_are_named_by_their_subjects(tmp_path: Path) -> None:
    for name in ("p1.jpg", "p1_left.png", "p10.JPG", "p2/smile.jpg", "passer-by.jpg", ".hidden.jpg"):
        _photo(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    actual = read_gallery(tmp_path, ["p1", "p10", "p2"])
    assert sorted((p.subject, p.session) for p in actual) == [
        ("other person 1", "1"),  # of nobody in the cohort, and without a name
        ("p1", "1"),
        ("p1", "2"),
        ("p10", "1"),
        ("p2", "1"),
    ]


def test_photographs_in_a_table(tmp_path: Path) -> None:
    _photo(tmp_path / "a" / "x.png")
    (tmp_path / "gallery.csv").write_text("subject,path\np1,a/x.png\np1,a/y.png\n")
    actual = read_gallery(tmp_path / "gallery.csv", ["p1"])
    assert [(p.subject, p.session, p.path) for p in actual] == [
        ("p1", "1", tmp_path / "a/x.png"),
        ("p1", "2", tmp_path / "a/y.png"),
    ]
    for text, rule in (
        ("subject,file\np1,x.png\n", "lacks path"),
        ("subject,path\np1,\n", "empty in line 2"),
        ("subject,path\np1,../x.png\n", "leads out"),
        ("subject,path\nsomebody,x.png\n", "none of anybody in the cohort"),
    ):
        (tmp_path / "gallery.csv").write_text(text)
        with pytest.raises(InputError, match=rule):
            read_gallery(tmp_path / "gallery.csv", ["p1"])


def test_a_photograph_is_upright_rgb_and_small(tmp_path: Path) -> None:
    tall = Image.new("L", (3000, 1500), 200)
    exif = tall.getexif()
    exif[0x0112] = 6  # turned by a quarter
    tall.save(tmp_path / "x.jpg", exif=exif)
    portrait = read_photo(tmp_path / "x.jpg")
    assert portrait.pixels.shape == (1024, 512, 3)


class _Mean:
    """Stands in for a recogniser: the vector is the photograph's mean colour."""

    name = "mean"

    def encode(self, portrait: Portrait) -> Face:
        vector = portrait.pixels.mean(axis=(0, 1))
        return Face(Status.OK, self.name, (vector / np.linalg.norm(vector)).astype(np.float32))


def test_a_bad_photograph_is_a_status_and_no_record_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acquire_room, "encoders_of", lambda engines: (_Mean(),))
    engines = Engines(Settings(), (), {})
    (tmp_path / "Jane Doe.jpg").write_bytes(b"no picture")
    _photo(tmp_path / "John Doe.png")
    for name, status in (("Jane Doe.jpg", Status.UNREADABLE), ("John Doe.png", Status.OK)):
        (record,) = examine_photo(ScanRef("p1", "1", "photograph", tmp_path / name), engines)
        assert record.face.status is status
        assert "Doe" not in str(record)


def _faces(people: int, *, shift: float) -> tuple[list[FaceRecord], list[FaceRecord]]:
    """Scans in two visits, the first defaced; two photographs each, that differ from all scans in the same way."""
    rng = np.random.default_rng(2)
    own, pictured = rng.normal(size=(people, 24)), rng.normal(size=24)

    def record(subject: int, session: str, condition: str, noise: float, away: float = 0.0) -> FaceRecord:
        vector = own[subject] + away * pictured + noise * rng.normal(size=24)
        face = Face(Status.OK, "e", (vector / np.linalg.norm(vector)).astype(np.float32))
        return FaceRecord(ScanRef(f"p{subject}", session, condition, Path("x")), face)

    scans = [record(i, v, ORIGINAL, 0.1) for i in range(people) for v in ("1", "2")]
    scans += [record(i, "1", "cut", 0.3) for i in range(people)]
    return scans, [record(i, v, "photograph", 0.1, shift) for i in range(people) for v in ("1", "2")]


def test_scans_are_looked_up_in_photographs_with_a_control_and_thresholds_of_their_own() -> None:
    scans, photos = _faces(24, shift=1.5)
    frame = compare_photographs(scans, photos).frame
    counts = frame.groupby(["group", "condition"], observed=True).size().to_dict()
    assert counts == {
        ("same", ORIGINAL): 48,
        ("different", ORIGINAL): 48 * 23,
        ("defaced_same", "cut"): 24,
        ("defaced_different", "cut"): 24 * 23,
    }
    assert set(frame["reference_session"]) == {"photographs"}
    result = assess_scores(compare_attacks(scans, (), photos), source="made up", draws=50)
    own = next(control for control in result.evidence.controls if control.attack == "photos")
    actual = result.evidence.attack("cut", "photos")
    assert own.search.rank1.value == 1.0
    assert actual.search.rank1.value > 0.9
    assert actual.match("youden").distance > 1.3 * result.calibrations[0].threshold("youden").distance
    assert any("photographs" in note for note in actual.notes)
    assert any("photos" in notice for notice in result.notices)


def test_other_attackers_look_their_own_faces_up_in_photographs() -> None:
    """The naive attacker sees noise, the registered one the person; who uses the original, or no vector, cannot."""
    scans, photos = _faces(24, shift=1.5)
    noise = np.random.default_rng(3).normal(size=(24, 24)).astype(np.float32)
    blind = [
        replace(
            record,
            face=replace(record.face, vector=noise[k % 24] / np.linalg.norm(noise[k % 24])),
            looks={"registered": (record.face,), "aligned": (record.face,), "shape": (record.face,)},
        )
        if record.scan.condition == "cut"
        else record
        for k, record in enumerate(scans)
    ]
    attacks = choose_attacks(["aligned", "registered", "multiview", "shape", "fusion", "learned"])
    names = ["photos", "photos-registered", "photos-multiview-min", "photos-multiview-mean"]
    assert [attack.name for attack in search_photographs(attacks)] == names
    assert binds("photos-registered", Policy(required_attacks=("photos",)))
    result = assess_scores(compare_attacks(blind, choose_attacks(["registered"]), photos), source="made up", draws=50)
    actual = {row.attack: row for row in result.evidence.attacks}
    assert actual["photos"].linkability.value < 0.75
    assert actual["photos-registered"].linkability.value > 0.95
    by_original = {control.attack: control.search.rank1.value for control in result.evidence.controls}
    assert by_original["photos-registered"] == by_original["photos"] == 1.0


def test_people_without_a_photograph_are_counted(three_people: Cohort) -> None:
    _, photos = _faces(3, shift=0.0)
    broken = Face(Status.BACKEND_ERROR, "e", reason="the recogniser broke")
    photos = [photos[0], replace(photos[2], face=broken)]
    checks = {check.name: check for check in check_photographs(three_people, photos)}
    assert checks["photos_coverage"].decision is Decision.REVIEW
    assert "2 of 3 people" in checks["photos_coverage"].text
    assert checks["broken_attack"].decision is Decision.INCOMPLETE


@pytest.fixture
def three_people() -> Cohort:
    import pandas as pd

    return Cohort(tuple(ScanRef(f"p{i}", "1", ORIGINAL, Path(f"{i}")) for i in range(3)), pd.DataFrame())
