"""How long a cohort takes from its files to the verdict, against the composition that comes to mind first.

Run: ``python tests/benchmarks/bench_cohort.py [--people 4] [--format nifti|dicom] [--attacks naive] [--workers 1]
[--pairs 2] [--spacing-mm 1.0]``. The cohort is synthetic: of each person two originals and the first defaced in three
ways, 5 scans a person, packed NIfTI or folders of DICOM. Five programs look at these files, each as a process of its
own, in turns: ``reid-audit score`` without store and canaries; the plain composition of nibabel (or pydicom),
scikit-image's marching_cubes, trimesh, pyrender and dlib, all with their defaults, which ends with the distances; the
lean one, which takes of this package's steps those that a portrait cannot do without, once per scan, and checks
nothing; ``reid-audit calibrate`` of the originals alone; and their floor: each is unpacked, and one face found and
encoded. Seconds of CPU and of the clock and the largest process's memory, medians over the turns. `score` turns heads
to the camera, takes couches off, draws and looks at each defaced scan twice, tells what was done to it and writes a
report; plain and lean do none of this, so that plain / lean bounds what an audit by these steps can reach.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

LEVEL_HU = -300.0
SIZE_PX = 512
PROGRAMS = ("score", "plain", "lean", "calibrate", "floor")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took, its children included."""

    cpu_s: float
    wall_s: float
    memory_gb: float  # of the largest process


def write_cohort(folder: Path, people: int, spacing_mm: float, kind: str) -> Path:
    from reid_audit.dataset import write_manifest
    from reid_audit.deface import apply_defacer, reference_defacers
    from reid_audit.phantom import LABELS, make_phantom, write_rt_set
    from reid_audit.records import ORIGINAL, Modality, ScanRef
    from reid_audit.volume import write_volume

    scans = []
    for identity in range(people):
        for visit in (1, 2):
            made = make_phantom(identity, visit, spacing_mm=spacing_mm, variety=1.5)
            volumes = {ORIGINAL: made.volume}
            for defacer in reference_defacers() if visit == 1 else ():
                volumes[defacer.name] = apply_defacer(defacer, made.volume, made.labels, LABELS).volume
            for condition, volume in volumes.items():
                path = folder / f"p{identity}_{visit}_{condition}{'.nii.gz' if kind == 'nifti' else ''}"
                if kind == "nifti":
                    write_volume(volume, path)
                else:
                    path = write_rt_set(replace(made, volume=volume), path).ct
                scans.append(ScanRef(f"p{identity}", str(visit), condition, path, Modality.CT))
    write_manifest(folder / "originals.csv", [scan for scan in scans if scan.condition == ORIGINAL])
    write_manifest(folder / "manifest.csv", scans)
    return folder / "manifest.csv"


# --- what a laboratory would write first ---


def read_plainly(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if path.is_dir():
        import pydicom

        slices = sorted((pydicom.dcmread(file) for file in path.glob("*.dcm")), key=lambda s: s.ImagePositionPatient[2])
        values = np.stack([s.pixel_array.T * s.RescaleSlope + s.RescaleIntercept for s in slices], axis=-1)
        step = slices[1].ImagePositionPatient[2] - slices[0].ImagePositionPatient[2]
        spacing = slices[0].PixelSpacing
        return values, np.diag([-spacing[1], -spacing[0], step, 1.0])
    import nibabel

    image = nibabel.load(path)
    return image.get_fdata(), image.affine


def draw_plainly(values: np.ndarray, affine: np.ndarray) -> np.ndarray:
    import pyrender
    import trimesh
    from skimage.measure import marching_cubes

    vertices, faces, _, _ = marching_cubes(values, LEVEL_HU, gradient_direction="ascent")  # seen from outside
    mesh = trimesh.Trimesh(vertices @ affine[:3, :3].T, faces)
    middle = mesh.bounds.mean(axis=0)
    pose = np.eye(4)  # in front of the face: pyrender looks along -z, y upwards
    pose[:3, :3] = np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]]).T
    pose[:3, 3] = middle + np.array([0, 600, 0])
    scene = pyrender.Scene(bg_color=[0, 0, 0], ambient_light=[0.1] * 3)
    scene.add(pyrender.Mesh.from_trimesh(mesh))
    scene.add(pyrender.PerspectiveCamera(yfov=np.radians(30)), pose=pose)
    scene.add(pyrender.DirectionalLight(intensity=3.0), pose=pose)
    window = pyrender.OffscreenRenderer(SIZE_PX, SIZE_PX)
    pixels, _ = window.render(scene)
    window.delete()
    return np.ascontiguousarray(pixels)


def make_recogniser(upsample: int) -> Callable[[np.ndarray], np.ndarray | None]:
    import dlib

    from reid_audit.weights import find_weights

    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(find_weights("dlib-landmarks")))
    network = dlib.face_recognition_model_v1(str(find_weights("dlib-recogniser")))

    def recognise(pixels: np.ndarray) -> np.ndarray | None:
        boxes = detector(pixels, upsample)
        return np.array(network.compute_face_descriptor(pixels, predictor(pixels, boxes[0]))) if boxes else None

    return recognise


def run_plain(manifest: Path) -> None:
    """Files to distances. The network's defaults are those of the package face_recognition: one upsampling."""
    recognise = make_recogniser(upsample=1)
    tell_distances([recognise(draw_plainly(*read_plainly(path))) for path in paths_of(manifest)])


def run_lean(manifest: Path) -> None:
    """Files to distances by this package's fastest steps: no cleaning, no pose, no checks, no second look."""
    from reid_audit.audit.side_effects import contain_side_effects
    from reid_audit.face import make_encoder
    from reid_audit.records import Skin
    from reid_audit.render import frontal_view, make_renderer
    from reid_audit.surface import SurfaceSettings
    from reid_audit.surface.isosurface import mesh_level
    from reid_audit.surface.lattice import sample_head
    from reid_audit.volume import read_volume

    encoder, settings, vectors = make_encoder("dlib"), SurfaceSettings(), []
    with contain_side_effects(), make_renderer() as renderer:  # linear algebra in one thread, as in every command
        for path in paths_of(manifest):
            lattice = sample_head(read_volume(path), LEVEL_HU, settings)
            vertices, faces, normals = mesh_level(lattice.field, LEVEL_HU)
            matrix = lattice.voxel_to_ras_mm.astype(np.float32)  # axes point to the right, the front and the top
            skin = Skin(vertices @ matrix[:3, :3].T + matrix[:3, 3], faces, normals, LEVEL_HU)
            vectors.append(encoder.encode(renderer.render(skin, frontal_view(skin))).vector)
    tell_distances(vectors)


def tell_distances(vectors: Sequence[np.ndarray | None]) -> None:
    from scipy.spatial.distance import pdist

    faces = [vector for vector in vectors if vector is not None]
    print(f"{len(faces)} faces of {len(vectors)}, mean distance {pdist(faces, 'cosine').mean():.3f}")


def run_floor(manifest: Path) -> None:
    """What nobody can leave out: each file is unpacked, and a face found and encoded once."""
    from isal import igzip
    from PIL import Image

    recognise = make_recogniser(upsample=0)
    face = np.asarray(Image.open(manifest.parent / "portrait.png").convert("RGB"))
    for path in paths_of(manifest):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            content = file.read_bytes()
            if file.suffix == ".gz":
                igzip.decompress(content)
        assert recognise(face) is not None


RUNS = {"plain": run_plain, "lean": run_lean, "floor": run_floor}
"""Those of the programs that are written here."""


def paths_of(manifest: Path) -> list[Path]:
    import csv

    with manifest.open(encoding="utf-8") as stream:
        return [manifest.parent / row["path"] for row in csv.DictReader(stream)]


# --- measuring ---


def measure(command: list[str]) -> Cost:
    """Run a program to its end. Status 0 to 4 are verdicts of `score`; what went wrong is printed."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - began
        output.seek(0)
        text = output.read().decode(errors="replace")
    allowed = (0, 1, 3, 4) if "score" in command else (0,)
    if child.returncode not in allowed:
        raise SystemExit(f"{' '.join(command[:4])} ended with {child.returncode}:\n{text[-2000:]}")
    return Cost(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss / 2**20)


def command_of(program: str, manifest: Path, options: Any, out: Path) -> list[str]:
    if program in ("calibrate", "floor"):
        manifest = manifest.with_name("originals.csv")
    if program in RUNS:
        return [sys.executable, __file__, "--run", program, str(manifest)]
    choices = ["--workers", str(options.workers), "--no-store"]
    if program == "score":
        choices += ["--canaries", "0", *(["--attack", options.attacks] if options.attacks else [])]
    return [sys.executable, "-m", "reid_audit", program, str(manifest), "-o", str(out), *choices]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--format", choices=("nifti", "dicom"), default="nifti")
    parser.add_argument("--attacks", default="naive", help="of `score`; empty = its default")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--spacing-mm", type=float, default=1.0)
    parser.add_argument("--run", nargs=2, metavar=("PROGRAM", "MANIFEST"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    if options.run:
        RUNS[options.run[0]](Path(options.run[1]))
        return 0
    costs: dict[str, list[Cost]] = {program: [] for program in PROGRAMS}
    with tempfile.TemporaryDirectory(prefix="bench-cohort-") as folder:
        began = time.process_time()
        manifest = write_cohort(Path(folder), options.people, options.spacing_mm, options.format)
        scans = len(paths_of(manifest))
        made_s = time.process_time() - began
        print(f"{scans} scans of {options.people} people at {options.spacing_mm:g} mm: made in {made_s:.0f} s of CPU")
        first = str(paths_of(manifest)[0])
        portrait = [sys.executable, "-m", "reid_audit", "render", first, "-o", f"{folder}/portrait.png"]
        subprocess.run(portrait, check=True, capture_output=True)
        for turn in range(options.pairs):
            for program in PROGRAMS:
                out = Path(folder, f"{program}{turn}")
                costs[program].append(measure(command_of(program, manifest, options, out)))
    looked_at = dict.fromkeys(PROGRAMS, scans) | dict.fromkeys(("calibrate", "floor"), 2 * options.people)
    print("\n| program | CPU, s | clock, s | CPU per scan, s | memory, GB |\n|---|---|---|---|---|")
    medians = {}
    for program, runs in costs.items():
        cpu_s, wall_s, memory_gb = (median(getattr(run, name) for run in runs) for name in Cost.__slots__)
        medians[program] = cpu_s, wall_s
        print(f"| {program} | {cpu_s:.1f} | {wall_s:.1f} | {cpu_s / looked_at[program]:.2f} | {memory_gb:.2f} |")
    cpu_times, wall_times = (b / a for a, b in zip(medians["score"], medians["plain"], strict=True))
    print(f"\nplain / score: {cpu_times:.1f} times the CPU, {wall_times:.1f} times the clock", end="; ")
    for first, second in (("plain", "lean"), ("calibrate", "floor")):
        print(f"{first} / {second}: {medians[first][0] / medians[second][0]:.1f} times the CPU")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
