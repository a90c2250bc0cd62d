"""The rooms in order: statuses, partners, what concerns everybody, and what the outputs may hold."""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid_audit import (
    CalibrationError,
    Cohort,
    Decision,
    Face,
    InputError,
    Policy,
    Portrait,
    RenderError,
    ScanRef,
    Settings,
    Status,
    assess_scores,
    audit,
    calibrate,
    read_volume,
    write_result,
)
from reid_audit import portrait as portrait_room
from reid_audit.attack import Hints, choose_attacks
from reid_audit.audit import Engines, acquire_faces, start_engines
from reid_audit.audit import scan as scan_room
from reid_audit.audit import settings as settings_room
from reid_audit.audit.scan import Knowledge
from reid_audit.dataset import read_manifest, write_manifest
from reid_audit.match.pairs import JUDGED_ROW_BYTES
from reid_audit.phantom import PhantomScan, make_phantom
from reid_audit.portrait import Partner
from reid_audit.records import FaceRecord, Modality, ScoreTable
from reid_audit.report import result_to_html, result_to_json
from reid_audit.report.form import result_from_json
from reid_audit.surface import SurfaceSettings
from reid_audit.testing import FakeEncoder, make_tiny_head
from reid_audit.volume import digest_image, digest_voxels, write_volume


@pytest.fixture(autouse=True)
def pixels(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeEncoder], None]:
    """Recognise by pixels and draw by ray casting; gives a function that changes the recogniser."""

    def use(*encoders: FakeEncoder) -> None:
        settings_room._load_encoders.cache_clear()
        monkeypatch.setattr(settings_room, "check_encoders", lambda names, **_: None)
        remaining = itertools.cycle(encoders)
        monkeypatch.setattr(settings_room, "make_encoder", lambda name, **_: next(remaining))

    use(FakeEncoder())
    yield use
    settings_room._load_encoders.cache_clear()


SETTINGS = Settings(renderer="raycast", surface=SurfaceSettings(voxel_mm=6.0, head_volume_cm3=500.0))


def _write_cohort(folder: Path, people: int = 3, visits: int = 2, *, defacer: str = "dent") -> Path:
    scans = []
    for person in range(people):
        for visit in range(1, visits + 1):
            shape = {"radius_mm": 70.0 + 6 * person, "stretch": 1.0 + 0.06 * (person % 2), "shift_mm": float(visit)}
            made = {"original": make_tiny_head(**shape)}
            if visit == 1:
                made[defacer] = make_tiny_head(**shape, dent_mm=15.0)
            for condition, volume in made.items():
                path = folder / f"s{person}_{visit}_{condition}.nii.gz"
                write_volume(volume, path)
                scans.append(ScanRef(f"s{person}", str(visit), condition, path, Modality.CT))
    write_manifest(folder / "manifest.csv", scans)
    return folder / "manifest.csv"


def _acquire(cohort: Cohort) -> dict[str, FaceRecord]:
    records = acquire_faces(cohort, start_engines(SETTINGS))
    assert [record.scan for record in records] == list(cohort.scans)
    return {record.scan.key: record for record in records}


def _examine(scan: ScanRef, settings: Settings, original: Partner | None = None) -> FaceRecord:
    (record,) = scan_room.examine_scan(scan, start_engines(settings), knowledge={"pixels": Knowledge(original)})
    return record


def _hand_on(record: FaceRecord) -> Partner:
    assert record.view is not None
    assert record.grid is not None
    return Partner(record.skin_level, record.view, record.grid, record.face)


def test_what_would_not_fit_into_memory_is_refused_before_a_scan_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = _write_cohort(tmp_path)
    # At most 3 x 3 // 2 of originals with each other, and 3 x 3 of defaced scans with the other visit's originals;
    # canaries are made of both visits.
    stages: list[str] = []
    run = {"settings": SETTINGS, "attacks": ["naive"], "progress": lambda stage, *_: stages.append(stage)}
    for canaries, rows in ((0, 4 + 9), (3, 4 + 9 + 2 * 9)):
        free = type("Memory", (), {"available": JUDGED_ROW_BYTES * rows - 1})
        monkeypatch.setattr("psutil.virtual_memory", lambda free=free: free)
        with pytest.raises(InputError, match=rf"^a table of {rows} comparisons takes .*--limit"):
            audit(manifest, canaries=canaries, **run)
    assert stages == []


def test_a_defaced_scan_is_seen_at_its_originals_level_and_through_its_camera(tmp_path: Path) -> None:
    actual = _acquire(read_manifest(_write_cohort(tmp_path)))
    original, defaced = actual["s0/1/original"], actual["s0/1/dent"]
    assert (defaced.skin_level, defaced.view) == (original.skin_level, original.view)
    assert original.view != actual["s0/2/original"].view
    assert set(original.seconds) == {"read", "skin", "portrait", "face"}


def test_what_a_defacer_put_before_the_face_is_a_finding_of_the_defaced_scan(tmp_path: Path) -> None:
    settings = replace(SETTINGS, surface=SurfaceSettings(voxel_mm=2.0, head_volume_cm3=500.0))
    original, defaced = tmp_path / "original.nii.gz", tmp_path / "mask.nii.gz"
    write_volume(make_tiny_head(70.0), original)
    write_volume(make_tiny_head(70.0, dent_mm=-20.0), defaced)
    scans = [ScanRef("s0", "1", condition, path) for condition, path in (("original", original), ("mask", defaced))]
    write_manifest(tmp_path / "manifest.csv", scans)
    before, after = acquire_faces(read_manifest(tmp_path / "manifest.csv"), start_engines(settings))
    assert "surface_added" not in {finding.code for finding in before.findings}
    (added,) = [finding for finding in after.findings if finding.code == "surface_added"]
    assert added.value == pytest.approx(20, abs=4)


def test_a_camera_of_its_own_that_sees_nothing_costs_who_looks_through_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(skin: object) -> None:
        raise RenderError("nothing in view")

    cohort = read_manifest(_write_cohort(tmp_path))
    engines = start_engines(SETTINGS)
    original, defaced = cohort.originals[0], cohort.defaced("dent")[0]
    seen = _examine(original, SETTINGS)
    monkeypatch.setattr(portrait_room, "find_frontal_view", lost)
    known = Knowledge(_hand_on(seen), {"registered": Hints(seen.face)})
    (actual,) = scan_room.examine_scan(defaced, engines, attacks=choose_attacks(), knowledge={"pixels": known})
    assert actual.face.acquired
    assert actual.looks["aligned"][0].acquired
    assert actual.looks["registered"][0].status is Status.RENDER_FAILED
    assert len(actual.looks["shape"]) == 1  # in the pose of the original alone


def test_a_defaced_scan_without_an_original_chooses_for_itself_and_says_so(tmp_path: Path) -> None:
    cohort = read_manifest(_write_cohort(tmp_path))
    (tmp_path / "s0_1_original.nii.gz").unlink()
    actual = _acquire(cohort)
    assert actual["s0/1/original"].face.status is Status.UNREADABLE
    assert actual["s0/1/dent"].face.acquired
    assert "no_partner" in [finding.code for finding in actual["s0/1/dent"].findings]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def _constant(path: Path) -> None:
    volume = make_tiny_head(70.0)
    write_volume(replace(volume, intensity=np.full_like(volume.intensity, -1000.0)), path)


def _other_grid(path: Path) -> None:
    volume = make_tiny_head(70.0)
    write_volume(replace(volume, intensity=volume.intensity[:20]), path)


def _phantom_ref(folder: Path, condition: str = "original", **kwargs: object) -> tuple[ScanRef, PhantomScan]:
    scan = make_phantom(20, spacing_mm=3.0, shift_sd_mm=0, **kwargs)
    write_volume(scan.volume, folder / f"{condition}.nii")
    return ScanRef("p20", "1", condition, folder / f"{condition}.nii", scan.volume.modality), scan


def test_a_head_is_faced_however_it_lies(tmp_path: Path) -> None:
    ref, _ = _phantom_ref(tmp_path, pose_sd_deg=6.8)
    record = _examine(ref, replace(SETTINGS, surface=SurfaceSettings(voxel_mm=3.0)))
    straight, _ = _phantom_ref(tmp_path, "straight", pose_sd_deg=0)
    upright = _examine(straight, replace(SETTINGS, surface=SurfaceSettings(voxel_mm=3.0)))
    apart = 1 - float(record.face.vector @ upright.face.vector)
    assert apart < 0.01  # pixels, so that a degree shows
    assert abs(record.view.roll_deg) + abs(record.view.azimuth_deg) > 3


def test_a_face_that_is_not_seen_is_sought_at_other_levels_and_from_other_heights(
    tmp_path: Path, pixels: Callable[[FakeEncoder], None]
) -> None:
    ref, _ = _phantom_ref(tmp_path, modality=Modality.MR, pose_sd_deg=0)
    settings = replace(SETTINGS, surface=SurfaceSettings(voxel_mm=3.0))
    first = _examine(ref, settings)
    assert "search" not in first.seconds

    def from_below(portrait: Portrait) -> Face:
        if portrait.view.elevation_deg > first.view.elevation_deg - 5:
            return Face(Status.NO_FACE, "pixels", reason="not from there")
        return FakeEncoder().encode(portrait)

    pixels(FakeEncoder(from_below))
    sought = _examine(ref, settings)
    assert sought.face.status is Status.OK
    assert sought.view.elevation_deg < first.view.elevation_deg - 5
    defaced, _ = _phantom_ref(tmp_path, "defaced", modality=Modality.MR, pose_sd_deg=0)
    assert _examine(defaced, settings, _hand_on(sought)).view == sought.view


def test_nothing_is_sought_in_a_defaced_scan(tmp_path: Path, pixels: Callable[[FakeEncoder], None]) -> None:
    pixels(FakeEncoder(lambda _: Face(Status.NO_FACE, "pixels", reason="none")))
    ref, _ = _phantom_ref(tmp_path, "defaced", pose_sd_deg=0)
    record = _examine(ref, SETTINGS)
    assert record.face.status is Status.NO_FACE
    assert "search" not in record.seconds


def test_nothing_is_sought_in_an_unfit_scan(tmp_path: Path, pixels: Callable[[FakeEncoder], None]) -> None:
    pixels(FakeEncoder(lambda _: Face(Status.NO_FACE, "pixels", reason="none")))
    ref, scan = _phantom_ref(tmp_path, pose_sd_deg=0)
    write_volume(replace(scan.volume, intensity=scan.volume.intensity[:, :, 40:].copy()), ref.path)
    assert "search" not in _examine(ref, SETTINGS).seconds


def test_a_cut_face_is_unfit_in_an_original_and_not_in_a_defaced_scan(tmp_path: Path) -> None:
    ref, scan = _phantom_ref(tmp_path, pose_sd_deg=0)
    cut = scan.volume.intensity.copy()
    cut[:, :, : cut.shape[2] // 2] = -1000
    write_volume(replace(scan.volume, intensity=cut), ref.path)
    settings = replace(SETTINGS, surface=SurfaceSettings(voxel_mm=3.0))
    record = _examine(ref, settings)
    assert {f.code for f in record.findings if f.severity == "unfit"} == {"face_incomplete"}
    assert not [f for f in _examine(replace(ref, condition="tool"), settings).findings if f.severity == "unfit"]


@pytest.mark.parametrize(
    ("spoil", "status", "word"),
    [
        (Path.unlink, Status.UNREADABLE, "no such file"),
        (lambda path: path.write_bytes(b""), Status.UNREADABLE, "empty"),
        (_truncate, Status.UNREADABLE, "dent"),
        (lambda path: path.write_text("subject,session"), Status.UNREADABLE, "dent"),
        (lambda path: path.write_bytes(gzip.compress(b"\0" * 400)), Status.UNREADABLE, "dent"),
        (_constant, Status.UNREADABLE, "every voxel has the value"),
    ],
    ids=["missing", "empty", "truncated", "text", "zeros", "constant"],
)
def test_bad_input_costs_one_scan_its_status(
    tmp_path: Path, spoil: Callable[[Path], None], status: Status, word: str
) -> None:
    manifest = _write_cohort(tmp_path)
    spoil(tmp_path / "s1_1_dent.nii.gz")
    actual = _acquire(read_manifest(manifest))
    face = actual.pop("s1/1/dent").face
    assert face.status is status
    assert "s1_1_dent.nii.gz" in face.reason
    assert word in face.reason
    assert str(tmp_path) not in face.reason
    assert all(record.face.acquired for record in actual.values())


def test_another_grid_is_no_way_out_of_being_judged(tmp_path: Path) -> None:
    manifest = _write_cohort(tmp_path)
    _other_grid(tmp_path / "s1_1_dent.nii.gz")
    record = _acquire(read_manifest(manifest))["s1/1/dent"]
    assert record.face.acquired
    assert {f.code for f in record.findings} & {"other_grid", "cropped", "exchanged"}


def test_scans_that_were_not_seen_make_the_audit_incomplete(tmp_path: Path) -> None:
    manifest = _write_cohort(tmp_path)
    (tmp_path / "s1_1_dent.nii.gz").unlink()
    result = audit(read_manifest(manifest), settings=SETTINGS, draws=50)
    unseen = {check.name: check for check in result.verdict.conditions[0].checks}["unseen_scans"]
    assert (unseen.decision, unseen.condition) == (Decision.INCOMPLETE, "dent")
    assert "1 of 3 scans were not seen: s1/1/dent" in unseen.text
    assert result.verdict.decision in (Decision.INCOMPLETE, Decision.FAIL)
    assert [row.status for row in result.scans].count(Status.UNREADABLE) == 1
    # By their voxels a certificate knows the images again that were judged.
    volume = read_volume(tmp_path / "s0_1_dent.nii.gz")
    known = {row.file: row.image_sha256 for row in result.scans if row.image_sha256}
    assert known["s0_1_dent.nii.gz"] == digest_image(digest_voxels(volume), volume.grid)
    assert set(known) == {"s0_1_dent.nii.gz", "s2_1_dent.nii.gz"}


def test_an_original_under_a_defacers_name_fails(tmp_path: Path) -> None:
    manifest = _write_cohort(tmp_path)
    (tmp_path / "s2_1_dent.nii.gz").write_bytes((tmp_path / "s2_1_original.nii.gz").read_bytes())
    result = audit(read_manifest(manifest), settings=SETTINGS, draws=50)
    check = {check.name: check for check in result.verdict.conditions[0].checks}["original_in_release"]
    assert check.decision is Decision.FAIL
    assert "s2/1/dent" in check.text
    assert result.verdict.exit_code == 1


def test_a_recogniser_that_breaks_is_never_a_face_that_was_not_found(
    tmp_path: Path, pixels: Callable[[FakeEncoder], None]
) -> None:
    pixels(FakeEncoder(lambda portrait: Face(Status.BACKEND_ERROR, "pixels", reason="the engine broke")))
    cohort = read_manifest(_write_cohort(tmp_path))
    result = audit(cohort, attacks=("naive", "registered"), settings=SETTINGS, draws=50)  # shape needs no recogniser
    assert result.verdict.decision is Decision.INCOMPLETE
    assert {row.status for row in result.scans} == {Status.BACKEND_ERROR}


def test_a_blind_audit_is_incomplete(tmp_path: Path, pixels: Callable[[FakeEncoder], None]) -> None:
    rng = np.random.default_rng(0)

    def noise(portrait: Portrait) -> Face:
        vector = rng.standard_normal(64)
        return Face(Status.OK, "pixels", (vector / np.linalg.norm(vector)).astype(np.float32), confidence=1.0)

    pixels(FakeEncoder(noise))
    policy = Policy(min_subjects=4, required_attacks=("naive",))
    cohort = read_manifest(_write_cohort(tmp_path, people=8))
    result = audit(cohort, settings=SETTINGS, policy=policy, draws=50)
    assert result.verdict.decision is Decision.INCOMPLETE


def test_no_second_visit_has_nothing_to_calibrate_with(tmp_path: Path) -> None:
    cohort = read_manifest(_write_cohort(tmp_path, visits=1))
    with pytest.raises(InputError, match="second visit"):
        calibrate(cohort, settings=SETTINGS)
    with pytest.raises(InputError, match="second visit"):
        audit(cohort, settings=SETTINGS)


def test_one_subject_has_nobody_to_be_told_from(tmp_path: Path) -> None:
    cohort = read_manifest(_write_cohort(tmp_path, people=1))
    with pytest.raises(InputError, match="two people"):
        audit(cohort, settings=SETTINGS)


def test_originals_alone_cannot_be_audited(tmp_path: Path) -> None:
    cohort = read_manifest(_write_cohort(tmp_path))
    with pytest.raises(InputError, match="add the defaced ones"):
        audit(replace(cohort, scans=cohort.originals), settings=SETTINGS)


def test_a_calibration_of_other_settings_is_refused_or_written_into_the_result(tmp_path: Path) -> None:
    cohort = read_manifest(_write_cohort(tmp_path))
    (calibration,), records, _ = calibrate(cohort, settings=SETTINGS, draws=50)
    assert len(records) == 6
    result = audit(cohort, calibrations=calibration, settings=SETTINGS, draws=50)
    assert result.mismatches == ()
    other = replace(SETTINGS, skin_level=-400.0)
    with pytest.raises(CalibrationError, match="surface"):
        audit(cohort, calibrations=calibration, settings=other, draws=50)
    allowed = audit(cohort, calibrations=calibration, settings=other, draws=50, allow_mismatch=True)
    assert len(allowed.mismatches) == 1
    assert "surface" in allowed.mismatches[0]
    assert "calibration_mismatch" in [check.name for check in allowed.verdict.checks]


def test_json_and_back_is_equal_and_the_page_is_a_view_of_it(tmp_path: Path) -> None:
    result = audit(read_manifest(_write_cohort(tmp_path)), settings=SETTINGS, draws=50)
    text = result_to_json(result)
    again = result_from_json(text)
    assert result_to_json(again) == text
    assert result_to_html(again) == result_to_html(result)
    with pytest.raises(InputError, match=r"result\.json"):
        result_from_json('{"cohort": 3}')


def test_no_output_holds_a_folder_a_face_or_a_script(tmp_path: Path) -> None:
    manifest = _write_cohort(tmp_path)
    (tmp_path / "s1_1_dent.nii.gz").unlink()
    name = "<script>alert(1)</script>&\"'"
    text = manifest.read_text().replace("\ns0,", '\n"' + name.replace('"', '""').replace("/", "") + '",')
    manifest.write_text(text)
    result = audit(read_manifest(manifest), settings=SETTINGS, draws=50)
    page = write_result(result, tmp_path / "out")
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "comparisons.csv",
        "measures.csv",
        "rates.csv",
        "report.html",
        "result.json",
        "scans.csv",
        "subjects.csv",
    ]
    for path in page.parent.iterdir():
        content = path.read_text(encoding="utf-8")
        assert str(tmp_path) not in content, path.name
        assert os.stat(path).st_mode & 0o077 == 0, path.name
    html = page.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html
    assert "<image" not in html
    with pytest.raises(InputError, match="holds a result already"):
        write_result(result, tmp_path / "out")


def test_portraits_are_kept_only_where_asked_for_in_a_folder_of_their_own(tmp_path: Path) -> None:
    cohort = read_manifest(_write_cohort(tmp_path))
    (tmp_path / "s1_1_dent.nii.gz").unlink()
    folder = tmp_path / "private" / "faces"
    result = audit(cohort, settings=SETTINGS, draws=50, portraits=folder)
    assert os.stat(folder).st_mode & 0o777 == 0o700
    written = sorted(folder.iterdir())
    assert sorted(path.suffix for path in written) == [".csv"] + [".png"] * 8
    assert all(os.stat(path).st_mode & 0o077 == 0 for path in written)
    index = pd.read_csv(folder / "portraits.csv", dtype=str)
    assert list(index.loc[index["file"].isna(), ["subject", "condition"]].to_numpy()[0]) == ["s1", "dent"]
    html = result_to_html(result)
    assert "Portraits of 8 scans were kept" in html
    assert "faces" in html
    assert str(folder) not in html
    again = audit(cohort, settings=SETTINGS, draws=50)
    assert "Portraits" not in result_to_html(again)
    with pytest.raises(InputError, match="--with-portraits faces: give a folder that is empty"):
        audit(cohort, settings=SETTINGS, draws=50, portraits=folder)


def test_the_same_run_twice_gives_the_same_result(tmp_path: Path) -> None:
    cohort = read_manifest(_write_cohort(tmp_path))
    first = audit(cohort, settings=SETTINGS, draws=50, seed=4)
    again = audit(cohort, settings=SETTINGS, draws=50, seed=4)
    timeless = [
        replace(result, created_utc="", scans=tuple(replace(row, seconds=0.0) for row in result.scans))
        for result in (first, again)
    ]
    assert result_to_json(timeless[0]) == result_to_json(timeless[1])


def test_engines_resolve_auto() -> None:
    engines = start_engines(SETTINGS)
    assert isinstance(engines, Engines)
    assert (engines.settings.encoders, engines.recognisers[0].detector) == (("dlib",), "none")  # the double's recipe


def test_distances_that_offer_no_threshold_are_told_without_a_number() -> None:
    """All distances equal: nothing separates, nothing matches, nothing is shown, and the page says so."""
    people = [f"p{i}" for i in range(4)]
    rows = [("same", "original", a, a) for a in people] + [("defaced_same", "cut", a, a) for a in people]
    rows += [("different", "original", a, b) for a in people for b in people if a < b]
    rows += [("defaced_different", "cut", a, b) for a in people for b in people if a != b]
    frame = pd.DataFrame(
        {
            "group": [row[0] for row in rows],
            "condition": [row[1] for row in rows],
            "attack": "naive",
            "probe_subject": [row[2] for row in rows],
            "probe_session": "1",
            "reference_subject": [row[3] for row in rows],
            "reference_session": ["1" if row[0] == "different" else "2" for row in rows],
        }
    ).astype("category")
    result = assess_scores(ScoreTable(frame.assign(distance=0.5)), source="equal.csv", draws=20)
    assert result.verdict.decision is Decision.INCOMPLETE
    assert "offers no youden" in result_to_html(result)
    assert result_from_json(result_to_json(result)).verdict.decision is Decision.INCOMPLETE
