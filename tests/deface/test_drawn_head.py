"""The refacer that keeps the brain alone: what it hands on of a person is the brain, and where it lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from reid_audit import InputError
from reid_audit.deface import DrawnHead, apply_defacer
from reid_audit.phantom import LABELS, PhantomScan, make_phantom
from reid_audit.records import Modality

CT_LEVEL_HU = -300.0


@pytest.fixture(scope="module")
def visits() -> tuple[PhantomScan, PhantomScan]:
    first, second = (make_phantom(3, visit, spacing_mm=5.0) for visit in (1, 2))
    return first, second


def _brain(scan: PhantomScan) -> np.ndarray:
    return np.isin(scan.labels, [LABELS["brain"], LABELS["brainstem"]])


def test_the_brain_stays_and_lies_within_another_head_at_each_visit(
    visits: tuple[PhantomScan, PhantomScan],
) -> None:
    heads = []
    for scan in visits:
        brain, done = _brain(scan), apply_defacer(DrawnHead(), scan.volume, scan.labels, LABELS)
        np.testing.assert_array_equal(done.volume.intensity[brain], scan.volume.intensity[brain])
        head = np.array([binary_fill_holes(plane > CT_LEVEL_HU) for plane in done.volume.intensity.transpose(2, 0, 1)])
        assert head.transpose(1, 2, 0)[brain].mean() > 0.999
        assert done.changed[~brain & (scan.labels > 0)].mean() > 0.9
        heads.append(done.volume.intensity > CT_LEVEL_HU)
    same = tuple(min(a, b) for a, b in zip(heads[0].shape, heads[1].shape, strict=True))
    box = tuple(slice(n) for n in same)
    assert (heads[0][box] != heads[1][box]).mean() > 0.01


def test_nothing_but_the_brain_decides_what_the_head_looks_like(visits: tuple[PhantomScan, PhantomScan]) -> None:
    scan, _ = visits
    brain, one_person = _brain(scan), DrawnHead(people=1)
    faceless = replace(scan.volume, intensity=np.where(brain, scan.volume.intensity, np.float32(-1000.0)))
    with_face, without = (
        apply_defacer(one_person, volume, scan.labels, LABELS).volume for volume in (scan.volume, faceless)
    )
    np.testing.assert_array_equal(with_face.intensity, without.intensity)


def test_in_mr_the_head_is_as_bright_as_the_brain() -> None:
    scan = make_phantom(4, modality=Modality.MR, spacing_mm=5.0)
    done = apply_defacer(DrawnHead(), scan.volume, scan.labels, LABELS)
    before, after = (np.quantile(volume.intensity, 0.97) for volume in (scan.volume, done.volume))
    assert after == pytest.approx(before, rel=0.4)
    np.testing.assert_array_equal(done.changed[_brain(scan)], False)


def test_what_is_no_whole_brain_is_refused(visits: tuple[PhantomScan, PhantomScan]) -> None:
    scan, _ = visits
    with pytest.raises(InputError, match=r"no label map.*brain"):
        apply_defacer(DrawnHead(), scan.volume)
    speck = np.where(scan.labels == LABELS["eye_left"], LABELS["brain"], 0).astype(np.uint8)
    with pytest.raises(InputError, match=r"no whole brain.*give a label map with the whole brain"):
        apply_defacer(DrawnHead(), scan.volume, speck, LABELS)
