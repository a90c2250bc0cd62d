"""Where on the face a defacer changed something, and where identity is left."""

from dataclasses import dataclass

from reid_audit.records.scores import Real


@dataclass(frozen=True, slots=True)
class LeakMap:
    """A defacer on the grid of an average head, seen from the front: rows grow upwards, columns to the head's left.

    Attributes
    ----------
    condition : str
    subjects : int
        Over whom the map was taken.
    cell_mm : float
        Edge of a cell.
    change_mm : tuple of tuple of float
        How far the skin moved: the median over people. NaN outside the face, or where it is not known.
    identity : tuple of tuple of float
        Between-person over within-person variance of what a defaced head and an original differ by: 1 = no more alike
        than other people, the larger the more of the person is left.
    relief_mm : tuple of tuple of float
        How far the average synthetic head stands out there: the ground to draw on, nobody's face.
    occlusion : tuple of tuple of float
        How far a recogniser's vector of the average head moves when that place is hidden, in units of the largest, 0 to
        1: where it looks, whatever the defacer did. NaN outside the face; empty where it was not measured.
    """

    condition: str
    subjects: int
    cell_mm: float
    change_mm: tuple[tuple[Real, ...], ...]
    identity: tuple[tuple[Real, ...], ...]
    relief_mm: tuple[tuple[Real, ...], ...]
    occlusion: tuple[tuple[Real, ...], ...] = ()
