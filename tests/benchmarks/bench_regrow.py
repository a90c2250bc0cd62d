"""Whether a missing face can be grown again from what is left: mm to the true surface, and who is found by it.

Run: ``python tests/benchmarks/bench_regrow.py --people 24 --folder heads``; the folder of `bench_attackers.py` serves.

Depth maps of the face region, each head in its own pose; the head to be regrown takes no part in what is learned. What
differs from a robust fit by 4 mm counts as altered. Ways to fill it: the average of the others (as `fillin` does), and
the conditional mean of a PCA of the others' originals with few or more components. The filled map is compared as the
attacker `shape` compares; the last column compares what is left, without filling. Cells: mm, first, linkability.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_attackers import acquire, write_heads
from numpy.typing import NDArray
from scipy import ndimage

from reid_audit.attack import Shape, choose_attacks
from reid_audit.attack.depth_maps import CELL_MM, compare_depth_maps
from reid_audit.records import ORIGINAL

Array = NDArray[np.float64]
COMPONENTS = (0, 4, 8)  # 0 = the average
ALTERED_MM = 4.0
NOISE_MM2 = 10.0  # neighbouring cells err together: a tenth of them count
POSE_SD = np.array([20.0, 5.0, 5.0, 3.0, 3.0])  # mm of offset, tilts per 50 mm, shifts
ROUNDS, WIDEST_MM, NARROWING = 15, 12.0, 0.8
REGION = Shape().region


class Model(NamedTuple):
    """Mean, nuisance of the pose and components of the face region's cells, and the spread of each coefficient."""

    mean: Array
    columns: Array
    variance: Array


def learn(maps: Array, components: int) -> Model:
    """Learn from whole maps, (n, h, w)."""
    cells = maps[:, REGION]
    mean = np.nanmean(cells, axis=0)
    rest = np.where(np.isfinite(cells), cells, mean) - mean
    image = np.full(REGION.shape, mean.mean())
    image[REGION] = mean
    up, left = (slope[REGION] for slope in np.gradient(image, CELL_MM))
    y, x = (axis[REGION] * CELL_MM / 50 for axis in np.indices(REGION.shape))
    pose = np.stack([np.ones_like(mean), x - x.mean(), y - y.mean(), left, up], axis=1)
    orthogonal = np.linalg.qr(pose)[0]
    rest -= rest @ orthogonal @ orthogonal.T
    _, scale, axes = np.linalg.svd(rest, full_matrices=False)
    variance = np.concatenate([POSE_SD**2, scale[:components] ** 2 / len(cells)])
    return Model(mean, np.concatenate([pose, axes[:components].T], axis=1), variance)


def fit(cells: Array, model: Model) -> Array:
    """Return the conditional mean of all cells given those that agree with it; NaN = not there."""
    known = np.isfinite(cells)
    weight, rest = known.astype(float), np.where(known, cells - model.mean, 0.0)
    for n in range(ROUNDS):
        weighted = model.columns * weight[:, None]
        normal = weighted.T @ model.columns / NOISE_MM2 + np.diag(1 / model.variance)
        fitted = model.columns @ np.linalg.solve(normal, weighted.T @ rest / NOISE_MM2)
        width = max(3.0, WIDEST_MM * NARROWING**n)
        weight = known / (1 + ((rest - fitted) / width) ** 2) ** 2
    return np.asarray(model.mean + fitted)


def find_altered(cells: Array, fitted: Array) -> NDArray[np.bool_]:
    """Tell which cells lie far from the fit, without single ones."""
    far = np.zeros(REGION.shape, bool)
    far[REGION] = ~(np.abs(cells - fitted) < ALTERED_MM)
    altered = ndimage.binary_dilation(ndimage.binary_opening(far), iterations=2)[REGION]
    return np.asarray(altered | ~np.isfinite(cells))


def miss_mm(cells: Array, true: Array, altered: NDArray[np.bool_]) -> float:
    """Mean distance to the true surface in the altered part, less the plane by which both poses differ."""
    y, x = (axis[REGION].astype(float) for axis in np.indices(REGION.shape))
    plane, differs = np.stack([np.ones_like(x), x, y], axis=1), cells - true
    kept = ~altered & np.isfinite(differs)
    differs = differs - plane @ np.linalg.lstsq(plane[kept], differs[kept], rcond=None)[0]
    return float(np.nanmean(np.abs(differs[altered])))


def measure_search(filled: Array, gallery: Array) -> tuple[int, float]:
    """Return how many are found first, and the probability that the mate is nearer than another."""
    distance = compare_depth_maps(filled.astype(np.float32), gallery.astype(np.float32), REGION, Shape.share)
    mated = np.diag(distance)[:, None]
    others = ~np.eye(len(distance), dtype=bool)
    nearer = (distance > mated) + 0.5 * (distance == mated)
    return int(((distance < mated).sum(axis=1) == 0).sum()), float(nearer[others].mean())


def main() -> None:
    """Read the command line and print a row per defacer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--defacers", nargs="+", default=["eye-plane", "face-box", "average-reface"])
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    shape = Shape()
    manifest = write_heads(given.folder, given.people, given.defacers)
    records = acquire(manifest, choose_attacks([shape.name]), canaries=0)
    maps = {
        (record.scan.condition, record.scan.subject, record.scan.session): shape.maps_of(looks)[-1].astype(float)
        for record in records
        if (looks := [face for face in record.looks.get(shape.name, ()) if face.acquired])
    }
    subjects = sorted({subject for _, subject, _ in maps})
    before, after = (np.array([maps[ORIGINAL, name, visit] for name in subjects]) for visit in ("1", "2"))
    print("| defacer | altered | average | 4 components | 8 components | not filled |\n|---|---|---|---|---|---|")
    for condition in given.defacers:
        probes = np.array([maps[condition, name, "1"] for name in subjects])
        cells, shares = [], []
        for components in COMPONENTS:
            filled, missed = probes.copy(), []
            for n, probe in enumerate(probes):
                model = learn(np.concatenate([np.delete(before, n, axis=0), np.delete(after, n, axis=0)]), components)
                altered = find_altered(probe[REGION], fit(probe[REGION], model))
                fitted = fit(np.where(altered, np.nan, probe[REGION]), model)
                filled[n][REGION] = np.where(altered, fitted, probe[REGION])
                shares.append(altered.mean())
                if altered.any() and not altered.all():
                    missed.append(miss_mm(fitted, before[n][REGION], altered))
            first, linkability = measure_search(filled, after)
            cells.append(f"{np.mean(missed):.1f}, {first}, {linkability:.3f}")
        first, linkability = measure_search(probes, after)
        cells.append(f"{first}, {linkability:.3f}")
        print(f"| {condition} | {np.mean(shares):.0%} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
