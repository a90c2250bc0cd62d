"""Screening without originals: states, parts, the gate, claims, ledger, and what a stopped run keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from trees import write_series

from reid_audit.cli import main
from reid_audit.dataset.claims import claims_of_name, claims_of_sidecar
from reid_audit.deface import apply_defacer, make_defacer
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import Answer, InputError, Modality, Reading, Review, Volume, to_json
from reid_audit.render import find_frontal_view, make_renderer
from reid_audit.screen import (
    ImageScreening,
    Part,
    PartState,
    Screening,
    ScreenState,
    list_images,
    read_screening,
    screen,
)
from reid_audit.screen.texture import find_flat, measure_texture
from reid_audit.surface import extract_skin, write_mesh
from reid_audit.volume import read_labels, write_volume
from reid_audit.work import Store

SEEN, REMOVED, BLURRED, REPLACED = PartState.SEEN, PartState.REMOVED, PartState.BLURRED, PartState.REPLACED


def _image(state: ScreenState, **parts: PartState) -> ImageScreening:
    return ImageScreening("a.nii", state, "", parts=tuple(Part(name, each) for name, each in parts.items()))


@pytest.mark.parametrize(
    ("image", "decision"),
    [
        (_image(ScreenState.FACE, eyes=SEEN, nose=SEEN, mouth=SEEN), 1),
        (_image(ScreenState.NO_FACE), 0),
        (_image(ScreenState.UNKNOWN), 3),
        (_image(ScreenState.ALTERED, eyes=REMOVED, nose=REMOVED, mouth=REPLACED, chin=SEEN, ears=SEEN), 0),
        (_image(ScreenState.ALTERED, eyes=REMOVED, nose=REMOVED, mouth=SEEN), 3),
        (_image(ScreenState.ALTERED, eyes=BLURRED, nose=BLURRED, mouth=BLURRED), 3),
        (_image(ScreenState.ALTERED, eyes=PartState.VEILED, nose=REMOVED, mouth=REMOVED), 3),
    ],
)
def test_an_altered_image_passes_only_where_no_identifying_part_is_left(image: ImageScreening, decision: int) -> None:
    assert image.decision == decision


def test_one_face_outweighs_an_unknown_and_nothing_at_all_does_not_pass() -> None:
    face, unknown, none = (_image(state) for state in (ScreenState.FACE, ScreenState.UNKNOWN, ScreenState.NO_FACE))

    def code(*images: ImageScreening, expect: bool = True) -> int:
        return Screening("tree", images, (), expect, "1").exit_code

    assert [code(none), code(none, unknown), code(none, unknown, face), code()] == [0, 3, 1, 3]
    assert [code(face, expect=False), code(unknown, expect=False)] == [0, 3]


def test_flat_voxels_are_those_of_a_constant_block_and_none_of_noise() -> None:
    values = np.random.default_rng(0).normal(0, 9, (20, 20, 20)).astype(np.float32)
    values[5:15, 5:15, 5:15] = -1000
    expected = np.zeros(values.shape, bool)
    expected[5:15, 5:15, 5:15] = True
    corners = expected & ~find_flat(values)
    assert not (find_flat(values) & ~expected).any()
    assert corners.sum() < 8 * 20  # edges and corners of the block, which no inner voxel touches


def test_noise_is_missing_where_it_was_averaged_away_and_nowhere_else() -> None:
    from scipy.ndimage import uniform_filter

    values = np.random.default_rng(1).normal(100, 5, (60, 40, 40)).astype(np.float32)
    values[40:] = uniform_filter(values, 7)[40:]
    beside = np.zeros(values.shape, bool)
    beside[:30] = True
    texture = measure_texture(Volume(values, np.diag([2.0, 2, 2, 1]), Modality.MR), 0.0, beside)
    assert texture.quiet[44:].mean() > 0.95
    assert texture.quiet[:36].mean() < 0.01


def test_names_and_sidecars_claim(tmp_path: Path) -> None:
    assert claims_of_name("sub-01_T1w.nii.gz") == ()
    assert claims_of_name("sub-01_desc-defaced_T1w.nii.gz") == ("name: defaced",)
    image = tmp_path / "sub-01_T1w.nii.gz"
    assert claims_of_sidecar(image) == ()
    image.with_name("sub-01_T1w.json").write_text('{"Defaced": true, "EchoTime": 0.003}')
    assert claims_of_sidecar(image) == ("sidecar: Defaced = True",)


def test_every_file_is_an_image_or_counted(tmp_path: Path) -> None:
    from trees import write_image

    write_image(tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii")
    (tmp_path / "sub-01" / "anat" / "sub-01_T1w.json").write_text("{}")
    (tmp_path / "face.png").write_bytes(b"picture")
    (tmp_path / "turn.mp4").write_bytes(b"video")
    (tmp_path / "notes.pdf").write_bytes(b"document")
    write_series(tmp_path / "Secret Name", DeidentificationMethod="mri_reface 0.3")
    actual = list_images(tmp_path)
    names = [image.name for image in actual.images]
    assert names[:2] == ["face.png", "sub-01/anat/sub-01_T1w.nii"]
    assert names[2].startswith("DICOM series ")
    assert names[2].endswith("(CT, 10 files)")
    assert "Secret" not in repr([image.name for image in actual.images] + list(actual.aside))
    assert actual.images[2].claims == ("DICOM: mri_reface 0.3",)
    asides = sorted((aside.what, aside.count, aside.may_show) for aside in actual.aside)
    assert asides == [(".json", 1, False), ("document", 1, True), ("video", 1, True)]
    told = tuple(_image(ScreenState.NO_FACE) for _ in actual.images)
    assert Screening("tree", told, actual.aside, True, "1").exit_code == 3  # a human must look at the video
    digests = {name: sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("turn.mp4", "face.png")}
    allow = tmp_path.parent / "allow.csv"
    allow.write_text(f"sha256,reason\n{digests['turn.mp4']},consent\n{digests['face.png'].upper()},drawn by hand\n")
    actual = list_images(tmp_path, allow=allow)
    assert actual.images[0].allowed == "drawn by hand"
    assert [(aside.what, aside.reason) for aside in actual.aside if "allowed" in aside.reason] == [
        ("video", "allowed: consent")
    ]
    assert replace(_image(ScreenState.FACE), allowed="drawn by hand").decision == 0
    allow.write_text("sha256,reason\n12ab,consent\n")
    with pytest.raises(InputError, match=r"allow\.csv, line 2: sha256 must be 64 hex digits"):
        list_images(tmp_path, allow=allow)


def test_what_is_no_scan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no scan")
    with pytest.raises(InputError, match=r"note\.txt: is no scan"):
        list_images(tmp_path / "note.txt")
    with pytest.raises(InputError, match="no such file"):
        list_images(tmp_path / "absent")
    with pytest.raises(InputError, match="--four-d must be first or mean; got 'all'"):
        list_images(tmp_path, frames="all")
    assert main(["screen", str(tmp_path), "-o", str(tmp_path / "page.txt")]) == 2


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One synthetic person: whole, without a face, blurred, and a file that is no scan."""
    folder = tmp_path_factory.mktemp("release")
    made = make_phantom(2, seed=8, spacing_mm=2.1)
    write_volume(made.volume, folder / "whole.nii.gz")
    for word in ("face-removal", "blur:5mm"):
        defacer = make_defacer(word)
        assert defacer is not None
        defaced = apply_defacer(defacer, made.volume, made.labels, dict(LABELS)).volume
        write_volume(defaced, folder / f"{word.partition(':')[0]}.nii.gz")
    series = np.stack([made.volume.intensity, 0.8 * made.volume.intensity], axis=-1)
    nib.save(nib.Nifti1Image(series, made.volume.voxel_to_ras_mm), folder / "bold.nii.gz")
    (folder / "broken.nii.gz").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    skin = extract_skin(made.volume)
    write_mesh(skin, folder / "head.stl")
    portrait = make_renderer("auto").render(skin, find_frontal_view(skin))
    Image.fromarray(portrait.pixels).resize((160, 160)).save(folder / "preview.png")
    Image.new("RGB", (200, 200), (90, 90, 90)).save(folder / "grey.png")
    return folder


@pytest.mark.slow
def test_a_hidden_face_fails_the_gate_and_masks_lie_where_voxels_changed(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks, store = tmp_path / "masks", tmp_path / "store"
    argv = ["screen", str(release), "--workers", "1", "--store", str(store), "--masks", str(masks), "--format", "json"]
    assert main([*argv, "--expect-defaced", "-o", str(tmp_path / "page.html")]) == 1
    told = {image["name"]: image for image in json.loads(capsys.readouterr().out)["images"]}
    assert {name: image["state"] for name, image in told.items()} == {
        "blur.nii.gz": "altered",
        "bold.nii.gz": "face",
        "broken.nii.gz": "unknown",
        "face-removal.nii.gz": "altered",
        "grey.png": "no face",
        "head.stl": "face",
        "preview.png": "face",
        "whole.nii.gz": "face",
    }
    assert "is a Git LFS pointer" in told["broken.nii.gz"]["reason"]
    assert told["bold.nii.gz"]["reason"] == "eyes, nose, mouth, chin, ears seen; mean of 2 volumes"
    parts = {name: {part["name"]: part["state"] for part in image["parts"]} for name, image in told.items()}
    assert {parts["face-removal.nii.gz"][name] for name in ("eyes", "nose", "mouth")} == {"removed"}
    assert {parts["blur.nii.gz"][name] for name in ("eyes", "nose", "mouth")} == {"blurred"}
    assert sorted(path.name for path in masks.iterdir()) == ["blur_altered.nii.gz", "face-removal_altered.nii.gz"]
    made = make_phantom(2, seed=8, spacing_mm=2.1)
    for word, name, least in (("face-removal", "face-removal", 0.95), ("blur:5mm", "blur", 0.85)):
        mask, _ = read_labels(masks / f"{name}_altered.nii.gz")
        defacer = make_defacer(word)
        assert defacer is not None
        changed = apply_defacer(defacer, made.volume, made.labels, dict(LABELS)).changed
        assert 2 * (changed & (mask > 0)).sum() / (changed.sum() + mask.sum()) > least
    page = (tmp_path / "page.html").read_text()
    assert "FAIL: there is a face" in page
    assert str(release) not in page


@pytest.mark.slow
def test_a_second_run_takes_what_the_first_one_kept(release: Path, tmp_path: Path) -> None:
    import os

    images = list_images(release)
    whole = replace(images, images=tuple(image for image in images.images if image.name == "whole.nii.gz"))
    os.utime(release / "whole.nii.gz", (1, 1))  # settled long ago, but for the time of its change
    import time

    time.sleep(2.1)
    store = Store(tmp_path / "store")
    first = screen(whole, store=store)
    again = screen(whole, store=store)
    assert first.images[0].state is ScreenState.FACE
    assert again == first  # seconds too: it was not looked at again


@pytest.mark.slow
def test_answers_of_readers_enter_the_gate_where_they_are_about_the_same_image(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = release / "blur.nii.gz"
    argv = ["screen", str(path), "--workers", "1", "--no-store", "--expect-defaced"]
    assert main([*argv, "-o", str(tmp_path / "screening.json")]) == 3
    screening = read_screening(tmp_path / "screening.json")
    (image,) = screening.images
    assert image.image_sha256

    def answer(digest: str, said: Answer) -> int:
        reading = Reading(image.name, "", "screened", digest, "seen", "ann", said, "", "2026-01-02T00:00:00")
        review = Review(screening.source, screening.created_utc, "1", (reading,))
        (tmp_path / "review.json").write_text(to_json(review))
        return main([*argv, "--review", str(tmp_path / "review.json")])

    assert answer(image.image_sha256, Answer.REMOVED) == 0
    assert "seen: removed" in capsys.readouterr().out
    assert answer(image.image_sha256, Answer.FACE) == 1
    assert answer("of another image", Answer.REMOVED) == 2
