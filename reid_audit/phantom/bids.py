"""Synthetic heads as a raw BIDS dataset, with their label maps as a derivative."""

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from reid_audit.phantom.cohort import SITES, draw_visits, label_table
from reid_audit.records import Modality, describe_dataset

_README = """# Synthetic heads

None of these people exists: every head is computed from a seed by reid-audit (`reid-audit phantom --bids`).
Subjects are scanned in {visits} sessions; sex, age and site are drawn too. Label maps lie in `derivatives/labels`.
"""

_PARTICIPANTS = {
    "age": {"Description": "Synthetic age; the shape of the head does not depend on it", "Units": "year"},
    "sex": {
        "Description": "Synthetic sex, which the shape of the head depends on",
        "Levels": {"F": "female", "M": "male"},
    },
    "site": {
        "Description": "Synthetic site, drawn without meaning",
        "Levels": {site: f"site {site}" for site in SITES},
    },
}


_PET = {
    **{"Units": "arbitrary", "TracerName": "FDG", "TracerRadionuclide": "F18", "ModeOfAdministration": "bolus"},
    **{"InjectedRadioactivity": 200, "InjectedRadioactivityUnits": "MBq", "InjectedMass": "n/a"},
    **{"InjectedMassUnits": "n/a", "SpecificRadioactivity": "n/a", "SpecificRadioactivityUnits": "n/a"},
    **{"TimeZero": "12:00:00", "ScanStart": 0, "InjectionStart": 0, "FrameTimesStart": [0], "FrameDuration": [600]},
    **{"AcquisitionMode": "list mode", "ImageDecayCorrected": True, "ImageDecayCorrectionTime": 0},
    **{"ReconMethodName": "synthetic", "ReconMethodParameterLabels": ["none"], "ReconMethodParameterUnits": ["none"]},
    **{"ReconMethodParameterValues": [0], "ReconFilterType": "none", "AttenuationCorrection": "synthetic"},
}
"""What BIDS asks of PET; nothing of it was measured."""


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _describe(folder: Path, name: str, kind: str) -> None:
    made_by = {"Name": "reid-audit", "Version": version("reid-audit"), "Description": "reid-audit phantom --bids"}
    authors = ["The reid-audit developers"]
    text = describe_dataset(name, kind, License="CC0", Authors=authors, GeneratedBy=[made_by])
    (folder / "dataset_description.json").write_text(text, encoding="utf-8")


def write_bids_cohort(
    out_dir: Path,
    *,
    subjects: int,
    visits: int = 2,
    modality: Modality = Modality.MR,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    spacing_mm: float | None = None,
    pose_sd_deg: float = 3.0,
    difficulty: str = "easy",
) -> Path:
    """Write scans of synthetic people as a raw BIDS dataset. The same arguments give the same bytes.

    Parameters
    ----------
    out_dir : Path
        Made if absent. Gets ``sub-p01/ses-1/anat/sub-p01_ses-1_T1w.nii.gz`` with a sidecar, the tables and texts of a
        dataset, and label maps (values of `LABELS`) below ``derivatives/labels``. BIDS has no CT yet: a CT lies where
        the proposal (BEP 24) puts it, ``ct/sub-p01_ses-1_ct.nii.gz``, and ``.bidsignore`` tells validators so.
    subjects, visits, modality, seed, progress, spacing_mm, pose_sd_deg, difficulty
        As in `write_cohort`.

    Returns
    -------
    Path
        The dataset.

    Raises
    ------
    InputError
        `subjects` or `visits` is less than 1, or the folder holds a dataset of something else.
    """
    from reid_audit.volume import write_labels, write_volume

    options = {"modality": modality, "spacing_mm": spacing_mm, "pose_sd_deg": pose_sd_deg}
    drawn = draw_visits(subjects, visits, seed=seed, difficulty=difficulty, progress=progress, **options)
    labels_dir = out_dir / "derivatives" / "labels"
    labels_dir.mkdir(parents=True, exist_ok=True)
    places = {Modality.CT: ("ct", "ct"), Modality.MR: ("anat", "T1w"), Modality.PET: ("pet", "pet")}
    folder, suffix = places[modality]
    rows: dict[str, tuple[str, ...]] = {"participant_id": ("age", "sex", "site")}
    for visit in drawn:
        label, session, scan = f"sub-{visit.subject}", f"ses-{visit.number}", visit.scan
        rows[label] = str(visit.age_years), visit.sex, visit.site
        place, beside = (root / label / session / folder for root in (out_dir, labels_dir))
        place.mkdir(parents=True, exist_ok=True)
        beside.mkdir(parents=True, exist_ok=True)
        image = place / f"{label}_{session}_{suffix}.nii.gz"
        write_volume(scan.volume, image)
        _write_json(image.with_name(f"{label}_{session}_{suffix}.json"), _sidecar(modality))
        labels_path = beside / f"{label}_{session}_desc-tissues_dseg.nii.gz"
        write_labels(scan.labels, scan.volume.voxel_to_ras_mm, labels_path)
    table = "".join("\t".join((label, *row)) + "\n" for label, row in rows.items())
    (out_dir / "participants.tsv").write_text(table, encoding="utf-8")
    _write_json(out_dir / "participants.json", _PARTICIPANTS)
    (out_dir / "README.md").write_text(_README.format(visits=visits), encoding="utf-8")
    _describe(out_dir, "Synthetic heads", "raw")
    if modality is Modality.CT:
        (out_dir / ".bidsignore").write_text("**/ct\n", encoding="utf-8")
    _describe(labels_dir, "Tissues of the synthetic heads", "derivative")
    (labels_dir / "desc-tissues_dseg.tsv").write_text(label_table(), encoding="utf-8")
    return out_dir


def _sidecar(modality: Modality) -> dict[str, object]:
    shared = {"Manufacturer": "reid-audit", "ManufacturersModelName": "phantom", "BodyPart": "HEAD"}
    if modality is Modality.CT:
        return {**shared, "Modality": "CT", "Units": "HU"}
    if modality is Modality.PET:
        return {**shared, **_PET}
    return {**shared, "MagneticFieldStrength": 3, "PulseSequenceType": "synthetic", "ConversionSoftware": "reid-audit"}
