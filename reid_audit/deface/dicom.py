"""The eye-plane defacer for a radiotherapy study: CT series, structure set and dose, in DICOM.

Defined after O'Sullivan-Steben 2025, II.A-B. From the lowest slice that shows an eye up to the top, everything in
front of the eyes' centre becomes air; voxels of targets (PTV, CTV, GTV) and brain stay. Eyes, lenses, corneas and
lacrimal glands leave the structure set, other structures, the body among them, end at the new surface, targets and
brain stay whole. The dose becomes zero where the scan becomes air, but for targets and brain.

Further images of the folder that are registered to the scan are cut by the same mask where that is asked for.

Files are told apart by what their headers say, never by their names, and slices are ordered by their places.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.eye_plane import EyeCut, Mask, cut_at_skin, find_cut, removed_by
from reid_audit.deface.headers import Renamer, claim_defaced, strip
from reid_audit.deface.pixels import air_value, set_pixels
from reid_audit.deface.registered import RegisteredImage, find_registered
from reid_audit.deface.rt_dose import deface_dose
from reid_audit.deface.rt_structures import StructureChanges, reshape_structures
from reid_audit.deface.study import RtStudy
from reid_audit.records import InputError, Modality
from reid_audit.volume.air import AIR_HU
from reid_audit.volume.dicom import Stack, find_stack
from reid_audit.volume.header import read_dicom
from reid_audit.volume.roles import Role, StructureNames
from reid_audit.volume.rt_structures import Roi, fill_rois, read_rois
from reid_audit.work import Progress


@dataclass(frozen=True, slots=True)
class StudySettings:
    """How a study is defaced.

    Attributes
    ----------
    names : StructureNames
        Which names are eyes, targets, brain and so on.
    salt : str or None
        Makes the new UIDs the same ones each time; see `Renamer`. Secret, if the old UIDs are.
    keep_private : bool
        Whether private elements stay. They may hold copies of the picture.
    identity_removed : bool
        Whether to claim that a de-identifier removed names and numbers; see `claim_defaced`.
    registered : bool
        Whether to cut and write the folder's further image series, too, where they share the scan's frame of reference
        or a registration object ties them to it; see `find_registered`. Else they are left out.
    """

    names: StructureNames = field(default_factory=StructureNames)
    salt: str | None = None
    keep_private: bool = False
    identity_removed: bool = False
    registered: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class DefacedStudy:
    """What `deface_study` did.

    Attributes
    ----------
    out_dir : Path
        Holds ``CT0001.dcm`` and so on, and ``RS.dcm``, ``RD.dcm`` (``RD2.dcm`` ...) where there are such.
    removed : (i, j, k) bool
        Voxels that the cut took, on axes to the right, front and top; serves images registered to the scan, too.
    kept : (i, j, k) bool
        Voxels beyond the cut that stayed for a target or the brain.
    voxel_to_ras_mm : (4, 4) float64
    cut : EyeCut
    structures : StructureChanges or None
    dose_voxels : tuple of (int, int)
        For each dose, how many voxels became zero, and how many stayed for a target or the brain.
    registered : tuple of (str, int, str)
        For each further image the folder within ``out_dir``, how many voxels became air, and what placed it.
    notes : tuple of str
    """

    out_dir: Path
    removed: Mask
    kept: Mask
    voxel_to_ras_mm: NDArray[np.float64]
    cut: EyeCut
    structures: StructureChanges | None
    dose_voxels: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]
    registered: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """The grid of a stack on axes to the right, front and top, and the way back to rows, columns and files."""

    voxel_to_ras_mm: NDArray[np.float64]
    shape: tuple[int, ...]
    stack: Stack

    @property
    def voxel_to_lps(self) -> NDArray[np.float64]:
        matrix: NDArray[np.float64] = np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.voxel_to_ras_mm
        return matrix

    def by_file(self, mask: Mask) -> Mask:
        """Return a mask as (file, row, column)."""
        from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

        upright = np.array([[0, 1], [1, 1], [2, 1]])
        back = ornt_transform(upright, io_orientation(self.stack.voxel_to_ras_mm))
        stored: Mask = apply_orientation(mask, back)
        return stored.T


def _frame_of(stack: Stack) -> _Frame:
    from nibabel.orientations import inv_ornt_aff, io_orientation

    to_ras = io_orientation(stack.voxel_to_ras_mm)
    shape = [0, 0, 0]
    for axis, n in enumerate(stack.shape):
        shape[int(to_ras[axis, 0])] = n
    return _Frame(stack.voxel_to_ras_mm @ inv_ornt_aff(to_ras, stack.shape), tuple(shape), stack)


def _place_cut(
    rois: Sequence[Roi],
    roles: Mapping[int, Role],
    frame: _Frame,
    eyes_ras_mm: Sequence[Sequence[float]] | None,
    where: str,
) -> tuple[EyeCut, list[str]]:
    """Return the cut and what is to be known about it."""
    from scipy import ndimage

    if eyes_ras_mm is not None:
        return cut_at_skin(eyes_ras_mm, frame.voxel_to_ras_mm), ["the eyes were taken from the portrait"]
    drawn = [roi for roi in rois if roles[roi.number] is Role.EYES and roi.planes()]
    if not drawn:
        names = ", ".join(roi.name for roi in rois if roi.contours) or "none"
        raise InputError(
            f"{where}: shows no eye (its structures: {names}); name the eyes with --eye-names, "
            "or take them from the portrait with --eyes-from-portrait"
        )
    eyes = fill_rois(drawn, frame.shape)
    if not eyes.any():
        raise InputError(f"{where}: its eyes lie outside the scan; give the structure set that was drawn on it")
    notes = []
    n_eyes = int(ndimage.label(eyes, np.ones((3, 3, 3)))[1])
    if n_eyes == 1:
        notes.append("one eye is drawn: the cut follows it alone")
    if eyes.any(axis=(0, 1)).sum() == 1:
        notes.append("the eyes are drawn on one slice: the cut begins there, an eye below it would stay")
    return find_cut(eyes), notes


def deface_study(
    study: RtStudy,
    out_dir: Path,
    *,
    settings: StudySettings = StudySettings(),
    eyes_ras_mm: Sequence[Sequence[float]] | None = None,
    progress: Progress | None = None,
) -> DefacedStudy:
    """Deface a CT (or MR) series with its structure set and dose.

    Pixels outside the mask, and contours that do not reach beyond the cut, keep every bit. Files of the study that are
    none of the three kinds (plans, registrations) are not copied.

    Parameters
    ----------
    study : RtStudy
        See `find_study`.
    out_dir : Path
        Must not hold anything. Appears when all files are written.
    settings : StudySettings
    eyes_ras_mm : sequence of (3,) float, optional
        The skin before the eyes, in place of eye contours; see `reid_audit.deface.eye_plane.cut_at_skin`.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Raises
    ------
    InputError
        No eyes; files that do not belong together or cannot be read; a result that is there already.
    """
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise InputError(f"{out_dir.name}: is there already; give another --out, or remove it")
    stack = find_stack(study.images, study.name)
    frame = _frame_of(stack)
    first = read_dicom(stack.files[0], pixels=False)
    frame_uid = str(first.get("FrameOfReferenceUID") or "")

    rs: Any = None
    rois: list[Roi] = []
    where = study.name
    if study.structures is not None:
        where = study.structures.name
        rs = read_dicom(study.structures)
        rois = read_rois(rs, np.linalg.inv(frame.voxel_to_lps), where, frame_uid=frame_uid)
    roles = {roi.number: settings.names.role_of(roi.name, roi.kind) for roi in rois}
    cut, notes = _place_cut(rois, roles, frame, eyes_ras_mm, where)
    safe = fill_rois((roi for roi in rois if roles[roi.number] in (Role.TARGET, Role.BRAIN)), frame.shape)
    removed = removed_by(cut, safe, f"{where}: the eyes")
    if rs is None:
        notes.append("no structure set: nothing of the brain, and no target, was kept in front of the eyes")

    doses = [read_dicom(path) for path in study.doses]
    counts = []
    for ds, path in zip(doses, study.doses, strict=True):
        zeroed, stayed = deface_dose(ds, cut, safe, frame.voxel_to_lps, frame_uid, path.name)
        _forget_rois(ds, [number for number, role in roles.items() if role in (Role.EYES, Role.REMOVED)])
        counts.append((int(zeroed.sum()), int(stayed.sum())))
    changes = None if rs is None else reshape_structures(rs, rois, roles, cut, safe, frame.voxel_to_lps)

    further: list[RegisteredImage] = []
    if settings.registered:
        further, told = find_registered(
            study.further, study.registrations, cut=cut, safe=safe, voxel_to_lps=frame.voxel_to_lps, frame_uid=frame_uid
        )
        notes += told
    elif study.further:
        notes.append(f"{sum(map(len, study.further))} slices of other series were left out; --registered cuts them too")

    stacks = [stack, *(image.stack for image in further)]
    old = [uid for each in stacks for path in each.files for uid in _uids(read_dicom(path, pixels=False))]
    old += [uid for ds in (*doses, *([] if rs is None else [rs])) for uid in _uids(ds)]
    renamer = Renamer(old, salt=settings.salt)

    def finish(ds: Any, name: str) -> None:
        strip(ds, keep_private=settings.keep_private)
        renamer.rename(ds)
        claim_defaced(ds, identity_removed=settings.identity_removed)
        ds.preamble = b"\0" * 128  # may hold another file format, and so another picture
        ds.save_as(part / name, enforce_file_format=True)

    def write_slices(images: Stack, mask: Mask, folder: str) -> None:
        for n, path in enumerate(images.files):
            ds = read_dicom(path)
            _deface_slice(ds, mask[n], images.modality, path.name)
            finish(ds, f"{folder}{images.modality}{n + 1:04d}.dcm")
            if progress is not None:
                progress("slices", n + 1, len(images.files))

    part = out_dir.with_name(f".{out_dir.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        write_slices(stack, frame.by_file(removed), "")
        written = []
        for n, image in enumerate(further, 1):
            (part / f"registered{n}").mkdir()
            write_slices(image.stack, image.removed, f"registered{n}/")
            written.append((f"registered{n}", int(image.removed.sum()), image.by))
        if rs is not None:
            finish(rs, "RS.dcm")
        for n, ds in enumerate(doses, 1):
            finish(ds, f"RD{n if n > 1 else ''}.dcm")
        if out_dir.exists():
            out_dir.rmdir()
        part.rename(out_dir)
    except OSError as error:
        raise InputError(f"{out_dir.name}: cannot be written ({error.strerror}); check its folder") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)

    beyond = removed_by(cut, np.zeros(frame.shape, dtype=bool))
    notes = [*stack.notes, *study.notes, *notes]
    told_of = tuple(counts), tuple(notes), tuple(written)
    return DefacedStudy(out_dir, removed, beyond & safe, frame.voxel_to_ras_mm, cut, changes, *told_of)


def _deface_slice(ds: Any, where: NDArray[np.bool_], modality: Modality, name: str) -> None:
    set_pixels(ds, where, air_value(ds, AIR_HU) if modality is Modality.CT else 0, name)
    kind = list(ds.get("ImageType") or [])
    if kind:
        ds.ImageType = ["DERIVED", *kind[1:]]  # DICOM PS3.3 C.7.6.1.1.2: pixels were altered


def _uids(ds: Any) -> Iterable[str]:
    return (str(ds.get("SOPInstanceUID") or ""), str(ds.get("SeriesInstanceUID") or ""))


def _forget_rois(ds: Any, numbers: Iterable[int]) -> None:
    """Remove what a dose says about structures that are gone: their histograms, and contours of its own."""
    gone = set(numbers)
    for keyword in ("StructureSetROISequence", "ROIContourSequence"):
        if keyword in ds:
            del ds[keyword]
    if "DVHSequence" in ds:
        kept = [
            item
            for item in ds.DVHSequence
            if not gone & {int(r.ReferencedROINumber) for r in item.get("DVHReferencedROISequence") or ()}
        ]
        if kept:
            ds.DVHSequence = kept
        else:
            del ds.DVHSequence
