"""4-D images: set aside by default, judged by one of their volumes on request; what was published of each kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trees import write_image

from reid_audit import read_volume
from reid_audit.cli import main
from reid_audit.dataset import Choice, read_cohort, take_inventory
from reid_audit.dataset.priors import order_of
from reid_audit.records import InputError, ScanRef


def _write_4d(path: Path) -> np.ndarray:
    import nibabel as nib

    values = np.random.default_rng(0).integers(0, 900, (6, 7, 8, 3)).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([3.0, 3, 3, 1])), path)
    return values


def test_the_first_volume_or_the_mean_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_task-rest_bold.nii.gz"
    values = _write_4d(path)
    with pytest.raises(InputError, match=r"holds 3 volumes .* --four-d .*: first or mean"):
        read_volume(path)
    first, mean = (read_volume(path, series=word) for word in ("first", "mean"))
    assert np.array_equal(first.intensity, values[..., 0])
    assert np.allclose(mean.intensity, values.mean(axis=3))
    assert "mean of 3 volumes" in mean.notes
    assert ScanRef("1", "1", "original", path, series="mean").label == path.name
    write_image(tmp_path / "one.nii")
    assert np.array_equal(read_volume(tmp_path / "one.nii", series="mean").intensity,
                          read_volume(tmp_path / "one.nii").intensity)  # fmt: skip


def test_series_of_volumes_join_a_cohort_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "study"
    for who in ("01", "02"):
        write_image(root / f"sub-{who}" / "anat" / f"sub-{who}_T1w.nii")
        _write_4d(root / f"sub-{who}" / "func" / f"sub-{who}_task-rest_bold.nii.gz")
        _write_4d(root / f"sub-{who}" / "pet" / f"sub-{who}_pet.nii.gz")
    without = take_inventory(root)
    assert [(entry.what, entry.count) for entry in without.aside] == [("bold", 2)]
    cohort = read_cohort(root, choice=Choice(frames="mean"))
    parts = {scan.image: scan.series for scan in cohort.scans}
    assert parts == {"T1w": "", "bold": "mean", "PET": "mean"}
    with pytest.raises(InputError, match="--four-d must be first or mean; got 'last'"):
        read_cohort(root, choice=Choice(frames="last"))
    assert main(["inventory", str(root), "--four-d", "first", "-o", str(tmp_path / "m.csv"), "--allow-outside"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "T1w 96 to 98 %, PET 32 to 42 %, bold 0 to 2 %" in said
    assert {scan.series for scan in read_cohort(tmp_path / "m.csv", allow_outside=True).scans} == {"", "first"}


def test_what_is_matched_more_often_comes_first() -> None:
    images = ["bold", "PET", "angio", "T2w run-2", "CT"]
    assert sorted(images, key=order_of) == ["angio", "T2w run-2", "CT", "PET", "bold"]
