"""Scans that must not be scored silently, and scans that must not be accused."""

from dataclasses import replace

import numpy as np
import pytest
from places import SHARED
from scipy.spatial.transform import Rotation

from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import Modality, Volume
from reid_audit.surface import SurfaceSettings, check_added_surface, extract_skin, measure_relief
from reid_audit.volume import read_labels, read_volume

DATA = SHARED / "data"
COARSE = SurfaceSettings(voxel_mm=2.0)
UNFIT = {"not_hu", "bone_only", "small_surface", "not_a_head", "skull_stripped", "face_incomplete"}


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(3, spacing_mm=2.0)


def codes(skin):
    return {finding.code for finding in skin.checks}


def with_voxels(volume, intensity, **changes):
    return replace(volume, intensity=np.ascontiguousarray(intensity, dtype=np.float32), **changes)


def cropped(volume, *, low=(0, 0, 0), high=(None, None, None)):
    """A smaller field of view, in voxels."""
    matrix = volume.voxel_to_ras_mm.copy()
    matrix[:3, 3] = (matrix @ [*low, 1.0])[:3]
    part = volume.intensity[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return with_voxels(volume, part, voxel_to_ras_mm=matrix)


def tilted(volume, angles_deg):
    """Scanner axes turned under the head: the same voxels, another affine."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    return replace(volume, voxel_to_ras_mm=matrix @ volume.voxel_to_ras_mm)


def unfit(skin):
    return {finding.code for finding in skin.checks if finding.severity == "unfit"}


@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
def test_a_whole_head_is_fit(modality):
    volume = make_phantom(5, modality=modality, spacing_mm=2.0, pose_sd_deg=6.8).volume
    assert not unfit(extract_skin(volume, settings=COARSE))


@pytest.mark.parametrize("angles_deg", [(0, 0, 0), (10, 0, 0), (-10, 0, 0), (0, 10, 10)])
@pytest.mark.parametrize("kept_mm", [110, 150, 170])
def test_a_scan_that_ends_in_the_face_is_unfit(phantom, kept_mm, angles_deg):
    tissue = np.nonzero((phantom.volume.intensity > -300).any(axis=(0, 1)))[0]
    bottom = int(tissue.max()) - round(kept_mm / 2.0)
    skin = extract_skin(tilted(cropped(phantom.volume, low=(0, 0, bottom)), angles_deg), settings=COARSE)
    finding = next(f for f in skin.checks if f.code == "face_incomplete")
    assert finding.severity == "unfit"
    assert finding.value == pytest.approx(kept_mm, abs=30)
    assert "chin" in finding.text


def test_a_scan_that_ends_there_within_the_volume_is_unfit_as_well(phantom):
    """As after a mask or a resampling: air fills the slices below."""
    intensity = phantom.volume.intensity.copy()
    tissue = np.nonzero((intensity > -300).any(axis=(0, 1)))[0]
    intensity[:, :, : int(tissue.max()) - 80] = -1000
    assert "face_incomplete" in unfit(extract_skin(with_voxels(phantom.volume, intensity), settings=COARSE))


def test_a_nose_outside_the_field_of_view_is_unfit(phantom):
    front = int(np.nonzero((phantom.volume.intensity > -300).any(axis=(0, 2)))[0].max())
    skin = extract_skin(cropped(phantom.volume, high=(None, front - 8, None)), settings=COARSE)
    assert {"face_incomplete", "cut_front"} <= codes(skin)


@pytest.mark.parametrize("angles_deg", [(0, 0, 0), (12, 0, 0), (0, 0, 9)])
def test_a_face_cut_off_by_a_plane_is_unfit_in_an_original(phantom, angles_deg):
    intensity = phantom.volume.intensity.copy()
    front = int(np.nonzero((intensity > -300).any(axis=(0, 2)))[0].max())
    intensity[:, front - 12 :] = -1000
    volume = tilted(with_voxels(phantom.volume, intensity), angles_deg)
    assert unfit(extract_skin(volume, settings=COARSE)) == {"face_incomplete"}
    assert not unfit(extract_skin(volume, settings=COARSE, altered=True))  # that is what a defacer is for


def test_a_head_whose_top_is_outside_has_a_whole_face(phantom):
    top = int(np.nonzero((phantom.volume.intensity > -300).any(axis=(0, 1)))[0].max())
    skin = extract_skin(cropped(phantom.volume, high=(None, None, top - 15)), settings=COARSE)
    assert "cut_top" in codes(skin)
    assert "face_incomplete" not in codes(skin)


def test_a_brain_alone_is_skull_stripped():
    scan = make_phantom(3, modality=Modality.MR, spacing_mm=2.0)
    inside = ("brain", "white_matter", "grey_matter", "csf", "ventricle", "ventricles", "cerebellum")
    brain = np.isin(scan.labels, [LABELS[name] for name in inside if name in LABELS])
    assert brain.any()
    volume = with_voxels(scan.volume, np.where(brain, scan.volume.intensity, 0))
    finding = next(f for f in extract_skin(volume, settings=COARSE).checks if f.code == "skull_stripped")
    assert finding.severity == "unfit"
    assert 700 < finding.value < 2000


def test_a_skull_in_a_bone_window_is_not_hu(phantom):
    window = np.clip((phantom.volume.intensity - 200) / 1000 * 255, 0, 255)
    volume = with_voxels(phantom.volume, window, modality=Modality.MR)  # what a reader takes it for
    assert "not_hu" in unfit(extract_skin(volume, settings=COARSE))


def test_a_level_in_bone_is_bone_only(phantom):
    assert "bone_only" in unfit(extract_skin(phantom.volume, level=250.0, settings=COARSE))


def test_a_water_bottle_is_no_head():
    index = np.stack(np.meshgrid(*(np.arange(n) for n in (100, 100, 120)), indexing="ij"), axis=-1) * 2.0
    depth = np.minimum(45 - np.linalg.norm(index[..., :2] - 100, axis=-1), 100 - abs(index[..., 2] - 120))
    volume = Volume(np.where(depth > 0, 0, -1000).astype(np.float32), np.diag([2.0, 2, 2, 1]), Modality.CT, "bottle")
    assert "not_a_head" in unfit(extract_skin(volume))


def test_handedness_is_reported_as_far_as_the_header_tells_it(phantom):
    assert "mirrored" not in codes(extract_skin(phantom.volume, settings=COARSE))
    doubt = replace(phantom.volume, notes=("q-form and s-form are mirror images: left and right are in doubt",))
    assert "mirrored" in codes(extract_skin(doubt, settings=COARSE))
    left_handed = replace(phantom.volume, voxel_to_ras_mm=np.diag([-1.0, 1, 1, 1]) @ phantom.volume.voxel_to_ras_mm)
    assert "mirrored" in codes(extract_skin(left_handed, settings=COARSE))


# --- added surfaces ---


@pytest.fixture(scope="module")
def original(phantom):
    return extract_skin(phantom.volume, settings=COARSE)


def defaced_skin(phantom, original, change):
    intensity = phantom.volume.intensity.copy()
    change(intensity)
    return extract_skin(with_voxels(phantom.volume, intensity), level=original.level, settings=COARSE, altered=True)


def front_of(intensity):
    return int(np.nonzero((intensity > -300).any(axis=(0, 2)))[0].max())


def test_nothing_added_is_no_finding(phantom, original):
    assert check_added_surface(measure_relief(original), original) == ()

    def remove(intensity):
        intensity[:, front_of(intensity) - 20 :, : intensity.shape[2] // 2] = -1000

    assert check_added_surface(measure_relief(original), defaced_skin(phantom, original, remove)) == ()


def test_a_block_before_the_face_is_found_with_its_depth(phantom, original):
    def add(intensity):
        front = front_of(intensity)
        n = intensity.shape
        intensity[15:-15, front - 15 : front + 3, n[2] // 8 : n[2] // 2] = 100

    (finding,) = check_added_surface(measure_relief(original), defaced_skin(phantom, original, add))
    assert finding.code == "surface_added"
    assert finding.severity == "warning"
    assert 20 < finding.value < 60


def test_a_mask_over_the_face_is_found_with_its_thickness(phantom, original):
    from scipy.ndimage import binary_dilation

    def add(intensity):
        head = intensity > -300
        mask = binary_dilation(head, iterations=4) & ~head  # 8 mm thick
        mask[:, : intensity.shape[1] * 2 // 3] = False
        mask[:, :, : intensity.shape[2] // 4] = False
        intensity[mask] = 50

    (finding,) = check_added_surface(measure_relief(original), defaced_skin(phantom, original, add))
    assert "before the original's face" in finding.text


# --- public scans ---


def skin_of(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} needs ../shared/data")
    return extract_skin(read_volume(path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("misc/chris_t1.nii.gz", "face_incomplete"),
        ("misc/CT_pitch.nii.gz", "not_hu"),
        ("misc/ct_partial_fov.nii.gz", "face_incomplete"),
        ("misc/brain_only_spm152.nii.gz", "skull_stripped"),
    ],
)
def test_public_scans_without_a_face_are_unfit(name, code):
    assert code in unfit(skin_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mr_dicom_philips", "mr_dicom_decubitus/HFS", "mr_dicom_decubitus/HFP"])
def test_public_scans_with_a_face_are_fit(name):
    assert not unfit(skin_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("angles_deg", [(0, 0, 0), (10, -8, 12)])
@pytest.mark.parametrize("number", range(1, 11))
def test_label_maps_of_whole_and_of_cut_faces(number, angles_deg):
    path = DATA / "synthseg_labels" / f"training_seg_{number:02d}.nii.gz"
    if not path.exists():
        pytest.skip(f"{path.name} needs ../shared/data")
    labels, affine = read_labels(path)
    head = (labels[::2, ::2, ::2] > 0).astype(np.float32)
    noise = np.random.default_rng(number).normal(0, 20, head.shape)
    affine = affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    volume = Volume((-1000 + 1040 * head + noise).astype(np.float32), affine, Modality.CT, path.name)
    skin = extract_skin(tilted(volume, angles_deg), settings=COARSE)
    assert unfit(skin) == (set() if number in (2, 5, 6, 8, 10) else {"face_incomplete"})
