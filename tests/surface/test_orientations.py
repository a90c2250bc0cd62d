"""One head, stored in all 48 ways that a file can hold it, has one portrait."""

from dataclasses import replace
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from reid_audit.phantom import make_phantom
from reid_audit.records import Modality
from reid_audit.render import find_frontal_view, make_renderer
from reid_audit.surface import SurfaceSettings, extract_skin
from reid_audit.volume import read_volume

WAYS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
COARSE = SurfaceSettings(voxel_mm=2.0)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(7, spacing_mm=2.0, oblique_deg=6.0).volume


@pytest.fixture(scope="module")
def renderer():
    with make_renderer("raycast") as engine:
        yield engine


def portray(volume, renderer):
    skin = extract_skin(volume, settings=COARSE)
    return renderer.render(skin, find_frontal_view(skin)).pixels.astype(float)


def store(volume, order, signs, path):
    """Write the axes in another order and direction, with the affine that belongs to it."""
    orientation = np.stack([np.argsort(order), np.array(signs)[np.argsort(order)]], axis=1)
    values = nib.apply_orientation(volume.intensity.astype(np.int16), orientation)
    affine = volume.voxel_to_ras_mm @ nib.orientations.inv_ornt_aff(orientation, volume.intensity.shape)
    nib.save(nib.Nifti1Image(values, affine), path)


@pytest.mark.slow
def test_all_48_ways_give_the_same_portrait(phantom, renderer, tmp_path):
    reference = portray(phantom, renderer)
    for order, signs in WAYS:
        store(phantom, order, signs, tmp_path / "head.nii")
        volume = read_volume(tmp_path / "head.nii", modality=Modality.CT)
        assert abs(portray(volume, renderer) - reference).mean() < 1.0, (order, signs)


def test_a_flip_without_its_affine_is_a_mirror_image(phantom, renderer):
    """No header tells. Were it not so, the test above could not see a flip that got lost."""
    flipped = replace(phantom, intensity=np.ascontiguousarray(phantom.intensity[::-1]))
    assert abs(portray(flipped, renderer) - portray(phantom, renderer)).mean() > 1.0


def test_forms_that_mirror_each_other_are_reported(phantom, tmp_path):
    image = nib.Nifti1Image(phantom.intensity.astype(np.int16), phantom.voxel_to_ras_mm)
    image.set_qform(np.diag([-1.0, 1, 1, 1]) @ phantom.voxel_to_ras_mm, code=1)
    image.set_sform(phantom.voxel_to_ras_mm, code=1)
    nib.save(image, tmp_path / "head.nii")
    skin = extract_skin(read_volume(tmp_path / "head.nii", modality=Modality.CT), settings=COARSE)
    (finding,) = (f for f in skin.checks if f.code == "mirrored")
    assert finding.severity == "warning"


def test_no_orientation_at_all_is_reported(phantom, tmp_path):
    image = nib.Nifti1Image(phantom.intensity.astype(np.int16), np.diag([2.0, 2, 2, 1]))
    image.set_qform(None, code=0)
    image.set_sform(None, code=0)
    nib.save(image, tmp_path / "head.nii")
    skin = extract_skin(read_volume(tmp_path / "head.nii", modality=Modality.CT), settings=COARSE)
    assert "mirrored" in {f.code for f in skin.checks}
