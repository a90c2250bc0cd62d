"""Train a network that draws a face to fit the rest of a head, and measure it as a refacer beside the shipped ones.

    python examples/train_reface.py --train -o reface.npz
    python examples/train_reface.py --measure reface.npz --people 20

In kind what Molchanova 2023 does: the face is drawn from what is kept of the head. The network sees how deep the kept
part of a head lies below its skin, on a grid of 8 mm, and tells by how much the face differs from the average face, on
a grid of 4 mm; this residual bends the face that `AverageReface` lays on. Heads are synthetic and typical, those that
are measured of another seed. docs/defacers.md has the outcome: it is no better, and no weights are shipped.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from reid_audit import ScanRef, Settings, audit, local_executor
from reid_audit.dataset import read_manifest, write_manifest
from reid_audit.deface import Defacer, apply_defacer
from reid_audit.deface.frame import FaceFrame, depth_mm, find_face_frame
from reid_audit.deface.reface import AverageReface, Donor, DrawnReface, average_donor, draw_identity, lay_face
from reid_audit.deface.reference import brain_of
from reid_audit.deface.simple import face_share
from reid_audit.phantom import LABELS, make_average_head, make_phantom
from reid_audit.records import ORIGINAL, Modality, Volume
from reid_audit.surface import SurfaceSettings, extract_skin
from reid_audit.volume import write_volume

TRAIN_SEED, MEASURE_SEED = 9100, 31
FACE_LOW_MM, FACE_HIGH_MM, FACE_STEP_MM = (-72.0, 34.0, -134.0), (72.0, 146.0, 36.0), 4.0
HEAD_LOW_MM, HEAD_HIGH_MM, HEAD_STEP_MM = (-96.0, -104.0, -134.0), (96.0, 120.0, 138.0), 8.0
FAR_MM = 16.0
CODES_IN, CODES_OUT, HIDDEN = 48, 24, 32

Array = NDArray[np.float32]


def grid_of(low: Sequence[float], high: Sequence[float], step: float) -> tuple[Array, Array, Array]:
    """Return x, y, z of a grid in the head frame, to be broadcast against each other."""
    axes = (np.arange(a, b + 0.1, step, dtype=np.float32) for a, b in zip(low, high, strict=True))
    return tuple(np.meshgrid(*axes, indexing="ij", sparse=True))


@lru_cache(maxsize=1)
def average_depth() -> Array:
    """Return the depth of the average head on the grid of the face, as it is measured on a scan."""
    head = make_average_head()
    to_voxel = np.linalg.inv(head.voxel_to_head_mm)
    grid = np.broadcast_arrays(*grid_of(FACE_LOW_MM, FACE_HIGH_MM, FACE_STEP_MM))
    index = [to_voxel[a, a] * grid[a] + to_voxel[a, 3] for a in range(3)]
    return map_coordinates(head.skin_mm, index, order=1, mode="nearest")


def find_kept_frame(volume: Volume) -> FaceFrame:
    """Lay the average head on what is kept of a head: nothing of its face takes part, and so none of it is told."""
    skin = extract_skin(volume, settings=SurfaceSettings(voxel_mm=2.4, smoothing_mm=1.5))
    frame = find_face_frame(volume, skin=skin)
    m = frame.ras_to_head_mm.astype(np.float32)
    at = skin.vertices_ras_mm @ m[:3, :3].T + m[:3, 3]
    kept = face_share(*at.T) == 0
    return find_face_frame(volume, skin=replace(skin, vertices_ras_mm=skin.vertices_ras_mm[kept]))


def describe_head(volume: Volume, frame: FaceFrame) -> tuple[Array, Array]:
    """Return what is kept of a head (depths without the face), and the depths of its face, in mm of the head frame."""
    scale = float(np.cbrt(np.linalg.det(frame.ras_to_head_mm[:3, :3])))
    depth = depth_mm(volume.intensity, volume.spacing_mm, frame.level) * scale
    head_to_voxel = np.linalg.inv(frame.ras_to_head_mm @ volume.voxel_to_ras_mm)

    def sample(grid: tuple[Array, ...]) -> Array:
        index = [sum(head_to_voxel[a, b] * grid[b] for b in range(3)) + head_to_voxel[a, 3] for a in range(3)]
        return map_coordinates(depth, np.broadcast_arrays(*index), order=1, mode="nearest")

    head = grid_of(HEAD_LOW_MM, HEAD_HIGH_MM, HEAD_STEP_MM)
    # The face's own depths reach out of it: what is nearer to it than depths are told says nothing either.
    away = distance_transform_edt(face_share(*head) == 0, sampling=HEAD_STEP_MM)
    kept = np.clip(sample(head), -FAR_MM, FAR_MM) * (away > FAR_MM)
    return kept.astype(np.float32), sample(grid_of(FACE_LOW_MM, FACE_HIGH_MM, FACE_STEP_MM))


@dataclass(frozen=True, eq=False)
class Network:
    """From the kept part of a head to a face: codes in, a hidden layer, codes out; all arrays by their name."""

    arrays: Mapping[str, Array]

    def draw(self, kept: Array, chance: Array | None) -> Array:
        """Return depth minus the average head's on the grid of the face, mm: negative where the face stands out more.

        `chance` are standard normal numbers, one for each code of the face: None draws the likeliest face.
        """
        a = self.arrays
        codes = (kept.ravel() - a["kept_mean"]) @ a["kept_codes"].T.astype(np.float32) / a["kept_sd"]
        values = np.tanh(codes @ a["weight_0"] + a["bias_0"]) @ a["weight_1"] + a["bias_1"]
        values = values * a["face_sd"]
        if chance is not None:
            values = values + a["spread"] @ chance
        shape = average_depth().shape
        return (a["face_mean"] + values @ a["face_codes"].astype(np.float32)).reshape(shape).astype(np.float32)


def describe_heads(heads: int, seed: int) -> tuple[Array, Array]:
    """Make heads; return what is kept of them, and how their faces differ from the average one, a row each."""
    kept, faces = [], []
    for number in range(heads):
        volume = make_phantom(
            number,
            seed=seed,
            modality=Modality.CT if number % 2 else Modality.MR,
            spacing_mm=2.0,
            difficulty="typical",
        ).volume
        rest, face = describe_head(volume, find_kept_frame(volume))
        kept.append(rest.ravel())
        faces.append(np.clip(face - average_depth(), -FAR_MM, FAR_MM).ravel())
        if number % 50 == 49:
            print(f"heads: {number + 1} of {heads}", flush=True)
    return np.stack(kept), np.stack(faces)


def train(described: tuple[Array, Array], seed: int) -> Network:
    """Fit the network to faces; a fifth of the heads is held out and says how well, and how far faces spread."""
    from sklearn.decomposition import PCA
    from sklearn.neural_network import MLPRegressor

    x, y = described
    learn = len(x) * 4 // 5
    near = np.abs(average_depth()).ravel() < 8
    see, tell = PCA(CODES_IN, random_state=0).fit(x[:learn]), PCA(CODES_OUT, random_state=0).fit(y[:learn])
    see_sd, tell_sd = (np.sqrt(part.explained_variance_) for part in (see, tell))
    codes, wanted = see.transform(x) / see_sd, tell.transform(y) / tell_sd
    fit = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,), activation="tanh", solver="lbfgs", alpha=10.0, max_iter=1500, random_state=seed
    )
    # Codes count as much as they move the face.
    fit.fit(codes[:learn], wanted[:learn] * tell_sd / tell_sd[0])
    predicted = fit.predict(codes) * tell_sd[0]
    left = y - tell.inverse_transform(predicted)
    for name, rows in (("learned", slice(0, learn)), ("held out", slice(learn, None))):
        before, after = (float(np.sqrt(np.mean(part[rows][:, near] ** 2))) for part in (y, left))
        mean = float(np.sqrt(np.mean((y[rows] - tell.mean_)[:, near] ** 2)))
        print(f"{name}: skin off by {before:.2f} mm (average face), {mean:.2f} mm (mean), {after:.2f} mm (network)")
    spread = np.linalg.cholesky(np.cov((wanted * tell_sd - predicted)[learn:].T) + 1e-6 * np.eye(CODES_OUT))
    arrays = {
        "kept_mean": see.mean_,
        "kept_codes": see.components_.astype(np.float16),
        "kept_sd": see_sd,
        "face_mean": tell.mean_,
        "face_codes": tell.components_.astype(np.float16),
        "face_sd": np.float32(tell_sd[0]),
        "spread": spread,
    }
    arrays |= {f"weight_{n}": weight for n, weight in enumerate(fit.coefs_)}
    arrays |= {f"bias_{n}": bias for n, bias in enumerate(fit.intercepts_)}
    return Network({k: v if v.dtype == np.float16 else np.asarray(v, np.float32) for k, v in arrays.items()})


@dataclass(frozen=True, slots=True)
class LearnedReface:
    """The average face, bent by the network to fit what is kept of the head, replaces the scan's own.

    Parameters
    ----------
    network : Network or None
        None: the average face is laid on as it is, by what is kept of the head alone.
    drawn : bool
        Whether a face is drawn from those that fit the head, another one for each scan, or the likeliest is taken.
    """

    network: Network | None
    drawn: bool = False
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Label of the condition."""
        if self.network is None:
            return "kept-frame"
        return "learned-drawn" if self.drawn else "learned-reface"

    @property
    def description(self) -> str:
        """What is removed and what is kept."""
        return "replaces the face from chin to brow by one that fits the rest of the head; keeps ears, crown and brain"

    def deface(self, volume: Volume, labels: NDArray, label_values: Mapping[str, int]) -> Volume:
        """Return the volume with the drawn face. See `reid_audit.deface.apply_defacer`."""
        frame = find_kept_frame(volume)
        donor = average_donor(volume.modality)
        if self.network is not None:
            chance = None
            if self.drawn:
                chance = np.random.default_rng(draw_identity(volume, 2**32)).standard_normal(CODES_OUT)
            donor = bend(donor, self.network.draw(describe_head(volume, frame)[0], chance))
        return lay_face(volume, donor, brain_of(labels, label_values), frame=frame)


def bend(donor: Donor, residual_mm: Array) -> Donor:
    """Move the skin of a donor by a residual of its depth, and what lies below it along."""
    x, y, z = (np.arange(n, dtype=np.float32) for n in donor.depth_mm.shape)
    m = np.linalg.inv(donor.head_to_voxel)
    step = m[0, 0]
    at = np.meshgrid(*(m[a, a] * axis + m[a, 3] for a, axis in enumerate((x, y, z))), indexing="ij", sparse=True)
    index = [(axis - low) / FACE_STEP_MM for axis, low in zip(at, FACE_LOW_MM, strict=True)]
    residual = map_coordinates(residual_mm, np.broadcast_arrays(*index), order=1, mode="nearest")
    residual = gaussian_filter(residual, 2.0 / step)
    inward = np.stack(np.gradient(gaussian_filter(donor.depth_mm, 3.0 / step)))
    inward /= np.maximum(np.linalg.norm(inward, axis=0), 1e-3)
    moved = [axis + inward[a] * residual / step for a, axis in enumerate(np.ogrid[tuple(map(slice, residual.shape))])]
    intensity = map_coordinates(donor.intensity, moved, order=1, mode="nearest")
    return Donor(intensity, donor.depth_mm + residual, donor.head_to_voxel)


def measure(network: Network, people: int, modality: Modality, folder: Path) -> None:
    """Deface people the network never saw, audit them, and print a row per defacer."""
    defacers: list[Defacer] = [
        AverageReface(),
        DrawnReface(),
        LearnedReface(None),
        LearnedReface(network),
        LearnedReface(network, drawn=True),
    ]
    scans, costs = [], {defacer.name: [] for defacer in defacers}
    for person in range(people):
        for visit in (1, 2):
            phantom = make_phantom(
                person, visit, seed=MEASURE_SEED, modality=modality, spacing_mm=1.5, difficulty="typical"
            )
            volumes = {ORIGINAL: phantom.volume}
            brain = np.isin(phantom.labels, [LABELS["brain"], LABELS["brainstem"]])
            for defacer in defacers if visit == 1 else ():
                began = time.process_time()
                done = apply_defacer(defacer, phantom.volume)  # nobody says where the brain is
                seconds = time.process_time() - began
                changed = done.changed[brain].mean()
                costs[defacer.name].append((changed, *change_volumes(phantom.volume, done.volume), seconds))
                volumes[defacer.name] = done.volume
            for name, volume in volumes.items():
                path = folder / f"p{person:02d}_{visit}_{name}.nii"
                write_volume(volume, path)
                scans.append(ScanRef(f"p{person:02d}", str(visit), name, path, modality))
    write_manifest(folder / "manifest.csv", scans)
    with local_executor(1) as pool:
        result = audit(
            read_manifest(folder / "manifest.csv"),
            settings=Settings(encoders=("dlib",)),
            attacks=["naive", "registered", "shape"],
            draws=500,
            canaries=12,
            executor=pool,
        )
    names = ("brain voxels changed", "head volume", "bone or bright volume", "seconds of CPU")
    attacks = ("naive", "registered", "shape")
    print("| defacer | " + " | ".join(f"AUC over all pairs, {a}" for a in attacks), end="")
    print(" | " + " | ".join(names) + " |\n|" + "---|" * 8)
    for defacer in defacers:
        cells = []
        for attack in attacks:
            auc = result.evidence.attack(defacer.name, attack).linkability
            cells.append(f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})")
        brain, head, bright, seconds = np.asarray(costs[defacer.name]).T
        cells += [f"{brain.mean():.3%}, at most {brain.max():.3%}"]
        cells += [f"{part.mean():+.2%} (SD {part.std(ddof=1):.2%})" for part in (head, bright)]
        print(f"| {defacer.name} | " + " | ".join([*cells, f"{np.median(seconds):.2f}"]) + " |")
    print(result.rates[["condition", "attack", "tmr", "rank1", "linkability"]].round(3).to_string())
    tests = result.compare().tests_table
    tests = tests[tests["compared"].str.contains("average-reface")]
    print(tests[["name", "compared", "attack", "n", "p", "p_adjusted"]].round(4).to_string())


def change_volumes(before: Volume, after: Volume) -> tuple[float, float]:
    """Return by how much the volumes of the head and of its bright voxels (bone in CT, fat in MR) changed, 1 = all."""
    level = -300.0 if before.is_hu else 0.2 * float(np.percentile(before.intensity, 95))
    bright = 300.0 if before.is_hu else float(np.percentile(before.intensity, 95))
    return tuple(
        float((after.intensity > bound).sum() / (before.intensity > bound).sum() - 1) for bound in (level, bright)
    )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--heads", type=int, default=500)
    parser.add_argument("--cells", type=Path, help="keep what is learned from here, so that it is made once")
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--modality", type=Modality, default=Modality.CT)
    parser.add_argument("-o", "--output", type=Path, default=Path("reface.npz"))
    given = parser.parse_args()
    if given.train:
        if given.cells and given.cells.exists():
            with np.load(given.cells) as arrays:
                described = arrays["kept"], arrays["faces"]
        else:
            described = describe_heads(given.heads, TRAIN_SEED)
            if given.cells:
                np.savez(given.cells, kept=described[0], faces=described[1])
        np.savez_compressed(given.output, **train(described, TRAIN_SEED).arrays)
        print(f"{given.output}: {given.output.stat().st_size / 1e6:.1f} MB")
    if given.measure:
        with np.load(given.measure) as arrays, tempfile.TemporaryDirectory() as folder:
            measure(Network(dict(arrays)), given.people, given.modality, Path(folder))


if __name__ == "__main__":
    main()
