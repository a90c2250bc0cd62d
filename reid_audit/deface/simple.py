"""Simple reference defacers that find the face by themselves: nothing, a box, a shear, a blur, a layer of noise.

They work on whole CT and MR heads without a label map. Where a label map names the brain, its voxels are kept.
Lengths are of the average head (see `reid_audit.deface.frame`) unless a parameter says otherwise.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.frame import FaceFrame, Slices, box_of, depth_mm, find_face_frame, head_coordinates
from reid_audit.deface.reference import Labels, brain_of, locate
from reid_audit.records import EngineError, InputError, Volume
from reid_audit.volume.air import air_to_write

_FACE_LOW = {"x": -70.0, "y": 34.0, "z": -132.0}
_FACE_HIGH = {"x": 70.0, "y": 160.0, "z": 34.0}
_EDGE_MM = 16.0


def face_share(
    x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32], *, edge_mm: float = _EDGE_MM
) -> NDArray[np.float32]:
    """Return how far a point of the head frame belongs to the face: 1 inside, fading to 0 over `edge_mm`.

    The face reaches from below the chin to above the brow, from cheek to cheek, and back to before the ears.

    Parameters
    ----------
    x, y, z : (i, j, k) float32
        Millimetres of the head frame; may be broadcast against each other.
    edge_mm : float
    """
    share = np.ones(np.broadcast_shapes(x.shape, y.shape, z.shape), dtype=np.float32)
    for axis, at in (("x", x), ("y", y), ("z", z)):
        for distance in (at - _FACE_LOW[axis], _FACE_HIGH[axis] - at):
            t = np.clip(distance / edge_mm, 0.0, 1.0)
            share *= t * t * (3 - 2 * t)
    return share


def find_face(volume: Volume, *, frame: FaceFrame | None = None) -> tuple[FaceFrame, Slices, NDArray[np.float32]]:
    """Return the face frame of a scan, found if it is not given, the box of voxels around its face, and its share."""
    frame = frame or find_face_frame(volume)
    box = check_box(box_of(frame, volume, _FACE_LOW, _FACE_HIGH), volume)
    return frame, box, face_share(*head_coordinates(frame, volume, box))


def check_box(box: Slices, volume: Volume) -> Slices:
    """Return a box that is not empty; raise where it is."""
    if any(s.stop <= s.start for s in box):
        raise InputError(f"{volume.source or 'volume'}: the face lies outside the scan; there is nothing to deface")
    return box


def blend(volume: Volume, box: Slices, share: NDArray[np.float32], other: NDArray[np.float32]) -> Volume:
    """Mix other intensities into a box of a volume by their share in [0, 1]; CT in whole HU, as it is stored.

    Parameters
    ----------
    volume : Volume
    box : tuple of three slice
    share, other : (i, j, k) float32
        Of the box: how much of the other intensity each voxel gets, and that intensity.
    """
    part = volume.intensity[box]
    mixed = part + share * (other - part)
    intensity = volume.intensity.copy()
    intensity[box] = np.where(share > 0, np.rint(mixed) if volume.is_hu else mixed, part)
    return replace(volume, intensity=intensity)


@dataclass(frozen=True, slots=True)
class NoDefacing:
    """Changes nothing: the control that every audit must find linkable."""

    name: str = "no-op"
    description: str = "changes nothing; the control that an audit must fail"
    needs: tuple[str, ...] = ()

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume as it is."""
        return replace(volume, intensity=volume.intensity.copy())


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A box around eyes, nose, mouth and chin becomes air.

    Parameters
    ----------
    behind_eyes_mm : float
        How far behind the front of the eyes the box begins.
    above_eyes_mm, below_chin_mm : float
    """

    behind_eyes_mm: float = 24.0
    above_eyes_mm: float = 20.0
    below_chin_mm: float = 22.0
    name: str = "face-box"
    description: str = (
        "removes a box from below the chin to the brow, as deep as the eyeballs; keeps forehead, ears and brain"
    )
    needs: tuple[str, ...] = ()

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume without the box. See `reid_audit.deface.apply_defacer`."""
        from reid_audit.phantom import make_average_head

        landmarks = make_average_head().landmarks_mm
        frame = find_face_frame(volume)
        low = {
            "x": -85.0,
            "y": float(landmarks["eye_left"][1]) - self.behind_eyes_mm,
            "z": float(landmarks["chin"][2]) - self.below_chin_mm,
        }
        high = {"x": 85.0, "y": 170.0, "z": self.above_eyes_mm}
        box = check_box(box_of(frame, volume, low, high), volume)
        x, y, z = head_coordinates(frame, volume, box)
        removed = (np.abs(x) <= high["x"]) & (y >= low["y"]) & (z >= low["z"]) & (z <= high["z"])
        removed &= ~brain_of(labels[box], label_values)
        intensity = volume.intensity.copy()
        intensity[box][removed] = air_to_write(volume)
        return replace(volume, intensity=intensity)


@dataclass(frozen=True, slots=True)
class QuickShear:
    """The plane of Quickshear (Schimke & Hale 2011): everything in front of and below it becomes air.

    Which voxels go is asked of the package `quickshear`. What they become is not left to it: it multiplies by 0, which
    is air in MR, but water in CT.

    Parameters
    ----------
    buffer_mm : float
        Distance of the plane from the brain, along the body. The package counts it in voxels.
    """

    buffer_mm: float = 10.0
    name: str = "shear"
    description: str = "removes what lies before a plane along the lower front of the brain; keeps forehead and brain"
    needs: tuple[str, ...] = ("brain",)

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume behind the plane. See `reid_audit.deface.apply_defacer`."""
        import nibabel as nib

        brain = locate(labels, label_values, ("brain",))
        try:
            from quickshear import quickshear
        except ImportError as error:
            raise EngineError("defacer shear: its package is not installed; pip install 'quickshear>=1.2'") from error
        affine = volume.voxel_to_ras_mm
        whole = nib.Nifti1Image(np.ones(brain.shape, np.uint8), affine)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it crosses vectors of two numbers, which NumPy will give up
            mask = nib.Nifti1Image(brain.astype(np.uint8), affine)
            kept = quickshear(whole, mask, buff=self.buffer_mm / volume.spacing_mm[2])
        intensity = np.where(np.asarray(kept.dataobj) > 0, volume.intensity, np.float32(air_to_write(volume)))
        return replace(volume, intensity=intensity)


@dataclass(frozen=True, slots=True)
class ShellBlur:
    """A Gaussian blur of the shell of the face: skin, and what lies some millimetres to either side of it.

    Parameters
    ----------
    sigma_mm : float
        Standard deviation of the blur.
    shell_mm : float
        Depth from the skin at which it has faded out.
    """

    sigma_mm: float = 5.0
    shell_mm: float = 25.0
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0.1 <= self.sigma_mm <= 30:
            raise InputError(f"blur: sigma must lie within [0.1, 30] mm, not {self.sigma_mm:g}")

    @property
    def name(self) -> str:
        """Label of the condition, e.g. ``"shell-blur-5mm"``."""
        return f"shell-blur-{self.sigma_mm:g}mm"

    @property
    def description(self) -> str:
        """What is removed and what is kept."""
        return f"blurs the face's skin and {self.shell_mm:g} mm to either side by {self.sigma_mm:g} mm; removes nothing"

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume with a blurred face. See `reid_audit.deface.apply_defacer`."""
        from scipy.ndimage import gaussian_filter

        frame, box, share = find_face(volume)
        part = volume.intensity[box]
        shell = depth_mm(part, volume.spacing_mm, frame.level)
        share *= np.clip((self.shell_mm - np.abs(shell)) / (0.4 * self.shell_mm), 0.0, 1.0)
        share[brain_of(labels[box], label_values)] = 0.0
        sigma = [self.sigma_mm / spacing for spacing in volume.spacing_mm]
        blurred = gaussian_filter(part, sigma, mode="nearest", truncate=3.0)
        return blend(volume, box, share, blurred)


@dataclass(frozen=True, slots=True)
class SkinNoise:
    """A layer of random thickness over the face, made of the scan's own flesh in random order.

    What DeIdentifier is described to do (an added, randomised surface layer that blends into the face, so that no
    threshold and no erosion brings the face back): the outermost flesh is replaced too.

    Parameters
    ----------
    seed : int
    thickest_mm : float
        The layer is between none and this thick above the skin.
    flesh_mm : float
        How deep below the skin the voxels are shuffled.
    wave_mm : float
        Width of its bumps.
    """

    seed: int = 0
    thickest_mm: float = 14.0
    flesh_mm: float = 4.0
    wave_mm: float = 9.0
    name: str = "skin-noise"
    description: str = "puts a layer of random thickness over the face and shuffles the skin; keeps what lies deeper"
    needs: tuple[str, ...] = ()

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume with a covered face. See `reid_audit.deface.apply_defacer`."""
        from scipy.ndimage import gaussian_filter

        rng = np.random.default_rng(self.seed)
        frame, box, share = find_face(volume)
        part = volume.intensity[box]
        depth = depth_mm(part, volume.spacing_mm, frame.level)
        waves = rng.standard_normal(part.shape, dtype=np.float32)
        waves = gaussian_filter(waves, [self.wave_mm / spacing for spacing in volume.spacing_mm], mode="wrap")
        rank = np.clip(0.5 + 0.3 * waves / max(float(waves.std()), 1e-6), 0.0, 1.0)
        thick = share * self.thickest_mm * rank
        layer = (depth > -self.flesh_mm) & (depth < thick) & (share > 0.02)
        layer &= ~brain_of(labels[box], label_values)
        flesh = part[(depth < -0.5) & (depth > -8.0) & (share > 0.5) & (part > frame.level)]
        if not flesh.size:
            raise InputError(f"{volume.source or 'volume'}: no skin in the face to make a layer of")
        intensity = volume.intensity.copy()
        intensity[box][layer] = rng.choice(flesh, size=int(layer.sum()))
        return replace(volume, intensity=intensity)
