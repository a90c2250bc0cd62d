"""How long one scan takes, stage by stage, against the composition that comes to mind first.

Run: ``python tests/benchmarks/bench_portrait.py [--renderer vtk] [--repeats 4]``. The scan is a synthetic CT of 256^3
voxels of 1 mm with table and headrest, an uncompressed NIfTI of 16 bits. The naive composition is nibabel's get_fdata,
scikit-image's gaussian and marching_cubes, trimesh's split, of which it keeps the largest piece, and pyrender. It takes
off neither couch nor cavities and does not face the head. Best of the repeats; status 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from reid_audit.face import make_encoder
from reid_audit.records import Modality, Volume
from reid_audit.render import find_frontal_view, frontal_view, make_renderer
from reid_audit.surface import extract_skin
from reid_audit.volume import read_volume, write_volume

SIDE = 256
LEVEL_HU = -300.0
TIMES_FASTER_TO_PORTRAIT = 10.0
TIMES_FASTER = 7.0
MOST_TRIANGLES = 400_000
MOST_GB = 1.5


def write_scan(path: Path, modality: Modality) -> None:
    """A head in a box of 256 voxels a side, full of the scanner's noise; what does not fit is cut off."""
    from reid_audit.phantom import make_phantom

    head = make_phantom(1, modality=modality, spacing_mm=1.0, couch=True, headrest=True).volume
    corner = head.intensity[:6, -6:, -6:]
    rng = np.random.default_rng(0)
    if modality is Modality.CT:
        box = rng.normal(corner.mean(), corner.std(), (SIDE,) * 3).astype(np.float32)
    else:
        box = rng.rayleigh(corner.mean() / np.sqrt(np.pi / 2), (SIDE,) * 3).astype(np.float32)
    shape = head.intensity.shape
    skip = [max(0, n - SIDE) for n in shape]
    gap = [(SIDE - min(n, SIDE)) // 2 for n in shape]
    part = head.intensity[tuple(slice(s, None) for s in skip)]
    box[tuple(slice(g, g + n) for g, n in zip(gap, part.shape, strict=True))] = part
    matrix = head.voxel_to_ras_mm.copy()
    matrix[:3, 3] = (matrix @ [*(s - g for s, g in zip(skip, gap, strict=True)), 1.0])[:3]
    write_volume(Volume(np.rint(box), matrix, modality), path)


def run_ours(path: Path, renderer: object, encoder: object) -> tuple[dict[str, float], int]:
    clock = [time.perf_counter()]
    volume = read_volume(path)
    clock.append(time.perf_counter())
    skin = extract_skin(volume)
    clock.append(time.perf_counter())
    portrait = renderer.render(skin, find_frontal_view(skin))
    clock.append(time.perf_counter())
    face = encoder.encode(portrait)
    clock.append(time.perf_counter())
    assert face.acquired, face.reason
    return dict(zip(("read", "skin", "portrait", "face"), np.diff(clock), strict=True)), len(skin.faces)


def run_naive(path: Path, encoder: object) -> tuple[dict[str, float], int]:
    import nibabel

    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    import pyrender
    import trimesh
    from skimage.filters import gaussian
    from skimage.measure import marching_cubes

    from reid_audit.records import Portrait, Skin
    from reid_audit.render.camera import camera_matrix, place_camera

    clock = [time.perf_counter()]
    image = nibabel.load(path)
    values = image.get_fdata()
    clock.append(time.perf_counter())
    smooth = gaussian(values, 1.0, preserve_range=True)
    vertices, faces, _, _ = marching_cubes(smooth, LEVEL_HU, gradient_direction="ascent")  # seen from outside
    mesh = trimesh.Trimesh(nibabel.affines.apply_affine(image.affine, vertices), faces)
    mesh = max(mesh.split(only_watertight=False), key=lambda piece: len(piece.faces))
    clock.append(time.perf_counter())
    skin = Skin(np.asarray(mesh.vertices, np.float32), mesh.faces, mesh.vertex_normals, LEVEL_HU)
    view = frontal_view(skin)
    camera = place_camera(view)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera.axes.T, camera.position_ras_mm
    scene = pyrender.Scene(bg_color=[0, 0, 0], ambient_light=[0.1] * 3)
    scene.add(pyrender.Mesh.from_trimesh(mesh))
    scene.add(pyrender.PerspectiveCamera(yfov=np.radians(view.view_angle_deg), aspectRatio=1.0), pose=pose)
    scene.add(pyrender.DirectionalLight(intensity=3.0), pose=pose)
    window = pyrender.OffscreenRenderer(view.size_px, view.size_px)
    pixels, _ = window.render(scene)
    window.delete()
    clock.append(time.perf_counter())
    encoder.encode(Portrait(np.ascontiguousarray(pixels), view, camera_matrix(view), "pyrender"))
    clock.append(time.perf_counter())
    return dict(zip(("read", "skin", "portrait", "face"), np.diff(clock), strict=True)), len(mesh.faces)


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    return min(runs, key=lambda run: sum(run.values()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--renderer", default="auto")
    parser.add_argument("--repeats", type=int, default=4)
    options = parser.parse_args()
    encoder = make_encoder("dlib")
    ours, naive = [], []
    with tempfile.TemporaryDirectory() as folder, make_renderer(options.renderer) as renderer:
        path = Path(folder) / "scan.nii"
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:  # its memory does not count
            other.submit(write_scan, path, Modality.CT).result()
        before_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        for _ in range(options.repeats):
            times, triangles = run_ours(path, renderer, encoder)
            ours.append(times)
        most_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(options.repeats):
                times, naive_triangles = run_naive(path, encoder)
                naive.append(times)
    a, b = best(ours), best(naive)
    print(f"{'stage':<10}{'ours s':>9}{'naive s':>9}{'times':>8}")
    for stage in a:
        print(f"{stage:<10}{a[stage]:>9.3f}{b[stage]:>9.3f}{b[stage] / a[stage]:>8.1f}")
    to_portrait = (sum(b.values()) - b["face"]) / (sum(a.values()) - a["face"])
    total = sum(b.values()) / sum(a.values())
    print(f"up to the portrait: {to_portrait:.1f} times faster; in total: {total:.1f}")
    print(f"triangles: {triangles:,} (naive {naive_triangles:,})")
    print(f"peak memory: {most_gb:.2f} GB ({before_gb:.2f} before the first scan)")
    bounds = {
        f"{TIMES_FASTER_TO_PORTRAIT:g} times faster up to the portrait": to_portrait >= TIMES_FASTER_TO_PORTRAIT,
        f"{TIMES_FASTER:g} times faster in total": total >= TIMES_FASTER,
        f"at most {MOST_TRIANGLES:,} triangles": triangles <= MOST_TRIANGLES,
        f"at most {MOST_GB:g} GB": most_gb <= MOST_GB,
    }
    for bound, holds in bounds.items():
        print(f"{'holds ' if holds else 'MISSED'} {bound}")
    return 0 if all(bounds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
