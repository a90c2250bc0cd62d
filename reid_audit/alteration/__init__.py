"""What was done to a defaced scan, judged from the voxels of the two and from nothing that a header claims.

The original hands on a summary: lines through the skin of its face and of its cranium, and a coarse lattice. The
cranium, which a defacer leaves, tells where the head went and what became of the intensities; beside it the face tells
what was done to the face. What re-saving explains is measured on the cranium of the same scan.

Words
-----
rescaled, turned, mirrored, moved, resized, cropped, other_grid
    Findings: other intensities; a turn by right angles; left and right exchanged; a rigid motion; other spacings in the
    header; a part of the field of view lost; resampled. None of them protects anybody.
veiled
    Tissue was put before a face that is unaltered behind it.
unaltered
    The face is the original's, within what saving explains on the cranium of the same scan.
exchanged
    The scan does not fit its original at all: neither its cranium nor what lies deep inside it.
face_altered
    The skin of the face region lies elsewhere, or other tissue lies below it.
face_region_there, face_region_gone
    The skin of the face keeps its shape, wherever it lies; nothing is left of eyes, nose and mouth.
"""

from reid_audit.alteration.judge import Alteration, find_alteration
from reid_audit.alteration.register import Fit
from reid_audit.alteration.restore import restore
from reid_audit.alteration.summary import summarise_original

STAGE_VERSION = 2
"""Raised where the same two scans would give other findings."""

__all__ = ["STAGE_VERSION", "Alteration", "Fit", "find_alteration", "restore", "summarise_original"]
