"""Synthetic cohorts in which the truth is known: what the rules are tried on, and cohorts are planned with.

A subject is a vector; each visit adds heavy-tailed noise whose size differs by subject; subjects differ in how near
they lie to everybody, and sex moves the vector a little. A defacer draws a new face per scan, and leaves a share of the
subject, or nothing. A canary, a weak defacing that an attacker who sees must link, is always there.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.accuracy.panels import Panels, to_panels
from reid_audit.records import CANARY, ORIGINAL, Group, InputError

Vectors = NDArray[np.float64]

DIM = 64
CANARY_LIGHT = f"{CANARY}-light"
_FARTHER = 2.5
"""How far removal moves every face from all originals, in lengths of a subject's vector."""


def unit(vectors: Vectors) -> Vectors:
    """Scale vectors to length 1 along the last axis."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float64)


@dataclass(eq=False)
class SyntheticCohort:
    """``people`` subjects with ``visits`` originals each.

    Attributes
    ----------
    people, visits : int
    rng : numpy.random.Generator
    noise : float
        Length of what a visit adds to a subject's vector of length about 1; 0.45 gives AUC 0.98-0.99 of originals.
    condition : str
        Name of the defacer.
    names : list of str
    sex : (people,) int
    person : (people, DIM) float64
    originals : (visits, people, DIM) float64
        Unit vectors, as all vectors that an attacker gets.
    """

    people: int
    rng: np.random.Generator
    visits: int = 2
    noise: float = 0.45
    condition: str = "tool"
    names: list[str] = field(init=False)
    sex: NDArray[np.intp] = field(init=False)
    mean: Vectors = field(init=False)
    person: Vectors = field(init=False)
    originals: Vectors = field(init=False)

    def __post_init__(self) -> None:
        n = self.people
        self.names = [f"s{i:03d}" for i in range(n)]
        self.sex = self.rng.integers(0, 2, n)
        self.mean = np.zeros(DIM)
        self.mean[0] = 1.2
        self.person = self.draw(n) * self.rng.lognormal(0, 0.18, (n, 1))
        self.person[:, 1] += 0.3 * (2 * self.sex - 1)
        spread = self.noise * self.rng.lognormal(0, 0.35, (n, 1))
        tail = np.sqrt(1 / self.rng.chisquare(3, (self.visits, n, 1)))
        self.originals = unit(self.mean + self.person + spread * self.draw(self.visits, n) * tail)

    def draw(self, *shape: int) -> Vectors:
        """Draw noise vectors of unit expected length."""
        return np.asarray(self.rng.standard_normal((*shape, DIM)) / np.sqrt(DIM), dtype=np.float64)

    def deface(
        self,
        attacks: Sequence[str],
        *,
        leak: float | Vectors = 0.0,
        person: Vectors | None = None,
        removal: bool = False,
        stable: bool = False,
    ) -> dict[str, Vectors]:
        """Return what each attacker gets of the defaced scans, (visits, people, DIM).

        ``leak`` of the subject (or of ``person``) is left, behind a new face per scan (per subject where ``stable``),
        or behind none (``removal``). Half of the noise is shared by the attackers.
        """
        v, n = self.visits, self.people
        face = self.draw(1 if stable else v, n) + np.zeros((v, 1, 1))
        common = self.noise * np.sqrt(0.5) * self.draw(v, n)
        who = self.person if person is None else person
        far = np.zeros(DIM)
        far[2] = _FARTHER
        middle = 0.5 * self.mean + far if removal else self.mean + face
        return {a: unit(middle + leak * who + common + self.noise * np.sqrt(0.5) * self.draw(v, n)) for a in attacks}


class _Part(NamedTuple):
    """Comparisons of one group, condition, attack and pair of visits."""

    group: Group
    condition: str
    attack: str
    probe: NDArray[np.intp]
    visit: int
    reference: NDArray[np.intp]
    reference_visit: int
    distance: Vectors


def _distances(probes: Vectors, references: Vectors) -> Vectors:
    return np.clip(1 - probes @ references.T, 0, 2)


def _compare_originals(originals: Vectors, attack: str) -> Iterator[_Part]:
    v, n = originals.shape[:2]
    every = np.arange(n)
    for a in range(v):
        for b in range(a + 1, v):
            mated = np.diag(_distances(originals[a], originals[b]))
            yield _Part(Group.SAME, ORIGINAL, attack, every, a, every, b, mated)
    i, j = np.triu_indices(n, 1)
    yield _Part(Group.DIFFERENT, ORIGINAL, attack, i, 0, j, 0, _distances(originals[0], originals[0])[i, j])


def _compare_defaced(
    condition: str, attack: str, probes: Vectors, originals: Vectors, lost: NDArray[np.intp] | None
) -> Iterator[_Part]:
    v, n = originals.shape[:2]
    every, (i, j) = np.arange(n), np.nonzero(~np.eye(n, dtype=bool))
    for a in range(v):
        for b in range(v):
            distance = _distances(probes[a], originals[b])
            if lost is not None:
                distance[lost] = np.nan
            mated = Group.DEFACED_SAME if a != b else Group.DEFACED_SAME_SCAN
            yield _Part(mated, condition, attack, every, a, every, b, np.diag(distance))
            if a != b or v == 1:
                yield _Part(Group.DEFACED_DIFFERENT, condition, attack, i, a, j, b, distance[i, j])


def tabulate_world(
    cohort: SyntheticCohort,
    release: Mapping[str, Vectors],
    *,
    canary: Mapping[str, Vectors] | None = None,
    originals: Vectors | None = None,
    unseen: Mapping[str, NDArray[np.intp]] | None = None,
    drop: Collection[str] = (),
    encoder: str = "",
) -> pd.DataFrame:
    """Return every comparison as the frame of a ScoreTable.

    Parameters
    ----------
    cohort : SyntheticCohort
    release : mapping of str to (visits, people, DIM) float64
        What each attacker gets of the defaced scans.
    canary : mapping, optional
        The same of the weak defacing; where left out, the originals with little noise.
    originals : (visits, people, DIM) float64, optional
        Other ones than those of the cohort.
    unseen : mapping of str to positions of subjects, optional
        Whose defaced scans give an attacker no vector.
    drop : collection of str
        Groups that are left out.
    encoder : str
    """
    x = cohort.originals if originals is None else originals
    light = {a: unit(x + 0.25 * cohort.draw(*x.shape[:2])) for a in release} | dict(canary or {})
    parts = list(_compare_originals(x, "naive"))
    for attack, faces in release.items():
        parts += _compare_defaced(cohort.condition, attack, faces, x, (unseen or {}).get(attack))
    for attack, faces in light.items():
        parts += _compare_defaced(CANARY_LIGHT, attack, faces, x, None)
    parts = [part for part in parts if part.group.value not in drop]
    sizes = [len(part.distance) for part in parts]

    def repeat(values: Sequence[str]) -> pd.Categorical:
        categories, codes = np.unique(values, return_inverse=True)
        return pd.Categorical.from_codes(np.repeat(codes, sizes), pd.Index(categories, dtype=object))

    def name(codes: Sequence[NDArray[np.intp]]) -> pd.Categorical:
        return pd.Categorical.from_codes(np.concatenate(codes), pd.Index(cohort.names))

    return pd.DataFrame(
        {
            "group": repeat([part.group.value for part in parts]),
            "condition": repeat([part.condition for part in parts]),
            "attack": repeat([part.attack for part in parts]),
            "encoder": repeat([encoder] * len(parts)),
            "probe_subject": name([part.probe for part in parts]),
            "probe_session": repeat([str(part.visit + 1) for part in parts]),
            "reference_subject": name([part.reference for part in parts]),
            "reference_session": repeat([str(part.reference_visit + 1) for part in parts]),
            "distance": np.concatenate([part.distance for part in parts]),
        }
    )


@dataclass(frozen=True, slots=True)
class NothingLeft:
    """Draws cohorts of which a defacer left nothing: each scan shows a new face.

    Attributes
    ----------
    attacks : tuple of str
    encoders : int
        Each is drawn with noise and likenesses of its own. Encoders that agree need fewer subjects than this says.
    strata : tuple of str
        Columns such as ``"sex"`` or ``"site"``, each of two values, dealt to the subjects at random.
    """

    attacks: tuple[str, ...]
    encoders: int = 1
    strata: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.attacks:
            raise InputError("attacks must name at least one attacker")
        if self.encoders < 1:
            raise InputError(f"encoders must be at least 1; got {self.encoders}")

    def __call__(self, subjects: int, visits: int, *, rng: np.random.Generator) -> Panels:
        """Return one cohort's comparisons."""
        cohorts = [SyntheticCohort(subjects, rng, visits) for _ in range(self.encoders)]
        frames = [
            tabulate_world(cohort, cohort.deface(self.attacks), encoder=f"encoder {k}" if self.encoders > 1 else "")
            for k, cohort in enumerate(cohorts, start=1)
        ]
        values = {
            column: np.where(cohorts[0].sex if column == "sex" else rng.integers(0, 2, subjects), "B", "A")
            for column in self.strata
        }
        strata = pd.DataFrame(values, index=pd.Index(cohorts[0].names, name="subject"))
        return to_panels(pd.concat(frames, ignore_index=True), strata)
