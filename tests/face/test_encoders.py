"""Several recognisers on one cohort: looked at once, judged each by its own thresholds, and the worst counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stand_ins

import reid_audit.audit.run as run_room
import reid_audit.audit.scan as scan_room
import reid_audit.audit.sitting as sitting_room
from reid_audit import (
    AuditResult,
    CalibrationError,
    Cohort,
    Decision,
    Face,
    FaceRecord,
    InputError,
    Policy,
    Portrait,
    ScanRef,
    ScoreTable,
    Settings,
    Status,
    SurfaceSettings,
    Verdict,
    audit_cohort,
    calibrate_encoders,
    examine_scan,
    face,
    judge_scores,
    read_calibration,
    read_calibrations,
    read_manifest,
    read_scores,
    result_from_json,
    result_to_json,
    start_engines,
    write_calibration,
    write_result,
    write_volume,
)
from reid_audit.audit import Hints, Partner, examine_scan_with_each, start_engines_of_each
from reid_audit.cli.words import say_audit
from reid_audit.phantom import make_phantom
from reid_audit.records import Check, ConditionVerdict
from reid_audit.verdict import join_verdicts
from reid_audit.verdict.checks import worst

COARSE = Settings(detector="dlib", renderer="raycast", surface=SurfaceSettings(voxel_mm=3.0))


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A stand-in of the user's own, as `--encoder` takes it."""
    path = stand_ins.write_recogniser(tmp_path / "mine.onnx", size_px=112, dimension=64, channels_first=True)
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
    scan_room._encoders.cache_clear()
    yield counted
    scan_room._encoders.cache_clear()


def _write_phantom(folder: Path) -> ScanRef:
    scan = make_phantom(1, spacing_mm=2.5, pose_sd_deg=0)
    write_volume(scan.volume, folder / "p1.nii")
    return ScanRef("p1", "1", "original", folder / "p1.nii", scan.volume.modality)


@pytest.mark.slow
def test_a_scan_is_read_drawn_and_searched_once_for_all_recognisers(
    tmp_path: Path, model: str, looks: Counter[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stand_ins.write_recogniser(tmp_path / "other.onnx", size_px=112, dimension=32, channels_first=True)
    reads = []
    read = sitting_room.read_volume
    monkeypatch.setattr(sitting_room, "read_volume", lambda *given, **named: reads.append(1) or read(*given, **named))
    scan = _write_phantom(tmp_path)
    engines = start_engines_of_each(COARSE, ["dlib", model, f"onnx:{other}"])
    settings = [each.settings for each in engines]
    looks.clear()
    records = examine_scan_with_each(scan, settings)
    assert sum(looks.values()) == 1
    assert len(reads) == 1
    assert [record.face.encoder for record in records] == ["dlib", "onnx:mine.onnx", "onnx:other.onnx"]
    assert [len(record.face.vector) for record in records] == [128, 64, 32]
    assert len({record.face.box_px for record in records}) == 1

    phantom = make_phantom(1, spacing_mm=2.5, pose_sd_deg=0).volume
    phantom.intensity[:, :, : phantom.intensity.shape[2] // 4] = -1000
    write_volume(phantom, tmp_path / "cut.nii")
    defaced = replace(scan, condition="cut", path=tmp_path / "cut.nii")
    partners = [Partner(record.skin_level, record.view, record.grid, record.face) for record in records]
    looks.clear()
    attacked = examine_scan_with_each(
        defaced,
        settings,
        partners,
        attacks=("aligned", "registered"),
        hints=[Hints(average=record.face) for record in records],
    )
    assert set(looks.values()) == {1}  # per portrait, however many recognisers and attackers
    assert all(set(record.attacks) == {"aligned", "registered"} for record in attacked)


@pytest.mark.slow
def test_each_recogniser_gets_the_face_that_it_gets_alone(tmp_path: Path, model: str) -> None:
    scan = _write_phantom(tmp_path)
    engines = start_engines_of_each(COARSE, ["dlib", model])
    together = examine_scan_with_each(scan, [each.settings for each in engines])
    for each, shared in zip(engines, together, strict=True):
        alone = examine_scan(scan, each.settings)
        np.testing.assert_array_equal(alone.face.vector, shared.face.vector)
        assert (alone.skin_level, alone.view, alone.digest) == (shared.skin_level, shared.view, shared.digest)
        assert start_engines(replace(COARSE, encoder=each.settings.encoder)) == each


def test_two_files_of_one_name_are_refused(tmp_path: Path, model: str) -> None:
    (tmp_path / "b").mkdir()
    other = stand_ins.write_recogniser(tmp_path / "b" / "mine.onnx", size_px=112, dimension=64, channels_first=True)
    with pytest.raises(InputError, match=r"two recognisers are called onnx:mine\.onnx"):
        start_engines_of_each(COARSE, [model, f"onnx:{other}"])
    with pytest.raises(InputError, match="one for each of the 2 encoders; got 1"):
        face.make_encoders(["dlib", model], detector=["dlib"])


# --- the worst counts ---


def _check(decision: Decision, text: str, attack: str = "naive", name: str = "linkability") -> Check:
    return Check(name, decision, text, attack=attack)


def _verdict(shared: list[Check], **conditions: list[Check]) -> Verdict:
    own = tuple(
        ConditionVerdict(name, worst(check.decision for check in (*shared, *checks)), tuple(checks))
        for name, checks in conditions.items()
    )
    decision = worst([*(check.decision for check in shared), *(one.decision for one in own)])
    return Verdict(decision, own, tuple(shared), Policy())


DECISIONS = (Decision.PASS, Decision.REVIEW, Decision.INCOMPLETE, Decision.FAIL)


@pytest.mark.parametrize("first", DECISIONS)
@pytest.mark.parametrize("second", DECISIONS)
def test_another_recogniser_never_makes_a_verdict_better(first: Decision, second: Decision) -> None:
    alone = _verdict([], cut=[_check(first, "naive: a")])
    joined = join_verdicts({"a": alone, "b": _verdict([], cut=[_check(second, "naive: b")])})
    assert joined.decision is worst([first, second])
    assert joined.conditions[0].decision is joined.decision
    assert joined.encoders == joined.conditions[0].encoders
    assert set(joined.encoders) == {name for name, one in (("a", first), ("b", second)) if one is joined.decision}
    assert [check.encoder for check in joined.conditions[0].checks] == ["a", "b"]
    assert [check.text for check in joined.conditions[0].checks] == ["a, naive: a", "b, naive: b"]


def test_the_number_of_looks_is_said() -> None:
    verdicts = {name: _verdict([], cut=[_check(Decision.PASS, "naive: x")]) for name in "abc"}
    (check,) = [check for check in join_verdicts(verdicts).checks if check.name == "recognisers"]
    for words in ("worst over 3 recognisers: a, b, c", "3 upper bounds holds at 95%", "probability 0.15 at most"):
        assert words in check.text


def test_what_concerns_the_release_is_said_once_and_a_control_is_each_ones_own() -> None:
    release = Check("original_in_release", Decision.FAIL, "1 scan equals its original.")
    blind = _check(Decision.INCOMPLETE, "naive: blind", name="control_auc")
    sighted = _check(Decision.PASS, "naive: sees", name="control_auc")
    one, other = _verdict([release, sighted], cut=[]), _verdict([release, blind], cut=[])
    texts = [check.text for check in join_verdicts({"a": one, "b": other}).checks]
    assert texts[:-1] == ["1 scan equals its original.", "a, naive: sees", "b, naive: blind"]


def test_what_was_found_on_a_defacers_scans_is_said_once_and_its_rules_are_each_ones_own() -> None:
    release = Check("original_in_release", Decision.FAIL, "1 scan equals its original.", condition="cut")
    unseen = Check("unseen_scans", Decision.INCOMPLETE, "1 scan was not seen.", condition="cut")
    rule = Check("subjects", Decision.PASS, "60 people were compared.")
    one, other = _verdict([], cut=[release, rule], wipe=[rule]), _verdict([], cut=[release, unseen, rule], wipe=[rule])
    joined = join_verdicts({"a": one, "b": other})
    assert [check.text for check in joined.conditions[0].checks] == [
        "1 scan equals its original.",
        "b: 1 scan was not seen.",
        "a: 60 people were compared.",
        "b: 60 people were compared.",
    ]
    assert [condition.decision for condition in joined.conditions] == [Decision.FAIL, Decision.PASS]
    assert joined.decision is Decision.FAIL


def test_one_verdict_stays_as_it_is_and_what_does_not_belong_together_is_refused() -> None:
    verdict = _verdict([], cut=[_check(Decision.PASS, "naive: x")])
    assert join_verdicts({"a": verdict}) is verdict
    with pytest.raises(InputError, match="at least one"):
        join_verdicts({})
    for other in (_verdict([], blur=[]), replace(verdict, policy=Policy(max_match_rate=0.2))):
        with pytest.raises(InputError, match="one policy"):
            join_verdicts({"a": verdict, "b": other})


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

    def acquire(cohort: Cohort, *, settings: list[Settings], **_: object) -> list[list[FaceRecord]]:
        names = [face.name_encoder(one.encoder) for one in settings]
        return [_faces(cohort, name, blinded=name == BLINDED) for name in names]

    monkeypatch.setattr(run_room, "acquire_faces_with_each", acquire)
    return read_manifest(tmp_path / "manifest.csv")


POLICY = Policy(required_attacks=("naive",))


def _audit(cohort: Cohort, *encoders: str, **named: object) -> tuple[AuditResult, ScoreTable]:
    return audit_cohort(
        cohort, settings=COARSE, encoders=encoders, policy=POLICY, attacks=("naive",), draws=50, **named
    )


def test_the_verdict_follows_the_recogniser_that_the_defacer_does_not_blind(
    cohort: Cohort, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone, _ = _audit(cohort, "dlib")
    assert alone.verdict.decision is Decision.PASS
    assert alone.recognisers == ()
    result, scores = _audit(cohort, "dlib", model)
    assert [one.verdict.decision for one in result.recognisers] == [Decision.PASS, Decision.FAIL]
    assert (result.verdict.decision, result.verdict.encoders) == (Decision.FAIL, (SEEING,))
    assert result.verdict.exit_code == 1
    assert result.verdict.conditions[0].encoders == (SEEING,)
    assert result.fingerprint.encoder == SEEING  # the numbers of the whole are its own
    assert {check.encoder for check in result.verdict.conditions[0].checks} == {BLINDED, SEEING}
    # Each by its own thresholds, and as it would have been alone.
    first, second = result.recognisers
    assert first.calibration != second.calibration
    timeless = [replace(one, created_utc="") for one in (first, alone)]
    assert result_to_json(timeless[0]) == result_to_json(timeless[1])

    text = result_to_json(result)
    assert result_to_json(result_from_json(text)) == text
    page = write_result(result, scores, tmp_path / "out").read_text()
    say_audit(result)
    told = " ".join(capsys.readouterr().out.split())
    for output in (" ".join(page.split()), told):
        for words in ("worst over 2 recognisers", f"What binds is {SEEING}", "STAND-IN", BLINDED, "FAIL"):
            assert words in output, words
    assert str(tmp_path) not in page + text + told
    rows = (tmp_path / "out" / "comparisons.csv").read_text().splitlines()
    assert rows[0].startswith("group,condition,attack,encoder,")
    assert {row.split(",")[3] for row in rows[1:]} == {BLINDED, SEEING}
    assert len(read_scores(tmp_path / "out" / "comparisons.csv").frame) == len(scores.frame)
    with pytest.raises(InputError, match="several encoders"):
        judge_scores(scores, source="x")


def test_a_calibration_file_covers_several_recognisers_and_no_other(cohort: Cohort, model: str, tmp_path: Path) -> None:
    calibrations, records, notices = calibrate_encoders(cohort, ["dlib", model], settings=COARSE, draws=50)
    assert [len(faces) for faces in records] == [2 * PEOPLE] * 2
    assert any("STAND-IN" in notice for notice in notices)
    assert any("STAND-IN" in note for note in calibrations[1].notes)
    path = tmp_path / "calibration.json"
    write_calibration(calibrations, path)
    again = read_calibrations(path)
    assert repr(again) == repr(calibrations)
    with pytest.raises(CalibrationError, match=r"covers several recognisers \(dlib, onnx:mine\.onnx\)"):
        read_calibration(path)

    result, _ = _audit(cohort, model, "dlib", calibration=again)  # in any order
    assert [one.calibration.fingerprint.encoder for one in result.recognisers] == [SEEING, BLINDED]
    assert result.mismatches == ()
    one, _ = _audit(cohort, "dlib", calibration=again)
    assert one.calibration.fingerprint.encoder == BLINDED
    for allow in (False, True):  # the threshold of another recogniser is none
        with pytest.raises(CalibrationError, match=r"covers dlib and not onnx:mine\.onnx; .*--encoder onnx:mine\.onnx"):
            _audit(cohort, "dlib", model, calibration=again[:1], allow_mismatch=allow)


def test_a_file_that_changed_is_another_recogniser(cohort: Cohort, model: str, tmp_path: Path) -> None:
    calibrations, _, _ = calibrate_encoders(cohort, ["dlib", model], settings=COARSE, draws=50)
    stand_ins.write_recogniser(tmp_path / "mine.onnx", size_px=112, dimension=64, channels_first=True, seed=9)
    with pytest.raises(CalibrationError, match="weights was"):
        _audit(cohort, "dlib", model, calibration=calibrations)
    result, _ = _audit(cohort, "dlib", model, calibration=calibrations, allow_mismatch=True)
    assert [mismatch.split(":")[:2] for mismatch in result.mismatches] == [["onnx", "mine.onnx"]]


def test_calibrations_that_make_no_file_are_refused(tmp_path: Path) -> None:
    for content in ("[]", "[1]", "{", '{"a": 1}'):
        (tmp_path / "c.json").write_text(content)
        with pytest.raises(CalibrationError, match=r"c\.json is not a calibration"):
            read_calibrations(tmp_path / "c.json")
    with pytest.raises(InputError, match="one calibration per recogniser"):
        write_calibration([], tmp_path / "d.json")
