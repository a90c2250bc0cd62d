"""The images of a file, a folder, a BIDS dataset, a tree of DICOM files or a manifest; every other file in a ledger."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from reid_audit.dataset import Aside, read_manifest
from reid_audit.dataset.candidates import Ledger, show_name
from reid_audit.dataset.claims import claims_of_header, claims_of_name, claims_of_sidecar
from reid_audit.dataset.copies import DICOM_COPIES, ICON, MESHES, PICTURES, THUMBNAILS, find_reason, read_allowed
from reid_audit.dataset.walk import list_files
from reid_audit.records import FRAMES, InputError, Modality, name_series
from reid_audit.volume import READERS
from reid_audit.volume.bodies import BODY_MODALITIES
from reid_audit.volume.files import read_nibabel
from reid_audit.volume.header import damaged_header_errors, read_header
from reid_audit.volume.stored import ending

_TABLES = (".csv", ".tsv")
_HEADER = (
    "SeriesInstanceUID",
    "Modality",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "RecognizableVisualFeatures",
    ICON,
)


@dataclass(frozen=True, slots=True)
class ScreenImage:
    """An image to look at.

    Attributes
    ----------
    name : str
        For people and reports: a file relative to what is screened, a scan of a manifest, or a DICOM series by its
        short name; never a folder of a DICOM tree, which may be called after a patient.
    path : Path
    series : str
        Of a DICOM folder, see `reid_audit.records.name_series`; of a NIfTI file what stands for its volumes where it
        holds many, by `reid_audit.records.FRAMES`.
    modality : Modality or None
    claims : tuple of str
    files : tuple of Path
        Of a DICOM series.
    allowed : str
        Why it may show a face; empty where nobody allowed it.
    """

    name: str
    path: Path
    series: str = ""
    modality: Modality | None = None
    claims: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    allowed: str = ""


@dataclass(frozen=True, slots=True)
class Images:
    """What there is to screen, and what else lies there."""

    source: str
    images: tuple[ScreenImage, ...]
    aside: tuple[Aside, ...]


def list_images(
    path: Path,
    *,
    allow: Path | None = None,
    allow_outside: bool = False,
    frames: str = FRAMES[-1],
    progress: Callable[[str, int, int], None] | None = None,
) -> Images:
    """List every image, structure set, dose, picture and mesh, whatever the layout says of it. No pixel is opened.

    Parameters
    ----------
    path : Path
        A volume, a DICOM file (its series is meant), a manifest, or a folder: of NIfTI and other volumes, of DICOM
        files, or of both, as a BIDS dataset or without any order.
    allow : Path, optional
        Table of files that may show a face; see `reid_audit.dataset.copies.read_allowed`.
    allow_outside : bool
        Whether links and manifest rows may lead out of the folder.
    frames : str
        What of a 4-D NIfTI file is looked at: ``"first"`` of its volumes or the ``"mean"`` of all. A manifest chooses
        by its column ``series``.
    progress : callable, optional

    Returns
    -------
    Images
        Each file of a folder is an image, one of the files of an image, or counted in ``aside``.

    Raises
    ------
    InputError
        Where there is no such file or folder, a file is neither volume, DICOM nor manifest, or `frames` is neither.
    """
    path = Path(path)
    if frames not in FRAMES:
        raise InputError(f"--four-d must be {' or '.join(FRAMES)}; got {frames!r}")
    ledger, allowed = Ledger(), read_allowed(allow)
    if not path.exists():
        raise InputError(f"{path.name}: there is no such file or folder; give a scan, a folder or a manifest")
    if path.is_dir():
        images = _in_folder(path, ledger, allowed, allow_outside=allow_outside, progress=progress)
    elif path.suffix.lower() in _TABLES:
        cohort = read_manifest(path, allow_outside=allow_outside)
        images = [
            ScreenImage(scan.key, scan.path, scan.series, scan.modality, _claims(scan.path)) for scan in cohort.scans
        ]
    elif ending(path) in (*READERS, *PICTURES, *MESHES):
        images = [ScreenImage(path.name, path, claims=_claims(path))]
    else:
        images = [image for image in _series([path], ledger, None) if image.path in (path, path.parent)]
        if not images:
            raise InputError(f"{path.name}: is no scan that can be read, nor a manifest (.csv, .tsv)")
    images = [
        replace(image, allowed=find_reason(image.path, allowed), series=image.series or _frames_of(image, frames))
        for image in images
    ]
    return Images(path.resolve().name, tuple(images), ledger.close())


def _frames_of(image: ScreenImage, frames: str) -> str:
    """Return what stands for the volumes of a file that may hold many."""
    return frames if READERS.get(ending(image.path)) is read_nibabel else ""


def _claims(path: Path, name: str = "") -> tuple[str, ...]:
    return tuple(dict.fromkeys((*claims_of_name(name or path.name), *claims_of_sidecar(path))))


def _in_folder(
    root: Path,
    ledger: Ledger,
    allowed: Mapping[str, str],
    *,
    allow_outside: bool,
    progress: Callable[[str, int, int], None] | None,
) -> list[ScreenImage]:
    volumes: list[Path] = []
    others: list[Path] = []
    for path in list_files(root, ledger, allow_outside=allow_outside):
        (volumes if ending(path) in (*READERS, *PICTURES, *MESHES) else others).append(path)
    names = [show_name(path, root) for path in volumes]  # a folder may claim too: derivatives/pydeface
    images = [ScreenImage(name, path, claims=_claims(path, name)) for name, path in zip(names, volumes, strict=True)]
    return images + _series(others, ledger, progress, root=root, allowed=allowed)


def _read(path: Path) -> tuple[str, str, tuple[str, ...], bool] | None:
    """Return modality, series, claims, and whether a DICOM file holds a thumbnail; None = it is none.

    Raises what damaged bytes raise.
    """
    header = read_header(path, _HEADER)
    if header is None:
        return None
    modality, uid = str(header.get("Modality") or "").upper(), str(header.get("SeriesInstanceUID") or "")
    return modality, uid, claims_of_header(header), bool(header.get(ICON))


def _series(
    paths: list[Path],
    ledger: Ledger,
    progress: Callable[[str, int, int], None] | None,
    root: Path | None = None,
    allowed: Mapping[str, str] = MappingProxyType({}),
) -> list[ScreenImage]:
    """Gather DICOM files by folder and series; what is none, or no image of CT, MR or PET, goes to the ledger."""
    damaged = damaged_header_errors()
    bodies: list[tuple[Path, str, str, tuple[str, ...]]] = []
    by_series: dict[tuple[Path, str, str], list[tuple[Path, tuple[str, ...]]]] = defaultdict(list)
    for done, path in enumerate(paths, 1):
        if progress is not None and (done % 100 == 0 or done == len(paths)):
            progress("headers", done, len(paths))
        try:
            told = _read(path)
        except OSError as error:
            ledger.add("file", f"cannot be opened ({error.strerror})")
            continue
        except damaged:
            ledger.add("DICOM file", "its header is damaged, or packed (deflated)")
            continue
        if told is None:
            shown = show_name(path, root) if root else path.name
            ledger.add_other(path, shown, "no volume and no DICOM file", allowed)
            continue
        modality, uid, claims_told, has_icon = told
        if has_icon:
            ledger.add_copy(*THUMBNAILS)
        if modality in BODY_MODALITIES and uid:
            bodies.append((path, modality, name_series(f"{uid} {path.name}"), claims_told))
        elif modality in DICOM_COPIES:
            ledger.add_copy(f"DICOM {modality}", DICOM_COPIES[modality])
        elif modality not in list(Modality):
            ledger.add(f"DICOM {modality or 'file'}", "no image of CT, MR or PET")
        elif not uid:
            ledger.add(f"DICOM {modality}", "lacks a SeriesInstanceUID: which series it belongs to cannot be told")
        else:
            by_series[path.parent, name_series(uid), modality].append((path, claims_told))
    images = [
        ScreenImage(f"DICOM {modality} {series}", path, series, Modality.CT, claims_told)
        for path, modality, series, claims_told in bodies
    ]
    for (folder, series, modality), members in by_series.items():
        distinct = tuple(dict.fromkeys(text for _, texts in members for text in texts))
        name = f"DICOM series {series} ({modality}, {len(members)} file{'s' * (len(members) > 1)})"
        files = tuple(path for path, _ in members)
        images.append(ScreenImage(name, folder, series, Modality(modality), distinct, files))
    return images
