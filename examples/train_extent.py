"""Train the network that tells how far an alteration reaches (`reid_audit/screen/extent.py`).

Run: ``python examples/train_extent.py [--heads 46] [--seed 9000] [-o extent.npz]``. Every head is synthetic and altered
by a defacer of this package; the truth is where voxels changed by more than storing changes them. Seed and heads are
fixed; some minutes on two cores. The heads of `tests/benchmarks/bench_screen.py` come from other seeds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from reid_audit.deface import Defacer, apply_defacer
from reid_audit.deface.reface import AverageReface, DrawnReface
from reid_audit.deface.reference import FaceBlur, FaceRemoval
from reid_audit.deface.simple import ShellBlur, SkinNoise
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import Modality, Volume
from reid_audit.render import find_frontal_view
from reid_audit.screen.extent import coarsen, describe_cells
from reid_audit.screen.head import in_face, lay_average_head
from reid_audit.screen.texture import measure_texture
from reid_audit.surface import extract_skin
from reid_audit.volume.change import tolerance_of

CELLS_PER_HEAD = 12_000
LAYERS = (48, 32)


def draw_defacer(number: int, rng: np.random.Generator) -> Defacer:
    """Choose what alters a head: faces are replaced, blurred and covered in turn, and now and then removed."""
    kinds = (
        AverageReface(),
        DrawnReface(people=40),
        ShellBlur(float(rng.uniform(3, 7))),
        AverageReface(),
        SkinNoise(seed=number, thickest_mm=float(rng.uniform(9, 16))),
        DrawnReface(people=40),
        AverageReface(),
        FaceBlur(float(rng.uniform(1.5, 3))),
        DrawnReface(people=40),
        FaceRemoval(),
    )
    return kinds[number // 2 % len(kinds)]


def draw_head(number: int, seed: int) -> tuple[Volume, np.ndarray, Volume]:
    """Make a head: as it was, where it was altered (i, j, k), and as it was released."""
    from scipy.ndimage import uniform_filter

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
    if rng.random() < 0.15:  # more noise
        sd = 25.0 if volume.is_hu else 0.05 * float(np.percentile(volume.intensity, 99))
        noisy = volume.intensity + rng.normal(0, sd, labels.shape).astype(np.float32)
        noisy = np.clip(np.rint(noisy), -1024, None) if volume.is_hu else np.abs(noisy)
        volume = Volume(np.float32(noisy), volume.voxel_to_ras_mm, volume.modality)
    if rng.random() < 0.15:  # no noise in air, as a reconstruction or a bias correction leaves it
        empty = np.where(labels > 0, volume.intensity, -1024.0 if volume.is_hu else 0.0)
        volume = Volume(np.float32(empty), volume.voxel_to_ras_mm, volume.modality)
    defaced = apply_defacer(draw_defacer(number, rng), volume, labels, dict(LABELS)).volume
    changed = np.abs(defaced.intensity - volume.intensity) > tolerance_of(volume)
    return volume, np.asarray(uniform_filter(changed.astype(np.float32), 3) > 0.5), defaced


def list_cells(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Describe cells of one head, and say which were altered."""
    _, truth, defaced = draw_head(number, seed)
    skin = extract_skin(defaced)
    laid = lay_average_head(skin, find_frontal_view(skin))
    texture = measure_texture(defaced, skin.level, ~in_face(defaced, laid))
    cells, features = describe_cells(defaced, texture, laid)
    altered = coarsen(truth, defaced)[cells]
    chosen = np.random.default_rng((seed, number, 1)).permutation(len(altered))[:CELLS_PER_HEAD]
    return features[chosen], altered[chosen]


def main() -> None:
    """Train and write the layers."""
    from sklearn.neural_network import MLPClassifier

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", type=int, default=46)
    parser.add_argument("--seed", type=int, default=9000)
    parser.add_argument("--cells", type=Path, help="keep the cells of each head here, so that a stopped run continues")
    parser.add_argument("-o", "--output", type=Path, default=Path("extent.npz"))
    arguments = parser.parse_args()
    heads = []
    for number in range(arguments.heads):
        kept = None if arguments.cells is None else arguments.cells / f"{arguments.seed}-{number}.npz"
        if kept is not None and kept.exists():
            with np.load(kept) as arrays:
                heads.append((arrays["features"], arrays["altered"]))
            continue
        heads.append(list_cells(number, arguments.seed))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, features=heads[-1][0], altered=heads[-1][1])
        print(f"heads: {number + 1} of {arguments.heads}", file=sys.stderr)
    features, altered = (np.concatenate(part) for part in zip(*heads, strict=True))
    network = MLPClassifier(LAYERS, batch_size=2000, max_iter=25, alpha=1e-3, random_state=arguments.seed)
    network.fit(features, altered)
    layers = {f"weight_{n}": weight.astype(np.float32) for n, weight in enumerate(network.coefs_)}
    layers |= {f"bias_{n}": bias.astype(np.float32) for n, bias in enumerate(network.intercepts_)}
    np.savez(arguments.output, **layers)
    print(f"{len(altered)} cells, loss {network.loss_:.4f}: {arguments.output}")


if __name__ == "__main__":
    main()
