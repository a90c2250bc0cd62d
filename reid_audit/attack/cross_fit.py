"""A linear map from the vectors of defaced scans to those of originals, learned on other people.

Words
-----
map
    Ridge regression of original on defaced vectors, both less the means of the training people. What a defacer does to
    everybody's vector in the same way is undone, what it made of chance is shrunk away.
whitening
    Directions in which two visits of one training person differ count less.
left out
    A probe of fold a and a reference of fold b are compared by a map that was learned without both folds; where both
    are of one fold, without the next fold as well, so that mated and non-mated comparisons come from maps of equally
    many people, none of whom takes part in the comparison.
"""

from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
REPEATS = 4
RIDGE = 0.3
"""Times the mean square of the centred training vectors: how strongly the map is shrunk."""

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
    targets: Vectors,
    references: Sides,
    *,
    rng: np.random.Generator,
    folds: int = FOLDS,
    repeats: int = REPEATS,
) -> Vectors:
    """Return the distance of every mapped probe from every reference, the mean over several partitions into folds.

    Parameters
    ----------
    probes, references : Sides
    targets : (n, k) float64
        What each probe is to be mapped to: an original of the same person; NaN where there is none to learn from.
    rng : numpy.random.Generator
    folds : int
        At least 3.
    repeats : int

    Returns
    -------
    (n, m) float64
        Cosine distances in [0, 2].
    """
    people = np.unique(np.concatenate([probes.people, references.people]))
    total = np.zeros((len(probes.people), len(references.people)))
    for _ in range(repeats):
        fold_of = dict(zip(rng.permutation(people).tolist(), (np.arange(len(people)) % folds).tolist(), strict=True))
        probe_fold, reference_fold = (np.array([fold_of[int(code)] for code in s.people]) for s in (probes, references))
        for a, b in combinations_with_replacement(range(folds), 2):
            out = [a, (a + 1) % folds if a == b else b]
            learners = ~np.isin(probe_fold, out) & np.isfinite(targets).all(axis=1)
            others = ~np.isin(reference_fold, out)
            model = _fit(
                probes.vectors[learners],
                targets[learners],
                Sides(references.vectors[others], references.people[others]),
            )
            for of_probe, of_reference in {(a, b), (b, a)}:
                rows, columns = np.nonzero(probe_fold == of_probe)[0], np.nonzero(reference_fold == of_reference)[0]
                total[np.ix_(rows, columns)] += model.compare(probes.vectors[rows], references.vectors[columns])
    return np.asarray(total / repeats)


class _Model(NamedTuple):
    """What was learned: means of both sides, the map, and the whitening."""

    probe_mean: Vectors
    target_mean: Vectors
    matrix: Vectors
    directions: Vectors
    shrinkage: Vectors

    def compare(self, probes: Vectors, references: Vectors) -> Vectors:
        mapped = (probes - self.probe_mean) @ self.matrix
        p, r = (_unit(self._whiten(side)) for side in (mapped, references - self.target_mean))
        return np.asarray(np.clip(1.0 - p @ r.T, 0.0, 2.0))

    def _whiten(self, vectors: Vectors) -> Vectors:
        return np.asarray(vectors - (vectors @ self.directions.T) * self.shrinkage @ self.directions)


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))


def _fit(vectors: Vectors, targets: Vectors, originals: Sides) -> _Model:
    probe_mean, target_mean = vectors.mean(axis=0), targets.mean(axis=0)
    x, y = vectors - probe_mean, targets - target_mean
    people, numbers = x.shape
    ridge = RIDGE * float((x**2).sum()) / people + np.finfo(float).tiny
    if people < numbers:  # the same map by the smaller of two systems
        matrix = x.T @ np.linalg.solve(x @ x.T + ridge * np.eye(people), y)
    else:
        matrix = np.linalg.solve(x.T @ x + ridge * np.eye(numbers), x.T @ y)
    return _Model(probe_mean, target_mean, matrix, *_find_whitening(originals))


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
