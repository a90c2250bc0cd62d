"""Adapters of other people's defacers, run against small executables that behave as the real ones do."""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from reid_audit import InputError, Volume
from reid_audit.deface import TOOLS, find_tool, run_tool
from reid_audit.deface.run import check_output
from reid_audit.deface.tools import PLACES, find_named_tool, make_command_tool
from reid_audit.records import DefaceStatus, Modality

# NIfTI by hand: importing nibabel would take most of the time of these tests.
READ = """
import gzip, os, sys
import numpy as np
def read(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as stream:
        raw = stream.read()
    header = bytearray(open(path[:-4] + ".hdr", "rb").read()[:348] if path.endswith(".img") else raw[:348])
    dtype = {{4: "<i2", 16: "<f4"}}[header[70]]
    shape = np.frombuffer(header[42:48], "<i2")
    data = raw if path.endswith(".img") else raw[352:]
    return np.frombuffer(data, dtype).reshape(shape, order="F").astype(np.float32), header
def write(values, header, path, shift_mm=0.0):
    header = bytearray(header)
    header[42:48] = np.array(values.shape, "<i2").tobytes()
    header[70:72], header[72:74] = np.array([16], "<i2").tobytes(), np.array([32], "<i2").tobytes()
    header[108:112], header[344:348] = np.array([352], "<f4").tobytes(), b"n+1" + bytes(1)
    for at in (272, 308):  # q-form and s-form, y
        header[at:at + 4] = (np.frombuffer(header[at:at + 4], "<f4") + np.float32(shift_mm)).tobytes()
    with (gzip.open if path.endswith(".gz") else open)(path, "wb") as stream:
        stream.write(bytes(header) + bytes(4) + values.astype("<f4").tobytes(order="F"))
""".replace("{{", "{").replace("}}", "}")


def _volume(modality: Modality = Modality.CT) -> Volume:
    """Tissue from 4 to 16 each way on 20 x 22 x 24 voxels of 2 x 2 x 3 mm."""
    air = -1000.0 if modality is Modality.CT else 3.0
    intensity = np.full((20, 22, 24), air, dtype=np.float32)
    intensity[4:16, 4:16, 4:16] = 40.0
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = -20, -30, -40
    return Volume(intensity, affine, modality, "scan.nii.gz")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write an executable of a name into a folder on the PATH, and give the folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def write(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{textwrap.dedent(READ)}\n{textwrap.dedent(body)}", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


GOOD = """
values, image = read(sys.argv[1])
values[:, 12:] = values.min()
write(values, image, sys.argv[2])
print("defaced", sys.argv[1])
"""


def _run(command: str, volume: Volume | None = None, **kwargs):
    return run_tool(find_tool(make_command_tool(command)), volume or _volume(), **kwargs)


def test_a_tool_that_works(install, tmp_path: Path) -> None:
    install("good", GOOD)
    log = tmp_path / "tool.log"
    done = _run("good {input} {output}", log=log)
    assert (done.status, done.reason) == (DefaceStatus.OK, "")
    expected = _volume().intensity
    expected[:, 12:] = -1000.0
    np.testing.assert_array_equal(done.volume.intensity, expected)
    assert 0 < done.seconds < 60
    assert 5 < done.peak_memory_mb < 5000
    assert "defaced" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_tool_gets_no_name_and_a_private_folder(install) -> None:
    install(
        "spy",
        GOOD + "import os, stat\nassert stat.S_IMODE(os.stat(os.getcwd()).st_mode) == 0o700\n"
        "assert sys.argv[1] == os.path.join(os.getcwd(), 'input.nii.gz')\n"
        "assert os.environ['TMPDIR'] == os.getcwd()\nassert sys.stdin.read() == ''\n"
        "assert not any(read(sys.argv[1])[1][148:228])",  # its description
    )
    assert _run("spy {input} {output}").status is DefaceStatus.OK


def test_a_crash_is_a_failure_with_its_last_words(install) -> None:
    install("crash", "print('no brain found in /data/person/scan.nii', file=sys.stderr); sys.exit(3)")
    done = _run("crash {input} {output}")
    assert done.status is DefaceStatus.FAILED
    assert done.reason == "ended with exit code 3; it said: no brain found in scan.nii"
    assert done.volume is None
    install("killed", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert "ended by signal 11" in _run("killed {input}").reason


def test_a_hang_is_ended_with_its_children(install, tmp_path: Path) -> None:
    """The child is in a session of its own, where no signal to the group reaches it."""
    numbers = tmp_path / "pids"
    install(
        "hang",
        f"""
        import os, subprocess, time
        children = [subprocess.Popen(["sleep", "60"], start_new_session=own) for own in (True, False)]
        open({str(numbers)!r}, "w").write(" ".join(str(p) for p in (os.getpid(), *(c.pid for c in children))))
        time.sleep(60)
        """,
    )
    begun = time.monotonic()
    done = _run("hang {input} {output}", time_limit_s=2.5)
    assert done.status is DefaceStatus.TIMED_OUT
    assert time.monotonic() - begun < 20
    assert done.seconds >= 2.5
    pids = [int(pid) for pid in numbers.read_text().split()]
    assert len(pids) == 3
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_tool_leaves_running_is_ended(install, tmp_path: Path) -> None:
    number = tmp_path / "pid"
    install(
        "leaves",
        GOOD + f"\nimport subprocess\nopen({str(number)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))",
    )
    assert _run("leaves {input} {output}").status is DefaceStatus.OK
    deadline = time.monotonic() + 10
    while _runs(int(number.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(int(number.read_text()))


def test_another_grid_is_seen(install) -> None:
    install("crops", "values, image = read(sys.argv[1]); write(values[1:], image, sys.argv[2])")
    assert _run("crops {input} {output}").status is DefaceStatus.OTHER_GRID
    install(
        "shifts",
        "values, image = read(sys.argv[1]); values[9:] = values.min()\nwrite(values, image, sys.argv[2], shift_mm=5.0)",
    )
    done = _run("shifts {input} {output}")
    assert done.status is DefaceStatus.OTHER_GRID
    assert "5.00 mm" in done.reason
    assert done.volume is None


def test_other_storage_axes_are_the_same_grid(install) -> None:
    install(
        "turns",
        "import nibabel as nib\nimage = nib.load(sys.argv[1])\n"
        "values = np.array(image.dataobj); values[:, 12:] = values.min()\n"
        "image = nib.Nifti1Image(values, image.affine)\n"
        "image.as_reoriented([[0, -1], [2, 1], [1, -1]]).to_filename(sys.argv[2])",
    )
    assert _run("turns {input} {output}").status is DefaceStatus.OK


def test_a_silent_copy_is_no_defacing(install) -> None:
    install("copy", "import shutil; shutil.copy(sys.argv[1], sys.argv[2])")
    done = _run("copy {input} {output}")
    assert (done.status, done.reason) == (DefaceStatus.UNCHANGED, "no voxel differs from the input")


def test_an_output_elsewhere_is_named(install) -> None:
    install("elsewhere", "values, image = read(sys.argv[1]); write(values * 0, image, 'my_defaced.nii.gz')")
    done = _run("elsewhere {input} {output}")
    assert done.status is DefaceStatus.FAILED
    assert done.reason == "left no output.nii.gz; it wrote my_defaced.nii.gz; it said nothing"


def test_a_damaged_output_is_a_failure(install) -> None:
    install("damaged", "open(sys.argv[2], 'wb').write(b'not a scan')")
    done = _run("damaged {input} {output}")
    assert done.status is DefaceStatus.FAILED
    assert "output.nii.gz" in done.reason


def test_a_cut_brain_is_seen_where_there_is_a_mask(install) -> None:
    install("good", GOOD)
    brain = np.zeros((20, 22, 24), dtype=bool)
    brain[6:14, 6:13, 8:14] = True
    done = _run("good {input} {output}", brain=brain)
    assert done.status is DefaceStatus.BRAIN_CUT
    assert "14.29% of the brain mask" in done.reason
    assert _run("good {input} {output}", brain=brain, max_brain_cut=0.2).status is DefaceStatus.OK
    brain[:, 12:] = False
    assert _run("good {input} {output}", brain=brain).status is DefaceStatus.OK


def test_the_words_are_never_given_to_a_shell(install, tmp_path: Path) -> None:
    install("good", GOOD + "\nassert sys.argv[3:] == ['; touch evil', '$(touch', 'evil)', '>', 'x']")
    assert _run("good {input} {output} '; touch evil' $(touch evil) > x").status is DefaceStatus.OK


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "is empty"),
        ("tool {output}", "no {input}"),
        ("tool {input} {ouput}", "no {ouput}"),
        ("tool '{input}", "close the quotation"),
    ],
)
def test_a_command_that_cannot_be_meant(command: str, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("{", r"\{")):
        make_command_tool(command)


def test_a_tool_that_is_not_there_says_so(install) -> None:
    actual = find_tool(make_command_tool("nowhere {input}"))
    assert (actual.is_available, actual.reason) == (False, "nowhere is not on the PATH")
    assert run_tool(actual, _volume()).status is DefaceStatus.MISSING


def test_what_a_tool_needs_is_asked_for(install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("pydeface", GOOD)
    monkeypatch.delenv("FSLDIR", raising=False)
    tool = find_named_tool("pydeface")
    assert find_tool(tool).reason == "the variable FSLDIR is not set"
    monkeypatch.setenv("FSLDIR", "/opt/fsl")
    assert find_tool(tool).reason == "it needs fsl, flirt on the PATH"
    install("fsl", "")
    install("flirt", "")
    assert find_tool(tool).is_available


def test_the_version_is_found(install) -> None:
    install("good", "print('Good defacer, release 2.13.1-beta (c) 2020')")
    tool = replace(make_command_tool("good {input}"), version=("good", "--version"))
    assert find_tool(tool).version == "2.13.1-beta"
    install("good", "sys.exit('1.2.3 unknown option')")
    assert find_tool(tool).version == ""


# Each known tool, played by an executable that takes its words as the real one does and writes where it writes.
TAKES = {
    "afni-deface": ("@afni_refacer_run", "-input", "-prefix"),
    "afni-reface": ("@afni_refacer_run", "-input", "-prefix"),
    "afni-reface-plus": ("@afni_refacer_run", "-input", "-prefix"),
    "deepdefacer": ("deepdefacer", "--input_file", "--defaced_output_path"),
    "defacer": ("defacer", 1, 2),
    "fsl-deface": ("fsl_deface", 1, 2),
    "mask-face": ("mask_face", 1, "-o"),
    "mri-deface": ("mri_deface", 1, 4),
    "pydeface": ("pydeface", 1, "--outfile"),
    "quickshear": ("quickshear", 1, 3),
    "mri-reface": ("run_mri_reface.sh", 1, 2),
    "mideface": ("mideface", "--i", "--o"),
    "cta-deface": ("python3", "-i", "-o"),
    "totalsegmentator-face": ("TotalSegmentator", "-i", "-o"),
    "caideface": ("caideface", 2, 3),
    "mede": ("mede-deidentify", "-i", "-o"),
    "skullduggery": ("skullduggery", 1, 1),
    "refacing-cgan": ("refacing-cgan", 1, 2),
}
PLAYER = """
import glob, os
def at(key):
    return sys.argv[key] if isinstance(key, int) else sys.argv[sys.argv.index(key) + 1]
source, target = at({source!r}), at({target!r})
source = source + ".img" if not os.path.exists(source) else source
if os.path.isdir(source):
    (source,) = glob.glob(source + "/**/*.nii*", recursive=True)
values, image = read(source)
face = np.zeros(values.shape, bool); face[:, 12:] = True
if {mask}:
    values = face.astype(np.uint8)
else:
    values[face] = values.min()
if os.path.isdir(target):
    target = os.path.join(target, {inside!r})
    os.makedirs(os.path.dirname(target), exist_ok=True)
elif not target.endswith(".gz"):
    target += ".nii"
write(values, image, target)
"""
INSIDE = {
    "mri-reface": "input_deFaced.nii",
    "cta-deface": "input_defaced.nii.gz",
    "totalsegmentator-face": "face.nii.gz",
    "caideface": "defaced/input.nii.gz",
    "mede": "input_deface.nii.gz",
    "skullduggery": "sub-01/anat/sub-01_T1w.nii.gz",
}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_adapter_speaks_its_tools_words(tool, install, tmp_path, monkeypatch) -> None:
    executable, source, target = TAKES[tool.name]
    install(
        executable,
        PLAYER.format(source=source, target=target, mask=tool.gives_mask, inside=INSIDE.get(tool.name, "")),
    )
    for name in tool.requires:
        install(name, "")
    for name in tool.environment:
        monkeypatch.setenv(name, str(tmp_path))
    modality = tool.takes[0]
    volume = _volume(modality)
    brain = np.zeros(volume.intensity.shape, dtype=bool)
    brain[6:14, 6:11, 8:14] = True
    # The version is asked of other programs; it has a test of its own.
    done = run_tool(find_tool(replace(tool, version=())), volume, brain=brain, time_limit_s=60)
    assert (done.status, done.reason) == (DefaceStatus.OK, "")
    assert (done.volume.intensity != volume.intensity)[:, 12:16].any()
    assert set("".join(tool.words).split("}")[0].split("{")[1:]) <= {*PLACES, *tool.environment}


def test_a_tool_that_writes_over_its_input_and_does_nothing_is_no_defacing(install) -> None:
    install(
        "skullduggery",
        "import json, os\nassert json.load(open(os.path.join(sys.argv[1], 'dataset_description.json')))['BIDSVersion']",
    )
    (tool,) = (tool for tool in TOOLS if tool.name == "skullduggery")
    assert run_tool(find_tool(replace(tool, version=())), _volume(Modality.MR)).status is DefaceStatus.UNCHANGED


def test_the_names_of_the_tools_are_conditions_and_unlike() -> None:
    names = [tool.name for tool in TOOLS]
    assert len(set(names)) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)
    assert all(tool.removes and tool.url and tool.licence for tool in TOOLS)


def test_a_tool_that_does_not_take_the_modality(install) -> None:
    install("refacing-cgan", GOOD)
    done = run_tool(find_tool(find_named_tool("refacing-cgan")), _volume(Modality.CT))
    assert (done.status, done.reason) == (DefaceStatus.FAILED, "refacing-cgan does not take CT")


def test_rounding_is_no_change() -> None:
    volume = _volume(Modality.MR)
    almost = replace(volume, intensity=volume.intensity + 0.05)
    assert check_output(volume, almost)[0] is DefaceStatus.UNCHANGED


@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
def test_quickshear_itself_runs(modality: Modality, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"])
    actual = find_tool(find_named_tool("quickshear"))
    if not actual.is_available:
        pytest.skip(actual.reason)
    volume = _volume(modality)
    assert run_tool(actual, volume).reason.startswith("quickshear needs a brain mask")
    brain = np.zeros(volume.intensity.shape, dtype=bool)
    brain[6:14, 4:9, 8:16] = True
    brain[6:14, 9:11, 12:16] = True
    done = run_tool(actual, volume, brain=brain)
    assert (done.status, done.reason) == (DefaceStatus.OK, "")
    assert actual.version.startswith("1.")
    changed = done.volume.intensity != volume.intensity
    assert changed[:, :, 4:8].any()
    # It writes 0: air in MR, water in CT.
    assert (done.volume.intensity[changed] == 0).all()
