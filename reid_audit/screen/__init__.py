"""Which files of a release show a face, and which were altered and where, told without originals.

Words
-----
part
    Eyes, nose, mouth, chin or ears: where they are on the average synthetic head, laid on what the scan has of a head.
noise
    What every scanner adds to every voxel. It is missing where values were blurred, replaced or made constant, and too
    strong where voxels were shuffled: the marks of an alteration that need no original.
quiet, rough, flat
    Places with clearly less noise than the rest of the same scan, with clearly more, and of one constant value.
claim
    What a name, a sidecar or a DICOM tag says about an alteration. It is shown and never believed.
"""

from reid_audit.screen.find import Images, ScreenImage, list_images
from reid_audit.screen.records import ImageScreening, Part, PartState, Screening, ScreenState
from reid_audit.screen.run import read_screening, screen

__all__ = [
    "ImageScreening",
    "Images",
    "Part",
    "PartState",
    "ScreenImage",
    "ScreenState",
    "Screening",
    "list_images",
    "read_screening",
    "screen",
]
