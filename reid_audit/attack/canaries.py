"""Weak defacings of the cohort's own originals, which an attacker who sees must still link.

An attacker that finds nothing in a release has shown nothing until it has shown that it sees defaced scans of these
very people on this machine. A canary is made in memory from an original, attacked as the release is, and never written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reid_audit.portrait import Partner
from reid_audit.records import CANARY, InputError, ScanRef, Volume, group_by, natural_key
from reid_audit.render import pick_on_skin
from reid_audit.surface import SurfaceSettings, extract_skin

SAMPLE = 24
"""Subjects that canaries are made of, as a rule; 12 are the fewest that a lower bound of linkability can rest on."""

STAGE_VERSION = 1
"""Raise when a canary changes: kept faces of canaries are then made anew."""

_SIGMA_MM = 2.0
_FACE_MM = ((-90.0, 90.0), (0.0, 200.0), (-130.0, 60.0))  # about the point that the camera looks at, in RAS


@dataclass(frozen=True, slots=True)
class WeakDefacing:
    """A weak defacing.

    Attributes
    ----------
    condition : str
        Begins with `reid_audit.records.CANARY`.
    weaken : callable
        Takes an original's volume and what the original hands on; gives the weakly defaced volume. InputError where
        the original does not show what it needs.
    """

    condition: str
    weaken: Callable[[Volume, Partner], Volume]


def blur_face(volume: Volume, original: Partner) -> Volume:
    """Blur the face lightly: a Gaussian of 2 mm, from the brow to below the chin."""
    from scipy.ndimage import gaussian_filter

    low, high = (np.asarray(original.view.target_ras_mm) + [side[end] for side in _FACE_MM] for end in (0, 1))
    to_voxel = np.linalg.inv(volume.voxel_to_ras_mm)
    corners = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1)
    index = to_voxel[:3, :3] @ corners + to_voxel[:3, 3:]
    first = np.clip(np.floor(index.min(axis=1)), 0, None).astype(int)
    box = tuple(slice(a, max(a, int(b) + 1)) for a, b in zip(first, np.ceil(index.max(axis=1)), strict=True))
    intensity = volume.intensity.copy()
    sigma = [_SIGMA_MM / spacing for spacing in volume.spacing_mm]
    intensity[box] = gaussian_filter(intensity[box], sigma, mode="nearest", truncate=3.0)
    return replace(volume, intensity=intensity)


def cut_eye_plane(volume: Volume, original: Partner) -> Volume:
    """Cut at the plane of the eyes (O'Sullivan-Steben 2025): what lies above and in front of them becomes air."""
    from reid_audit.deface.eye_plane import cut_at_skin, removed_by
    from reid_audit.volume.air import air_to_write

    if original.face.eyes_px is None:
        raise InputError("a canary: the original shows no eyes to cut at")
    skin = extract_skin(volume, level=original.skin_level, settings=SurfaceSettings(voxel_mm=2.0))
    eyes_ras_mm = pick_on_skin(skin, original.view, original.face.eyes_px)
    removed = removed_by(
        cut_at_skin(eyes_ras_mm.tolist(), volume.voxel_to_ras_mm), np.zeros(volume.intensity.shape, dtype=bool)
    )
    return replace(volume, intensity=np.where(removed, np.float32(air_to_write(volume)), volume.intensity))


CANARIES: Mapping[str, WeakDefacing] = {
    canary.condition: canary
    for canary in (WeakDefacing(f"{CANARY}-blur", blur_face), WeakDefacing(f"{CANARY}-eye-plane", cut_eye_plane))
}


def choose_canaries(originals: Sequence[ScanRef], *, order: Mapping[str, object], most: int = SAMPLE) -> list[ScanRef]:
    """Choose of which originals canaries are made: the first visit of subjects spread over all kinds of people.

    Parameters
    ----------
    originals : sequence of ScanRef
    order : mapping of str to object
        By subject, what sorts like with like (sex, site): the sample is spread evenly along it.
    most : int
        Subjects; 0 = no canaries. People with two visits come before those with one.

    Returns
    -------
    list of ScanRef
        One per subject and canary, each named by its condition.
    """
    in_order = sorted(originals, key=lambda scan: natural_key(scan.visit))
    visits = group_by(in_order, lambda scan: scan.subject)
    repeated = [subject for subject, scans in visits.items() if len(scans) > 1] or list(visits)
    spread = sorted(repeated, key=lambda subject: (str(order.get(subject, "")), natural_key(subject)))
    picks = np.unique(np.linspace(0, len(spread) - 1, min(most, len(spread))).round().astype(int))
    return [
        replace(visits[spread[pick]][0], condition=canary.condition) for pick in picks for canary in CANARIES.values()
    ]
