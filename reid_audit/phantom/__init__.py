"""Synthetic heads in CT, MR or PET, with label maps and as cohorts with visits.

No scan of a real person went into them, so that they may be shown, shared and stored. A head is a signed distance whose
shape is drawn from some eighty traits (`reid_audit.phantom.person`); the tissues inside are painted by depth and place.

Words
-----
identity
    Number of a person. (seed, identity) fixes every trait of the head and the synthetic sex and age.
visit
    Number of a scan of that person. (seed, identity, visit) fixes pose, grid, noise and the little that a face itself
    changes: weight, the opening of mouth and lids.
"""

from reid_audit.phantom.bids import write_bids_cohort
from reid_audit.phantom.change import DIFFICULTIES
from reid_audit.phantom.cohort import LABEL_NAMES, write_cohort, write_rt_cohort
from reid_audit.phantom.dicom import RtSet, write_rt_set
from reid_audit.phantom.landmarks import PARTS, AverageHead, make_average_head, measure_brain_distance
from reid_audit.phantom.scan import PhantomScan, make_phantom
from reid_audit.phantom.tissue import LABELS

__all__ = [
    "DIFFICULTIES",
    "LABELS",
    "LABEL_NAMES",
    "PARTS",
    "AverageHead",
    "PhantomScan",
    "RtSet",
    "make_average_head",
    "make_phantom",
    "measure_brain_distance",
    "write_bids_cohort",
    "write_cohort",
    "write_rt_cohort",
    "write_rt_set",
]
