"""What was done to a defaced scan, said in findings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from reid_audit.alteration.face import DEEP_MM, FaceChange, compare_face
from reid_audit.alteration.intensity import UNCHANGED, map_level
from reid_audit.alteration.register import SAME_SHARE, Fit, register
from reid_audit.alteration.summary import PARTS
from reid_audit.records import Finding, OriginalSummary, Volume
from reid_audit.volume.sample import Array, transform

_FITS_SHARE = 0.75
_FITS_MM = 0.4
_EQUAL_SHARE = 0.5
_UNALTERED = 0.03  # of the face region's skin
_SHARP = 0.8
_GONE = 0.75
_THERE = 0.8
_PEELED_MM = 6.0
_VEIL = 0.03
_MOVED_MM = 0.5
_RESCALED = 0.02
_OTHER_SIZE = 0.02
_HALF_VOXEL = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Alteration:
    """What was done to a defaced scan.

    Attributes
    ----------
    findings : tuple of Finding
        In the words of `reid_audit.alteration`.
    fit : Fit
        Where the original lies in it, and what became of the intensities. The placement is the identity and the
        intensities are unchanged where the scan does not fit its original.
    face : FaceChange or None
        None where the scan does not fit its original.
    level : float
        The original's skin level in the defaced scan's units.
    """

    findings: tuple[Finding, ...]
    fit: Fit
    face: FaceChange | None
    level: float

    @property
    def codes(self) -> frozenset[str]:
        """The codes of its findings."""
        return frozenset(finding.code for finding in self.findings)


def _nearest_turn(linear: Array) -> Array:
    """Give the permutation of axes, with signs, that a (3, 3) matrix is nearest to."""
    rows = (0, 1, 2)
    columns = max(permutations(rows), key=lambda order: np.abs(linear[rows, order]).sum())
    turn = np.zeros((3, 3))
    turn[rows, columns] = np.sign(linear[rows, columns])
    return turn


def _placement_findings(original: OriginalSummary, defaced: Volume, placement: Array) -> Iterator[Finding]:
    linear = placement[:3, :3]
    turn = _nearest_turn(linear)
    if np.linalg.det(turn) < 0:
        yield Finding("mirrored", "warning", "left and right are exchanged: the face is its own mirror image")
        turn = turn @ np.diag([-1.0, 1.0, 1.0])
    angle_deg = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    is_turned = angle_deg > 1
    if is_turned:
        text = f"the head is turned by {angle_deg:.0f} degrees against its original"
        yield Finding("turned", "warning", text, angle_deg)
    sizes = np.linalg.svd(linear)[1]
    if np.abs(sizes - 1).max() > _OTHER_SIZE:
        stretch = float(sizes[np.abs(sizes - 1).argmax()])
        text = f"the head is {stretch:.2f} times as large along one axis: the header has other spacings"
        yield Finding("resized", "warning", text, stretch)
    elif not is_turned and np.linalg.det(linear) > 0:
        points = original.face.points_ras_mm.astype(np.float64)
        moved_mm = float(np.median(np.linalg.norm(transform(placement, points) - points, axis=1)))
        if moved_mm > _MOVED_MM:
            yield Finding("moved", "warning", f"the face lies {moved_mm:.1f} mm from where it lay", moved_mm)
    yield from _grid_findings(original, defaced, placement)


def _grid_findings(original: OriginalSummary, defaced: Volume, placement: Array) -> Iterator[Finding]:
    """Compare the grids where the head lies."""
    to_original = np.linalg.inv(placement @ original.grid.voxel_to_ras_mm) @ defaced.voxel_to_ras_mm
    spacing_mm = np.linalg.norm(original.grid.voxel_to_ras_mm[:3, :3], axis=0)
    own_mm = np.linalg.norm((np.linalg.inv(placement) @ defaced.voxel_to_ras_mm)[:3, :3], axis=0)
    steps = np.sort(own_mm) / np.sort(spacing_mm)
    shape, other = np.array(original.grid.shape), np.array(defaced.intensity.shape)
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in other], indexing="ij"), axis=-1).reshape(-1, 3)
    ends = transform(to_original, corners.astype(np.float64))
    cut = np.concatenate([ends.min(axis=0), shape - 1 - ends.max(axis=0)])
    margin = _HALF_VOXEL * max(1.0, float(steps.max()))
    if (cut > margin).any():
        lost_mm = float((cut * np.tile(spacing_mm, 2))[cut > margin].max())
        yield Finding("cropped", "warning", f"{lost_mm:.1f} mm of the original lie outside the scan", lost_mm)
    if np.abs(steps - 1).max() > _OTHER_SIZE:
        spacings = " x ".join(f"{value:.3g}" for value in defaced.spacing_mm)
        text = f"resampled: its voxels have {spacings} mm, other than the original's"
        yield Finding("other_grid", "warning", text, float(steps[np.abs(steps - 1).argmax()]))


def _intensity_findings(original: OriginalSummary, fit: Fit) -> Iterator[Finding]:
    gain, offset = fit.intensity.gain, fit.intensity.offset
    shift = (gain - 1) * original.skin_level + offset
    clipped = f", clipped to {fit.intensity.low:.4g} .. {fit.intensity.high:.4g}" if fit.intensity.is_clipped else ""
    if gain < 0:
        yield Finding("rescaled", "warning", f"bright and dark are exchanged (gain {gain:.3g})", gain)
    elif abs(gain - 1) > _RESCALED or abs(shift) > _RESCALED * original.contrast or fit.intensity.is_clipped:
        text = f"intensities are {gain:.3g} times the original's plus {offset:.3g}"
        yield Finding("rescaled", "warning", text + clipped, gain)


def _face_findings(face: FaceChange, is_as_stored: bool) -> Iterator[Finding]:
    veiled = face.ahead > _VEIL
    differing = max(face.moved, face.changed, face.removed)
    is_whole = differing < _UNALTERED and face.sharpness > _SHARP and face.outside < 0.5
    if is_whole:
        if veiled:
            text = f"tissue was put before {face.ahead:.0%} of a face that is unaltered behind it"
            yield Finding("veiled", "warning", text, face.ahead)
        text = "written anew" if is_as_stored else "placed, cut or scaled otherwise"
        share = max(face.moved, face.changed)
        text = f"the face is unaltered, only {text}: {share:.1%} of its skin differ by more than saving explains"
        yield Finding("unaltered", "warning", text, share)
        yield Finding("face_region_there", "warning", "the skin of the face is the original's", face.alike)
        return
    how = []
    if face.removed > 0.05:
        how.append(f"{face.removed:.0%} removed")
    if face.ahead > _VEIL:
        how.append(f"{face.ahead:.0%} covered")
    if face.sharpness < _SHARP and face.removed < 0.5:
        how.append(f"blurred to {face.sharpness:.0%} of its steepness")
    altered = max(face.moved, face.changed)
    text = f"{altered:.0%} of the face region's skin are altered" + (f": {', '.join(how)}" if how else ": replaced")
    yield Finding("face_altered", "info", text, altered)
    gone = [share for share in face.gone if share == share]
    if gone and min(gone) >= _GONE:
        parts = ", ".join(f"{name} {share:.0%}" for name, share in zip(PARTS, face.gone, strict=True))
        text = f"nothing is left within {DEEP_MM:g} mm of the skin of {parts}"
        yield Finding("face_region_gone", "info", text, min(gone))
    elif face.alike >= _THERE and abs(face.shift_mm) < _PEELED_MM:
        peeled = f", {abs(face.shift_mm):.1f} mm {'further in' if face.shift_mm < 0 else 'further out'}"
        text = f"{face.alike:.0%} of the face's skin keep their shape within 1 mm"
        text += peeled if abs(face.shift_mm) >= 0.5 else ""
        yield Finding("face_region_there", "warning", text, face.alike)


def fits(fit: Fit, face: FaceChange) -> bool:
    """Whether a scan is of the original's head: its cranium agrees (brightness, rounding, shape), or its inside."""
    cranium = fit.share >= _FITS_SHARE or fit.equal >= _EQUAL_SHARE or face.cranium_shift_mm < _FITS_MM
    return cranium or fit.same_inside >= SAME_SHARE


def find_alteration(original: OriginalSummary, defaced: Volume) -> Alteration:
    """Tell from the voxels what was done to a defaced scan.

    Parameters
    ----------
    original : OriginalSummary
    defaced : Volume
        On any grid, in any units.
    """
    fit = register(original, defaced)
    face = compare_face(original, defaced, fit)
    if not fits(fit, face):
        text = (
            f"does not fit its original: {fit.share:.0%} of the cranium agree, and its skin lies "
            f"{face.cranium_shift_mm:.1f} mm apart; is it another person's scan?"
        )
        exchanged = Finding("exchanged", "unfit", text, fit.share)
        as_it_is = replace(fit, placement=np.eye(4), intensity=UNCHANGED)
        return Alteration((exchanged,), as_it_is, None, original.skin_level)
    findings = [*_intensity_findings(original, fit), *_placement_findings(original, defaced, fit.placement)]
    findings += _face_findings(face, not findings)
    return Alteration(tuple(findings), fit, face, map_level(original.skin_level, fit.intensity, original.air))
