"""The synthetic release: what lies in it, what is hidden, and that originals and release belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_audit.dataset import Choice, take_inventory
from reid_audit.records import InputError
from reid_audit.release import HIDDEN_FILE, ORIGINALS, RELEASE, write_release

KINDS = {"T1w run-2", "T2w", "FLAIR", "PET", "CT", "RTSTRUCT", "RTDOSE", "preview", "mesh"}


@pytest.mark.slow
def test_one_file_of_each_kind_is_hidden_and_every_image_has_its_original(tmp_path: Path) -> None:
    hidden = write_release(tmp_path, subjects=1, spacing_mm=4.0)
    assert {each.kind for each in hidden} == KINDS
    assert len((tmp_path / HIDDEN_FILE).read_text().splitlines()) == 1 + len(KINDS)
    originals, release = tmp_path / ORIGINALS, tmp_path / RELEASE
    for each in hidden:
        if each.kind not in ("preview", "mesh", "CT"):
            assert (release / each.path).read_bytes() == (originals / each.path).read_bytes()
    run_1 = "bids/sub-p01/anat/sub-p01_run-1_T1w.nii.gz"
    assert (release / run_1).read_bytes() != (originals / run_1).read_bytes()
    for part, images in (
        ("bids", {"T1w run-1", "T1w run-2", "T2w", "FLAIR", "PET"}),
        ("dicom", {"CT", "RTSTRUCT", "RTDOSE"}),
    ):
        choice = Choice(conditions=(("released", release / part),))
        cohort = take_inventory(originals / part, choice=choice, salt_file=tmp_path / "salt").cohort
        assert cohort is not None
        assert {scan.image for scan in cohort.scans} == images
        assert len(cohort.defaced("released")) == len(cohort.originals) == len(images)
        assert all(cohort.partner_of(scan) is not None for scan in cohort.scans)
        assert bool(cohort.copies) == (part == "bids")  # previews and meshes
    with pytest.raises(InputError, match="holds a release already"):
        write_release(tmp_path, subjects=1)
