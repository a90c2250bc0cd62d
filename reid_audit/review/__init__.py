"""Show a human the scans that need a look, before and after defacing, and keep what was seen.

A page on this machine alone: it listens on the loopback address, opens by a link that works once, asks the network for
nothing, and ends when the reader is done. Pictures are drawn when they are asked for and live in memory.

Words
-----
case
    A defaced scan to look at, with why.
reader
    Who looks. A second reader does not see what the first one said; their agreement is Cohen's kappa.
answer
    face visible, removed, not a head, or unsure. `reid_audit.verdict.fold_review` says what each means for the verdict.
"""

from reid_audit.review.cases import ReviewCase, list_cases, list_screened
from reid_audit.review.pictures import Pictures
from reid_audit.review.progress import REVIEW_FILE, Progress, measure_agreement, read_review
from reid_audit.review.server import serve

__all__ = [
    "REVIEW_FILE",
    "Pictures",
    "Progress",
    "ReviewCase",
    "list_cases",
    "list_screened",
    "measure_agreement",
    "read_review",
    "serve",
]
