"""Leak maps: where a defacer changed depth maps of made-up people, and where it left what tells them apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from reid_audit.attack import map_leaks, map_occlusion, pick_mapped
from reid_audit.attack.depth_maps import subtract_depth_maps
from reid_audit.attack.leaks import FEWEST, GONE_MM
from reid_audit.attack.shape import Shape
from reid_audit.records import ORIGINAL, Face, FaceRecord, ScanRef, Status
from reid_audit.render import make_renderer
from reid_audit.report.figures import list_overview
from reid_audit.report.leak_figures import draw_leak_maps
from reid_audit.testing import FakeEncoder, make_result

REGION = Shape().region
UPPER = np.arange(REGION.shape[0])[:, None] > REGION.shape[0] // 2


def relief(rng, sd_mm):
    smooth = gaussian_filter(rng.standard_normal(REGION.shape), 4)
    return sd_mm * smooth / smooth.std()


def record(subject, session, condition, depth_mm):
    vector = np.where(np.isnan(depth_mm), -1000, depth_mm).astype(np.float32).ravel()
    scan = ScanRef(subject, session, condition, Path(f"{subject}_{session}_{condition}.nii"))
    naive = Face(Status.OK, "toy", np.ones(4, np.float32) / 2)
    return FaceRecord(scan, naive, looks={"shape": (Face(Status.OK, "shape", vector),)})


def cohort(people, deface):
    """Two originals of each person, and what `deface` makes of the first."""
    rng = np.random.default_rng(0)
    records = []
    for n in range(people):
        person = 60.0 + relief(rng, 4.0)
        first, second = (person + relief(rng, 0.5) for _ in range(2))
        records += [record(f"p{n}", "1", ORIGINAL, first), record(f"p{n}", "2", ORIGINAL, second)]
        records += [record(f"p{n}", "1", "laid", deface(first, rng))]
    return records


def lay_the_same_above(depth_mm, rng):
    return np.where(UPPER, 60.0 + relief(rng, 0.5), depth_mm)


def test_identity_is_left_where_the_defacer_did_nothing():
    (leak,) = map_leaks(cohort(12, lay_the_same_above))
    change, identity = np.array(leak.change_mm), np.array(leak.identity)
    assert (leak.condition, leak.subjects) == ("laid", 12)
    inner = REGION & ~np.isnan(identity)
    assert (change[inner & ~UPPER] == 0).all()
    assert np.median(change[inner & UPPER]) > 1
    assert np.median(identity[inner & UPPER]) == pytest.approx(1, abs=0.5)
    assert np.median(identity[inner & ~UPPER]) > 10
    assert np.isnan(identity[~REGION]).all()


def test_what_is_gone_is_a_large_change_and_tells_nothing():
    hidden = np.where(np.broadcast_to(UPPER, REGION.shape), 1.0, 0.5)
    (leak,) = map_leaks(cohort(FEWEST, lambda depth_mm, _: np.where(UPPER, np.nan, depth_mm)), lambda: hidden)
    np.testing.assert_array_equal(np.array(leak.occlusion)[REGION], hidden[REGION])
    change, identity = np.array(leak.change_mm), np.array(leak.identity)
    assert (change[REGION & UPPER] == GONE_MM).all()
    assert np.isnan(identity[REGION & UPPER]).sum() > 0.9 * (REGION & UPPER).sum()  # but for the seam


def test_strangers_under_the_names_leave_nothing_anywhere():
    records = cohort(16, lambda depth_mm, _: depth_mm)
    names = {f"p{n}": f"p{(n + 5) % 16}" for n in range(16)}
    exchanged = [
        replace(r, scan=replace(r.scan, subject=names[r.scan.subject])) if r.scan.condition != ORIGINAL else r
        for r in records
    ]
    (leak,) = map_leaks(exchanged)
    assert np.nanmedian(np.array(leak.identity)) == pytest.approx(1, abs=0.4)


def test_few_people_and_no_shape_give_no_map():
    assert map_leaks(cohort(FEWEST - 1, lay_the_same_above)) == ()
    assert map_leaks([replace(r, looks={}) for r in cohort(FEWEST, lay_the_same_above)]) == ()


def test_a_map_needs_what_shape_saw_of_each_scan_and_no_more():
    records = cohort(FEWEST, lay_the_same_above)
    other = Face(Status.NO_FACE, "toy")
    twice = [replace(r, looks=r.looks | {"fillin": (other,)}) for r in [*records, *records]]  # of two encoders
    picked = pick_mapped([*twice, replace(records[0], scan=replace(records[0].scan, subject="unseen"), looks={})])
    assert [(r.scan.key, tuple(r.looks)) for r in picked] == [(r.scan.key, (Shape.name,)) for r in records]
    assert repr(map_leaks(picked)) == repr(map_leaks(records))  # NaN equals nothing


def test_a_residual_forgets_a_shift_and_an_offset():
    depth = (60.0 + relief(np.random.default_rng(1), 4.0)).astype(np.float32)
    moved = np.roll(depth, (1, -2), axis=(0, 1)) + 7.0
    (residual,) = subtract_depth_maps(moved[None], depth[None], REGION, Shape.share)
    assert np.abs(residual[REGION]).max() < 1e-4
    assert np.isnan(residual[~REGION]).all()


def test_report_and_comparison_show_the_maps_side_by_side():
    result, _ = make_result(12, {"laid": 0.5}, attacks=("naive", "fillin"))
    leaks = map_leaks(cohort(8, lay_the_same_above))
    result = replace(result, leaks=leaks)
    figures = {figure.name: figure for figure in list_overview(result)}
    assert "laid, 8 people: the skin moved by more than 1 mm on" in figures["where identity is left on the face"].alt
    channels = figures["linkability by part of the head"]
    told = {line.rpartition(":")[0] for line in channels.alt.split("; ")}
    assert told == {"laid, face, by a recogniser", "laid, face, filled in"}
    assert result.compare().leaks == leaks
    (figure,) = draw_leak_maps([*leaks, replace(leaks[0], condition="other")])
    assert len(figure.make().axes) == 8  # two defacers, two layers, a bar each
    assert "hides" not in figure.caption
    (figure,) = draw_leak_maps([replace(leak, occlusion=leak.identity) for leak in leaks])
    assert len(figure.make().axes) == 6
    assert "hides" in figure.caption
    assert "<image" not in figure.svg()  # pages allow none


def test_a_recogniser_of_the_nose_looks_at_the_nose():
    """A fake that sees nothing but the middle of the picture, and keeps the place it is given."""

    def see(portrait):
        height, width, _ = portrait.pixels.shape
        part = portrait.pixels[height // 2 - 12 : height // 2 + 12, width // 2 - 12 : width // 2 + 12]
        vector = np.append(part[::4, ::4].astype(np.float32).ravel(), np.float32(50.0))
        box_px = (width * 0.3, height * 0.3, width * 0.7, height * 0.7)
        return Face(Status.OK, "pixels", vector / np.linalg.norm(vector), box_px=box_px)

    renderer = make_renderer("raycast")
    layer = map_occlusion(FakeEncoder(see), renderer)
    assert np.isfinite(layer).sum() > 0.8 * REGION.sum()
    assert not np.isfinite(layer[~REGION]).any()
    assert np.nanmax(layer) == pytest.approx(1.0)
    # What is hidden elsewhere moves nothing; the middle of the picture is that of the depth map.
    row, column = np.unravel_index(np.nanargmax(layer), layer.shape)
    (left_mm, up_mm), reach_mm = Shape().place_of(int(row), int(column)), 40.0
    assert np.hypot(left_mm, up_mm) < reach_mm
    away = np.hypot(*np.subtract(np.indices(layer.shape), np.array([row, column])[:, None, None])) > 35
    assert np.nanmax(np.where(away, layer, np.nan)) == pytest.approx(0.0, abs=1e-5)
    blind = map_occlusion(FakeEncoder(lambda _: Face(Status.NO_FACE, "pixels")), renderer)
    assert np.isnan(blind).all()
