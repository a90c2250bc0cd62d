"""Several recognisers on one cohort: looked at once, judged each by its own thresholds, and the worst counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit import (
    AuditResult,
    CalibrationError,
    Cohort,
    Decision,
    Face,
    InputError,
    Policy,
    Portrait,
    ScanRef,
    Settings,
    Status,
    assess_scores,
    audit,
    calibrate,
    face,
    read_scores,
    testing,
    write_result,
)
from reid_audit import portrait as portrait_room
from reid_audit.accuracy import read_calibrations, write_calibrations
from reid_audit.attack import Hints, choose_attacks
from reid_audit.audit import Engines, examine_scan, start_engines
from reid_audit.audit import settings as settings_room
from reid_audit.audit.scan import Knowledge
from reid_audit.cli.words import say_result
from reid_audit.dataset import read_manifest
from reid_audit.phantom import make_phantom
from reid_audit.portrait import Partner
from reid_audit.records import FaceRecord
from reid_audit.report import result_to_json
from reid_audit.report.form import result_from_json
from reid_audit.surface import SurfaceSettings
from reid_audit.volume import write_volume

COARSE = Settings(detector="dlib", renderer="raycast", surface=SurfaceSettings(voxel_mm=3.0))


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A stand-in of the user's own, as `--encoder` takes it."""
    path = testing.write_encoder(tmp_path / "mine.onnx", size_px=112, dimension=64, channels_first=True)
    return f"onnx:{path}"


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often a detector looked at each portrait."""
    counted: Counter[bytes] = Counter()
    make = face.make_detector

    def make_counting(name: str) -> object:
        detector = make(name)
        detect = detector.detect

        def look(portrait: Portrait) -> object:
            counted[portrait.pixels.tobytes()] += 1
            return detect(portrait)

        monkeypatch.setattr(detector, "detect", look, raising=False)
        return detector

    monkeypatch.setattr(face, "make_detector", make_counting)
    settings_room._load_encoders.cache_clear()
    yield counted
    settings_room._load_encoders.cache_clear()


def _write_phantom(folder: Path) -> ScanRef:
    scan = make_phantom(1, spacing_mm=2.5, pose_sd_deg=0)
    write_volume(scan.volume, folder / "p1.nii")
    return ScanRef("p1", "1", "original", folder / "p1.nii", scan.volume.modality)


@pytest.mark.slow
def test_a_scan_is_read_drawn_and_searched_once_for_all_recognisers(
    tmp_path: Path, model: str, looks: Counter[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = testing.write_encoder(tmp_path / "other.onnx", size_px=112, dimension=32, channels_first=True)
    reads = []
    read = portrait_room.read_volume
    monkeypatch.setattr(portrait_room, "read_volume", lambda *given, **named: reads.append(1) or read(*given, **named))
    scan = _write_phantom(tmp_path)
    engines = start_engines(replace(COARSE, encoders=("dlib", model, f"onnx:{other}")))
    looks.clear()
    records = examine_scan(scan, engines)
    assert sum(looks.values()) == 1
    assert len(reads) == 1
    assert [record.face.encoder for record in records] == ["dlib", "onnx:mine.onnx", "onnx:other.onnx"]
    assert [len(record.face.vector) for record in records] == [128, 64, 32]
    assert len({record.face.box_px for record in records}) == 1

    phantom = make_phantom(1, spacing_mm=2.5, pose_sd_deg=0).volume
    phantom.intensity[:, :, : phantom.intensity.shape[2] // 4] = -1000
    write_volume(phantom, tmp_path / "cut.nii")
    defaced = replace(scan, condition="cut", path=tmp_path / "cut.nii")
    knowledge = {
        record.face.encoder: Knowledge(
            Partner(record.skin_level, record.view, record.grid, record.face), {"registered": Hints(record.face)}
        )
        for record in records
    }
    looks.clear()
    attacked = examine_scan(defaced, engines, attacks=choose_attacks(), knowledge=knowledge)
    assert set(looks.values()) == {1}  # per portrait, however many recognisers and attackers
    assert all(set(record.looks) == {"naive", "aligned", "registered", "shape"} for record in attacked)


@pytest.mark.slow
def test_each_recogniser_gets_the_face_that_it_gets_alone(tmp_path: Path, model: str) -> None:
    scan = _write_phantom(tmp_path)
    engines = start_engines(replace(COARSE, encoders=("dlib", model)))
    for recogniser, shared in zip(engines.recognisers, examine_scan(scan, engines), strict=True):
        single = start_engines(replace(COARSE, encoders=(recogniser.recipe,)))
        assert single.recognisers == (recogniser,)
        (alone,) = examine_scan(scan, single)
        np.testing.assert_array_equal(alone.face.vector, shared.face.vector)
        assert (alone.skin_level, alone.view, alone.digest) == (shared.skin_level, shared.view, shared.digest)


def test_two_files_of_one_name_are_refused(tmp_path: Path, model: str) -> None:
    (tmp_path / "b").mkdir()
    other = testing.write_encoder(tmp_path / "b" / "mine.onnx", size_px=112, dimension=64, channels_first=True)
    with pytest.raises(InputError, match=r"two are called onnx:mine\.onnx"):
        start_engines(replace(COARSE, encoders=(model, f"onnx:{other}")))


# --- an audit by two recognisers, of which the defacer blinds one ---

PEOPLE = 60
BLINDED, SEEING = "dlib", "onnx:mine.onnx"


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _faces(cohort: Cohort, encoder: str, *, blinded: bool) -> list[FaceRecord]:
    """Faces of people who look like themselves, but for defaced ones to a recogniser that is blinded."""
    rng = np.random.default_rng(5)
    people = {scan.subject: rng.standard_normal(32) for scan in cohort.scans}
    records = []
    for scan in cohort.scans:
        lost = blinded and scan.condition != "original"
        vector = rng.standard_normal(32) if lost else people[scan.subject] + 0.3 * rng.standard_normal(32)
        records.append(FaceRecord(scan, Face(Status.OK, encoder, _unit(vector), confidence=1.0), digest=scan.key))
    return records


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cohort:
    """People in two visits, whose scans need not be read: what recognisers make of them is given."""
    lines = ["subject,session,condition,path"]
    for person in range(PEOPLE):
        for session, condition in (("1", "original"), ("2", "original"), ("1", "tool")):
            lines.append(f"p{person},{session},{condition},p{person}_{session}_{condition}.nii")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")

    def acquire(cohort: Cohort, engines: Engines, **_: object) -> list[FaceRecord]:
        return [record for name in engines.encoders for record in _faces(cohort, name, blinded=name == BLINDED)]

    monkeypatch.setitem(audit.__wrapped__.__globals__, "acquire_faces", acquire)
    return read_manifest(tmp_path / "manifest.csv")


POLICY = Policy(required_attacks=("naive",))


def _audit(cohort: Cohort, *encoders: str, **named: object) -> AuditResult:
    settings = replace(COARSE, encoders=encoders)
    return audit(cohort, settings=settings, policy=POLICY, attacks=("naive",), draws=50, **named)


def test_the_verdict_follows_the_recogniser_that_the_defacer_does_not_blind(
    cohort: Cohort, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = _audit(cohort, "dlib")
    assert alone.verdict.decision is Decision.INCOMPLETE  # it links no canary: what it does not find shows nothing
    assert alone.encoders == (BLINDED,)
    assert alone.verdict.encoders == ()
    result = _audit(cohort, "dlib", model)
    scores = result.scores
    assert result.encoders == (BLINDED, SEEING)
    parts = [result.of_encoder(encoder) for encoder in result.encoders]
    assert [part.verdict.decision for part in parts] == [Decision.INCOMPLETE, Decision.FAIL]
    assert (result.verdict.decision, result.verdict.encoders) == (Decision.FAIL, (SEEING,))
    assert result.verdict.exit_code == 1
    assert result.verdict.conditions[0].encoders == (SEEING,)
    assert {check.encoder for check in result.verdict.conditions[0].checks} == {BLINDED, SEEING}
    # Each by its own thresholds, and as it would have been alone.
    first, second = parts
    assert first.calibrations != second.calibrations
    assert repr(first.calibrations) == repr(alone.calibrations)
    assert repr((first.evidence, first.scans, first.subjects)) == repr((alone.evidence, alone.scans, alone.subjects))

    text = result_to_json(result)
    assert result_to_json(result_from_json(text)) == text
    page = write_result(result, tmp_path / "out").read_text()
    say_result(result)
    told = " ".join(capsys.readouterr().out.split())
    for output in (" ".join(page.split()), told):
        for words in ("worst over 2 encoders", f"that of {SEEING}", "STAND-IN", BLINDED, "FAIL"):
            assert words in output, words
    assert str(tmp_path) not in page + text + told
    rows = (tmp_path / "out" / "comparisons.csv").read_text().splitlines()
    assert rows[0].startswith("group,condition,attack,encoder,")
    assert {row.split(",")[3] for row in rows[1:]} == {BLINDED, SEEING}
    assert len(read_scores(tmp_path / "out" / "comparisons.csv").frame) == len(scores.frame)
    again = assess_scores(scores, source="x", policy=POLICY, draws=50)
    assert again.encoders == (BLINDED, SEEING)
    assert repr(again.evidence) == repr(result.evidence)


def test_a_calibration_file_covers_several_recognisers_and_no_other(cohort: Cohort, model: str, tmp_path: Path) -> None:
    calibrations, records, notices = calibrate(cohort, settings=replace(COARSE, encoders=("dlib", model)), draws=50)
    assert len(records) == 2 * 2 * PEOPLE
    assert any("STAND-IN" in notice for notice in notices)
    assert any("STAND-IN" in note for note in calibrations[1].notes)
    path = tmp_path / "calibration.json"
    write_calibrations(calibrations, path)
    again = read_calibrations(path)
    assert repr(again) == repr(calibrations)

    result = _audit(cohort, model, "dlib", calibrations=again)  # in any order
    assert [each.fingerprint.encoder for each in result.calibrations] == [SEEING, BLINDED]
    assert result.mismatches == ()
    each = _audit(cohort, "dlib", calibrations=again)
    assert each.calibrations[0].fingerprint.encoder == BLINDED
    for allow in (False, True):  # the threshold of another recogniser is none
        with pytest.raises(CalibrationError, match=r"covers dlib and not onnx:mine\.onnx; .*--encoder onnx:mine\.onnx"):
            _audit(cohort, "dlib", model, calibrations=again[:1], allow_mismatch=allow)


def test_a_file_that_changed_is_another_recogniser(cohort: Cohort, model: str, tmp_path: Path) -> None:
    calibrations, _, _ = calibrate(cohort, settings=replace(COARSE, encoders=("dlib", model)), draws=50)
    testing.write_encoder(tmp_path / "mine.onnx", size_px=112, dimension=64, channels_first=True, seed=9)
    with pytest.raises(CalibrationError, match="weights was"):
        _audit(cohort, "dlib", model, calibrations=calibrations)
    result = _audit(cohort, "dlib", model, calibrations=calibrations, allow_mismatch=True)
    assert [mismatch.split(":")[:2] for mismatch in result.mismatches] == [["onnx", "mine.onnx"]]


def test_calibrations_that_make_no_file_are_refused(tmp_path: Path) -> None:
    for content in ("[]", "[1]", "{", '{"a": 1}'):
        (tmp_path / "c.json").write_text(content)
        with pytest.raises(InputError, match=r"c\.json (has schema version none|is not JSON)"):
            read_calibrations(tmp_path / "c.json")
    with pytest.raises(InputError, match="one calibration per encoder"):
        write_calibrations([], tmp_path / "d.json")
