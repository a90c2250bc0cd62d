"""Reference defacers on a head of boxes that a reader can draw: 40 voxels of 1 mm each way."""

from __future__ import annotations

import numpy as np
import pytest

from reid_audit import InputError, Volume
from reid_audit.deface import EyePlaneCut, FaceBlur, FaceRemoval, apply_defacer, reference_defacers
from reid_audit.records import Modality

LABELS = {"eye_left": 1, "eye_right": 2, "brain": 3, "brainstem": 4, "mandible": 5}


def _head(modality: Modality = Modality.CT) -> tuple[Volume, np.ndarray]:
    """Tissue from 5 to 35 each way; eyes at j 26-29, k 24-27, jaw at j 18-30, k 10-12, brain behind and above."""
    intensity = np.full((40, 40, 40), -1000.0 if modality is Modality.CT else 3.0, dtype=np.float32)
    intensity[5:35, 5:35, 5:35] = 40.0
    labels = np.zeros(intensity.shape, dtype=np.uint8)
    labels[10:14, 26:30, 24:28] = LABELS["eye_right"]
    labels[26:30, 26:30, 24:28] = LABELS["eye_left"]
    labels[10:30, 18:31, 10:13] = LABELS["mandible"]
    labels[10:30, 10:32, 28:34] = LABELS["brain"]
    return Volume(intensity, np.eye(4), modality), labels


def test_eye_plane_cut_removes_what_is_above_and_in_front_of_the_eyes() -> None:
    volume, labels = _head()
    done = apply_defacer(EyePlaneCut(), volume, labels, LABELS)
    expected = volume.intensity.copy()
    front = np.zeros(labels.shape, dtype=bool)
    front[:, 28:, 24:] = True  # the eyes' centre is 27.5, their lowest slice 24
    front &= labels != LABELS["brain"]
    expected[front] = -1000.0
    np.testing.assert_array_equal(done.volume.intensity, expected)
    np.testing.assert_array_equal(done.changed, front & (volume.intensity == 40.0))


def test_face_removal_keeps_the_brain_and_the_back_of_the_head() -> None:
    volume, labels = _head()
    done = apply_defacer(FaceRemoval(brow_mm=2, chin_mm=3, brain_margin_mm=1), volume, labels, LABELS)
    assert (done.volume.intensity[labels == LABELS["brain"]] == 40.0).all()
    assert (done.volume.intensity[:, :18] == volume.intensity[:, :18]).all()
    assert (done.volume.intensity[:, :, :7] == volume.intensity[:, :, :7]).all()
    assert (done.volume.intensity[:, 18:, 7:27] == -1000.0).all()  # 27 is the margin under the brain


def test_blur_keeps_the_far_side_and_the_mean() -> None:
    volume, labels = _head()
    done = apply_defacer(FaceBlur(sigma_mm=2.0), volume, labels, LABELS)
    assert done.changed.any()
    assert not done.changed[:, :17].any()
    assert abs(float(done.volume.intensity.mean() - volume.intensity.mean())) < 5.0


def test_air_is_zero_in_mr() -> None:
    volume, labels = _head(Modality.MR)
    done = apply_defacer(EyePlaneCut(), volume, labels, LABELS)
    assert (done.volume.intensity[:, 34:, 24:] == 0.0).all()


@pytest.mark.parametrize("defacer", reference_defacers(), ids=lambda d: d.name)
def test_the_input_is_left_as_it_was_and_the_result_is_the_same_twice(defacer: object) -> None:
    volume, labels = _head()
    before = volume.intensity.copy()
    first = apply_defacer(defacer, volume, labels, LABELS)
    again = apply_defacer(defacer, volume, labels, LABELS)
    np.testing.assert_array_equal(volume.intensity, before)
    np.testing.assert_array_equal(first.volume.intensity, again.volume.intensity)


@pytest.mark.parametrize("defacer", reference_defacers(), ids=lambda d: d.name)
def test_a_missing_structure_is_named(defacer: object) -> None:
    volume, labels = _head()
    with pytest.raises(InputError, match="eye_left"):
        apply_defacer(defacer, volume, np.where(labels <= 2, 0, labels), LABELS)
    with pytest.raises(InputError, match="eye_left"):
        apply_defacer(defacer, volume, labels, {"brain": 3, "mandible": 5})


def test_one_eye_on_one_slice_is_enough() -> None:
    volume, labels = _head()
    labels[np.isin(labels, [1, 2])] = 0
    labels[12, 28, 26] = LABELS["eye_right"]
    done = apply_defacer(EyePlaneCut(), volume, labels, LABELS)
    assert (done.volume.intensity[5:9, 29:35, 26:35] == -1000.0).all()
    assert (done.volume.intensity[:, :29] == volume.intensity[:, :29]).all()
