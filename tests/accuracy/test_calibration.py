"""Curves, thresholds and calibrations, on distances that can be checked by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_faces import FINGERPRINT, make_faces, make_table
from scipy.stats import mannwhitneyu

from reid_audit.accuracy import (
    calibrate_scores,
    check_fingerprint,
    find_eer,
    find_youden,
    measure_d_prime,
    measure_roc,
    read_calibrations,
    write_calibrations,
)
from reid_audit.accuracy.curves import extrapolate_fmr, find_fmr, thin
from reid_audit.match import compare_faces
from reid_audit.records import (
    CalibrationError,
    FaceRecord,
    InputError,
    ScoreTable,
)

nan = math.nan


# --- curves ---


def test_youden_is_the_smallest_distance_called_different() -> None:
    # At 0.25: TMR 2/3, FMR 0. At 0.35: TMR 1, FMR 1/3. J is equal; the larger threshold is taken.
    roc = measure_roc([0.1, 0.2, 0.3], [0.25, 0.35, 0.5])
    assert find_youden(roc) == (0.35, "")
    assert find_youden(measure_roc([0.1, 0.2], [0.6, 0.7])) == (0.6, "")  # perfect separation


def test_a_distance_at_the_threshold_does_not_match() -> None:
    roc = measure_roc([0.3, 0.3], [0.3, 0.6])
    at = list(roc.threshold).index(0.3)
    assert (roc.tmr[at], roc.fmr[at]) == (0, 0)
    assert find_youden(roc)[0] == 0.6


@pytest.mark.parametrize(
    ("same", "different"),
    [([0.5, 0.5], [0.5]), ([0.9], [0.1]), ([], [0.5]), ([0.5], []), ([nan], [0.5])],
    ids=["all equal", "reversed", "no same", "no different", "not acquired"],
)
def test_no_threshold_where_nothing_separates(same: list[float], different: list[float]) -> None:
    threshold, reason = find_youden(measure_roc(same, different))
    assert math.isnan(threshold)
    assert reason


@pytest.mark.parametrize("bad", [[-0.1], [2.1], ["near"], [math.inf]])
def test_what_is_no_distance_is_refused(bad: list[object]) -> None:
    with pytest.raises(InputError, match="same distances must"):
        measure_roc(bad, [0.5])
    frame = make_table([("same", "a", "a", 0.5)]).frame
    frame["distance"] = bad
    with pytest.raises(InputError, match="distances must"):
        calibrate_scores(ScoreTable(frame), fingerprint=FINGERPRINT, seed=0)


coarse = st.lists(st.integers(0, 8).map(lambda k: k / 4), min_size=1, max_size=12)


@given(coarse, coarse)
@settings(max_examples=60, deadline=None)
def test_identities_of_the_roc(same: list[float], different: list[float]) -> None:
    roc = measure_roc(same, different)
    for t, fmr, tmr in zip(*roc, strict=True):
        assert tmr == pytest.approx(np.mean(np.array(same) < t))
        assert fmr == pytest.approx(np.mean(np.array(different) < t))
    area = np.trapezoid([0, *roc.tmr], [0, *roc.fmr])
    assert area == pytest.approx(mannwhitneyu(different, same).statistic / (len(same) * len(different)))
    threshold, _ = find_youden(roc)
    half_total_error = (roc.fmr + 1 - roc.tmr) / 2
    if not math.isnan(threshold):
        at = list(roc.threshold).index(threshold)
        assert roc.tmr[at] - roc.fmr[at] == pytest.approx(1 - 2 * half_total_error.min())  # J = 1 - 2 HTER
        assert (half_total_error[at + 1 :] > half_total_error[at] - 1e-12).all()


@given(coarse, coarse, st.sampled_from([0.25, 0.5]))
@settings(max_examples=30, deadline=None)
def test_scaling_all_distances_changes_no_rate(same: list[float], different: list[float], factor: float) -> None:
    each = measure_roc(same, different)
    two = measure_roc(np.array(same) * factor, np.array(different) * factor)
    assert np.array_equal(each.tmr, two.tmr)
    assert np.array_equal(each.fmr, two.fmr)
    assert find_youden(two)[0] == pytest.approx(find_youden(each)[0] * factor, nan_ok=True)
    assert find_eer(each)[0] == find_eer(two)[0]


def test_eer_and_d_prime_by_hand() -> None:
    assert find_eer(measure_roc([0.1, 0.2, 0.3, 0.6], [0.25, 0.5, 0.7, 0.8])) == (0.25, 0.5)
    assert measure_d_prime([0.0, 2.0], [1.0, 2.0]) == pytest.approx(0.5 / math.sqrt((2 + 0.5) / 2))
    assert math.isnan(measure_d_prime([0.1], [0.2, 0.3]))
    assert math.isnan(measure_d_prime([0.1, 0.1], [0.2, 0.2]))


def test_threshold_at_a_false_match_rate() -> None:
    different = np.arange(1, 301) / 200
    threshold, _ = find_fmr(different, 0.01)
    assert threshold == different[3]
    assert np.mean(different < threshold) == 0.01
    threshold, reason = find_fmr(different, 0.001)
    assert math.isnan(threshold)
    assert "needs 3000 different pairs; there are 300" in reason
    assert np.mean(np.full(300, 0.5) < find_fmr(np.full(300, 0.5), 0.1)[0]) == 0  # ties: never above the rate


def test_extrapolation() -> None:
    assert extrapolate_fmr(0.107, 69) == pytest.approx(0.9996, abs=1e-4)
    assert extrapolate_fmr(0.0, 1000) == 0


def test_a_thinned_curve_keeps_its_ends() -> None:
    rng = np.random.default_rng(0)
    roc = measure_roc(rng.uniform(0, 1, 3000), rng.uniform(0.3, 2, 9000))
    curve = thin(roc)
    assert len(curve.threshold) <= 502
    assert (curve.fmr[0], curve.tmr[0]) == (0, 0)
    assert (curve.fmr[-1], curve.tmr[-1]) == (1, 1)
    assert sorted(curve.threshold) == list(curve.threshold)


# --- calibration ---


def test_calibration_of_a_cohort() -> None:
    calibration = calibrate_scores(
        compare_faces(make_faces(30, {}, noise=1.2)), fingerprint=FINGERPRINT, seed=3, draws=200
    )
    assert (calibration.subjects, calibration.same_pairs, calibration.different_pairs) == (30, 30, 435)
    youden = calibration.threshold("youden")
    assert youden.low <= youden.distance <= youden.high
    assert youden.low < youden.high
    fmr10 = calibration.threshold("fmr10")
    assert fmr10.low < fmr10.distance < fmr10.high
    assert (youden.tmr.trials, youden.fmr.trials) == (30, 435)
    assert youden.tmr_held_out.trials == 30
    assert youden.fmr_held_out.trials == 5 * 15  # five folds of six people
    assert math.isnan(calibration.threshold("fmr0.1").distance)
    assert "3000" in calibration.threshold("fmr0.1").reason
    assert calibration.threshold("fmr1").fmr.value <= 0.01
    with pytest.raises(KeyError, match="youden"):
        calibration.threshold("best")


def test_held_out_rates_do_not_flatter_a_blind_encoder() -> None:
    rng = np.random.default_rng(2)
    j = []
    for seed in range(12):
        faces = [replace_vector(f, rng.normal(size=32)) for f in make_faces(20, {}, seed=seed)]
        youden = calibrate_scores(compare_faces(faces), fingerprint=FINGERPRINT, seed=seed, draws=0).threshold("youden")
        j.append((youden.tmr.value - youden.fmr.value, youden.tmr_held_out.value - youden.fmr_held_out.value))
    chosen, held_out = np.nanmean(j, axis=0)
    assert chosen > 0.1  # looks like skill
    assert abs(held_out) < 0.1  # is none


def replace_vector(record: FaceRecord, vector: np.ndarray) -> FaceRecord:
    return replace(record, face=replace(record.face, vector=vector.astype(np.float32)))


def test_held_out_people_have_no_part_in_their_threshold() -> None:
    """Each fold again by hand: no pair that touches it chooses, only pairs within it are judged."""
    frame = compare_faces(make_faces(15, {}, noise=1.6, seed=4)).frame
    youden = calibrate_scores(ScoreTable(frame), fingerprint=FINGERPRINT, seed=6, draws=0).threshold("youden")
    fold = dict(zip((f"p{i}" for i in np.random.default_rng(6).permutation(15)), np.arange(15) % 5, strict=True))
    probe, reference = frame["probe_subject"].map(fold).astype(int), frame["reference_subject"].map(fold).astype(int)
    same, distance = frame["group"] == "same", frame["distance"]
    matched = {True: 0, False: 0}
    for k in range(5):
        away = (probe != k) & (reference != k)
        t, _ = find_youden(measure_roc(distance[away & same], distance[away & ~same]))
        for kind in matched:
            matched[kind] += int((distance[(probe == k) & (reference == k) & (same == kind)] < t).sum())
    assert (youden.tmr_held_out.successes, youden.fmr_held_out.successes) == (matched[True], matched[False])
    assert (youden.tmr_held_out.trials, youden.fmr_held_out.trials) == (15, 15)


def test_the_same_seed_gives_the_same_calibration() -> None:
    table = compare_faces(make_faces(12, {}))
    each, two, other = (repr(calibrate_scores(table, fingerprint=FINGERPRINT, seed=s, draws=50)) for s in (1, 1, 2))
    assert each == two
    assert each != other


def test_calibration_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    for faces in (make_faces(12, {}), make_faces(3, {}), []):
        calibration = calibrate_scores(compare_faces(faces), fingerprint=FINGERPRINT, seed=1, draws=50)
        write_calibrations(calibration, path)
        assert repr(read_calibrations(path)) == repr((calibration,))
        assert "NaN" not in path.read_text()
        json.loads(path.read_text())


def test_a_damaged_calibration_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    with pytest.raises(InputError, match=r"calibration\.json cannot be read"):
        read_calibrations(path)
    for text, message in (
        ("{", "is not JSON"),
        ('{"schema_version": 1}', r"schema version 1, this program reads 2; make it anew with `reid-audit calibrate`"),
        ("[]", "schema version none"),
        ('{"schema_version": 2}', r"is not what `reid-audit calibrate` writes: calibrations"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_calibrations(path)
    write_calibrations(calibrate_scores(compare_faces([]), fingerprint=FINGERPRINT, seed=0), path)
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 99'))
    with pytest.raises(InputError, match="schema version 99"):
        read_calibrations(path)


def test_a_calibration_of_other_settings_is_refused() -> None:
    calibration = calibrate_scores(compare_faces([]), fingerprint=FINGERPRINT, seed=0)
    assert check_fingerprint(calibration, FINGERPRINT) == ()
    other = replace(FINGERPRINT, encoder="dlib", renderer="vtk")
    with pytest.raises(CalibrationError, match="encoder was 'toy' and is 'dlib'; renderer was 'raycast' and is 'vtk'"):
        check_fingerprint(calibration, other)
    assert len(check_fingerprint(calibration, other, allow=True)) == 2


@pytest.mark.parametrize("visits", [("1",), ("1", "2")])
def test_far_is_fmr_times_acquired(visits: tuple[str, ...]) -> None:
    table = compare_faces(make_faces(20, {}, visits=visits, noise=3, faceless=["p3/1/original", "p7/1/original"]))
    calibration = calibrate_scores(table, fingerprint=FINGERPRINT, seed=0, draws=0)
    t = calibration.threshold("fmr10").distance
    different = table.frame.loc[table.frame["group"] == "different", "distance"]
    far, fta = (different < t).mean(), different.isna().mean()
    assert fta == pytest.approx(1 - (18 * 17) / (20 * 19))
    assert far == pytest.approx(calibration.threshold("fmr10").fmr.value * (1 - fta))
