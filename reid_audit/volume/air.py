"""Which intensity air has: what padding becomes on reading, and what a defacer writes in place of a face."""

from reid_audit.records import Volume

PADDING_HU = -1024.0
"""What padding becomes in a CT, and the lower end of what it keeps."""

AIR_HU = -1000.0
"""Air by the definition of the Hounsfield scale; what defacers of CT write."""


def air_to_write(volume: Volume) -> float:
    """Return what a defacer writes in place of what it removes: -1000 HU in CT, 0 in MR, as the common ones do."""
    return AIR_HU if volume.is_hu else 0.0
