"""Filling a defaced head with the average one: nothing where nothing was cut, a face where there was one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit import RenderError, ScanRef, Skin, Volume, extract_skin
from reid_audit.attack.fill import fill_head
from reid_audit.attack.fillin import fill_skin
from reid_audit.attack.lay import HeadShape, Laid, lay_head
from reid_audit.phantom import LABELS, PhantomScan, make_average_head, make_phantom
from reid_audit.portrait import ScanContext
from reid_audit.records import Modality
from reid_audit.render import find_frontal_view
from reid_audit.render.raycast import RaycastRenderer
from reid_audit.surface import SurfaceSettings

COARSE = SurfaceSettings(voxel_mm=3.0)


class _Context(ScanContext):
    """Holds a volume that no file holds."""

    def __init__(self, volume: Volume) -> None:
        super().__init__(ScanRef("p", "1", "cut", Path("p.nii")), RaycastRenderer(), surface=COARSE)
        self._volume = volume

    def read(self) -> Volume:
        return self._volume


@pytest.fixture(scope="module")
def shape() -> HeadShape:
    head = make_average_head(spacing_mm=3.0)
    return HeadShape(head.skin_mm, head.voxel_to_head_mm)


@pytest.fixture(scope="module")
def head() -> PhantomScan:
    return make_phantom(4, spacing_mm=2.5)


def _lay(volume: Volume, shape: HeadShape) -> tuple[Skin, Laid]:
    skin = extract_skin(volume, level=-300.0, settings=COARSE, altered=True)
    return skin, lay_head(skin, shape, find_frontal_view(skin))


def _without_face(head: PhantomScan) -> Volume:
    """Air in front of the eyes' centre, from the chin to the brow."""
    eyes = np.argwhere(np.isin(head.labels, [LABELS["eye_left"], LABELS["eye_right"]]))
    chin = int(np.argwhere(head.labels == LABELS["mandible"])[:, 2].min())
    intensity = head.volume.intensity.copy()
    intensity[:, int(eyes[:, 1].mean()) :, chin : int(eyes[:, 2].max()) + 8] = -1000
    return replace(head.volume, intensity=intensity)


def test_the_average_head_is_mirror_symmetric_and_of_adult_size() -> None:
    head = make_average_head(spacing_mm=4.0)
    distance, affine = head.skin_mm, head.voxel_to_head_mm
    inside = np.argwhere(distance < 0) @ affine[:3, :3].T + affine[:3, 3]
    assert affine[0, 3] + 4.0 * (len(distance) - 1) == -affine[0, 3]
    near = np.abs(distance) < 20
    np.testing.assert_allclose(distance[near], distance[::-1][near], atol=0.5)
    assert 140 < np.ptp(inside[:, 0][inside[:, 2] > 0]) < 200
    assert 180 < np.ptp(inside[:, 1][inside[:, 2] > 0]) < 215


def test_an_untouched_head_is_left_as_it_is(head: PhantomScan, shape: HeadShape) -> None:
    _, laid = _lay(head.volume, shape)
    assert laid.fitting > 0.9
    assert fill_head(head.volume, shape, laid, level=-300.0, air=-1024.0) is head.volume


def test_a_missing_face_is_filled_and_the_rest_of_the_head_is_not_touched(head: PhantomScan, shape: HeadShape) -> None:
    before = head.volume.intensity > -300
    defaced = _without_face(head)
    kept = defaced.intensity.copy()
    _, whole = _lay(head.volume, shape)
    _, laid = _lay(defaced, shape)
    corners = np.array([[60.0, 70, 40, 1], [-60, 70, 0, 1], [0, 90, -60, 1]])
    moved = corners @ (laid.head_to_ras_mm - whole.head_to_ras_mm).T
    assert np.linalg.norm(moved[:, :3], axis=1).max() < 8.0  # nearly as on the whole head
    filled = fill_head(defaced, shape, laid, level=-300.0, air=-1024.0)
    np.testing.assert_array_equal(defaced.intensity, kept)
    after, removed = filled.intensity > -300, before & (defaced.intensity <= -300)
    assert (after & removed).sum() > 0.8 * removed.sum()
    assert (after & ~before).sum() < 0.25 * removed.sum()  # it is not the person's own face
    assert (filled.intensity >= defaced.intensity).all()


def test_mr_is_filled_in_its_own_units(shape: HeadShape) -> None:
    head = make_phantom(4, spacing_mm=2.5, modality=Modality.MR)
    skin = extract_skin(head.volume, settings=COARSE)
    eyes = np.argwhere(np.isin(head.labels, [LABELS["eye_left"], LABELS["eye_right"]]))
    intensity = head.volume.intensity.copy()
    intensity[:, int(eyes[:, 1].mean()) :, int(eyes[:, 2].min()) - 20 :] = 0
    defaced = replace(head.volume, intensity=intensity)
    cut = extract_skin(defaced, level=skin.level, settings=COARSE, altered=True)
    filled = fill_skin(_Context(defaced), cut)

    def front(skin: Skin) -> float:
        eye = (head.volume.voxel_to_ras_mm @ [*eyes.mean(axis=0), 1.0])[:3]
        near = np.abs(skin.vertices_ras_mm[:, [0, 2]] - eye[[0, 2]]).max(axis=1) < 30
        return float(skin.vertices_ras_mm[near, 1].max())

    assert abs(front(filled) - front(skin)) < 10.0
    assert front(cut) < front(skin) - 12.0


def test_nothing_cannot_be_filled() -> None:
    empty = Skin(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), 0.0)
    with pytest.raises(RenderError, match="no vertices"):
        fill_skin(_Context(Volume(np.zeros((2, 2, 2), np.float32), np.eye(4), Modality.CT)), empty)
