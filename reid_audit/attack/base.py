"""The protocol of an attacker: what it may know, what it makes of a scan, and how it compares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from reid_audit.face import Encoder, cosine_distances
from reid_audit.portrait import Partner, ScanContext
from reid_audit.records import (
    EngineError,
    Face,
    FaceRecord,
    InputError,
    Portrait,
    RenderError,
    ScanRef,
    ScoreTable,
    Skin,
    Status,
    View,
)


class Side(StrEnum):
    """Which scans an attacker treats in its own way."""

    RELEASE = "release"  # the defaced ones; originals are as the naive attacker sees them
    BOTH = "both"  # originals too: their comparisons, and so the thresholds, are its own


class Gallery(StrEnum):
    """What an attacker looks a defaced scan up in."""

    ORIGINALS = "originals"
    DEFACED = "defaced"
    PHOTOGRAPHS = "photographs"


@dataclass(frozen=True, slots=True, eq=False)
class Hints:
    """What an attacker may know about a scan from other people's originals.

    An attacker that needs more than a place derives a record of its own; it must hold what `reid_audit.work.pack` can.

    Attributes
    ----------
    place : Face or None
        Box and landmarks to look at, without a vector.
    """

    place: Face | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A scan as an attacker meets it.

    Attributes
    ----------
    context : ScanContext
        Reads, extracts, renders; each step once for all attackers and encoders.
    skin, view : Skin, View
        At the level and through the camera of its original where there is one, else of its own.
    encoder : Encoder
    face : Face
        What the naive attacker got.
    original : Partner or None
        What the original of a defaced scan hands on.
    """

    context: ScanContext
    skin: Skin
    view: View
    encoder: Encoder
    face: Face
    original: Partner | None = None

    def encode_own_view(self) -> Face:
        """Encode the face that the detector finds through the camera that faces the head as it lies."""

        def make() -> Face:
            return self.encode(lambda: self.context.draw(self.skin, self.context.find_view(self.skin)))

        return self.context.once(("own view", self.skin, self.encoder.name), make)

    def encode(self, draw: Callable[[], Portrait], look: Callable[[Portrait], Face] | None = None) -> Face:
        """Draw a portrait and encode its face; what cannot be drawn costs this attacker, not the scan.

        Parameters
        ----------
        draw : callable
        look : callable, optional
            How to find the face; by default the encoder's own detector does.
        """
        try:
            portrait = draw()
        except (RenderError, EngineError) as error:
            return Face(Status.RENDER_FAILED, self.encoder.name, reason=str(error))
        except InputError as error:
            return Face(Status.NO_SKIN, self.encoder.name, reason=str(error))
        return (look or self.encoder.encode)(portrait)


class Attack:
    """An attacker; derive from it, give it a name, and say in which steps it differs from the naive one.

    Attributes
    ----------
    name : str
        In tables, options and reports.
    version : int
        Raised when the attacker makes something else of the same scan: faces kept before are then made anew.
    sees : Side
    gallery : Gallery
    family : str
        A name under which several attackers are asked for together; ``""`` = none.
    baseline : bool
        The attacker whose comparisons of originals serve all that leave originals as they are.
    selected_by_default : bool
        Whether it is run where nobody says otherwise. Whether the verdict rests on it is the policy's to say.
    judged : bool
        Whether rules of the verdict look at it. What is not judged is shown beside the others, and joined by nobody.
    fails_unrequired : bool
        Whether linkage that it shows beyond a limit is FAIL under a policy that does not require it, too; else REVIEW.
    needs_others : bool
        Whether it is nothing without other people's originals.
    stands_in : bool
        Whether its distances stand in for defaced scans without a face, in the worst case.
    without_hint : str
        The attacker that does the same without using the person's own original; the gap between both is the leak.
    control : str
        The attacker that shows whether this one reads its own hint; it is run beside it and not scored.
    encoder : str
        What its faces name as their encoder, where no encoder of the run takes part: it looks once at a scan.
    costly : bool
        Whether a comparison takes so long that workers share them, and none is made for nothing.
    joins : bool
        Whether it looks at no scan and compares by what other attackers made of all encoders; see `join`.
    fewest_people : int
        Below so many people it learns nothing and is not run.
    channel : str
        The part of a head for which it stands where a report says what is left where; ``""`` = none.
    caveat : str
        What must be read beside its numbers, one sentence; ``""`` = nothing.
    """

    name: str = ""
    version: int = 1
    sees: Side = Side.RELEASE
    gallery: Gallery = Gallery.ORIGINALS
    family: str = ""
    baseline: bool = False
    selected_by_default: bool = False
    judged: bool = True
    fails_unrequired: bool = False
    needs_others: bool = False
    stands_in: bool = False
    without_hint: str = ""
    control: str = ""
    encoder: str = ""
    costly: bool = False
    joins: bool = False
    fewest_people: int = 0
    channel: str = ""
    caveat: str = ""

    def __init__(self, name: str = "") -> None:
        self.name = name or self.name

    @property
    def names(self) -> frozenset[str]:
        """What it may be asked for by: its name and its family's."""
        return frozenset({self.name, self.family} - {""})

    @property
    def stands_apart(self) -> bool:
        """Whether it is no encoder's: it stands once in the evidence, under an encoder's name of its own."""
        return self.joins or bool(self.encoder)

    def describe(self) -> str:
        """Say in a few words what it uses."""
        return self.name

    def prepare(self, originals: Sequence[FaceRecord], scans: Sequence[ScanRef]) -> Mapping[str, Hints]:
        """Return what it knows about each defaced scan, by the scan's key.

        Parameters
        ----------
        originals : sequence of FaceRecord
            Of one encoder. For a scan only those of other subjects may be used.
        scans : sequence of ScanRef
            Defaced ones.
        """
        return {}

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:
        """Return the faces that it makes of one scan, one per look.

        None leaves the scan with the face that the naive attacker got.
        """
        return ()

    def looks_of(self, record: FaceRecord) -> tuple[Face, ...]:
        """Return the faces of a scan that it compares; a scan that was not attacked has the naive attacker's."""
        return record.looks.get(self.name) or (record.face,)

    def score(self, probes: Sequence[FaceRecord], references: Sequence[FaceRecord]) -> NDArray[np.float64]:
        """Return the distance of every probe from every reference; by default that of the two nearest looks.

        Parameters
        ----------
        probes, references : sequence of FaceRecord
            Of one encoder and one condition and session each; every subject once.

        Returns
        -------
        (n, m) float64
            In [0, 2]; NaN where one of the two was not acquired.
        """
        return nearest(
            distances_of_looks(a, b)
            for a in list_looks([self.looks_of(record) for record in probes])
            for b in list_looks([self.looks_of(record) for record in references])
        )

    def join(self, scores: ScoreTable, records: Sequence[FaceRecord]) -> ScoreTable | None:
        """Return its comparisons, made from those of the others.

        Parameters
        ----------
        scores : ScoreTable
            Of every other attacker and encoder, canaries among them.
        records : sequence of FaceRecord
            Of every encoder; empty where the distances were measured elsewhere.

        Returns
        -------
        ScoreTable or None
            None where there is too little to join.
        """
        return None


def list_looks(looks: Sequence[Sequence[Face]]) -> list[list[Face | None]]:
    """Return the first look of every scan, the second of every scan ...; None where a scan has fewer."""
    most = max((len(faces) for faces in looks), default=1)
    return [[faces[k] if k < len(faces) else None for faces in looks] for k in range(most)]


def distances_of_looks(probes: Sequence[Face | None], references: Sequence[Face | None]) -> NDArray[np.float64]:
    """Return the cosine distances of two lists of faces, (n, m); NaN where one of the two has no vector."""
    full = np.full((len(probes), len(references)), np.nan)
    (rows, p), (columns, r) = _vectors(probes), _vectors(references)
    if rows and columns:
        full[np.ix_(rows, columns)] = cosine_distances(p, r)
    return full


def _vectors(faces: Sequence[Face | None]) -> tuple[list[int], list[NDArray[np.float32]]]:
    """Return which faces have a vector, and the vectors."""
    acquired = [(k, face.vector) for k, face in enumerate(faces) if face is not None and face.vector is not None]
    return [k for k, _ in acquired], [vector for _, vector in acquired]


def nearest(tables: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the smallest distance of each comparison; NaN where every table has NaN."""
    return reduce(np.fmin, tables)
