"""Synthetic heads: tamperings are named, renderers agree, and an encoder tells people apart."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.alteration import find_alteration, summarise_original
from reid_audit.deface import FaceRemoval
from reid_audit.face import Encoder, cosine_distances
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import Portrait, Skin, View, Volume
from reid_audit.render import Renderer, find_frontal_view
from reid_audit.surface import extract_skin

PEOPLE, VISITS = 4, 2
_SEED = 20
SPACING_MM = 2.0
"""Coarser than most scans: enough for a face, and quicker."""
_TAMPERED_SPACING_MM = 1.5

Values = NDArray[np.float32]


TAMPERINGS: Mapping[str, tuple[Callable[[Values], Values], frozenset[str]]] = {
    "half a turn": (lambda a: a[::-1, ::-1, :], frozenset({"turned"})),
    "mirrored": (lambda a: a[::-1], frozenset({"mirrored"})),
    "rescaled": (lambda a: a * np.float32(0.3), frozenset({"rescaled"})),
    "cropped": (lambda a: a[:, :, :-1], frozenset({"cropped"})),
    "saved anew": (lambda a: np.where(np.arange(a.size).reshape(a.shape) == 0, a + 1, a), frozenset()),
}
"""What is done to an original that only pretends to be defaced, and the codes that must be found beside unaltered."""

_UNALTERED = frozenset({"unaltered", "face_region_there"})


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Skins of `PEOPLE` in `VISITS`, person by person, and the camera before each."""

    skins: tuple[Skin, ...]
    views: tuple[View, ...]

    @property
    def subjects(self) -> NDArray[np.intp]:
        """The person of each skin."""
        return np.repeat(np.arange(PEOPLE), VISITS)


def make_heads() -> Heads:
    """Make the skins and cameras of the synthetic people that renderers and encoders are tried on."""
    visits = [(person, visit) for person in range(PEOPLE) for visit in range(1, VISITS + 1)]
    scans = (make_phantom(person, visit, seed=_SEED, spacing_mm=SPACING_MM) for person, visit in visits)
    skins = tuple(extract_skin(scan.volume) for scan in scans)
    return Heads(skins, tuple(find_frontal_view(skin) for skin in skins))


def draw_heads(heads: Heads, renderer: Renderer) -> tuple[Portrait, ...]:
    """Draw each head from its front."""
    return tuple(renderer.render(skin, view) for skin, view in zip(heads.skins, heads.views, strict=True))


def measure_tamperings() -> Iterator[tuple[str, float, str]]:
    """Give 1.0 for each tampering where exactly what was done was found, and for a defacing that was seen as one."""
    scan = make_phantom(3, 1, spacing_mm=_TAMPERED_SPACING_MM)
    skin = extract_skin(scan.volume)
    original = summarise_original(scan.volume, skin, find_frontal_view(skin))

    def with_values(values: Values) -> Volume:
        return replace(scan.volume, intensity=np.asfortranarray(values, dtype=np.float32))

    for name, (tamper, codes) in TAMPERINGS.items():
        named = find_alteration(original, with_values(tamper(scan.volume.intensity))).codes
        told = f"an original that was {name}" if name != "half a turn" else "an original that was turned by half"
        yield name, float(named == codes | _UNALTERED), f"{told}: 1 where just that is found, and no defacing"
    defaced = FaceRemoval().deface(scan.volume, scan.labels, LABELS)
    codes = find_alteration(original, defaced).codes
    gone = {"face_altered", "face_region_gone"} <= codes and "unaltered" not in codes
    yield "face removed", float(gone), "a scan whose face was removed: 1 where that is found"


def stack_vectors(encoder: Encoder, portraits: Sequence[Portrait]) -> NDArray[np.float32]:
    """Return the vectors of portraits, (n, d) float32; NaN in a row without one."""
    vectors = [encoder.encode(portrait).vector for portrait in portraits]
    length = next((vector.size for vector in vectors if vector is not None), 1)
    return np.array([np.full(length, np.nan) if v is None else v for v in vectors], np.float32)


def measure_agreement(vectors: Values, reference: Values, subjects: NDArray[np.intp]) -> float:
    """Return the largest distance of one head by two renderers over the median distance of two people by one.

    NaN where one of them gave no face.
    """
    if not (np.isfinite(vectors).all() and np.isfinite(reference).all()):
        return math.nan
    across = np.diag(cosine_distances(vectors, reference))
    others = cosine_distances(reference, reference)[subjects[:, None] != subjects[None, :]]
    return float(across.max() / np.median(others))


def measure_people(vectors: NDArray[np.float32], subjects: NDArray[np.intp]) -> Iterator[tuple[str, float, str]]:
    """Give what an encoder makes of synthetic people: faces found, linkability, and both medians of the distances."""
    seen = np.isfinite(vectors).all(axis=1)
    yield "without a vector", float((~seen).sum()), f"portraits of {seen.size} that gave no vector"
    distances = cosine_distances(vectors[seen], vectors[seen]).astype(np.float64)
    who = subjects[seen]
    upper = np.triu(np.ones(distances.shape, bool), 1)
    mated = distances[upper & (who[:, None] == who[None, :])]
    other = distances[upper & (who[:, None] != who[None, :])]
    nearer = (mated[:, None] < other[None, :]).mean() if mated.size and other.size else np.nan
    yield "linkability", float(nearer), "how often two visits of one person are nearer than two people"
    for name, values, what in (("mated", mated, "visits of one person"), ("non-mated", other, "people")):
        median = float(np.median(values)) if values.size else np.nan
        yield f"{name} distance", median, f"median cosine distance of two {what}"
