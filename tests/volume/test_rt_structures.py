"""Structure sets as voxels: squares that a reader can count, with holes written in each of the three ways."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from reid_audit.volume.rt_dose import read_dose_grid
from reid_audit.volume.rt_structures import Contour, Roi, fill_roi, fill_rois

SHAPE = (12, 12, 6)
OUTER = np.array([(1.5, 1.5), (9.5, 1.5), (9.5, 9.5), (1.5, 9.5)])  # holds the 8 x 8 centres 2..9
INNER = np.array([(3.5, 3.5), (6.5, 3.5), (6.5, 6.5), (3.5, 6.5)])  # holds the 3 x 3 centres 4..6
KEYHOLE = np.concatenate([OUTER, OUTER[:1], INNER, INNER[:1], OUTER[:1]])


def _contour(loop: np.ndarray, k: float) -> Contour:
    return Contour(None, np.column_stack([loop, np.full(len(loop), k)]), closed=True)


def _roi(*contours: Contour) -> Roi:
    return Roi(1, "organ", "", None, contours)


def _voxels(roi: Roi) -> np.ndarray:
    return fill_rois([roi], SHAPE)


def test_a_square_holds_the_centres_inside_it() -> None:
    mask = _voxels(_roi(_contour(OUTER, 2.0)))
    assert mask.sum() == 64
    assert mask[2:10, 2:10, 2].all()


@pytest.mark.parametrize(
    "contours",
    [
        (_contour(OUTER, 2.0), _contour(INNER, 2.0)),
        (_contour(INNER, 2.0), _contour(OUTER, 2.0)),
        (_contour(KEYHOLE, 2.0),),
    ],
    ids=["hole as a contour of its own", "hole first", "keyhole"],
)
def test_a_hole_is_a_hole_however_it_is_written(contours: tuple[Contour, ...]) -> None:
    mask = _voxels(_roi(*contours))
    assert mask.sum() == 64 - 9
    assert not mask[4:7, 4:7, 2].any()


def test_a_centre_on_an_edge_belongs_to_one_of_two_neighbours() -> None:
    left = np.array([(1.0, 1.0), (4.0, 1.0), (4.0, 4.0), (1.0, 4.0)])
    right = left + np.array([3.0, 0.0])
    a, b = (_voxels(_roi(_contour(loop, 2.0))) for loop in (left, right))
    assert (a.sum(), b.sum(), (a & b).sum()) == (9, 9, 0)  # 3 mm squares on a grid of 1 mm hold 9 voxels each


def test_planes_on_every_third_slice_fill_those_between() -> None:
    mask = _voxels(_roi(_contour(OUTER, 1.0), _contour(INNER, 4.0)))
    assert [int(n) for n in mask.sum(axis=(0, 1))] == [64, 64, 64, 9, 9, 9]  # to half-way, and as far beyond


def test_what_lies_between_two_parts_stays_empty() -> None:
    mask = _voxels(_roi(*(_contour(OUTER, k) for k in (0.0, 1.0, 2.0, 5.0))))
    assert [int(n) for n in mask.sum(axis=(0, 1))] == [64, 64, 64, 0, 0, 64]


def test_a_plane_between_the_centres_gets_the_voxel_it_lies_in() -> None:
    mask = _voxels(_roi(_contour(np.array([(5.1, 7.1), (5.3, 7.1), (5.3, 7.3)]), 3.0)))
    assert np.argwhere(mask).tolist() == [[5, 7, 3]]


def test_what_lies_outside_the_scan_is_left_out() -> None:
    mask, _ = fill_roi(_roi(_contour(OUTER - 100.0, 2.0)), SHAPE)
    assert not mask.any()
    assert fill_roi(_roi(), SHAPE)[0].shape == (0, 0, 0)
    assert _voxels(_roi(_contour(OUTER + np.array([6.0, 0.0]), 2.0))).sum() == 4 * 8  # centres 8..11


def test_deface_and_utility_fill_alike(tmp_path) -> None:
    import pydicom
    from rt_files import write_rtstruct

    from reid_audit.records import Grid, Modality
    from reid_audit.utility import read_rtstruct
    from reid_audit.volume.rt_structures import read_rois

    grid = Grid(SHAPE, np.diag([-1.0, -1.0, 1.0, 1.0]), Modality.CT)  # a voxel index is LPS mm
    loops = [np.column_stack([loop, np.full(4, 2.0)]) for loop in (OUTER, INNER)]
    masks = []
    for kind in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
        path = write_rtstruct(tmp_path / f"{kind}.dcm", {"organ": loops}, kind=kind)
        structure = read_rtstruct(path, grid).structures["organ"]
        whole = np.zeros(SHAPE, dtype=bool)
        whole[structure.box] = structure.mask
        masks += [whole, fill_rois(read_rois(pydicom.dcmread(path), np.eye(4), path.name), SHAPE)]
    assert all(mask.sum() == 55 and np.array_equal(mask, masks[0]) for mask in masks)


def test_a_dose_without_its_plane_offsets_names_the_absent_tag() -> None:
    ds = {"NumberOfFrames": 88}
    with pytest.raises(ValueError, match="88 planes and lacks GridFrameOffsetVector"):
        read_dose_grid(SimpleNamespace(get=ds.get), "rd.dcm")
