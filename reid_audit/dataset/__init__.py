"""Read a table or tree of scans as a cohort: subjects, sessions, defacers, and the pairs that they allow.

`take_inventory` reads manifests, BIDS datasets and trees of DICOM files by their names and headers, and asks where they
leave something open; `read_cohort` gives the cohort, or the questions as an error.

Words
-----
manifest
    A CSV or TSV table, UTF-8, one row per scan. Columns ``subject, session, condition, path``, optionally ``modality``
    (CT, MR or PT (PET), empty = told from the file) and ``series`` (which DICOM series of the folder, by
    `reid_audit.records.name_series`; empty = the only one) and ``image`` (which image of the session, where it has
    several; a defaced scan has the image of its original); every other column is a stratum. Everything is text: ``01``
    stays ``01``. Paths are relative to the manifest's folder.
session
    A visit. The labels are shared by the cohort (``1`` is everybody's first visit) and ordered naturally: 2 before 10.
stratum
    A property of a person, such as sex, age or site: one value per subject. An empty cell says nothing and yields to
    another row of the subject.
condition
    ``"original"``, or the name of the defacer.

Which pairs
-----------
The rule is that of `reid_audit.compare_faces`. With *visits* = the sessions in which anybody has an original:

========================== =======================================================================================
same                       original(i, a) -> original(i, b), a before b
different                  original(i) -> original(j), i before j, both in the first visit
defaced_same               defaced(i, a) -> original(i, b), b != a
defaced_different          defaced(i, a) -> original(j, b), j != i, b != a; b = a where defaced_same has no pair at all
defaced_same_scan          defaced(i, a) -> original(i, a)
defaced_defaced_same       defaced(i, a) -> defaced(i, b), a before b, one condition
defaced_defaced_different  defaced(i, a) -> defaced(j, b), j != i, a before b, one condition
========================== =======================================================================================

Where sessions hold several images, every two of them are compared, and each two sessions count once; a same scan is of
one image. Where nobody has two sessions, two images of one session stand for them.

"Visit 1 -> visit 2" is what this gives with two visits of which the first alone was defaced. No pixel is opened here.
"""

from reid_audit.dataset.bids import read_description
from reid_audit.dataset.candidates import Aside, Choice, Inventory
from reid_audit.dataset.cohort import Cohort, take_subjects
from reid_audit.dataset.companions import CompanionFiles, find_companions, name_scan
from reid_audit.dataset.gallery import read_gallery
from reid_audit.dataset.inventory import read_cohort, take_inventory
from reid_audit.dataset.manifest import read_manifest, write_manifest
from reid_audit.dataset.pseudonym import salt_home

__all__ = [
    "Aside",
    "Choice",
    "Cohort",
    "CompanionFiles",
    "Inventory",
    "find_companions",
    "name_scan",
    "read_cohort",
    "read_description",
    "read_gallery",
    "read_manifest",
    "salt_home",
    "take_inventory",
    "take_subjects",
    "write_manifest",
]
