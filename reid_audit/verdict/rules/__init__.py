"""The rules of the verdict: each one function from panels of comparisons to checks, each with its sentence.

=========== ==========================================================================================================
sight       what the attackers must show before anything they miss counts: control, canaries, coverage, sample size
linkage     what may be left: linkability on all ranks, first places, matches beyond chance, strata
images      sessions that hold several images: none hides behind another
individuals single people: scans that are not altered or stand out, and labels that do not fit the faces
=========== ==========================================================================================================
"""

from reid_audit.verdict.rules.beside import check_crossed as check_crossed
from reid_audit.verdict.rules.beside import check_defaced_gallery as check_defaced_gallery
from reid_audit.verdict.rules.images import adjust_confidence as adjust_confidence
from reid_audit.verdict.rules.images import check_images as check_images
from reid_audit.verdict.rules.judge import judge as judge
from reid_audit.verdict.rules.judge import list_judged as list_judged
