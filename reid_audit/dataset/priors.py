"""How often others matched a kind of undefaced image with its person's photograph: which images are looked at first.

Schwarz and colleagues, 182 people, photographs against portraits of research scans: MR by sequence, and PET and CT
(NeuroImage 2022;258:119357, doi:10.1016/j.neuroimage.2022.119357). They are no measurement of the data at hand and
enter no verdict.
"""

from collections.abc import Iterable, Mapping

PUBLISHED_MATCHES: Mapping[str, tuple[int, int]] = {
    "T1w": (96, 98),
    "T2w": (96, 98),
    "FLAIR": (96, 98),
    "CT": (78, 78),
    "MEGRE": (32, 45),
    "PET": (32, 42),
    "T2starw": (10, 10),
    "asl": (8, 8),
    "bold": (0, 2),
    "dwi": (0, 2),
}
"""Percent of people matched, from lowest to highest, by the kind of image; FLAIR and T1w as 3-D sequences."""

_UNKNOWN = 100  # a kind that nobody measured is not put last


def order_of(image: str) -> int:
    """Give the sort key of an image such as ``"T2w run-2"``: what was matched more often comes first."""
    return -PUBLISHED_MATCHES.get(image.partition(" ")[0], (0, _UNKNOWN))[1]


def tell_priors(images: Iterable[str]) -> str:
    """Say what was published of the kinds among some images; empty where nothing was.

    Examples
    --------
    >>> tell_priors(["CT", "T1w run-1", "T1w run-2"])
    'T1w 96 to 98 %, CT 78 %'
    """
    kinds = dict.fromkeys(image.partition(" ")[0] for image in sorted(images, key=order_of))
    known = [(kind, PUBLISHED_MATCHES[kind]) for kind in kinds if kind in PUBLISHED_MATCHES]
    return ", ".join(f"{kind} {low}{f' to {high}' if high > low else ''} %" for kind, (low, high) in known)
