"""The device of ONNX graphs: the fallback to the CPU and its message (no test here has a GPU), and batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit import EngineError, Face, InputError, Portrait, Settings, Status, View, face, testing
from reid_audit.attack import occlusion
from reid_audit.audit import start_engines
from reid_audit.cli import main
from reid_audit.face import _models, _onnx, encode_all_at, make_encoder
from reid_audit.face._device import CPU_PROVIDER, CUDA_PROVIDER, choose_device, device_in_use, on_device
from reid_audit.face._engine import load_runtime

RNG = np.random.default_rng(20)
PLACE = Face(
    Status.OK,
    "e",
    box_px=(100.0, 100.0, 400.0, 400.0),
    eyes_px=np.array([[320.0, 200.0], [190.0, 205.0]]),
    landmarks_px=np.array([[340.0, 200], [300, 200], [170, 205], [210, 205], [255, 280]]),
    layout="dlib-5",
)


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime that says it has CUDA, where it cannot start."""
    runtime = load_runtime().onnxruntime
    monkeypatch.setattr(runtime, "get_available_providers", lambda: [CUDA_PROVIDER, CPU_PROVIDER])
    _models.load_session.cache_clear()


def _model(folder: Path, **how: bool) -> str:
    return f"onnx:{testing.write_encoder(folder / 'mine.onnx', size_px=112, dimension=64, **how)}"


def test_the_device_is_what_onnxruntime_offers_and_its_absence_names_the_mend() -> None:
    both, cpu = (CUDA_PROVIDER, CPU_PROVIDER), (CPU_PROVIDER,)
    assert [choose_device("auto", offers) for offers in (both, cpu, ())] == ["cuda", "cpu", "cpu"]
    assert [choose_device("cpu", offers) for offers in (both, cpu, ())] == ["cpu"] * 3
    assert choose_device("cuda", both) == "cuda"
    with pytest.raises(EngineError, match=r"never have two onnxruntimes.*pip uninstall.*onnxruntime-gpu.*--device cpu"):
        choose_device("cuda", cpu)
    with pytest.raises(EngineError, match=r"dlib runs on the CPU alone.*--device cpu"):
        choose_device("cuda", ())
    with pytest.raises(InputError, match=r"--device must be one of auto, cpu, cuda\. Got 'gpu' instead"):
        choose_device("gpu", cpu)
    with on_device("cuda"):
        assert device_in_use() == "cuda"
    assert device_in_use() == "cpu"


@pytest.mark.usefixtures("offered")
def test_where_cuda_does_not_start_auto_falls_back_with_a_notice_and_cuda_is_refused(tmp_path: Path) -> None:
    recipe = _model(tmp_path, channels_first=True)
    encoder = make_encoder(recipe, detector="dlib", device="auto")
    assert "--device auto: the CPU is used. CUDA could not be started" in encoder.notice
    plain = make_encoder(recipe, detector="dlib")
    assert encoder.identity == plain.identity  # the same vectors, so the same thresholds and kept faces
    assert "device" not in plain.identity
    assert dict(replace(plain, device="cuda").identity)["device"] == "cuda"
    with pytest.raises(EngineError, match=r"driver, CUDA and cuDNN .*--device cpu"):
        make_encoder(recipe, detector="dlib", device="cuda")
    engines = start_engines(Settings(encoders=(recipe,), detector="dlib"))
    assert any("CUDA could not be started" in notice for notice in engines.notices)
    assert engines.recognisers[0].device == "cpu"


def test_a_device_that_is_not_there_ends_the_command_before_it_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(tmp_path / "no.nii"), "-o", str(tmp_path / "a.png"), "--device", "gpu"]) == 2
    assert "'gpu' is not one of" in capsys.readouterr().err
    with pytest.raises(EngineError, match="dlib runs on the CPU alone"):
        start_engines(Settings(encoders=("dlib",), device="cuda"))


@pytest.mark.parametrize("channels_first", [True, False], ids=["single pictures", "any number"])
@pytest.mark.parametrize("flip", [True, False])
def test_a_batch_gives_the_vectors_of_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels_first: bool, flip: bool
) -> None:
    recipe = _model(tmp_path, channels_first=channels_first)
    layout = "nchw" if channels_first else "nhwc"
    (tmp_path / "mine.toml").write_text(f"layout = '{layout}'\nflip = {str(flip).lower()}\n")
    encoder = make_encoder(recipe, detector="dlib")
    monkeypatch.setattr(_onnx, "BATCH", 4)
    pixels = RNG.integers(0, 255, size=(10, 512, 512, 3), dtype=np.uint8)
    portraits = [Portrait(each, View(), np.eye(3, 4), "vtk") for each in pixels]
    batch, single = encode_all_at(encoder, portraits, PLACE), [encoder.encode_at(p, PLACE) for p in portraits]
    for a, b in zip(batch, single, strict=True):
        np.testing.assert_allclose(a.vector, b.vector, atol=1e-5)
        assert (a.status, a.box_px, a.encoder) == (b.status, b.box_px, b.encoder)
    assert not np.allclose(batch[0].vector, batch[1].vector, atol=1e-3)
    # A picture that breaks costs its own face alone; nobody's place is nobody's face.
    broken = [*portraits[:2], replace(portraits[2], pixels=np.zeros_like(pixels[2]))]
    assert [each.status for each in encode_all_at(encoder, broken, PLACE)] == [
        Status.OK,
        Status.OK,
        Status.BACKEND_ERROR,
    ]
    assert {each.status for each in encode_all_at(encoder, portraits, Face(Status.NO_FACE, "e"))} == {Status.NO_FACE}


def test_an_encoder_without_batches_is_asked_one_by_one() -> None:
    portraits = [Portrait(np.full((64, 64, 3), 9 + k, np.uint8), View(), np.eye(3, 4), "vtk") for k in range(3)]
    assert len(encode_all_at(testing.FakeEncoder(), portraits, PLACE)) == 3
    assert occlusion.encode_all_at is face.encode_all_at
