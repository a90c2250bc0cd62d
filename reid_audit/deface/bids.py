"""Defaced scans of a BIDS dataset as BIDS derivatives: a dataset for each defacer, named like the raw one."""

import json
import re
from importlib.metadata import version
from pathlib import Path

from reid_audit.dataset.bids import read_description
from reid_audit.records import ReidAuditError, describe_dataset
from reid_audit.volume.stored import ending


def place_derivative(path: Path, root: Path) -> tuple[Path, Path]:
    """Say where in its derivative a defaced scan lies, and where the mask of what was changed.

    Parameters
    ----------
    path : Path
        The raw image ``sub-01/anat/sub-01_T1w.nii.gz`` below `root`.
    root : Path

    Returns
    -------
    image : Path
        ``sub-01/anat/sub-01_desc-defaced_T1w.nii.gz``, relative to the derivative.
    mask : Path
        ``sub-01/anat/sub-01_mod-T1w_defacemask.nii.gz``, the name that BIDS has for it.
    """
    place = path.absolute().relative_to(root.absolute())
    stem = place.name[: -len(ending(place))]
    head, _, suffix = stem.rpartition("_")
    head = re.sub(r"_desc-[0-9A-Za-z]+", "", head)
    return place.with_name(f"{head}_desc-defaced_{suffix}.nii.gz"), place.with_name(
        f"{head}_mod-{suffix}_defacemask.nii.gz"
    )


def write_sidecar(image: Path, raw: Path, root: Path, *, defacer: str, defacer_version: str) -> None:
    """Write the JSON beside a defaced image: the raw one's fields, its source and what defaced it."""
    fields: dict[str, object] = {}
    sidecar = raw.with_name(raw.name[: -len(ending(raw))] + ".json")
    if sidecar.is_file():
        try:
            content = json.loads(sidecar.read_bytes())
        except (OSError, ValueError) as error:
            raise ReidAuditError(f"{sidecar.name}: is not readable JSON; correct it") from error
        fields = content if isinstance(content, dict) else {}
    fields |= {
        "Sources": [f"bids:raw:{raw.absolute().relative_to(root.absolute()).as_posix()}"],
        "Defaced": True,
        "DefacedBy": f"{defacer} {defacer_version}".strip(),
    }
    image.with_name(image.name[: -len(ending(image))] + ".json").write_text(
        json.dumps(fields, indent=2) + "\n", encoding="utf-8"
    )


def describe_derivative(folder: Path, root: Path, *, defacer: str, defacer_version: str) -> None:
    """Write ``dataset_description.json`` of a derivative: what made it, and of which dataset."""
    raw = read_description(root)
    name = raw.get("Name", root.resolve().name)
    made_by = [{"Name": defacer, "Version": defacer_version or "unknown"}]
    own = f"reid-audit {version('reid-audit')}"
    if defacer_version != own:
        made_by.append({"Name": "reid-audit", "Version": version("reid-audit"), "Description": "reid-audit deface"})
    doi = raw.get("DatasetDOI")
    source = {"DOI": str(doi)} if doi else {"URL": str(name)}
    text = describe_dataset(f"{name}, defaced by {defacer}", "derivative", GeneratedBy=made_by, SourceDatasets=[source])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset_description.json").write_text(text, encoding="utf-8")
