"""Every file of a tree is a scan or a line of the ledger, whatever its name; and what in DICOM can show a face."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import write_image, write_series

from reid_audit.dataset import Choice, take_inventory
from reid_audit.screen import list_images

ENTITIES = ("", "_run-1", "_run-2", "_acq-fast", "_rec-defaced", "_part-phase", "_echo-1", "_space-MNI")
SUFFIXES = ("_T1w", "_T2w", "_FLAIR", "_UNIT1", "_pet", "_bold", "_T1W", "_T1w_defaced", "_mod-T1w_defacemask")
ENDINGS = (".nii", ".nii.gz", ".NII", ".json", ".png", ".stl", ".mgz", ".txt")
names = st.builds(
    lambda who, where, entities, suffix, ending: (f"sub-{who}", where, f"sub-{who}{entities}{suffix}{ending}"),
    st.sampled_from(("01", "02")),
    st.sampled_from(("anat", "pet", "ses-1/anat")),
    st.sampled_from(ENTITIES),
    st.sampled_from(SUFFIXES),
    st.sampled_from(ENDINGS),
)


@given(st.sets(names, min_size=1, max_size=14), st.sets(names, max_size=6))
@settings(max_examples=99, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_file_is_a_scan_or_counted(raw: set[tuple[str, ...]], derived: set[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "study")
        write_image(root / "sub-00" / "anat" / "sub-00_T1w.nii")  # one original at least
        for place, parts in ((root, raw), (root / "derivatives" / "tool", derived)):
            for name in parts:
                write_image(place.joinpath(*name))
        files = [path for path in root.rglob("*") if path.is_file()]
        actual = take_inventory(root)
        if actual.cohort is None:
            assert actual.questions
            return
        aside = sum(entry.count for entry in actual.aside if entry.what != "derivative")
        assert len({scan.path for scan in actual.cohort.scans}) == len(actual.cohort.scans)
        assert len(actual.cohort.scans) + aside == len(files)


def test_pictures_and_thumbnails_in_dicom_are_named(tmp_path: Path) -> None:
    from pydicom import Dataset, Sequence

    icon = Dataset()
    icon.Rows = icon.Columns = 1
    for tree in ("originals", "release"):
        write_series(tmp_path / tree / "ct")
        write_series(tmp_path / tree / "shot", series="1.9", slices=1, Modality="SC")
    write_series(tmp_path / "release" / "ct", IconImageSequence=Sequence([icon]))
    choice = Choice(conditions=(("cut", tmp_path / "release"),))
    cohort = take_inventory(tmp_path / "originals", choice=choice, salt_file=tmp_path / "salt").cohort
    assert cohort is not None
    assert cohort.copies == (
        "10 thumbnail (within DICOM images, and may show the face: remove IconImageSequence)",
        "1 SC (a secondary capture: a picture that may show the face)",
    )
    screened = {entry.what: (entry.count, entry.may_show) for entry in list_images(tmp_path / "release").aside}
    assert screened == {"thumbnail": (10, True), "DICOM SC": (1, True)}
