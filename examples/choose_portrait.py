"""Try lights, backgrounds, lenses and directions of the camera, and print how well faces are found and told apart.

Run: ``python examples/choose_portrait.py [--people 20] [--labels FOLDER]``. Synthetic heads are turned by up to 15
degrees; ``--labels`` adds whole-head label maps (training_seg_*.nii.gz), two simulated visits each, to the screen only.
One row is one change of the defaults. AUC: own second visit against those of others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from reid_audit.face import make_encoder
from reid_audit.match import cosine_distances
from reid_audit.phantom import make_phantom
from reid_audit.records import Modality, Skin, View, Volume
from reid_audit.render import Light, Lighting, find_frontal_view, frontal_view, make_renderer, turn_view
from reid_audit.surface import SurfaceSettings, extract_skin
from reid_audit.volume import read_labels

LATTICES_MM = (1.0, 1.6, 2.0)
"""Working lattices beside the default."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to take a portrait."""

    name: str
    lighting: Lighting = field(default_factory=Lighting)
    turn_deg: float = 0.0
    nod_deg: float = 0.0
    distance_mm: float | None = None
    faced: bool = True
    lattice_mm: float | None = None

    def view(self, skin: Skin, faced: View) -> View:
        """Move the camera; the opening follows the distance, so that the head keeps its size."""
        view = (
            turn_view(faced, azimuth_deg=self.turn_deg, elevation_deg=self.nod_deg)
            if self.faced
            else frontal_view(skin)
        )
        if self.distance_mm is None:
            return view
        half = np.tan(np.radians(view.view_angle_deg / 2)) * view.distance_mm / self.distance_mm
        return replace(view, distance_mm=self.distance_mm, view_angle_deg=float(2 * np.degrees(np.arctan(half))))


def from_above(*, elevation_deg: float, fill: float = 0.15, side_deg: float = 25.0) -> tuple[Light, ...]:
    """Two key lights and a fill light."""
    keys = tuple(Light(side, elevation_deg, 0.45) for side in (-side_deg, side_deg))
    return (*keys, Light(0.0, 0.0, fill))


CHOICES = (
    Choice("default"),
    Choice("not faced: as the head lies", faced=False),
    Choice("light: from the camera alone", Lighting(lights=(Light(0.0, 0.0, 0.9),))),
    Choice("light: one key from the left", Lighting(lights=(Light(-40.0, 30.0, 0.9), Light(0.0, 0.0, 0.15)))),
    Choice("light: keys at 20 degrees", Lighting(lights=from_above(elevation_deg=20.0))),
    Choice("light: keys at 60 degrees", Lighting(lights=from_above(elevation_deg=60.0))),
    Choice("light: more fill", Lighting(lights=from_above(elevation_deg=42.0, fill=0.35))),
    Choice("gamma 1.8", Lighting(gamma=1.8)),
    Choice("background grey", Lighting(background=128)),
    Choice("background white", Lighting(background=255)),
    Choice("distance 500 mm", distance_mm=500.0),
    Choice("distance 3000 mm", distance_mm=3000.0),
    Choice("turned by 15 degrees", turn_deg=15.0),
    Choice("turned by 30 degrees", turn_deg=30.0),
    Choice("10 degrees from above", nod_deg=10.0),
    Choice("10 degrees from below", nod_deg=-10.0),
    *(Choice(f"lattice of {mm:g} mm", lattice_mm=mm) for mm in LATTICES_MM),
)


def make_phantoms(people: int) -> Iterator[tuple[int, int, Volume]]:
    """Person, visit and volume of synthetic heads."""
    for person in range(people):
        for visit in (1, 2):
            yield person, visit, make_phantom(person, visit, pose_sd_deg=6.8).volume


def read_heads(folder: Path) -> Iterator[tuple[int, int, Volume]]:
    """Two CT visits of each label map: turned by up to 8 degrees about each axis, with noise."""
    from scipy.spatial.transform import Rotation

    for person, path in enumerate(sorted(folder.glob("training_seg_*.nii.gz"))):
        labels, affine = read_labels(path)
        for visit in (1, 2):
            rng = np.random.default_rng((person, visit))
            turn = np.eye(4)
            turn[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-8, 8, 3), degrees=True).as_matrix()
            hu = np.where(labels > 0, 40, -1000) + rng.normal(0, 20, labels.shape)
            yield person, visit, Volume(hu.astype(np.float32), turn @ affine, Modality.CT, path.name)


def try_all(heads: Iterator[tuple[int, int, Volume]]) -> str:
    """Portray all heads in every way, print a row for each and return the table in Markdown."""
    encoder = make_encoder("dlib")
    lattices = {name: SurfaceSettings(voxel_mm=name) for name in LATTICES_MM} | {None: SurfaceSettings()}
    skins_of: dict[float | None, list[tuple[int, int, Skin]]] = {name: [] for name in lattices}
    for person, visit, volume in heads:
        for name, surface in lattices.items():
            skins_of[name].append((person, visit, extract_skin(volume, settings=surface)))
    faced_of = {name: [find_frontal_view(skin) for _, _, skin in skins] for name, skins in skins_of.items()}
    rows = ["| portrait | face found | score | AUC | found first |", "|---|---|---|---|---|"]
    with make_renderer() as renderer:
        for choice in CHOICES:
            skins, faced = skins_of[choice.lattice_mm], faced_of[choice.lattice_mm]
            faces = [
                encoder.encode(renderer.render(skin, choice.view(skin, view), lighting=choice.lighting))
                for (_, _, skin), view in zip(skins, faced, strict=True)
            ]
            tried = [
                [(p, f.vector) for (p, v, _), f in zip(skins, faces, strict=True) if v == n and f.acquired]
                for n in (1, 2)
            ]
            scores = [face.confidence for face in faces if face.acquired]
            row = f"| {choice.name} | {len(scores)}/{len(faces)} | {np.mean(scores) if scores else np.nan:.2f} |"
            if all(tried):
                (own_1, first), (own_2, second) = (zip(*side, strict=True) for side in tried)
                distance = cosine_distances(np.array(second), np.array(first))
                same = np.equal.outer(own_2, own_1)
                hits = sum(own_1[k] == p for k, p in zip(distance.argmin(axis=1), own_2, strict=True))
                auc = roc_auc_score(same.ravel(), -distance.ravel()) if 0 < same.sum() < same.size else np.nan
                row += f" {auc:.4f} | {hits}/{len(skins) // 2} |"
            else:
                row += " | |"
            print(row, flush=True)
            rows.append(row)
    return "\n".join(rows)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--labels", type=Path, help="folder with training_seg_*.nii.gz; its table is only printed")
    parser.add_argument("--out", type=Path, help="Markdown file for the table of the synthetic heads")
    options = parser.parse_args()
    print(f"{options.people} synthetic people, 2 visits, CT, turned by up to 15 degrees; encoder dlib")
    table = try_all(make_phantoms(options.people))
    if options.out:
        text = f"{options.people} synthetic people, 2 CT visits each, turned by up to 15 degrees; encoder dlib.\n"
        text += "Written by `examples/choose_portrait.py`.\n\n"
        options.out.write_text(f"# Choices about the portrait\n\n{text}{table}\n", encoding="utf-8")
    if options.labels:
        print(f"label maps in {options.labels.name}")
        try_all(read_heads(options.labels))


if __name__ == "__main__":
    main()
