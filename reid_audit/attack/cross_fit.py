"""A linear correction of the vectors of defaced scans towards those of originals, learned on other people.

Words
-----
centred
    Less the mean over all scans of a side: what a defacer adds to everybody's vector. No knowledge of who is who.
correction
    Ridge regression of what a centred defaced vector lacks of the original's on all looks at the defaced scan. What
    cannot be learned is shrunk away, and the vector stays as it was.
whitening
    Directions in which two visits of one training person differ count less.
left out
    A probe of fold a and a reference of fold b are compared by a correction that was learned without both folds; where
    both are of one fold, without the next fold as well, so that mated and non-mated comparisons come from corrections
    by equally many people, none of whom takes part in the comparison.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
REPEATS = 4
RIDGE = 0.5
"""Times the mean square of the centred training looks: how strongly the correction is shrunk."""

Vectors = NDArray[np.float64]
Codes = NDArray[np.intp]


class Sides(NamedTuple):
    """Vectors and whose they are.

    Attributes
    ----------
    vectors : (n, d) float64
    people : (n,) int
        Codes of subjects, shared by both sides.
    """

    vectors: Vectors
    people: Codes


def learn_distances(
    probes: Sides,
    looks: Vectors,
    targets: Vectors,
    references: Sides,
    *,
    rng: np.random.Generator,
    folds: int = FOLDS,
    repeats: int = REPEATS,
) -> Vectors:
    """Return the distance of every corrected probe from every reference, the mean over several partitions into folds.

    Parameters
    ----------
    probes, references : Sides
        Vectors of equally many numbers.
    looks : (n, d) float64
        What each probe's correction is told from: its vector by every attacker, one after the other.
    targets : (n, k) float64
        What each probe's vector is to become: an original of the same person; NaN where there is none to learn from.
    rng : numpy.random.Generator
    folds : int
        At least 3.
    repeats : int

    Returns
    -------
    (n, m) float64
        Cosine distances in [0, 2].
    """
    centre = references.vectors.mean(axis=0)
    looks, targets = looks - looks.mean(axis=0), targets - centre
    vectors, originals = probes.vectors - probes.vectors.mean(axis=0), references.vectors - centre
    people = np.unique(np.concatenate([probes.people, references.people]))
    known = np.isfinite(targets).all(axis=1)
    total = np.zeros((len(probes.people), len(references.people)))
    for _ in range(repeats):
        fold_of = dict(zip(rng.permutation(people).tolist(), (np.arange(len(people)) % folds).tolist(), strict=True))
        probe_fold, reference_fold = (np.array([fold_of[int(code)] for code in s.people]) for s in (probes, references))
        for a, b in combinations(range(folds), 2):
            learners = ~np.isin(probe_fold, (a, b)) & known
            others = ~np.isin(reference_fold, (a, b))
            model = _fit(
                looks[learners],
                targets[learners] - vectors[learners],
                Sides(originals[others], references.people[others]),
            )
            within = [(fold, fold) for fold, next_fold in ((a, b), (b, a)) if next_fold == (fold + 1) % folds]
            for of_probe, of_reference in ((a, b), (b, a), *within):
                rows, columns = np.nonzero(probe_fold == of_probe)[0], np.nonzero(reference_fold == of_reference)[0]
                total[np.ix_(rows, columns)] += model.compare(looks[rows], vectors[rows], originals[columns])
    return np.asarray(total / repeats)


class _Model(NamedTuple):
    """What was learned: the correction, and the whitening."""

    correction: Vectors
    directions: Vectors
    shrinkage: Vectors

    def compare(self, looks: Vectors, probes: Vectors, references: Vectors) -> Vectors:
        p, r = (_unit(self._whiten(side)) for side in (probes + looks @ self.correction, references))
        return np.asarray(np.clip(1.0 - p @ r.T, 0.0, 2.0))

    def _whiten(self, vectors: Vectors) -> Vectors:
        return np.asarray(vectors - (vectors @ self.directions.T) * self.shrinkage @ self.directions)


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))


def _fit(looks: Vectors, lacking: Vectors, originals: Sides) -> _Model:
    """Learn from scans that lack so much; nothing is corrected where there is none to learn from."""
    scans, numbers = looks.shape
    ridge = RIDGE * float((looks**2).sum()) / max(scans, 1) + np.finfo(float).tiny
    if scans < numbers:  # the same correction by the smaller of two systems
        correction = looks.T @ np.linalg.solve(looks @ looks.T + ridge * np.eye(scans), lacking)
    else:
        correction = np.linalg.solve(looks.T @ looks + ridge * np.eye(numbers), looks.T @ lacking)
    return _Model(correction, *_find_whitening(originals))


def _find_whitening(originals: Sides) -> tuple[Vectors, Vectors]:
    """Return directions in which visits of one person differ, and how much of them is taken away, 0 to 1.

    The scatter within people is shrunk half way to the mean of its variances over all dimensions.
    """
    _, person = np.unique(originals.people, return_inverse=True)
    count = np.bincount(person)
    sums = np.zeros((len(count), originals.vectors.shape[1]))
    np.add.at(sums, person, originals.vectors)
    within = (originals.vectors - (sums / count[:, None])[person])[count[person] > 1]
    free = len(within) - int((count > 1).sum())
    if free < 1:
        return np.zeros((0, originals.vectors.shape[1])), np.zeros(0)
    _, size, directions = np.linalg.svd(within, full_matrices=False)
    variance = size**2 / free
    floor = variance.sum() / within.shape[1] + np.finfo(float).tiny
    return directions, 1.0 - np.sqrt(floor / (variance + floor))
