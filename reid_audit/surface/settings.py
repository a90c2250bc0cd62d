"""The settings of a mesh."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SurfaceSettings:
    """Everything that changes a mesh, and therefore a distance: part of a calibration's fingerprint.

    Attributes
    ----------
    smoothing_mm : float
        Standard deviation of the Gaussian on the image before the surface is taken.
    voxel_mm : float
        Edge of the working lattice; finer images are sampled down to it and thicker slices up to it (cubic B-spline).
        A finer one shows little more: see the last rows of ``examples/portrait_choices.md``.
    closing_mm : float
        Radius of the ball that tells outer air from cavities: a nostril narrower than twice this is closed.
    opening_mm : float
        CT only: radius of the ball that cuts couch, headrest and mask off the head; sheets thinner than twice this
        are cut. An MR image does not show them.
    piece_cm3, piece_reach_mm, piece_reach_behind_mm : float
        CT only: what the opening took away is given back piece by piece (ears, nose, walls of sinuses). A piece stays
        away only if it is larger than this and also reaches further than this from the rest of the head, with the
        smaller reach where its centre lies behind the head's: couch, headrest. A nose reaches 20 mm, an ear 17 mm.
    head_height_mm : float
        What lies further below the top of the head is not meshed (shoulders, chest).
    head_volume_cm3 : float
        A largest piece below this is no head: finding ``small_surface``.
    thick_slice_mm : float
        Slices this far apart or further are a finding.
    cut_area_cm2 : float
        A field of view that cuts through more of the head than this at a side, front, back or top is a finding.
    face_height_mm : float
        A field of view that ends less than this below the top of the head is a finding: an adult's chin lies 200 mm to
        240 mm below it.
    """

    smoothing_mm: float = 1.0
    voxel_mm: float = 1.3
    closing_mm: float = 5.0
    opening_mm: float = 5.0
    piece_cm3: float = 5.0
    piece_reach_mm: float = 60.0
    piece_reach_behind_mm: float = 30.0
    head_height_mm: float = 300.0
    head_volume_cm3: float = 1000.0
    thick_slice_mm: float = 2.5
    cut_area_cm2: float = 2.0
    face_height_mm: float = 190.0
