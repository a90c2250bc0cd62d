"""The table of metrics: unit, direction and kind of each."""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number of that name is.

    Attributes
    ----------
    unit : str
        ``""`` for a share or a count.
    larger_is_better : bool or None
        None where 0 is the ideal.
    is_share : bool
        Whether it lies in [0, 1].
    is_yes_no : bool
        Whether it is 0 or 1 for each structure of each case.
    is_difference : bool
        Whether it is a value after minus a value before, which are tested as pairs.
    about : str
        One line for tables.
    """

    unit: str
    larger_is_better: bool | None
    about: str
    is_share: bool = False
    is_yes_no: bool = False
    is_difference: bool = False


_DOSE = {
    f"dose_{name}_difference": Metric("cGy", None, f"{text}, after - before", is_difference=True)
    for name, text in {
        "d0.01cc": "dose of the hottest 0.01 cm3",
        "max": "largest dose",
        "mean": "mean dose",
        "d2": "D2%",
        "d50": "D50%",
        "d95": "D95%",
        "d98": "D98%",
    }.items()
}

METRICS = MappingProxyType(
    {
        "dice": Metric("", True, "overlap of the two segmentations", is_share=True),
        "surface_dice": Metric("", True, "share of the surfaces within the tolerance", is_share=True),
        "hd95": Metric("mm", False, "larger of the two directed 95th percentiles"),
        "mean_hd95": Metric("mm", False, "mean of the two directed 95th percentiles"),
        "hd": Metric("mm", False, "largest distance between the surfaces"),
        "msd": Metric("mm", False, "mean distance between the surfaces"),
        "volume_difference": Metric("cm3", None, "volume after - before", is_difference=True),
        "unchanged": Metric("", True, "share of the voxels whose intensity is as it was", is_share=True),
        "preserved": Metric("", True, "share of the voxels that were not removed", is_share=True),
        "lost": Metric("", False, "structures removed completely", is_share=True, is_yes_no=True),
        "hu_shift": Metric("HU", None, "mean of after - before"),
        "hu_shift_median": Metric("HU", None, "median of after - before"),
        "hu_absolute": Metric("HU", False, "mean absolute difference"),
        "tissue_unchanged": Metric("", True, "share of the tissue's voxels that is as it was", is_share=True),
        "changed_volume": Metric("cm3", False, "volume of the changed voxels"),
        "front_changed": Metric("", None, "share of the head's front half that changed (C2)", is_share=True),
        "change_components": Metric("", None, "connected regions of change"),
        "depth_max": Metric("mm", False, "deepest change behind the facial skin"),
        "depth_p95": Metric("mm", False, "95th percentile over rows of the deepest change"),
        "brain_intact": Metric(
            "", True, "scans whose brain voxels are all as they were (C1)", is_share=True, is_yes_no=True
        ),
        "brain_changed": Metric("", False, "share of the brain's voxels that changed", is_share=True),
        "brain_dice": Metric("", True, "mean Dice of the brain's structures (C3)", is_share=True),
        **_DOSE,
        "dose_d0.01cc_absolute": Metric("cGy", False, "absolute difference of D0.01cc"),
        "ncr": Metric("", False, "normalised coefficient of repeatability of all volumes"),
    }
)
"""Every metric, in the order of the tables. A surface Dice is written with its tolerance: ``"surface_dice_2mm"``."""


def metric_of(name: str) -> Metric:
    """Return what a metric is; ``"surface_dice_2mm"`` is a surface Dice."""
    return METRICS["surface_dice" if name.startswith("surface_dice") else name]
