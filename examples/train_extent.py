"""Train the networks that tell how far an alteration reaches (`reid_audit/screen/extent.py`).

Run: ``python examples/train_extent.py [--heads 64] [--seed 9000] [-o extent.npz]``. Every head is synthetic and comes
four times: as it was, with the average face, and altered by two other defacers of this package; the truth is where
voxels changed by more than storing changes them. Seed and heads are fixed; some minutes on two cores. The heads of
`tests/benchmarks/bench_screen.py` come from other seeds.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from reid_audit.deface import Defacer, apply_defacer
from reid_audit.deface.reface import AverageReface, DrawnReface
from reid_audit.deface.reference import FaceBlur, FaceRemoval
from reid_audit.deface.simple import NoDefacing, ShellBlur, SkinNoise
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import Modality, Volume
from reid_audit.render import find_frontal_view
from reid_audit.screen.extent import apply_layers, coarsen, describe_around, describe_cells
from reid_audit.screen.head import in_face, lay_average_head
from reid_audit.screen.texture import measure_texture
from reid_audit.surface import extract_skin
from reid_audit.volume.change import tolerance_of

CELLS_PER_SCAN = 6_000
NAMES = ("cells", "features", "altered")
SCANS = 4
FIRST, SECOND = (48, 32), (32, 16)


def draw_defacers(number: int, rng: np.random.Generator) -> tuple[Defacer, ...]:
    """Choose what alters a head: nothing, the average face, and two other ways in turn."""
    kinds = (
        DrawnReface(people=40),
        SkinNoise(seed=number, thickest_mm=float(rng.uniform(9, 16))),
        DrawnReface(people=40),
        ShellBlur(float(rng.uniform(3, 7))),
        DrawnReface(people=40),
        FaceBlur(float(rng.uniform(1.5, 3))),
        DrawnReface(people=40),
        FaceRemoval(),
    )
    cover = SkinNoise(seed=number + 500, thickest_mm=float(rng.uniform(9, 16)))
    further = (cover, ShellBlur(float(rng.uniform(3, 7))), cover, FaceBlur(float(rng.uniform(1.5, 3))))
    return NoDefacing(), AverageReface(), kinds[number // 2 % len(kinds)], further[number // 2 % len(further)]


def draw_head(number: int, seed: int) -> tuple[Volume, np.ndarray]:
    """Make a head as a scanner may give it, and its label map (i, j, k)."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng((seed, number))
    modality = Modality.CT if number % 2 else Modality.MR
    made = make_phantom(
        number,
        seed=seed,
        modality=modality,
        contrast=str(rng.choice(["T1", "T1", "T2", "FLAIR"])),
        spacing_mm=float(rng.choice([1.8, 2.1, 2.4])),
        pose_sd_deg=float(rng.choice([3.0, 8.0])),
        oblique_deg=float(rng.choice([0.0, rng.uniform(-15, 15)])),
        couch=modality is Modality.CT and bool(rng.random() < 0.3),
    )
    volume, labels = made.volume, made.labels
    values, matrix = volume.intensity, volume.voxel_to_ras_mm.copy()
    if rng.random() < 0.3:  # the field of view ends below the crown, or above the neck
        cut = round(25 / volume.spacing_mm[2])
        low, high = ((0, cut), (cut // 2, 0))[int(rng.random() < 0.5)]
        part = slice(low, labels.shape[2] - high)
        values, labels = values[:, :, part], labels[:, :, part]
        matrix[:3, 3] = (matrix @ [0, 0, low, 1])[:3]
    sd = 25.0 if volume.is_hu else 0.05 * float(np.percentile(values, 99))
    kind = rng.random()
    if kind < 0.15:  # more noise
        values = values + rng.normal(0, sd, values.shape)
    elif kind < 0.4:  # more noise at one side, as from parallel imaging or beam hardening
        at = [np.linspace(-1, 1, n) for n in values.shape]
        slope = rng.normal(size=3)
        slope /= np.linalg.norm(slope)
        field = sum(a * s for a, s in zip(np.meshgrid(*at, indexing="ij", sparse=True), slope, strict=True))
        values = values + rng.normal(0, sd, values.shape) * np.clip(0.5 + 0.7 * field, 0, None)
    elif kind < 0.55:  # smoothed by the reconstruction
        values = gaussian_filter(values, float(rng.uniform(0.3, 0.7)))
    values = np.clip(np.rint(values), -1024, None) if volume.is_hu else np.abs(values)
    if rng.random() < 0.15:  # no noise in air, as a reconstruction or a bias correction leaves it
        values = np.where(labels > 0, values, -1024.0 if volume.is_hu else 0.0)
    return replace(volume, intensity=np.asfortranarray(values, np.float32), voxel_to_ras_mm=matrix), labels


def list_cells(number: int, seed: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Describe the cells of one head's scans: cells (i, j, k), their features, and whether each was altered."""
    from scipy.ndimage import uniform_filter

    volume, labels = draw_head(number, seed)
    scans = []
    for defacer in draw_defacers(number, np.random.default_rng((seed, number, 2))):
        defaced = apply_defacer(defacer, volume, labels, dict(LABELS)).volume
        changed = np.abs(defaced.intensity - volume.intensity) > tolerance_of(volume)
        truth = uniform_filter(changed.astype(np.float32), 3) > 0.5
        skin = extract_skin(defaced)
        laid = lay_average_head(skin, find_frontal_view(skin))
        texture = measure_texture(defaced, skin.level, ~in_face(defaced, laid))
        cells, features = describe_cells(defaced, texture, laid)
        scans.append((cells, features.astype(np.float16), coarsen(truth, defaced)[cells]))
    return scans


def fit(features: np.ndarray, altered: np.ndarray, layers: tuple[int, ...], seed: int) -> list[tuple]:
    """Return weights and bias of each layer of a trained network, for features as they are."""
    from sklearn.neural_network import MLPClassifier

    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    network = MLPClassifier(layers, batch_size=2000, max_iter=25, alpha=1e-3, random_state=seed)
    network.fit((features - middle) / spread, altered)
    print(f"{len(altered)} cells, loss {network.loss_:.4f}", file=sys.stderr)
    weights, biases = list(network.coefs_), list(network.intercepts_)
    biases[0] = biases[0] - (middle / spread) @ weights[0]
    weights[0] = weights[0] / spread[:, None]
    return [(w.astype(np.float32), b.astype(np.float32)) for w, b in zip(weights, biases, strict=True)]


def main() -> None:
    """Train and write the layers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", type=int, default=64)
    parser.add_argument("--seed", type=int, default=9000)
    parser.add_argument("--cells", type=Path, help="keep the cells of each head here, so that a stopped run continues")
    parser.add_argument("-o", "--output", type=Path, default=Path("extent.npz"))
    arguments = parser.parse_args()
    scans = []
    for number in range(arguments.heads):
        kept = None if arguments.cells is None else arguments.cells / f"{arguments.seed}-{number}.npz"
        if kept is not None and kept.exists():
            with np.load(kept) as arrays:
                scans += [tuple(arrays[f"{n}_{name}"] for name in NAMES) for n in range(SCANS)]
            continue
        try:
            made = list_cells(number, arguments.seed)
        except Exception as error:  # noqa: BLE001 - a defacer that cannot do a head leaves no cells
            print(f"head {number}: {error}", file=sys.stderr)
            continue
        scans += made
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(
                kept, **{f"{n}_{name}": a for n, scan in enumerate(made) for name, a in zip(NAMES, scan, strict=True)}
            )
        print(f"heads: {number + 1} of {arguments.heads}", file=sys.stderr)
    rng = np.random.default_rng(arguments.seed)
    chosen = [rng.permutation(len(altered))[:CELLS_PER_SCAN] for _, _, altered in scans]
    truth = np.concatenate([altered[some] for (_, _, altered), some in zip(scans, chosen, strict=True)])
    features = np.concatenate([np.float32(values[some]) for (_, values, _), some in zip(scans, chosen, strict=True)])
    first = fit(features, truth, FIRST, arguments.seed)
    around = [
        describe_around(cells, np.float32(values), apply_layers(first, np.float32(values)))[some]
        for (cells, values, _), some in zip(scans, chosen, strict=True)
    ]
    second = fit(np.concatenate(around), truth, SECOND, arguments.seed)
    layers = {
        f"{name}_{kind}_{n}": array
        for name, network in (("first", first), ("second", second))
        for n, layer in enumerate(network)
        for kind, array in zip(("weight", "bias"), layer, strict=True)
    }
    np.savez(arguments.output, **layers)
    print(arguments.output)


if __name__ == "__main__":
    main()
