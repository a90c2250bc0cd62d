"""Faces become distances: every comparison that a cohort allows, and tables of distances made elsewhere.

Words
-----
probe, reference
    The scan that is looked up, and the scan that it is compared with. Each comparison is probe -> reference.
distance
    Cosine distance of unit vectors, ``1 - cos``, float64 in [0, 2]; exactly 0 for equal vectors. NaN = the probe or
    the reference was not acquired (no face, unreadable, render failed ...). The row stays: what was not seen is
    counted, never dropped. A scan that is *missing* from the cohort makes no row; the cohort's accounting names it.

Which pairs
-----------
Subjects and sessions are put in natural order (``"2"`` before ``"10"``).

========================== =============================================================================
same                       original(i, a) -> original(i, b), for every two sessions a before b
different                  original(i) -> original(j), i before j, both in the cohort's first session. Who has
                           no original in that session takes no part in this group, and in every other still does
defaced_same               defaced(i, a) -> original(i, b), b != a
defaced_different          defaced(i, a) -> original(j, b), j != i, b != a: the session structure of defaced_same.
                           Where a condition has no defaced_same pair at all (cohorts with one visit) b = a
                           instead: the structure of defaced_same_scan
defaced_same_scan          defaced(i, a) -> original(i, a)
defaced_defaced_same       defaced(i, a) -> defaced(i, b), a before b, one condition
defaced_defaced_different  defaced(i, a) -> defaced(j, b), j != i, a before b, one condition. Of more than 64 people a
                           costly attacker (shape) compares those of a part: with n parts every n-th person is in one
========================== =============================================================================

Where sessions hold several images, a pair of sessions makes a row for every two images of them, and defaced_same_scan
joins those of one image. Where nobody has two sessions, ``a`` and ``b`` are two images of one session.
`reid_audit.accuracy.pool_images` makes one comparison of each two sessions.
"""

from reid_audit.face import cosine_distances
from reid_audit.match.attackers import compare_attacks, join_attacks
from reid_audit.match.gallery import GallerySearch, search_gallery
from reid_audit.match.pairs import check_room, compare_faces, merge_scores
from reid_audit.match.tables import read_score_strata, read_scores, write_scores

__all__ = [
    "GallerySearch",
    "check_room",
    "compare_attacks",
    "compare_faces",
    "cosine_distances",
    "join_attacks",
    "merge_scores",
    "read_score_strata",
    "read_scores",
    "search_gallery",
    "write_scores",
]
