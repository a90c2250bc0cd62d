"""The attacker without a recogniser: what it compares, what it must not see, and how it is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from reid_audit import ScanRef, Settings, Skin, Status, assess_scores, extract_skin
from reid_audit.accuracy import list_recognisers, to_panels
from reid_audit.attack import Hints, Target, choose_attacks, depth_maps, find_attack, shape
from reid_audit.attack.depth_maps import compare_depth_maps, enough_skin
from reid_audit.attack.lay import average_shape, lay_head
from reid_audit.audit.audit import _say_unasked
from reid_audit.audit.findings import check_scans
from reid_audit.audit.settings import context_of
from reid_audit.dataset import Cohort
from reid_audit.match import compare_attacks
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import ORIGINAL, Decision, Face, FaceRecord, Finding, Policy, ScoreTable
from reid_audit.render import find_frontal_view
from reid_audit.report.rows import find_strongest, list_canaries, list_notices, list_rows
from reid_audit.testing import FakeEncoder, make_result, make_scores, make_tiny_head
from reid_audit.volume import write_volume

SHAPE = find_attack("shape")
REGION = SHAPE.region


def _faces(people: int, *, seed: int = 0, rough_mm: float = 2.0) -> np.ndarray:
    """Depth maps of made-up people: one vault for all, and hills of their own."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(REGION.shape)
    vault = 90.0 - 0.02 * (columns - REGION.shape[1] / 2) ** 2 - 0.01 * (rows - REGION.shape[0] / 2) ** 2
    hills = [gaussian_filter(rng.normal(size=REGION.shape), 5.0) for _ in range(people)]
    return np.array([vault + rough_mm * hill / hill.std() for hill in hills], np.float32)


def _noisy(maps: np.ndarray, seed: int, noise_mm: float = 0.3) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, noise_mm, maps.shape)
    return (maps + noise).astype(np.float32)


def _first(distances: np.ndarray) -> np.ndarray:
    return distances.argmin(axis=1)


def test_a_shift_and_a_plane_elsewhere_do_not_matter() -> None:
    people = _faces(4)
    moved = np.roll(people, (2, -1), axis=(1, 2)) + np.float32(17.0)
    distances = compare_depth_maps(people, moved, REGION, SHAPE.share)
    np.testing.assert_allclose(np.diag(distances), 0.0, atol=1e-4)
    assert distances[~np.eye(4, dtype=bool)].min() > 0.05


@pytest.mark.parametrize("nod_deg", [-5.0, 3.0])
def test_a_nod_does_not_matter(nod_deg: float) -> None:
    """About an axis 105 mm behind the face: its cells move up or down, and the upper part to the front or back."""
    people, tilt = _faces(4), np.tan(np.radians(nod_deg))
    rows = np.arange(REGION.shape[0], dtype=np.float32)[:, None]
    moved = np.roll(people, round(105 * tilt / 2), axis=1) - np.float32(2 * tilt) * rows
    distances = compare_depth_maps(people, moved, REGION, SHAPE.share)
    assert np.diag(distances).max() < 0.03  # nods are sought in steps of 2 degrees
    assert distances[~np.eye(4, dtype=bool)].min() > 0.05


def test_half_a_face_is_enough_and_what_replaced_the_other_half_does_not_count() -> None:
    people = _faces(12)
    lower = np.arange(REGION.shape[0])[:, None] < REGION.shape[0] // 2
    cut = np.where(lower, people, np.float32(20.0))
    distances = compare_depth_maps(_noisy(cut, 1), _noisy(people, 2), REGION, SHAPE.share)
    np.testing.assert_array_equal(_first(distances), np.arange(12))
    # Where only the cut is looked at, nobody is found beyond chance (1 of 12).
    above = compare_depth_maps(_noisy(cut, 1), _noisy(people, 2), REGION & ~lower, SHAPE.share)
    assert (_first(above) == np.arange(12)).sum() <= 4  # P < 0.02


def test_an_exchanged_face_finds_the_owner_of_the_face_and_not_of_the_head() -> None:
    """All within the region is another's; the rest, and the field of view, are the person's own."""
    donor, beats = np.roll(np.arange(12), 1), []
    for seed in range(6):
        people = _faces(12, seed=seed)
        people[:, :6] += np.arange(12, dtype=np.float32)[:, None, None]
        people[::2, :, :3] = np.nan
        exchanged = np.where(REGION, people[donor], people)
        distances = compare_depth_maps(_noisy(exchanged, 1), _noisy(people, 2), REGION, SHAPE.share)
        np.testing.assert_array_equal(_first(distances), donor)
        others = ~np.eye(12, dtype=bool) & (donor[:, None] != np.arange(12))
        beats.append((np.diag(distances)[:, None] < distances[others].reshape(12, 10)).mean())
    assert np.mean(beats) == pytest.approx(0.5, abs=0.1)  # 72 searches: standard error 0.034


def test_two_scans_that_end_in_the_same_place_are_not_alike_by_it() -> None:
    """The field of view ends at another height in each; fellows in the field of view are other people."""
    people, rows = _faces(8), np.arange(REGION.shape[0])[:, None]
    ends = 10 + 4 * np.arange(8)
    probes = np.where(rows[None] < ends[:, None, None], np.nan, _noisy(people, 1))
    references = np.where(rows[None] < np.roll(ends, 1)[:, None, None], np.nan, _noisy(people, 2))
    np.testing.assert_array_equal(_first(compare_depth_maps(probes, references, REGION, SHAPE.share)), np.arange(8))


def test_too_little_skin_is_no_comparison() -> None:
    people = _faces(2)
    share = np.cumsum(REGION).reshape(REGION.shape) / REGION.sum()
    for kept, enough in ((SHAPE.share + 0.01, True), (SHAPE.share - 0.01, False)):
        little = np.where(REGION & (share > kept), np.float32(np.nan), people)
        assert enough_skin(little[0], REGION, SHAPE.share) is enough
        assert np.isfinite(compare_depth_maps(little, little, REGION, SHAPE.share)).all() == enough
    # Each has enough, and both together have not.
    upper, lower = (np.where(keep, people, np.float32(np.nan)) for keep in (share > 0.7, share < 0.3))
    assert np.isnan(compare_depth_maps(upper, lower, REGION, SHAPE.share)).all()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    probes, references = _faces(3), _faces(5, seed=1)
    whole = compare_depth_maps(probes, references, REGION, SHAPE.share)
    monkeypatch.setattr(depth_maps, "_BLOCK_BYTES", 2 * 4 * int(REGION.sum()))
    np.testing.assert_array_equal(compare_depth_maps(probes, references, REGION, SHAPE.share), whole)


def _record(subject: str, session: str, condition: str, *maps: np.ndarray) -> FaceRecord:
    looks = tuple(Face(Status.OK, "shape", depth_mm.ravel()) for depth_mm in maps)
    blind = Face(Status.NO_FACE, "e", reason="none")
    return FaceRecord(ScanRef(subject, session, condition, Path("x.nii")), blind, looks={"shape": looks})


def _cohort(people: int = 12) -> list[FaceRecord]:
    """A canary that hides nothing, a defacer that hides all, and a recogniser that never sees a face."""
    faces, others = _faces(people), _faces(people, seed=9)
    records = []
    for k in range(people):
        records += [_record(f"p{k}", visit, ORIGINAL, _noisy(faces[k], 10 * k + int(visit))) for visit in "12"]
        records.append(_record(f"p{k}", "1", "canary-light", _noisy(faces[k], 10 * k + 3, 0.5)))
        # Wiped: another's face. The second look, in a pose that is off, is worse and does not count.
        records.append(_record(f"p{k}", "1", "wiped", others[k]))
        records.append(_record(f"p{k}", "1", "weak", others[k], _noisy(faces[k], 10 * k + 4)))
    return records


@pytest.mark.slow
def test_it_is_judged_by_thresholds_and_a_canary_of_its_own_where_every_detector_is_blind() -> None:
    scores = compare_attacks(_cohort(), choose_attacks(["shape"]))
    seen = scores.frame[scores.frame["distance"].notna()]
    assert set(zip(seen["attack"], seen["encoder"], strict=True)) == {("shape", "shape")}
    result = assess_scores(scores, source="made up", policy=Policy(required_attacks=("shape",)), draws=20)
    (own,) = (c for c in result.calibrations if c.attack == "shape")
    assert own.threshold("youden").tmr.value > 0.9
    rows = {row.condition: row for row in result.evidence.attacks if row.attack == "shape"}
    assert rows["weak"].linkability.value > 0.99
    assert rows["wiped"].linkability.value < 0.7
    linked = {p.condition: float(np.nanmean(p.mated)) for p in to_panels(scores.frame).panels if p.attack == "shape"}
    assert linked["canary-light"] > 0.95  # 1 - 1 / (2 * 12) is the most
    decided = {c.condition: c for c in result.verdict.conditions}
    assert [c.decision for c in decided["weak"].checks if c.name == "linkability" and c.attack == "shape"] == ["FAIL"]
    assert [c.decision for c in decided["wiped"].checks if c.name == "canary" and c.attack == "shape"] == ["PASS"]


def test_a_pose_is_told_from_what_is_left_and_from_nothing_else() -> None:
    """However a head is turned, and without what lies before the ears and above the mouth, its map is the same."""
    head = make_phantom(3, spacing_mm=2.5)
    whole = extract_skin(head.volume)
    eyes = np.argwhere(head.labels == LABELS["eye_left"]).mean(axis=0).astype(int)
    intensity = head.volume.intensity.copy()
    intensity[:, eyes[1] :, eyes[2] - 20 :] = -1000.0
    cut = extract_skin(replace(head.volume, intensity=intensity), level=whole.level, altered=True)
    turn = Rotation.from_euler("zx", (12.0, -15.0), degrees=True).as_matrix().astype(np.float32)
    turned = replace(cut, vertices_ras_mm=cut.vertices_ras_mm @ turn.T, normals=cut.normals @ turn.T)
    expected, *maps = (
        SHAPE.measure(skin, lay_head(skin, average_shape(), find_frontal_view(skin)).view)
        for skin in (whole, cut, turned)
    )
    for depth_mm in maps:
        unaltered = np.abs(depth_mm - expected) < 4.0
        assert 0.2 < unaltered[REGION].mean() < 0.8  # the face is gone
        assert np.median(np.abs(depth_mm - expected)[unaltered & REGION]) < 1.5
        assert compare_depth_maps(depth_mm[None], expected[None], REGION, SHAPE.share)[0, 0] < 0.2


def test_it_looks_once_at_what_is_there(tmp_path: Path) -> None:
    write_volume(make_tiny_head(80.0), tmp_path / "head.nii")
    context = context_of(ScanRef("a", "1", "cut", tmp_path / "head.nii"), Settings(renderer="raycast"))
    skin, blind = context.extract(), Face(Status.NO_FACE, "pixels")
    view = context.find_view(skin)
    (face,) = SHAPE.look(Target(context, skin, view, FakeEncoder(), blind), Hints())
    assert face.status is Status.OK
    # The camera of the person's original is no business of it.
    away = replace(view, target_ras_mm=(0.0, 0.0, 400.0))
    (same,) = SHAPE.look(Target(context, skin, away, FakeEncoder(), blind), Hints())
    np.testing.assert_array_equal(same.vector, face.vector)
    empty = Skin(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), 0.0)
    (none,) = SHAPE.look(Target(context, empty, view, FakeEncoder(), blind), Hints())
    assert (none.status, none.vector) == (Status.NO_SKIN, None)


def test_what_has_a_shape_was_not_seen_by_a_recogniser() -> None:
    """A face that is there and that no recogniser sees stays a finding, whatever its shape tells."""
    there = (Finding("face_region_there", "info", "there"),)
    records = [replace(r, findings=there) for r in _cohort(2) if r.scan.condition == "wiped"]
    cohort = Cohort(tuple(r.scan for r in records), pd.DataFrame(), "made up")
    with_shape, without = (
        [check.name for check in check_scans(cohort, each)]
        for each in (records, [replace(record, looks={}) for record in records])
    )
    assert with_shape == without


def test_regions_lie_where_they_are_named_and_inside_the_grid() -> None:
    names = list(shape.REGIONS)
    parts = np.array([shape.REGIONS[name] for name in names])
    assert (parts.sum(axis=0) <= 1).all()
    inside = {name for name, part in zip(names, parts, strict=True) if (part & shape.FACE).any()}
    assert inside == {"forehead", "eyes", "nose", "mouth", "chin-and-jaw", "cheeks"}
    assert (parts.any(axis=0) & shape.FACE).sum() > 0.9 * shape.FACE.sum()
    height = {name: float(np.nonzero(part)[0].mean()) for name, part in zip(names, parts, strict=True)}
    assert sorted(inside, key=height.__getitem__) == ["chin-and-jaw", "mouth", "cheeks", "nose", "eyes", "forehead"]
    up, left = depth_maps.REACH_UP, depth_maps.REACH_LEFT
    assert not parts[:, :up].any() and not parts[:, -up:].any()  # noqa: PT018
    assert not parts[:, :, :left].any() and not parts[:, :, -left:].any()  # noqa: PT018


def _head_records(people: int = 12) -> list[FaceRecord]:
    """Whole heads; the defacer exchanges the nose and leaves the rest."""
    rng, parts = np.random.default_rng(0), choose_attacks(["shape", "regions"])[1:]
    hills = [gaussian_filter(rng.normal(size=shape.FACE.shape), 4.0) for _ in range(people)]
    heads = [hill / hill.std() for hill in hills]
    records = []
    for k, head in enumerate(heads):
        other = np.where(shape.REGIONS["nose"], heads[k - 1], head)
        scans = [("1", ORIGINAL, head), ("2", ORIGINAL, head), ("1", "canary-light", head), ("1", "nose", other)]
        for session, condition, whole in scans:
            depth_mm = (whole + rng.normal(0, 0.05, whole.shape)).astype(np.float32)
            looks = {part.name: (part._take(depth_mm),) for part in parts}
            face = Face(Status.NO_FACE, "e", reason="none")
            records.append(FaceRecord(ScanRef(f"p{k}", session, condition, Path("x.nii")), face, looks=looks))
    return records


@pytest.mark.slow
def test_regions_say_where_identity_is_left_and_no_rule_asks_them() -> None:
    chosen = choose_attacks(["shape", "regions", "fusion"])
    records = _head_records()
    scores = compare_attacks(records, chosen)
    linked = {
        p.attack: float(np.nanmean(p.mated))
        for p in to_panels(scores.frame).panels
        if p.condition == "nose" and p.pairs
    }
    assert linked.pop("fusion") == linked["shape"]  # the blind recogniser has nothing to add, and parts join nothing
    assert len(linked) == 1 + len(shape.REGIONS)
    assert linked.pop("region-nose") < 0.65
    assert min(linked.values()) > 0.9
    with_parts, without = (
        assess_scores(table, source="made up", policy=Policy(required_attacks=("shape",)), draws=20)
        for table in (scores, compare_attacks(records, choose_attacks(["shape"])))
    )
    assert with_parts.verdict.decision is without.verdict.decision
    assert {c.attack for v in with_parts.verdict.conditions for c in v.checks} <= {"", "shape", "fusion"}
    assert {p.attack for p in with_parts.subjects} == {p.attack for p in without.subjects} | {"fusion"}
    assert not {a for worst in with_parts.evidence.worst for a in worst.tried if a.startswith("region")}
    listed = list_rows(with_parts)
    assert {row.attack for row in find_strongest(listed).values()} <= {"shape", "fusion"}
    assert not [name for seen in list_canaries(with_parts).values() for name in seen if name.startswith("region")]
    rows = [row.attack for row in listed]
    assert {f"region-{name}" for name in shape.REGIONS} <= set(rows)


def test_an_attacker_without_an_encoder_is_named_once() -> None:
    scores, _ = make_scores(12, {"cut": 0.9})
    looks = scores.frame[(scores.frame["attack"] == "naive")].assign(attack="shape", encoder="shape")
    seen = scores.frame.assign(encoder="toy")
    result = assess_scores(ScoreTable(pd.concat([seen, looks], ignore_index=True)), source="x.csv", draws=0)
    assert list_recognisers(result.evidence) == ("toy",)
    assert {row.who for row in list_rows(result)} == {"naive", "registered", "shape"}
    assert not [notice for notice in list_notices(result) if notice.startswith("The verdict is the worst over")]


def test_a_pass_says_that_nobody_asked_it() -> None:
    result, _ = make_result(12)
    passed = replace(result, verdict=replace(result.verdict, decision=Decision.PASS))
    asked = choose_attacks(["registered"])
    (notice,) = _say_unasked(asked, passed)
    assert notice.startswith("Nobody asked the attacker shape: --attack naive,registered,shape. It needs no recogniser")
    assert _say_unasked(asked, replace(result, verdict=replace(result.verdict, decision=Decision.FAIL))) == ()
    assert _say_unasked(choose_attacks(["registered", "shape"]), passed) == ()
