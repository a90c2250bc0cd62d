"""Is the skin level of MR that is found automatically as good as one chosen by hand for each scan?

::

    python examples/compare_levels.py --phantoms 12
    python examples/compare_levels.py --phantoms 12 --noise 0.25 --bias 1.0
    python examples/compare_levels.py --labels LABEL_FOLDER --partial training_seg_01 training_seg_03

Synthetic people in T1, T2, PD and FLAIR, and people simulated as T1 from whole-head label maps (simulate_visits.py),
each under a bias field and Rician noise of random strength. *Automatically* is what `audit.examine_scan` does. *By
hand* tries twenty levels per scan, evenly spaced in their logarithm between 1 % and 60 % of the way from air to the
brightest tissue, and takes whichever shows dlib a face: nobody can choose better among these twenty.

People whose field of view cuts the face (``--partial``) have a row of their own: their faces need not be found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from simulate_visits import Contrast, simulate_visit

from reid_audit import ScanRef, Settings, Volume
from reid_audit.audit import Engines, examine_scan, start_engines
from reid_audit.phantom import make_phantom
from reid_audit.phantom.tissue import MR_CONTRASTS
from reid_audit.records import ORIGINAL, FaceRecord, Modality
from reid_audit.volume import read_labels, write_volume

LEVELS = np.geomspace(0.01, 0.6, 20)
"""Shares of the way from air to the brightest tissue."""

WHITE_MATTER_OF_PRIORS = 160.0


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One simulated scan, the row of the table it belongs to, and what it is called."""

    kind: str
    name: str
    volume: Volume


@dataclass(slots=True)
class Row:
    """One line of the table."""

    scans: int = 0
    automatically: int = 0
    by_hand: int = 0

    def show(self, kind: str) -> str:
        """Write the line."""
        difference = (self.automatically - self.by_hand) / self.scans
        return f"| {kind} | {self.scans} | {self.automatically} | {self.by_hand} | {difference:+.1%} |"


@dataclass(frozen=True, slots=True)
class Scanner:
    """Largest noise, as a share of the brightest tissue, and largest spread of the logarithm of the bias field."""

    noise: float
    bias_sd: float

    def draw(self, rng: np.random.Generator) -> tuple[float, float]:
        """Draw the noise and the bias of one scan."""
        return rng.uniform(0.005, self.noise), rng.uniform(0.0, self.bias_sd)


def disturb(volume: Volume, *, noise: float, bias_sd: float, rng: np.random.Generator) -> Volume:
    """Lay a bias field over a scan and Rician noise over both."""
    image = volume.intensity
    field = ndimage.zoom(rng.normal(0, bias_sd, (4, 4, 4)), np.array(image.shape) / 4, order=3)
    seen = image * np.exp(field)
    spread = rng.normal(0, noise * float(np.percentile(image, 99)), (2, *image.shape))
    return replace(volume, intensity=np.hypot(seen + spread[0], spread[1]).astype(np.float32))


def draw_phantoms(people: int, scanner: Scanner, *, spacing_mm: float, seed: int) -> Iterator[Case]:
    """Make synthetic people, each in every contrast."""
    for number, contrast in enumerate(MR_CONTRASTS):
        for person in range(people):
            rng = np.random.default_rng([seed, number, person])
            noise, bias_sd = scanner.draw(rng)
            made = make_phantom(person, 1, modality=Modality.MR, contrast=contrast, spacing_mm=spacing_mm).volume
            name = f"synthetic {person} {contrast}, noise {noise:.3f}, bias {bias_sd:.2f}"
            yield Case(f"synthetic, {contrast}", name, disturb(made, noise=noise, bias_sd=bias_sd, rng=rng))


def draw_people(folder: Path, partial: set[str], scanner: Scanner, *, draws: int, seed: int) -> Iterator[Case]:
    """Simulate people from their label maps, each in several T1 of random contrast."""
    contrast = Contrast.read(folder)
    for number, path in enumerate(sorted(folder.glob("*.nii.gz"))):
        labels, voxel_to_ras_mm = read_labels(path)
        name = path.name.removesuffix(".nii.gz")
        kind = f"label maps, T1, {'partial' if name in partial else 'whole'} faces"
        for draw in range(draws):
            rng = np.random.default_rng([seed, number, draw])
            noise, bias_sd = scanner.draw(rng)
            volume, _ = simulate_visit(
                labels,
                voxel_to_ras_mm,
                np.zeros(labels.shape, dtype=np.uint8),
                rng=rng,
                contrast=contrast,
                noise=noise * WHITE_MATTER_OF_PRIORS,
                bias_sd=bias_sd,
            )
            yield Case(kind, f"{name} {draw}, noise {noise:.3f}, bias {bias_sd:.2f}", volume)


def by_hand(scan: ScanRef, volume: Volume, engines: Engines) -> tuple[float, FaceRecord | None]:
    """Find a level that shows a face, and what it shows; the share that it is, NaN where none does."""
    air, bright = np.percentile(volume.intensity, [5, 99.5])
    for share in sorted(LEVELS, key=lambda share: abs(np.log(share / 0.1))):  # any that shows a face will do
        settings = replace(engines.settings, skin_level=float(air + share * (bright - air)))
        (record,) = examine_scan(scan, replace(engines, settings=settings))
        if record.face.acquired:
            return float(share), record
    return float("nan"), None


def tell(record: FaceRecord) -> str:
    """Say what became of a scan."""
    codes = ", ".join(finding.code for finding in record.findings if finding.severity != "info")
    level = "none" if record.skin_level is None else f"{record.skin_level:.4g}"
    return f"{record.face.status}, level {level}, confidence {record.face.confidence:.2f} [{codes}]"


def main() -> None:
    """Print the table; what the automatic level missed goes to the error stream."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantoms", type=int, default=0, metavar="PEOPLE")
    parser.add_argument("--spacing-mm", type=float, default=1.5, help="voxels of the synthetic people")
    parser.add_argument("--labels", type=Path, metavar="FOLDER")
    parser.add_argument("--partial", nargs="*", default=[], metavar="NAME", help="label maps without a whole face")
    parser.add_argument("--draws", type=int, default=2, help="scans simulated per label map")
    parser.add_argument("--noise", type=float, default=0.1, help="largest noise, as a share of the brightest tissue")
    parser.add_argument("--bias", type=float, default=0.5, help="largest spread of the logarithm of the bias field")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.phantoms and not options.labels:
        parser.error("give --phantoms PEOPLE, --labels FOLDER, or both")

    scanner = Scanner(options.noise, options.bias)

    def cases() -> Iterator[Case]:
        yield from draw_phantoms(options.phantoms, scanner, spacing_mm=options.spacing_mm, seed=options.seed)
        if options.labels:
            partial = set(options.partial)
            yield from draw_people(options.labels, partial, scanner, draws=options.draws, seed=options.seed)

    engines = start_engines(Settings(encoders=("dlib",), detector="dlib"))
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii"
        for case in cases():
            write_volume(case.volume, path)
            scan = ScanRef("s", "1", ORIGINAL, path, Modality.MR)
            (record,) = examine_scan(scan, engines)
            share, best = by_hand(scan, case.volume, engines)
            row = rows.setdefault(case.kind, Row())
            row.scans += 1
            row.automatically += record.face.acquired
            row.by_hand += best is not None
            if not record.face.acquired:
                hand = "no level shows a face" if best is None else f"by hand at {share:.3f}: {tell(best)}"
                print(f"{case.name}: {tell(record)}; {hand}", file=sys.stderr, flush=True)
            path.unlink()

    print("| people | scans | found automatically | found by hand (20 levels) | difference |")
    print("|---|---|---|---|---|")
    for kind, row in rows.items():
        print(row.show(kind))
    whole = [row for kind, row in rows.items() if "partial" not in kind]
    if whole:
        print(Row(*(sum(getattr(row, name) for row in whole) for name in Row.__slots__)).show("all whole faces"))


if __name__ == "__main__":
    main()
