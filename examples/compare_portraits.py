"""What finding the level, cleaning the skin and facing the head are worth: the first idea against this package.

::

    python examples/compare_portraits.py --phantoms 40
    python examples/compare_portraits.py --manifest ct/manifest.csv --manifest t1/manifest.csv

Two visits of each person are portrayed and embedded by dlib three times over. *First idea*: a Gaussian of one voxel,
marching cubes at -300 HU or at half of Otsu's threshold, the largest piece of the mesh, seen along the axes of the
scanner. *Not faced*: this package's skin, seen along these axes too. *This package*: what `audit.examine_scan`
does. Synthetic people come as CT and T1, lying as they do and turned by up to 15 degrees about each axis; a manifest
(see simulate_visits.py) brings other people with two sessions.

"told apart" is the AUC of a person's own other visit against those of others, where a face was found in both; "found
first" is how many people's second visit has their first one as the nearest, people without a face counted as not found.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from reid_audit import ScanRef, Settings, assess_scores, read_volume
from reid_audit.audit import examine_scan, start_engines
from reid_audit.dataset import read_manifest
from reid_audit.face import Encoder, make_encoder
from reid_audit.match import compare_faces
from reid_audit.phantom import make_phantom
from reid_audit.records import ORIGINAL, Face, FaceRecord, Modality, ReidAuditError, Skin, Status, Volume
from reid_audit.render import Renderer, frontal_view, make_renderer
from reid_audit.surface import extract_skin
from reid_audit.volume import write_volume

TURNED_DEG = 15.0


def naive_skin(volume: Volume) -> Skin:
    """Mesh the largest piece above a fixed level."""
    import trimesh
    from skimage.filters import gaussian, threshold_otsu
    from skimage.measure import marching_cubes

    smooth = gaussian(volume.intensity, 1.0, preserve_range=True)
    level = -300.0 if volume.is_hu else 0.5 * float(threshold_otsu(smooth))
    padded = np.pad(smooth, 1, constant_values=smooth.min())
    vertices, faces, _, _ = marching_cubes(padded, level, gradient_direction="ascent")  # seen from outside
    matrix = volume.voxel_to_ras_mm
    mesh = trimesh.Trimesh((vertices - 1) @ matrix[:3, :3].T + matrix[:3, 3], faces)
    mesh = max(mesh.split(only_watertight=False), key=lambda piece: len(piece.faces))
    normals = mesh.vertex_normals.astype(np.float32)
    return Skin(mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32), normals, level)


def portray_unfaced(
    scan: ScanRef, make_skin: Callable[[Volume], Skin], renderer: Renderer, encoder: Encoder
) -> FaceRecord:
    """Portray a scan as it lies, and embed it."""
    try:
        skin = make_skin(read_volume(scan.path, modality=scan.modality))
        return FaceRecord(scan, encoder.encode(renderer.render(skin, frontal_view(skin))))
    except ReidAuditError as error:
        return FaceRecord(scan, Face(Status.RENDER_FAILED, encoder.name, reason=str(error)))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    people: str
    portrait: str
    found: str
    auc: str
    first: str


def sum_up(people: str, portrait: str, records: list[FaceRecord]) -> Row:
    """Count the faces that were found, and what they are worth."""
    scores = compare_faces(records)
    control = assess_scores(scores, source=people, draws=100).evidence.controls[0]
    acquired = sum(record.face.acquired for record in records)
    rank1 = control.search.rank1
    return Row(
        people,
        portrait,
        f"{acquired}/{len(records)}",
        f"{control.auc.value:.3f} ({control.auc.low:.3f} to {control.auc.high:.3f})",
        f"{rank1.successes}/{len({record.scan.subject for record in records})}",
    )


class Table:
    """Portray scan by scan, in every way; print what came out for each group of people."""

    def __init__(self, renderer: Renderer) -> None:
        """Start the engines and print the head of the table."""
        engines = start_engines(Settings(encoders=("dlib",), detector="dlib", renderer=renderer.name))
        encoder = make_encoder("dlib", detector="dlib")
        self.ways: dict[str, Callable[[ScanRef], FaceRecord]] = {
            "first idea": lambda scan: portray_unfaced(scan, naive_skin, renderer, encoder),
            "not faced": lambda scan: portray_unfaced(scan, extract_skin, renderer, encoder),
            "this package": lambda scan: examine_scan(scan, engines)[0],
        }
        self.records: dict[str, dict[str, list[FaceRecord]]] = {}
        print("| people, two visits | portrait | faces found | told apart (95 %) | found first |")
        print("|---|---|---|---|---|", flush=True)

    def add(self, people: str, scan: ScanRef) -> None:
        """Portray a scan of a group in every way."""
        of_group = self.records.setdefault(people, {way: [] for way in self.ways})
        for way, portray in self.ways.items():
            of_group[way].append(portray(scan))

    def show(self) -> None:
        """Print the rows of the groups that are complete, and forget them."""
        for people, of_group in self.records.items():
            for way, records in of_group.items():
                row = sum_up(people, way, records)
                print(f"| {row.people} | {row.portrait} | {row.found} | {row.auc} | {row.first} |", flush=True)
        self.records.clear()


def portray_phantoms(table: Table, people: int, modality: Modality) -> None:
    """Portray two visits of synthetic people, as they lie and turned further."""
    name = f"{people} synthetic, {'CT' if modality is Modality.CT else 'T1'}"
    for person in range(people):
        for visit in (1, 2):
            volume = make_phantom(person, visit, modality=modality).volume
            angles = np.random.default_rng((person, visit)).uniform(-TURNED_DEG, TURNED_DEG, 3)
            turn = np.eye(4)
            turn[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
            groups = {name: np.eye(4), f"{name}, turned by up to {TURNED_DEG:g} degrees": turn}
            for group, matrix in groups.items():
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"s{person}_{visit}.nii"
                    write_volume(replace(volume, voxel_to_ras_mm=matrix @ volume.voxel_to_ras_mm), path)
                    table.add(group, ScanRef(f"s{person}", str(visit), ORIGINAL, path, modality))
    table.show()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantoms", type=int, default=0, metavar="PEOPLE")
    parser.add_argument("--manifest", type=Path, action="append", default=[])
    options = parser.parse_args()
    if not options.phantoms and not options.manifest:
        parser.error("give --phantoms PEOPLE, --manifest FILE, or both")

    with make_renderer() as renderer:
        table = Table(renderer)
        for modality in Modality if options.phantoms else ():
            portray_phantoms(table, options.phantoms, modality)
        for manifest in options.manifest:
            for scan in read_manifest(manifest).originals:
                table.add(manifest.parent.name, scan)
            table.show()


if __name__ == "__main__":
    main()
