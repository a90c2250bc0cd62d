"""A ball with a nose for a head: what was done to it can be said beforehand, to the millimetre."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from reid_audit.alteration import Alteration, find_alteration, restore, summarise_original
from reid_audit.alteration.intensity import IntensityMap, fit_intensity, map_level, unmap
from reid_audit.alteration.search import ORIENTATIONS
from reid_audit.records import InputError, Modality, OriginalSummary, Skin, Volume
from reid_audit.render import frontal_view
from reid_audit.surface import extract_skin
from reid_audit.volume.sample import sample

AIR, FLESH, SPACING_MM = 10.0, 500.0, 2.5


def make_head(seed: int, *, nose_mm: float = 18.0, half_mm: tuple[float, float, float] = (75, 95, 115)) -> Volume:
    """An ellipsoid with a nose, an ear on the right alone, and lumps inside that only it has."""
    shape = (72, 104, 102)
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = -(np.array(shape) - 1) * SPACING_MM / 2
    x, y, z = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * SPACING_MM for n in shape], indexing="ij")
    a, b, c = half_mm
    ball = (1 - np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)) * 90
    nose = nose_mm - np.sqrt((x * 1.2) ** 2 + (y - b) ** 2 + (z + 35) ** 2 / 2)
    ear = 14 - np.sqrt((x - a) ** 2 + (y / 1.5) ** 2 + (z + 20) ** 2 / 4)
    depth_mm = np.maximum(np.maximum(ball, nose), ear)
    rng = np.random.default_rng(seed)
    lumps = gaussian_filter(rng.standard_normal(shape), 2) * 4
    flesh = np.clip(depth_mm / SPACING_MM + 0.5, 0, 1) * (1 + 0.3 * lumps * (depth_mm > 4))
    intensity = AIR + (FLESH - AIR) * flesh + rng.normal(0, 3, shape)
    return Volume(np.asfortranarray(intensity, dtype=np.float32), affine, Modality.MR, source="head.nii")


HEAD = make_head(1)


@pytest.fixture(scope="module")
def original() -> OriginalSummary:
    skin = extract_skin(HEAD, level=150.0)
    return summarise_original(HEAD, skin, frontal_view(skin))


def with_values(intensity: NDArray[np.floating[Any]]) -> Volume:
    return replace(HEAD, intensity=np.asfortranarray(intensity, dtype=np.float32))


def move(volume: Volume, *voxels: int) -> Volume:
    """To the right, front and top, filled up with air."""
    padded = np.pad(volume.intensity, 4, constant_values=AIR)
    window = tuple(slice(4 - step, 4 - step + n) for step, n in zip(voxels, volume.intensity.shape, strict=True))
    return with_values(padded[window])


def remove_face(volume: Volume) -> Volume:
    """The front half becomes air from the brow down."""
    values = volume.intensity.copy()
    values[:, 52:, :62] = AIR
    return with_values(values)


def test_the_same_file_is_unaltered_and_nothing_else(original: OriginalSummary) -> None:
    alteration = find_alteration(original, HEAD)
    assert alteration.codes == {"unaltered", "face_region_there"}
    assert alteration.level == pytest.approx(150)
    assert restore(HEAD, alteration, original) is HEAD


@pytest.mark.parametrize("kind", ["one voxel", "noise", "whole numbers"])
def test_what_saving_changes_alters_no_face(original: OriginalSummary, kind: str) -> None:
    values = HEAD.intensity.copy()
    if kind == "one voxel":
        values[0, 0, 0] += 1
    elif kind == "noise":
        values += np.random.default_rng(5).normal(0, 5, values.shape).astype(np.float32)
    else:
        values = np.rint(values)
    assert find_alteration(original, with_values(values)).codes == {"unaltered", "face_region_there"}


@pytest.mark.parametrize(("gain", "offset"), [(8.0, 0.0), (0.3, 0.0), (800.0, 0.0), (1.0, 300.0), (-1.0, 700.0)])
def test_other_units_are_named_and_the_level_follows(original: OriginalSummary, gain: float, offset: float) -> None:
    scan = with_values(gain * HEAD.intensity + offset)
    alteration = find_alteration(original, scan)
    assert alteration.codes == {"rescaled", "unaltered", "face_region_there"}
    assert alteration.level == pytest.approx(gain * 150 + offset, rel=1e-3)
    np.testing.assert_allclose(restore(scan, alteration, original).intensity, HEAD.intensity, atol=0.05)


def test_a_clipped_scan_keeps_its_face(original: OriginalSummary) -> None:
    alteration = find_alteration(original, with_values(np.clip(HEAD.intensity, 180, 500)))
    assert {"rescaled", "unaltered"} <= alteration.codes
    assert 180 < alteration.level < 200  # 150 is no longer there: just inside the clip


TURNS = {
    "half a turn": (np.s_[::-1, ::-1, :], {"turned"}),
    "upside down": (np.s_[:, :, ::-1], {"turned", "mirrored"}),
    "mirrored": (np.s_[::-1, :, :], {"mirrored"}),
}


@pytest.mark.parametrize("kind", TURNS)
def test_turns_under_the_header_are_named_and_undone(original: OriginalSummary, kind: str) -> None:
    turn, codes = TURNS[kind]
    scan = with_values(HEAD.intensity[turn] * 0.5)
    alteration = find_alteration(original, scan)
    assert alteration.codes == codes | {"rescaled", "unaltered", "face_region_there"}
    laid_back = restore(scan, alteration, original)
    np.testing.assert_allclose(laid_back.voxel_to_ras_mm, HEAD.voxel_to_ras_mm, atol=1e-6)
    np.testing.assert_allclose(laid_back.intensity, HEAD.intensity, atol=0.05)


def test_axes_exchanged_under_the_header(original: OriginalSummary) -> None:
    codes = find_alteration(original, with_values(HEAD.intensity.transpose(1, 0, 2))).codes
    assert codes == {"turned", "mirrored", "unaltered", "face_region_there"}


def test_a_shift_by_whole_voxels_is_told_to_the_millimetre(original: OriginalSummary) -> None:
    alteration = find_alteration(original, move(HEAD, 2, -3, 0))
    (moved,) = (finding for finding in alteration.findings if finding.code == "moved")
    assert moved.value == pytest.approx(SPACING_MM * np.hypot(2, 3), abs=0.01)
    np.testing.assert_allclose(alteration.fit.placement[:3, 3], [2 * SPACING_MM, -3 * SPACING_MM, 0], atol=1e-6)
    assert "unaltered" in alteration.codes


def test_a_slice_less_is_cropped_and_unaltered(original: OriginalSummary) -> None:
    alteration = find_alteration(original, with_values(HEAD.intensity[:, :, :-1]))
    assert alteration.codes == {"cropped", "unaltered", "face_region_there"}
    assert alteration.findings[0].value == pytest.approx(SPACING_MM)


def test_a_sheet_before_the_face_is_a_veil(original: OriginalSummary) -> None:
    values = HEAD.intensity.copy()
    values[:, -3:-1, :] = FLESH
    assert find_alteration(original, with_values(values)).codes == {"veiled", "unaltered", "face_region_there"}


def test_another_head_is_exchanged(original: OriginalSummary) -> None:
    alteration = find_alteration(original, make_head(2, nose_mm=22, half_mm=(82, 86, 105)))
    assert alteration.codes == {"exchanged"}
    assert alteration.face is None
    np.testing.assert_array_equal(alteration.fit.placement, np.eye(4))


def test_another_head_around_the_same_brain_is_not_exchanged_but_altered(original: OriginalSummary) -> None:
    other = make_head(2, nose_mm=22, half_mm=(82, 86, 105))
    brain = distance_transform_edt(HEAD.intensity > 150.0, sampling=SPACING_MM) > 15.0
    laid = with_values(np.where(brain, HEAD.intensity, other.intensity))
    alteration = find_alteration(original, laid)
    assert alteration.codes == {"face_altered"}
    assert alteration.fit.same_inside > 0.8
    louder = find_alteration(original, with_values(np.where(brain, HEAD.intensity + 5.0, other.intensity)))
    assert louder.codes == {"exchanged"}


def changed(original: OriginalSummary, volume: Volume) -> Alteration:
    alteration = find_alteration(original, volume)
    assert "unaltered" not in alteration.codes
    assert "face_altered" in alteration.codes
    return alteration


def test_a_removed_face_is_gone_however_the_file_was_treated(original: OriginalSummary) -> None:
    gone = remove_face(HEAD)
    assert changed(original, gone).codes == {"face_altered", "face_region_gone"}
    assert changed(original, with_values(gone.intensity * 0.3)).codes == {
        "rescaled",
        "face_altered",
        "face_region_gone",
    }
    assert {"moved", "face_region_gone"} <= changed(original, move(gone, 0, -2, 1)).codes


def test_a_nose_cut_off_is_altered_and_the_rest_is_there(original: OriginalSummary) -> None:
    values = HEAD.intensity.copy()
    values[:, 90:, :] = AIR  # what lies further in front than the ball
    alteration = changed(original, with_values(values))
    assert "face_region_gone" not in alteration.codes
    assert alteration.face is not None
    assert 0.03 < alteration.face.moved < 0.3


def test_a_light_blur_is_altered_and_the_face_is_there(original: OriginalSummary) -> None:
    values = HEAD.intensity.copy()
    values[:, 56:, :70] = gaussian_filter(values[:, 56:, :70], 1.5)
    assert changed(original, with_values(values)).codes == {"face_altered", "face_region_there"}


def test_a_skin_without_a_face_cannot_be_compared() -> None:
    nothing = Skin(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32), np.zeros((3, 3), np.float32), 150.0)
    with pytest.raises(InputError, match="no face to compare"):
        summarise_original(HEAD, nothing, frontal_view(nothing))


def test_samples_between_voxels() -> None:
    values = np.arange(8, dtype=np.float32).reshape(2, 2, 2)  # 4 i + 2 j + k
    seen = sample(values, np.array([[0.5, 0.5, 0.5], [1.0, 0.0, 1.0], [2.0, 0.0, 0.0]]), gradient=True)
    np.testing.assert_allclose(seen.values, [3.5, 5.0, 4.0])
    np.testing.assert_array_equal(seen.inside, [True, True, False])
    np.testing.assert_allclose(seen.gradient[:2], [[4, 2, 1], [4, 2, 1]])
    np.testing.assert_array_equal(sample(np.asfortranarray(values), np.array([[0.5, 0.5, 0.5]])).values, [3.5])


def test_intensities_are_told_from_most_of_the_pairs() -> None:
    x = np.linspace(0, 1000, 400)
    y = 2 * x + 30
    y[:120] = 1999.5 - np.arange(120)  # a third was replaced
    told = fit_intensity(x, y, 500.0)
    assert told.gain == pytest.approx(2, abs=1e-3)
    assert told.offset == pytest.approx(30, abs=1)


def test_levels_and_clipped_air() -> None:
    clipped = IntensityMap(2.0, 0.0, 400.0, np.inf)
    assert map_level(300.0, clipped, 0.0) == 600.0
    assert map_level(100.0, clipped, 0.0) == 410.0  # 200 was clipped away
    np.testing.assert_array_equal(unmap(np.array([400.0, 500.0]), clipped, level=100.0, air=-5.0), [-5, 250])


def test_there_are_48_orientations_half_of_them_mirrored() -> None:
    assert len({turn.tobytes() for turn in ORIENTATIONS}) == 48
    assert sum(np.linalg.det(turn) < 0 for turn in ORIENTATIONS) == 24


def test_mirrored_and_cut_and_in_other_units(original: OriginalSummary) -> None:
    alteration = find_alteration(original, with_values(HEAD.intensity[::-1, :, 2:] * 3 + 7))
    assert alteration.codes == {"mirrored", "cropped", "rescaled", "unaltered", "face_region_there"}


def test_other_spacings_in_the_header(original: OriginalSummary) -> None:
    wrong = HEAD.voxel_to_ras_mm.copy()
    wrong[:3, :3] *= 0.8
    alteration = find_alteration(original, replace(HEAD, voxel_to_ras_mm=wrong))
    assert alteration.codes == {"resized", "unaltered", "face_region_there"}
    assert alteration.findings[0].value == pytest.approx(0.8)


def test_half_the_slices_are_another_grid_of_the_same_head(original: OriginalSummary) -> None:
    thick = HEAD.voxel_to_ras_mm @ np.diag([1.0, 1.0, 2.0, 1.0])
    scan = replace(with_values(HEAD.intensity[:, :, ::2]), voxel_to_ras_mm=thick)
    alteration = find_alteration(original, scan)
    assert {"other_grid", "face_region_there"} <= alteration.codes
    (other_grid,) = (finding for finding in alteration.findings if finding.code == "other_grid")
    assert other_grid.value == pytest.approx(2)
