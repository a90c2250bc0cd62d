"""The eye-plane cut on a volume with a label map: O'Sullivan-Steben 2025 for NIfTI and other files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.eye_plane import EyeCut, Mask, cut_at_skin, find_cut, removed_by
from reid_audit.records import InputError, Volume
from reid_audit.volume import check_same_grid, read_labels, read_volume, write_labels, write_volume
from reid_audit.volume.air import air_to_write
from reid_audit.volume.names import read_label_values
from reid_audit.volume.roles import Role, StructureNames


@dataclass(frozen=True, slots=True, eq=False)
class DefacedLabels:
    """What the cut left of a volume, its label map and its dose.

    Attributes
    ----------
    volume : Volume
    labels : (i, j, k) integer
        Eyes, lenses, corneas and lacrimal glands are gone: body (the label of that name) behind the cut, nothing in
        front of it. Everything else ends at the cut, but for targets and brain.
    removed : (i, j, k) bool
        Voxels that the cut took; those among them that were air already did not change.
    kept : (i, j, k) bool
        Voxels in front of the cut that stayed for a target or the brain.
    cut : EyeCut
    """

    volume: Volume
    labels: NDArray[np.integer]
    removed: Mask
    kept: Mask
    cut: EyeCut


def deface_labels(
    volume: Volume,
    labels: NDArray[np.integer],
    label_values: Mapping[str, int],
    *,
    names: StructureNames = StructureNames(),
    eyes_ras_mm: Sequence[Sequence[float]] | None = None,
) -> DefacedLabels:
    """Cut a volume and its label map at the plane of the eyes.

    Parameters
    ----------
    volume : Volume
    labels : (i, j, k) integer
        On the grid of the volume.
    label_values : mapping of str to int
        Name of each structure to its value; `names` tells which of them are eyes, targets and brain.
    names : StructureNames
    eyes_ras_mm : sequence of (3,) float, optional
        The skin before the eyes, where the label map has no eyes; see `cut_at_skin`.

    Raises
    ------
    InputError
        The grids differ; there are no eyes, by name or in the map; they lie outside.
    """
    if labels.shape != volume.intensity.shape:
        raise InputError(f"label map: its grid {labels.shape} is not the volume's {volume.intensity.shape}")
    roles = {name: names.role_of(name) for name in label_values}

    def mask_of(*wanted: Role) -> Mask:
        values = [value for name, value in label_values.items() if roles[name] in wanted]
        mask: Mask = np.isin(labels, values)
        return mask

    eyes = mask_of(Role.EYES)
    if eyes_ras_mm is not None:
        cut = cut_at_skin(eyes_ras_mm, volume.voxel_to_ras_mm)
    elif eyes.any():
        cut = find_cut(eyes)
    else:
        known = ", ".join(label_values) or "none"
        raise InputError(
            f"label map: holds no eye (its structures: {known}); name the eyes with --eye-names, "
            "or take them from the portrait with --eyes-from-portrait"
        )
    safe = mask_of(Role.TARGET, Role.BRAIN)
    removed = removed_by(cut, safe)
    in_front = np.zeros_like(safe)
    in_front[:, cut.front + 1 :, max(cut.bottom, 0) :] = True
    left = labels.copy()
    body = next((value for name, value in label_values.items() if names.is_body(name)), 0)
    left[mask_of(Role.EYES, Role.REMOVED)] = body
    left[removed] = 0
    intensity = np.where(removed, np.float32(air_to_write(volume)), volume.intensity)
    return DefacedLabels(replace(volume, intensity=intensity), left, removed, safe & in_front, cut)


def deface_files(
    scan: Path,
    out_dir: Path,
    *,
    labels: Path | None = None,
    label_names: Path | None = None,
    names: StructureNames = StructureNames(),
    eyes_ras_mm: Sequence[Sequence[float]] | None = None,
) -> DefacedLabels:
    """Cut a scan and its label map at the plane of the eyes, from files to files.

    Parameters
    ----------
    scan : Path
        Anything that `read_volume` reads.
    out_dir : Path
        Must not hold anything. Gets the scan, the label map, and ``mask.nii.gz``: 1 where the cut took voxels. They are
        NIfTI on axes to the right, front and top.
    labels, label_names : Path, optional
        Label map, and the names of its values. Can be left out where `eyes_ras_mm` is given:
        nothing is known of brain and targets then, and nothing of them is kept in front of the eyes.
    names, eyes_ras_mm
        See `deface_labels`.

    Raises
    ------
    InputError
        As for `deface_labels`, or a file is missing or there already.
    """
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise InputError(f"{out_dir.name}: is there already; give another --out, or remove it")
    if not scan.exists():
        raise InputError(f"{scan.name}: there is no such scan; give a DICOM folder or a file")
    if labels is None and eyes_ras_mm is None:
        raise InputError(f"{scan.name}: where are its eyes? Give --labels with --label-names, or --eyes-from-portrait")
    if labels is not None and label_names is None:
        raise InputError(f"{labels.name}: what do its values mean? Give --label-names")
    volume = read_volume(scan)
    values = np.zeros(volume.intensity.shape, dtype=np.int32)
    meanings: dict[str, int] = {}
    if labels is not None and label_names is not None:
        values, voxel_to_ras_mm = read_labels(labels)
        check_same_grid(volume, replace(volume.grid, shape=values.shape, voxel_to_ras_mm=voxel_to_ras_mm))
        meanings = read_label_values(label_names)
    done = deface_labels(volume, values, meanings, names=names, eyes_ras_mm=eyes_ras_mm)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out_dir.name}: cannot be made ({error.strerror}); check its folder") from error
    write_volume(done.volume, out_dir / f"{_stem(scan)}.nii.gz")
    write_labels(done.removed.astype(np.uint8), volume.voxel_to_ras_mm, out_dir / "mask.nii.gz")
    if labels is not None:
        write_labels(done.labels, volume.voxel_to_ras_mm, out_dir / f"{_stem(labels)}.nii.gz")
    return done


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]
