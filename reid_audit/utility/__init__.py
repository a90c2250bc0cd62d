"""What the protection cost: segmentations, voxels, dose and volumes before and after defacing.

Words
-----
case
    A defaced scan with its original. People are the sample of every interval and test: several cases of a person are
    averaged first.
before, after
    On the original, and on the defaced scan. A segmentation "after" is what a model made of the defaced scan. Where
    there is none, the integrity of the original's structures is measured instead: which of their voxels were changed.
undefined
    A case without a number, because a structure is empty before or after. It is in no mean, and it is counted beside
    each. Dice and surface Dice of a structure that is empty in one of the two are 0, not undefined.
position
    ``on_face``: within 5 mm of the facial skin; ``same_slices``: on slices that hold a change; ``elsewhere``.
"""

from reid_audit.utility.change import ChangeKind, Place
from reid_audit.utility.compare import compare_programs
from reid_audit.utility.contours import read_rtstruct
from reid_audit.utility.dose import CURVE_PERCENT, Dose, dose_at_volume, dvh, measure_dose, read_dose
from reid_audit.utility.exclusion import FEWEST_FOR_FENCES, Criterion, read_quality
from reid_audit.utility.matrix import TrainTestMatrix, cross_conditions, read_model_scores
from reid_audit.utility.measures import CaseUtility, DoseCurve, Measure, Position, UtilitySettings
from reid_audit.utility.metrics import metric_of
from reid_audit.utility.near_face import distance_to_face_mm
from reid_audit.utility.pictures import SlicePicture, read_pictures
from reid_audit.utility.places import count_targets
from reid_audit.utility.read import read_structures
from reid_audit.utility.run import Utility, measure_utility
from reid_audit.utility.segmentation import Agreement, compare_masks, compare_structures
from reid_audit.utility.store import UTILITY_FILE, read_utility, write_utility
from reid_audit.utility.structures import Structure
from reid_audit.utility.summarize import average_curves
from reid_audit.utility.tradeoff import SameScanRisk, measure_same_scan, pareto_front, trade_offs, with_utility
from reid_audit.utility.volumetry import bland_altman
from reid_audit.volume.names import read_label_names

__all__ = [
    "CURVE_PERCENT",
    "FEWEST_FOR_FENCES",
    "UTILITY_FILE",
    "Agreement",
    "CaseUtility",
    "ChangeKind",
    "Criterion",
    "Dose",
    "DoseCurve",
    "Measure",
    "Place",
    "Position",
    "SameScanRisk",
    "SlicePicture",
    "Structure",
    "TrainTestMatrix",
    "Utility",
    "UtilitySettings",
    "average_curves",
    "bland_altman",
    "compare_masks",
    "compare_programs",
    "compare_structures",
    "count_targets",
    "cross_conditions",
    "distance_to_face_mm",
    "dose_at_volume",
    "dvh",
    "measure_dose",
    "measure_same_scan",
    "measure_utility",
    "metric_of",
    "pareto_front",
    "read_dose",
    "read_label_names",
    "read_model_scores",
    "read_pictures",
    "read_quality",
    "read_rtstruct",
    "read_structures",
    "read_utility",
    "trade_offs",
    "with_utility",
    "write_utility",
]
