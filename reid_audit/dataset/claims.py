"""What names, sidecars, masks and DICOM tags claim about a defacing. Nothing here is believed."""

import json
import re
from pathlib import Path
from typing import Any

from reid_audit.volume.header import claims_no_face

_NAME = re.compile(
    r"(?:de|re)fac(?:e|ed|ing|er)[a-z]*|(?:py|mri_|fsl_|mi|deep|cta-?)deface\w*|quickshear|mri_?reface\w*|"
    r"mask_?face\w*|faceless|anonymi[sz]ed|skull-?stripped|_brain(?=[_.])|masked",
    re.IGNORECASE,
)
_KEY = re.compile(r"deface|reface|deidentif|anonymi", re.IGNORECASE)
_FACE = re.compile(r"\b(\w*(?:(?:de|re)fac|quickshear|mask_?face|faceless)\w*)", re.IGNORECASE)
_DEFACED = "defaced"
_LONGEST = 80
_MOST_BYTES = 2**20


def claims_of_name(name: str) -> tuple[str, ...]:
    """Return the words of a file's name that speak of a defacing: ``"name: pydeface"``."""
    return tuple(dict.fromkeys(f"name: {match[0].strip('_.')}" for match in _NAME.finditer(name)))


def claims_of_sidecar(path: Path) -> tuple[str, ...]:
    """Return the fields of the JSON file beside an image that speak of a defacing, by key and value.

    Empty where there is none, or none that can be read: a sidecar is another tool's business.
    """
    stem = path.name
    while (ending := Path(stem).suffix) in (".gz", ".nii", ".mgz", ".nrrd", ".mha", ".mhd"):
        stem = stem.removesuffix(ending)
    sidecar = path.with_name(f"{stem}.json")
    try:
        if sidecar.stat().st_size > _MOST_BYTES:
            return ()
        content = json.loads(sidecar.read_bytes())
    except (OSError, ValueError):
        return ()
    fields = content.items() if isinstance(content, dict) else ()
    told = [
        f"sidecar: {key} = {value}"
        for key, value in fields
        if isinstance(value, str | bool | int | float)
        and _affirms(value)
        and (_KEY.search(key) or _NAME.search(str(value)))
    ]
    return tuple(text[:_LONGEST] for text in told)


def _affirms(value: object) -> bool:
    return str(value).strip().lower() not in ("", "0", "false", "no", "none", "n/a")


def signs_of_defacing(path: Path, kept: frozenset[str] = frozenset()) -> tuple[str, str]:
    """Say what hints that the face of a raw image was removed already, and what it may be called: its condition.

    Parameters
    ----------
    path : Path
        An image of a BIDS dataset.
    kept : frozenset of str
        Names of the images in ``sourcedata``: originals that were kept.

    Returns
    -------
    sign, condition : str
        Both empty where nothing hints at it.
    """
    for claim in (*claims_of_name(path.name), *claims_of_sidecar(path)):
        if word := _FACE.search(claim):
            return claim, claim.removeprefix("name: ").lower() if claim.startswith("name: ") else word[1].lower()
    head, _, suffix = path.name.partition(".")[0].rpartition("_")
    if any(path.parent.glob(f"{head}_mod-{suffix}_defacemask.*")):
        return "a defacemask beside it", _DEFACED
    return ("an image of its name in sourcedata", _DEFACED) if path.name in kept else ("", "")


def claims_of_header(header: Any) -> tuple[str, ...]:
    """Return what a DICOM header claims: its methods of de-identification where it says that the face was cleaned."""
    if not claims_no_face(header):
        return ()
    methods = header.get("DeidentificationMethod") or "recognizable visual features were cleaned"
    words = [methods] if isinstance(methods, str) else [str(method) for method in methods]
    return tuple(f"DICOM: {word}"[:_LONGEST] for word in words)
