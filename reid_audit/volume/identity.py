"""What tells whether two files hold the same image, whatever their format and header say."""

import hashlib

import numpy as np

from reid_audit.records import Grid, Volume

_DIGITS = 3  # of the affine in mm: writers keep it in single precision


def digest_voxels(volume: Volume) -> str:
    """Return the SHA-256 of the voxels."""
    return hashlib.sha256(np.ascontiguousarray(volume.intensity.T).data).hexdigest()


def digest_image(voxels: str, grid: Grid) -> str:
    """Return the SHA-256 of an image: of its voxels' digest, its shape, and where it lies to 0.001 mm."""
    affine = np.round(grid.voxel_to_ras_mm, _DIGITS) + 0.0  # no -0.0
    return hashlib.sha256(f"{voxels} {grid.shape} {affine.tolist()}".encode()).hexdigest()
