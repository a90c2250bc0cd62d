"""DeepDefacer 2.1.2: an executable that behaves as it does, and the tool itself in an environment of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from places import TESTS

from reid_audit import read_volume
from reid_audit.cli import main
from reid_audit.deface import find_tool, read_defacing, run_tool
from reid_audit.deface.tools import find_named_tool
from reid_audit.phantom import LABELS, PhantomScan, make_phantom
from reid_audit.records import DefaceStatus, Modality
from reid_audit.volume import write_labels, write_volume
from reid_audit.volume.change import find_changed

S = DefaceStatus
# What the tool imports, which is less than it asks for: `sklearn` of that name cannot be installed any more. Made by
# uv pip compile --no-deps --python-version 3.11 --generate-hashes --no-header --no-annotate, from the names it holds.
REQUIREMENTS = TESTS / "deepdefacer.requirements.txt"
DEEPDEFACER = "deepdefacer==2.1.2 --hash=sha256:6dda7723cf006bcc157f746e348287f5d1dd361f764a74b830cbcc3afafdbe28"

# SimpleITK 2 lost a method that the tool calls; in Python 3.8 with SimpleITK 1.2.4 nothing has to be put back.
ADD_TRANSFORM = """
import SimpleITK as sitk
def add(self, other):
    self.this = sitk.Transform(sitk.CompositeTransform([sitk.Transform(self), other])).this
sitk.Transform.AddTransform = add
"""

OFFLINE = ("Could not find a version", "No matching distribution", "Failed to establish a new connection")

# What it does and prints: a mask from 0 to 1 times the scan, in a new header, and a file in the folder while it runs.
PLAYER = """
import argparse, os
import nibabel as nib
import numpy as np
RULER = "-" * 100
parser = argparse.ArgumentParser()
parser.add_argument("--input_file", required=True)
parser.add_argument("--defaced_output_path")
parser.add_argument("--mask_output_path")
words = parser.parse_args()
if {broken}:
    print("No module named 'keras'", RULER, sep=chr(10))
    print(chr(27) + "[31mERROR: Failed to initialize tensorflow and Keras.", "       If you are using", sep=chr(10))
    raise SystemExit(print("       installed." + chr(27) + "[0m", RULER, sep=chr(10)) or 1)
print("Preproessing input MRI image...")
image = nib.load(words.input_file)
values = np.asanyarray(image.dataobj)
kept = np.ones(values.shape, np.float32)
if {finds}:
    kept[:, 14:], kept[:, 13] = 0, 0.5
open("mask_intermediate.nii.gz", "w").close()
os.remove("mask_intermediate.nii.gz")
target = words.defaced_output_path or os.path.basename(words.input_file).split(".")[0] + "_defaced.nii.gz"
nib.save(nib.Nifti1Image(values * kept, image.affine), target)
print("Saved.", RULER, sep=chr(10))
"""


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write the player into a folder at the end of the PATH."""
    folder = tmp_path / "its environment" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setenv("PATH", os.environ["PATH"] + os.pathsep + str(folder))

    def write(*, broken: bool = False, finds: bool = True) -> None:
        body = textwrap.dedent(PLAYER.format(broken=broken, finds=finds))
        (folder / "deepdefacer").write_text(f"#!{sys.executable}\n{body}", encoding="utf-8")
        (folder / "deepdefacer").chmod(0o755)

    return write


def _head(modality: Modality = Modality.MR) -> PhantomScan:
    return make_phantom(1, modality=modality, spacing_mm=5.0)


@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
def test_what_it_removes_is_zero_and_its_edge_a_mixture(modality: Modality, play) -> None:
    play()
    volume = _head(modality).volume
    done = run_tool(find_tool(find_named_tool("deepdefacer")), volume)
    assert (done.status, done.reason) == (S.OK, "")
    np.testing.assert_array_equal(done.volume.intensity[:, :13], volume.intensity[:, :13])
    np.testing.assert_allclose(done.volume.intensity[:, 13], volume.intensity[:, 13] / 2, rtol=1e-6)
    assert (done.volume.intensity[:, 14:] == 0).all()


def test_a_face_that_it_does_not_find_is_no_defacing(play) -> None:
    play(finds=False)
    assert run_tool(find_tool(find_named_tool("deepdefacer")), _head().volume).status is S.UNCHANGED


def test_an_environment_that_lacks_keras_is_named(play) -> None:
    """It ends its error with a ruler, and colours it."""
    play(broken=True)
    done = run_tool(find_tool(find_named_tool("deepdefacer")), _head().volume)
    said = "ERROR: Failed to initialize tensorflow and Keras. If you are using installed."
    assert (done.status, done.reason) == (S.FAILED, f"ended with exit code 1; it said: {said}")


@pytest.mark.parametrize("first", ["#!{python}", "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''"])
def test_the_version_is_that_of_the_tools_own_environment(first: str, play, tmp_path: Path) -> None:
    """The second is what installers write where the path of the Python is long or has blanks."""
    play()
    python = tmp_path / "python3.8"
    python.write_text("#!/bin/sh\necho 2.1.2\n", encoding="utf-8")
    python.chmod(0o755)
    executable = tmp_path / "its environment" / "bin" / "deepdefacer"
    executable.write_text(first.format(python=python) + "\n", encoding="utf-8")
    assert find_tool(find_named_tool("deepdefacer")).version == "2.1.2"
    executable.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    actual = find_tool(find_named_tool("deepdefacer"))
    assert (actual.is_available, actual.version) == (True, "")


@pytest.fixture
def executables(tmp_path: Path) -> Path:
    """The tool in an environment of its own: its folder of executables."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64") or sys.version_info >= (3, 12):
        pytest.skip("TensorFlow 2.15 is there for Python 3.11 at most, and its Conv3D of the tool for x86-64 Linux")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", folder], env=environment, check=True)
    (folder / "tool.txt").write_text(DEEPDEFACER, encoding="utf-8")
    options = ("--retries=1", "--require-hashes", "--no-deps", "--no-build-isolation", "--no-compile")
    for wanted in (REQUIREMENTS, folder / "tool.txt"):
        done = subprocess.run(
            [folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", *options, "-r", wanted],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode and any(words in done.stderr for words in OFFLINE):
            pytest.skip(f"no package index to install it from: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    (packages,) = (folder / "lib").glob("python3*/site-packages")
    (packages / "add_transform.py").write_text(ADD_TRANSFORM, encoding="utf-8")
    (packages / "add_transform.pth").write_text("import add_transform\n")  # Debian has a sitecustomize
    return folder / "bin"


@pytest.mark.slow
def test_deepdefacer_itself_runs(executables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"] + os.pathsep + str(executables))
    monkeypatch.chdir(tmp_path)
    scan = make_phantom(1, modality=Modality.MR, spacing_mm=3.0)
    write_volume(scan.volume, Path("head.nii.gz"))
    brain = scan.labels == LABELS["brain"]
    write_labels(brain.astype(np.uint8), scan.volume.voxel_to_ras_mm, Path("brain.nii.gz"))
    words = ("--tool", "deepdefacer", "--brain-masks", "brain.nii.gz", "--max-brain-cut", "0.01", "-o", "out")
    assert main(["deface", "head.nii.gz", *words]) == 0

    (run,) = read_defacing(Path("out/defacing.json"))
    assert (run.status, run.reason, run.version) == (S.OK, "", "2.1.2")
    assert 1 < run.seconds < 600
    assert 500 < run.peak_memory_mb < 10_000  # TensorFlow alone takes more than the first

    defaced = read_volume(Path("out/deepdefacer/sub-head/ses-1.nii.gz"))
    np.testing.assert_allclose(defaced.voxel_to_ras_mm, scan.volume.voxel_to_ras_mm, atol=1e-4)
    before, after = scan.volume.intensity, defaced.intensity
    assert after.shape == before.shape
    cut = find_changed(scan.volume, defaced)
    assert cut[brain].mean() < 0.01

    head = before > 0.2 * np.percentile(before, 99.5)
    assert 0.03 < cut[head].mean() < 0.3
    along = np.broadcast_to(np.arange(head.shape[1])[:, None], head.shape)
    middle = (along[head].min() + along[head].max()) / 2
    assert (along[cut & head] > middle).mean() > 0.95
    nose = head & (along > along[head].max() - 5)  # the foremost 15 mm
    assert cut[nose].mean() > 0.9
    assert np.median(after[cut & head]) == 0
