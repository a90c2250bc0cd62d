"""Sessions with several images: which comparisons there are, and how they count as one."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from reid_audit.accuracy import pool_images, to_panels
from reid_audit.audit import assess_scores
from reid_audit.dataset import Cohort, read_manifest, write_manifest
from reid_audit.match import compare_faces, read_scores, write_scores
from reid_audit.records import (
    IMAGE_COLUMNS,
    ORIGINAL,
    SCORE_COLUMNS,
    AuditResult,
    Decision,
    Face,
    FaceRecord,
    Group,
    InputError,
    Policy,
    ScanRef,
    ScoreTable,
    Status,
    parse_json,
)
from reid_audit.report import result_to_html, result_to_json
from reid_audit.report.bob import format_bob
from reid_audit.verdict.rules import check_images


def _faces(
    people: int = 8, sessions: str = "12", images: tuple[str, ...] = ("T1w", "T2w"), *, left: dict[str, float]
) -> list[FaceRecord]:
    """Make originals, and scans defaced by ``cut`` that keep a share of the face, by image."""
    rng = np.random.default_rng(0)
    faces = []
    for person in range(people):
        identity = rng.normal(size=32)
        for session, image in product(sessions, images):
            for condition, share in ((ORIGINAL, 1.0), ("cut", left[image])):
                scan = ScanRef(f"p{person}", session, condition, Path("x.nii"), image=image)
                vector = share * identity + (1.2 - share) * rng.normal(size=32)
                faces.append(FaceRecord(scan, Face(Status.OK, "toy", vector=vector.astype(np.float32))))
    return faces


def test_mated_pairs_cross_images_and_sessions() -> None:
    frame = compare_faces(_faces(people=2, left={"T1w": 0.5, "T2w": 0.5})).frame
    mated = frame[frame["group"] == Group.DEFACED_SAME.value]
    assert len(mated) == 2 * 2 * 4  # people, order of sessions, pairs of images
    assert (mated["probe_session"].astype(str) != mated["reference_session"].astype(str)).all()
    assert (mated["probe_image"].astype(str) != mated["reference_image"].astype(str)).sum() == 8
    assert (frame["group"] == Group.DIFFERENT.value).sum() == 4  # of two people, all pairs of images
    same_scan = frame[frame["group"] == Group.DEFACED_SAME_SCAN.value]
    assert (same_scan["probe_image"].astype(str) == same_scan["reference_image"].astype(str)).all()
    assert len(same_scan) == 2 * 2 * 2


def test_images_stand_for_visits_where_nobody_has_two() -> None:
    faces = _faces(people=3, sessions="1", left={"T1w": 0.9, "T2w": 0.9})
    frame = compare_faces(faces).frame
    mated = frame[frame["group"].isin([Group.SAME.value, Group.DEFACED_SAME.value])]
    assert (mated["probe_image"].astype(str) != mated["reference_image"].astype(str)).all()
    counts = frame["group"].value_counts()
    assert counts[Group.SAME.value] == 3
    assert counts[Group.DEFACED_SAME.value] == 6
    assert counts[Group.DIFFERENT.value] == 3  # one pair of images, as for mated ones
    result = assess_scores(ScoreTable(frame), source="made up", draws=50)
    assert any("two images of one session stand for them" in notice for notice in result.notices)
    panel = to_panels(frame).panels[0]
    nearest = mated[mated["group"] == Group.DEFACED_SAME.value].groupby("probe_subject", observed=True)["distance"]
    assert np.diagonal(panel.distance[0, 0]) == pytest.approx(nearest.min().to_numpy())
    very = frame[frame["group"] == Group.DEFACED_SAME_SCAN.value].groupby("probe_subject", observed=True)["distance"]
    assert panel.same_scan[0] == pytest.approx(very.min().to_numpy())


def test_a_session_counts_once_by_its_nearest_images(tmp_path: Path) -> None:
    scores = compare_faces(_faces(left={"T1w": 0.0, "T2w": 1.0}))
    pooled = pool_images(scores).frame
    assert tuple(pooled.columns) == SCORE_COLUMNS
    assert len(pooled) * 4 > len(scores.frame) > len(pooled) * 3  # the very scan is compared with its own image alone
    panel = to_panels(scores.frame).panels[0]
    assert panel.distance.shape == (2, 2, 8, 8)
    assert panel.found_first.all()  # the image that was not defaced is not hidden by the one that was
    assert pool_images(pool_images(scores)).frame.equals(pooled)
    write_scores(scores, tmp_path / "scores.csv")
    again = read_scores(tmp_path / "scores.csv")
    assert set(IMAGE_COLUMNS) <= set(again.frame)
    assert pool_images(again).frame["distance"].to_numpy() == pytest.approx(pooled["distance"].to_numpy())


def test_images_of_a_manifest_have_their_own_originals(tmp_path: Path) -> None:
    scans = tuple(
        ScanRef(who, "1", condition, tmp_path / f"{who}_{image}_{condition}.nii", image=image)
        for who, image, condition in product("AB", ("CT", "T1w run-2"), (ORIGINAL, "cut"))
    )
    write_manifest(tmp_path / "manifest.csv", scans)
    cohort = read_manifest(tmp_path / "manifest.csv")
    assert cohort.scans == scans
    assert cohort.images == ("CT", "T1w run-2")
    defaced = cohort.defaced("cut")[1]
    partner = cohort.partner_of(defaced)
    assert partner is not None
    assert (defaced.key, partner.key) == ("A/1/T1w run-2/cut", "A/1/T1w run-2/original")
    counts = {count.group: count.possible for count in cohort.pair_accounting()}
    assert (counts[Group.SAME], counts[Group.DEFACED_SAME], counts[Group.DEFACED_DIFFERENT]) == (2, 2, 2)
    with pytest.raises(InputError, match="column image"):
        Cohort((scans[0], scans[0]), cohort.strata)


def test_an_image_that_is_not_defaced_fails_and_is_named() -> None:
    scores = compare_faces(_faces(people=14, left={"T1w": 0.0, "T2w": 1.0}))
    result = assess_scores(scores, source="made up", draws=50, policy=Policy(required_attacks=("naive",)))
    rows = {(row.probe_image, row.reference_image): row for row in result.evidence.images}
    assert set(rows) == set(product(("T1w", "T2w"), repeat=2))
    assert rows["T2w", "T1w"].linkability.value > 0.85
    assert rows["T1w", "T2w"].linkability.value < 0.7
    assert rows["T1w", "T1w"].scans == 28
    checks = [check for condition in result.verdict.conditions for check in condition.checks if check.name == "image"]
    assert {check.decision for check in checks} == {Decision.FAIL}
    assert all("T2w alone links" in check.text for check in checks)
    page = result_to_html(result)
    assert "Images of a session" in page
    assert parse_json(result_to_json(result), AuditResult, source="x", made_by="x").evidence.images[0].scans == 28


def test_an_image_fails_by_whoever_fails_a_release_unrequired_too() -> None:
    policy = Policy(required_attacks=("naive",))
    scores = compare_faces(_faces(people=14, left={"T1w": 0.0, "T2w": 1.0}))
    rows = assess_scores(scores, source="made up", draws=20, policy=policy).evidence.images
    decisions = {
        name: {check.decision for check in check_images([replace(row, attack=name) for row in rows], policy)}
        for name in ("naive", "shape", "learned", "fusion")
    }
    assert decisions == {name: {Decision.FAIL} for name in ("naive", "shape", "learned")} | {
        "fusion": {Decision.REVIEW}
    }


def test_structure_sets_and_doses_that_are_defaced_too_leave_the_verdict_to_the_scan() -> None:
    policy = Policy(required_attacks=("naive",))
    study = ("CT", "RTSTRUCT", "RTDOSE")

    def judge(images: tuple[str, ...], **left: float) -> AuditResult:
        faces = _faces(people=14, images=study, left={image: left.get(image, 0.0) for image in study})
        kept = [record for record in faces if record.scan.image in images]
        return assess_scores(compare_faces(kept), source="made up", draws=50, policy=policy)

    alone, defaced, untouched = judge(("CT",)), judge(study), judge(study, RTSTRUCT=1.0)
    assert defaced.verdict.decision is alone.verdict.decision
    assert alone.verdict.decision is not Decision.FAIL
    assert untouched.verdict.decision is Decision.FAIL
    failed = [c.text for part in untouched.verdict.conditions for c in part.checks if c.decision is Decision.FAIL]
    assert any("RTSTRUCT alone links" in text for text in failed)


def test_an_image_that_nobody_saw_is_incomplete() -> None:
    faces = [
        replace(face, face=Face(Status.NO_FACE, "toy"))
        if face.scan.image == "T2w" and "/cut" in face.scan.key
        else face
        for face in _faces(people=6, left={"T1w": 0.0, "T2w": 0.0})
    ]
    result = assess_scores(compare_faces(faces), source="made up", draws=50)
    texts = [check.text for condition in result.verdict.conditions for check in condition.checks]
    assert any("No attacker got a vector from 12 of 12 defaced scans of T2w. Not seen" in text for text in texts)
    blind = [replace(f, face=Face(Status.NO_FACE, "toy")) if f.scan.image == "T2w" else f for f in faces]
    result = assess_scores(compare_faces(blind), source="made up", draws=50)
    checks = [check for part in result.verdict.conditions for check in part.checks if check.name == "unseen_image"]
    assert [check.decision for check in checks] == [Decision.REVIEW]
    assert "nor from 12 of its 12 originals" in checks[0].text


def test_images_are_models_of_their_own_in_score_files() -> None:
    texts = format_bob(compare_faces(_faces(people=2, left={"T1w": 0.5, "T2w": 0.5})), columns=5)
    originals = next(text for name, text in texts.items() if name.startswith("originals"))
    words = [line.split() for line in originals.splitlines()]
    assert {"p0/1-T1w/original", "p0/1-T2w/original"} <= {label for _, _, _, label, _ in words}
    assert len(words) == len({tuple(line[:4]) for line in words})  # no two comparisons of one name
