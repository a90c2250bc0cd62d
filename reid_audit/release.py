"""A synthetic release as a steward hands it over, with one file of each kind hidden in it that is not defaced.

`screen` and `score` must find every hidden file and nothing else. Nobody's data: all heads come from a seed.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reid_audit.deface import Defacer, apply_defacer, make_defacer
from reid_audit.phantom import LABELS, PhantomScan, make_phantom, write_rt_set
from reid_audit.records import InputError, Modality, Volume, describe_dataset, format_csv
from reid_audit.render import find_frontal_view, make_renderer
from reid_audit.surface import extract_skin, write_mesh
from reid_audit.volume import write_volume

ORIGINALS, RELEASE, HIDDEN_FILE = "original", "release", "hidden.csv"
_DEFACER = "face-removal"


@dataclass(frozen=True, slots=True)
class Hidden:
    """A file or DICOM folder of the release that shows the face as it was: its kind, and its place in the release."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class _Image:
    """One image of each person's session."""

    kind: str
    name: str  # what follows sub-p01_ in BIDS
    visit: int  # of the phantom: two runs differ in pose and noise as two visits do
    modality: Modality = Modality.MR
    contrast: str = "T1"


_IMAGES = (
    _Image("T1w run-1", "anat/run-1_T1w", 1),
    _Image("T1w run-2", "anat/run-2_T1w", 2),
    _Image("T2w", "anat/T2w", 1, contrast="T2"),
    _Image("FLAIR", "anat/FLAIR", 1, contrast="FLAIR"),
    _Image("PET", "pet/pet", 1, Modality.PET),
)
_OTHERS = ("CT", "RTSTRUCT", "RTDOSE", "preview", "mesh")


def write_release(
    out_dir: Path,
    *,
    subjects: int = 8,
    seed: int = 0,
    spacing_mm: float | None = 2.0,
    hide: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Hidden, ...]:
    """Write originals and what was released of them. The same arguments give the same bytes.

    Parameters
    ----------
    out_dir : Path
        Made if absent. Gets ``original`` and ``release``, each with a BIDS dataset ``bids`` and a tree ``dicom`` of
        radiotherapy studies; in the release also pictures and meshes; and ``hidden.csv``.
    subjects : int
        At least 1. With fewer than the kinds of files, one person has several hidden ones.
    seed : int
    spacing_mm : float or None
        As in `make_phantom`.
    hide : bool
        False defaces everything: the control, in which nothing is to be found.
    progress : callable, optional
        Called as ``progress(done, total)`` after each person.

    Returns
    -------
    tuple of Hidden
        What is not defaced: one T1w run, T2w, FLAIR and PET, one CT, structure set and dose (of different studies,
        where there are enough people), one picture and one mesh; nothing without `hide`.

    Raises
    ------
    InputError
        `subjects` is less than 1, or the folder holds a release already.
    """
    if subjects < 1:
        raise InputError(f"subjects must be at least 1; got {subjects}.")
    if (out_dir / RELEASE).exists():
        raise InputError(f"{out_dir.name}: holds a release already; give another folder")
    hidden: list[Hidden] = []
    kinds = [image.kind for image in _IMAGES if image.kind != "T1w run-1"] + list(_OTHERS)
    owner_of = {kind: 1 + place % subjects for place, kind in enumerate(kinds) if hide}
    for identity in range(1, subjects + 1):
        own = {kind for kind, owner in owner_of.items() if owner == identity}
        hidden += _write_person(out_dir, identity, own, seed, spacing_mm)
        if progress is not None:
            progress(identity, subjects)
    for part, kind in ((ORIGINALS, "raw"), (RELEASE, "derivative")):
        path = out_dir / part / "bids" / "dataset_description.json"
        path.write_text(describe_dataset("Synthetic heads", kind, License="CC0"), encoding="utf-8")
    table = format_csv(("kind", "path"), ((each.kind, each.path) for each in hidden))
    (out_dir / HIDDEN_FILE).write_text(table, encoding="utf-8", newline="")
    return tuple(hidden)


def _make_defacer() -> Defacer:
    defacer = make_defacer(_DEFACER)
    if defacer is None:
        raise InputError(f"there is no defacer {_DEFACER!r}; this package is not whole: install it again")
    return defacer


def _deface(scan: PhantomScan) -> Volume:
    return apply_defacer(_make_defacer(), scan.volume, scan.labels, dict(LABELS)).volume


def _write_person(out_dir: Path, identity: int, own: set[str], seed: int, spacing_mm: float | None) -> list[Hidden]:
    subject = f"sub-p{identity:02d}"
    release = out_dir / RELEASE
    hidden = []
    for image in _IMAGES:
        scan = make_phantom(
            identity, image.visit, modality=image.modality, contrast=image.contrast, seed=seed, spacing_mm=spacing_mm
        )
        folder, _, name = image.name.partition("/")
        place = Path("bids", subject, folder, f"{subject}_{name}.nii.gz")
        for part in (ORIGINALS, RELEASE):
            (out_dir / part / place).parent.mkdir(parents=True, exist_ok=True)
        defaced = _deface(scan)
        write_volume(scan.volume, out_dir / ORIGINALS / place)
        write_volume(scan.volume if image.kind in own else defaced, release / place)
        hidden += [Hidden(image.kind, place.as_posix())] if image.kind in own else []
        if image.kind == "T1w run-1":
            hidden += _write_views(release, subject, scan.volume, defaced, own)
    return hidden + _write_study(out_dir, subject, make_phantom(identity, 1, seed=seed, spacing_mm=spacing_mm), own)


def _write_views(release: Path, subject: str, original: Volume, defaced: Volume, own: set[str]) -> list[Hidden]:
    """Write a picture and a mesh of the head, as pipelines leave them behind."""
    from PIL import Image

    hidden = []
    for kind, place in (
        ("preview", Path("bids", "derivatives", "previews", f"{subject}.png")),
        ("mesh", Path("bids", "derivatives", "surfaces", f"{subject}_head.stl")),
    ):
        whole = extract_skin(original)
        skin = whole if kind in own else extract_skin(defaced, level=whole.level, altered=True)
        (release / place).parent.mkdir(parents=True, exist_ok=True)
        if kind == "mesh":
            write_mesh(skin, release / place)
        else:
            portrait = make_renderer("auto").render(skin, find_frontal_view(whole))
            Image.fromarray(portrait.pixels).save(release / place)
        hidden += [Hidden(kind, place.as_posix())] if kind in own else []
    return hidden


def _write_study(out_dir: Path, subject: str, scan: PhantomScan, own: set[str]) -> list[Hidden]:
    """Write a radiotherapy study, and the study of the defaced head under the same identifiers."""
    place = Path("dicom", subject)
    made = write_rt_set(scan, out_dir / ORIGINALS / place, seed=scan.identity)
    target = out_dir / RELEASE / place
    write_rt_set(_deface_study(scan), target, seed=scan.identity)
    hidden = []
    for kind, source in (("CT", made.ct), ("RTSTRUCT", made.structures), ("RTDOSE", made.dose)):
        if kind in own:
            if source.is_dir():
                shutil.copytree(source, target / source.name, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, target / source.name)
            hidden.append(Hidden(kind, (place / source.name).as_posix()))
    return hidden


def _deface_study(scan: PhantomScan) -> PhantomScan:
    """Deface a head and its label map, from which the structures are drawn; of each eye one voxel stays to draw."""
    defaced = _deface(scan)
    labels = np.where(defaced.intensity != scan.volume.intensity, 0, scan.labels).astype(scan.labels.dtype)
    for eye in ("eye_right", "eye_left"):
        where = np.argwhere(scan.labels == LABELS[eye])
        labels[tuple(where[len(where) // 2])] = LABELS[eye]
    return replace(scan, volume=defaced, labels=labels)
