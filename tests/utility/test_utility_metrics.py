"""Agreement of two masks: by hand, against independent implementations, and as properties."""

from __future__ import annotations

import math
import warnings
from itertools import permutations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from reid_audit import InputError
from reid_audit.utility import Agreement, Structure, compare_masks, compare_structures
from reid_audit.utility.surfaces import find_surface_voxels, surfel_areas_mm2

UNIT = (1.0, 1.0, 1.0)
UNEVEN = (3.0, 2.0, 1.0)


def _mask(*voxels: tuple[int, int, int], shape: tuple[int, int, int] = (8, 8, 8)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def _blob(seed: int, *, size: int = 24, sigma: float = 2.5, shift: float = 0.0) -> np.ndarray:
    """A random smooth shape, moved along with ``shift`` so that two of one seed resemble each other."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(size, size + 3, size - 5)), sigma)
    field = ndimage.shift(field, (shift, -shift, shift / 2), order=1)
    return field > np.quantile(field, 0.8)


# --- by hand ---


def test_two_voxels_two_millimetres_apart() -> None:
    actual = compare_masks(_mask((2, 3, 3)), _mask((4, 3, 3)), spacing_mm=UNIT, tolerance_mm=1.9)
    assert actual.dice == 0
    assert (actual.hd_mm, actual.hd95_mm, actual.mean_hd95_mm, actual.msd_mm) == (2, 2, 2, 2)
    # Of the eight corners of each voxel four face the other one at 1 mm, four are 2 mm away.
    assert actual.surface_dice == pytest.approx(0.5)
    assert compare_masks(_mask((2, 3, 3)), _mask((4, 3, 3)), spacing_mm=UNIT, tolerance_mm=2).surface_dice == 1


@pytest.mark.parametrize(("axis", "distance"), [(0, 6.0), (1, 4.0), (2, 2.0)])
def test_distances_follow_the_spacing(axis: int, distance: float) -> None:
    there = [2, 2, 2]
    there[axis] += 2
    actual = compare_masks(_mask((2, 2, 2)), _mask(tuple(there)), spacing_mm=UNEVEN)
    assert (actual.hd_mm, actual.hd95_mm, actual.msd_mm) == (distance, distance, distance)


def test_one_voxel_beside_a_pair() -> None:
    actual = compare_masks(_mask((2, 2, 2)), _mask((2, 2, 2), (2, 2, 3)), spacing_mm=UNEVEN)
    assert actual.dice == pytest.approx(2 / 3)
    assert actual.hd_mm == 1
    assert actual.msd_mm == pytest.approx((0 + 0.5) / 2)
    assert actual.hd95_mm == pytest.approx(0.95)  # of the distances 0 and 1, straight between them
    assert actual.mean_hd95_mm == pytest.approx(0.475)
    assert actual.volume_before_cm3 == pytest.approx(0.006)


@pytest.mark.parametrize(
    ("before", "after", "overlap"), [(False, False, math.nan), (True, False, 0.0), (False, True, 0.0)]
)
def test_empty_masks(before: bool, after: bool, overlap: float) -> None:
    full, empty = _mask((1, 1, 1)), _mask()
    actual = compare_masks(full if before else empty, full if after else empty, spacing_mm=UNIT)
    np.testing.assert_equal((actual.dice, actual.surface_dice), (overlap, overlap))
    assert all(math.isnan(d) for d in (actual.hd95_mm, actual.mean_hd95_mm, actual.hd_mm, actual.msd_mm))
    assert (actual.volume_before_cm3, actual.volume_after_cm3) == (0.001 * before, 0.001 * after)


def test_the_same_mask_agrees_entirely() -> None:
    mask = _blob(1)
    actual = compare_masks(mask, mask.copy(), spacing_mm=UNEVEN)
    assert (actual.dice, actual.surface_dice, actual.hd95_mm, actual.hd_mm, actual.msd_mm) == (1, 1, 0, 0, 0)


def test_a_mask_that_fills_the_image_has_the_image_for_its_surface() -> None:
    full = np.ones((4, 4, 4), dtype=bool)
    assert find_surface_voxels(full).sum() == 4**3 - 2**3
    actual = compare_masks(full, _mask((0, 0, 0), shape=(4, 4, 4)), spacing_mm=UNIT)
    assert actual.hd_mm == pytest.approx(math.sqrt(27))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"after": np.ones((2, 3, 4), dtype=bool)}, "shape"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing_mm"),
        ({"tolerance_mm": -1.0}, "tolerance_mm"),
    ],
)
def test_wrong_arguments(change: dict, word: str) -> None:
    arguments = {"after": _mask(), "spacing_mm": UNIT} | change
    with pytest.raises(InputError, match=word):
        compare_masks(_mask(), arguments.pop("after"), **arguments)


# --- independent implementations ---


def _to_itk(mask: np.ndarray, spacing: tuple[float, float, float]) -> sitk.Image:
    # A rim of background: ITK's contour filter does not take the edge of the image for outside.
    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8).transpose(2, 1, 0))
    image.SetSpacing(spacing)
    return image


def _directed_by_itk(a: sitk.Image, b: sitk.Image) -> np.ndarray:
    """Distances from the contour voxels of ``a`` to those of ``b``: distance map of the contour image."""
    of_b = sitk.SignedMaurerDistanceMap(b, squaredDistance=False, useImageSpacing=True)
    distances = sitk.GetArrayFromImage(of_b)[sitk.GetArrayFromImage(a) > 0]
    return np.maximum(distances, 0).astype(float)  # on the contour itself the map is not positive


PAIRS = [
    (_blob(1), _blob(2)),
    (_blob(3), _blob(3, shift=2)),
    (_blob(4, sigma=1), _blob(5, sigma=4)),
    (np.random.default_rng(0).random((9, 10, 11)) < 0.3, np.random.default_rng(1).random((9, 10, 11)) < 0.1),
    (_mask((0, 0, 0)), _mask((7, 7, 7))),
    (_mask((0, 0, 0)), np.ones((8, 8, 8), dtype=bool)),
]


@pytest.mark.parametrize("spacing", [UNIT, UNEVEN, (0.5, 0.5, 2.0)])
@pytest.mark.parametrize("pair", PAIRS, ids=["unlike", "shifted", "rough", "noise", "corners", "filled"])
def test_agrees_with_simpleitk(pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float, float]) -> None:
    actual = compare_masks(*pair, spacing_mm=spacing)
    a, b = (_to_itk(mask, spacing) for mask in pair)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(a, b)
    assert actual.dice == pytest.approx(overlap.GetDiceCoefficient(), abs=1e-6)
    contours = [sitk.BinaryContour(image, fullyConnected=False) for image in (a, b)]
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*contours)
    assert actual.hd_mm == pytest.approx(hausdorff.GetHausdorffDistance(), abs=1e-5)  # ITK's map is float32
    there, back = _directed_by_itk(*contours), _directed_by_itk(*contours[::-1])
    ends = np.percentile(there, 95), np.percentile(back, 95)
    assert actual.hd95_mm == pytest.approx(max(ends), abs=1e-5)
    assert actual.mean_hd95_mm == pytest.approx(np.mean(ends), abs=1e-5)
    assert actual.msd_mm == pytest.approx((there.mean() + back.mean()) / 2, abs=1e-5)


@pytest.mark.parametrize("spacing", [UNIT, UNEVEN, (0.7, 0.7, 3.0)])
@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("pair", PAIRS, ids=["unlike", "shifted", "rough", "noise", "corners", "filled"])
def test_surface_dice_agrees_with_deepmind(
    pair: tuple[np.ndarray, np.ndarray], tolerance: float, spacing: tuple[float, float, float]
) -> None:
    import surface_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls names that SciPy is about to remove
        distances = surface_distance.compute_surface_distances(*pair, spacing)
    expected = surface_distance.compute_surface_dice_at_tolerance(distances, tolerance)
    actual = compare_masks(*pair, spacing_mm=spacing, tolerance_mm=tolerance).surface_dice
    assert actual == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("spacing", [UNIT, UNEVEN])
def test_the_areas_are_those_of_deepmind(spacing: tuple[float, float, float]) -> None:
    from surface_distance import lookup_tables

    theirs = lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    kernel = np.asarray(lookup_tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL)
    own = surfel_areas_mm2(spacing)
    for code in range(256):
        corners = (kernel & code) > 0
        own_code = sum(1 << bit for bit, inside in enumerate(corners.ravel()) if inside)
        assert own[own_code] == pytest.approx(theirs[code], abs=1e-6)


def test_distances_agree_with_full_distance_transforms() -> None:
    a, b = _blob(7), _blob(8)
    actual = compare_masks(a, b, spacing_mm=UNEVEN)
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (a, b)]  # MONAI's edges
    maps = [ndimage.distance_transform_edt(~surface, sampling=UNEVEN) for surface in surfaces]
    there, back = maps[1][surfaces[0]], maps[0][surfaces[1]]
    assert actual.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), abs=1e-9)
    assert actual.msd_mm == pytest.approx((there.mean() + back.mean()) / 2, abs=1e-9)


def test_crops_give_the_numbers_of_the_whole() -> None:
    a, b = _blob(9), _blob(10)
    box = tuple(slice(0, n) for n in a.shape)
    far = tuple(slice(s.start + 100, s.stop + 100) for s in box)
    actual = compare_structures(Structure("a", far, a), Structure("b", far, b), spacing_mm=UNEVEN)
    assert actual == compare_masks(a, b, spacing_mm=UNEVEN)
    assert compare_structures(Structure("a", box, a), None, spacing_mm=UNIT).dice == 0
    assert math.isnan(compare_structures(None, None, spacing_mm=UNIT).dice)


# --- properties ---

SHAPE = (4, 5, 6)
masks = hnp.arrays(bool, SHAPE)
spacings = st.tuples(*[st.sampled_from([0.5, 1.0, 1.25, 2.0, 3.0])] * 3)


def _same(a: Agreement, b: Agreement) -> None:
    for name in ("dice", "surface_dice", "hd95_mm", "mean_hd95_mm", "hd_mm", "msd_mm"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-9, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(masks, masks, spacings)
def test_symmetry_and_range(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float, float]) -> None:
    each, other = compare_masks(a, b, spacing_mm=spacing), compare_masks(b, a, spacing_mm=spacing)
    _same(each, other)
    if a.any() and b.any():
        assert 0 <= each.dice <= 1
        assert 0 <= each.surface_dice <= 1 + 1e-12
        assert 0 <= each.mean_hd95_mm <= each.hd95_mm <= each.hd_mm
        assert each.msd_mm <= each.hd_mm


@settings(max_examples=30, deadline=None)
@given(masks, masks, spacings, st.sampled_from(list(permutations(range(3)))), st.tuples(*[st.booleans()] * 3))
def test_flips_and_axis_orders_change_nothing(
    a: np.ndarray,
    b: np.ndarray,
    spacing: tuple[float, float, float],
    order: tuple[int, int, int],
    flipped: tuple[bool, bool, bool],
) -> None:
    turned = [np.flip(mask, [axis for axis in range(3) if flipped[axis]]).transpose(order) for mask in (a, b)]
    moved = compare_masks(*turned, spacing_mm=tuple(spacing[axis] for axis in order))
    _same(compare_masks(a, b, spacing_mm=spacing), moved)


@settings(max_examples=30, deadline=None)
@given(masks, masks, spacings, st.sampled_from([0.5, 2.0, 4.0]))
def test_scale(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float, float], factor: float) -> None:
    assume(a.any() and b.any())
    each = compare_masks(a, b, spacing_mm=spacing, tolerance_mm=1.5)
    scaled = compare_masks(a, b, spacing_mm=tuple(s * factor for s in spacing), tolerance_mm=1.5 * factor)
    assert scaled.dice == each.dice
    assert scaled.surface_dice == pytest.approx(each.surface_dice)
    for name in ("hd95_mm", "mean_hd95_mm", "hd_mm", "msd_mm"):
        assert getattr(scaled, name) == pytest.approx(factor * getattr(each, name))
    assert scaled.volume_after_cm3 == pytest.approx(factor**3 * each.volume_after_cm3)


@settings(max_examples=30, deadline=None)
@given(masks, st.floats(0, 5), st.floats(0, 5))
def test_a_larger_tolerance_forgives_more(a: np.ndarray, first: float, second: float) -> None:
    assume(a.any())
    b = ndimage.binary_dilation(a)
    low, high = sorted((first, second))
    shares = [compare_masks(a, b, spacing_mm=UNEVEN, tolerance_mm=t).surface_dice for t in (low, high)]
    assert shares[0] <= shares[1] + 1e-12
