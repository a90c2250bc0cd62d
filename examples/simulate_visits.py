"""Simulate two visits per person from whole-head label maps, CT or T1, deface the first, and write a manifest.

For trying an audit on real head shapes where only segmentations may be shared, e.g. SynthSeg's training label maps::

    python examples/simulate_visits.py LABEL_FOLDER OUT_FOLDER --eyes 506 --brain 2-85
    reid-audit calibrate OUT_FOLDER/manifest.csv -o calibration.json
    reid-audit score OUT_FOLDER/manifest.csv --calibration calibration.json -o result

In a CT every voxel with a label is head (40 HU), the rest is air. In a T1 (``--modality MR``) each label has the mean
and the spread that the priors beside the label maps give its class (``generation_labels.npy``,
``generation_classes_contrast_specific.npy``, ``prior_means_t1.npy``, ``prior_stds_t1.npy``), under a bias field and
Rician noise. A visit turns the head by a few degrees and shifts it by a few millimetres. What it writes is as much a
picture of a person as the label map was: keep it as safe.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from reid_audit import ScanRef, Volume
from reid_audit.dataset import write_manifest
from reid_audit.deface import EyePlaneCut, apply_defacer
from reid_audit.records import Modality
from reid_audit.volume import read_labels, write_volume

LABEL_VALUES = {"eye_left": 1, "eye_right": 1, "brain": 2, "brainstem": 2}


def parse_values(text: str) -> list[int]:
    """Read ``"2-85,506"`` as the list of label values that it means."""
    values: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        values += range(int(first), int(last or first) + 1)
    return values


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Mean and spread of the intensity of each label in a T1; row 0 of a prior is its middle, row 1 its spread."""

    labels: np.ndarray
    classes: np.ndarray
    means: np.ndarray
    spreads: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> Contrast:
        """Read the priors that lie beside the label maps."""
        names = ("generation_labels", "generation_classes_contrast_specific", "prior_means_t1", "prior_stds_t1")
        return cls(*(np.load(folder / f"{name}.npy") for name in names))

    def draw(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a T1 of the labels; those that the priors do not know are air."""
        mean = np.maximum(rng.normal(*self.means), 0)
        spread = np.maximum(rng.normal(*self.spreads), 0)
        of_label = np.zeros(int(max(labels.max(), self.labels.max())) + 1, dtype=int)
        of_label[self.labels] = self.classes
        at = of_label[labels]
        return mean[at] + spread[at] * rng.standard_normal(labels.shape)


def simulate_visit(
    labels: np.ndarray,
    voxel_to_ras_mm: np.ndarray,
    structures: np.ndarray,
    *,
    rng: np.random.Generator,
    contrast: Contrast | None = None,
    noise: float = 5.0,
    bias_sd: float = 0.2,
) -> tuple[Volume, np.ndarray]:
    """Return a volume of a turned and shifted head, CT or in the contrast given, and the structures on its grid.

    MR alone has `noise`, in units of the priors (white matter about 160), and a bias field: the logarithm of its gain
    is a smooth field through random numbers of standard deviation `bias_sd`.
    """
    turn = Rotation.from_euler("xyz", rng.normal(0, 3, 3), degrees=True).as_matrix()
    spacing_mm = np.linalg.norm(voxel_to_ras_mm[:3, :3], axis=0)
    centre = (np.array(labels.shape) - 1) / 2
    to_source = np.diag(1 / spacing_mm) @ turn @ np.diag(spacing_mm)
    offset = centre - to_source @ (centre + rng.normal(0, 3, 3) / spacing_mm)
    moved = ndimage.affine_transform(structures, to_source, offset, order=0)
    if contrast is None:
        head = ndimage.affine_transform((labels > 0).astype(np.float32), to_source, offset, order=1)
        intensity = -1000 + 1040 * head + rng.normal(0, 15, labels.shape)
        return Volume(intensity.astype(np.float32), voxel_to_ras_mm, Modality.CT), moved
    still = ndimage.gaussian_filter(contrast.draw(labels, rng), 0.6)
    head = ndimage.affine_transform(still, to_source, offset, order=1)
    bias = np.exp(ndimage.zoom(rng.normal(0, bias_sd, (4, 4, 4)), np.array(labels.shape) / 4, order=3))
    spread = rng.normal(0, noise, (2, *labels.shape))
    intensity = np.hypot(head * bias + spread[0], spread[1])
    return Volume(intensity.astype(np.float32), voxel_to_ras_mm, Modality.MR), moved


def main() -> None:
    """Read the arguments and write the cohort."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path, help="folder of label maps (.nii.gz)")
    parser.add_argument("out", type=Path, help="folder for the cohort")
    parser.add_argument("--eyes", default="506", help="label values of the eyeballs, e.g. 506")
    parser.add_argument("--brain", default="2-85", help="label values of the brain, e.g. 2-85")
    parser.add_argument("--modality", type=Modality, choices=list(Modality), default=Modality.CT)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    contrast = Contrast.read(options.labels) if options.modality is Modality.MR else None
    defacer = EyePlaneCut()
    scans: list[ScanRef] = []
    options.out.mkdir(parents=True, exist_ok=True)
    for person, path in enumerate(sorted(options.labels.glob("*.nii.gz"))):
        labels, voxel_to_ras_mm = read_labels(path)
        structures = np.zeros(labels.shape, dtype=np.uint8)
        structures[np.isin(labels, parse_values(options.brain))] = LABEL_VALUES["brain"]
        structures[np.isin(labels, parse_values(options.eyes))] = LABEL_VALUES["eye_left"]
        for visit in (1, 2):
            rng = np.random.default_rng([options.seed, person, visit])
            volume, moved = simulate_visit(labels, voxel_to_ras_mm, structures, rng=rng, contrast=contrast)
            made = {"original": volume}
            if visit == 1:
                made[defacer.name] = apply_defacer(defacer, volume, moved, LABEL_VALUES).volume
            for condition, each in made.items():
                target = options.out / f"p{person:02d}_{visit}_{condition}.nii.gz"
                write_volume(each, target)
                scans.append(ScanRef(f"p{person:02d}", str(visit), condition, target, options.modality))
    write_manifest(options.out / "manifest.csv", scans)
    print(f"{len(scans)} scans, listed in {options.out / 'manifest.csv'}")


if __name__ == "__main__":
    main()
