"""What validate measures, sets beside the release's numbers, and ends with."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from reid_audit import AuditResult, Decision, EngineError
from reid_audit.cli import main
from reid_audit.records import Canary, Estimate
from reid_audit.render import RENDERERS, Renderer, frontal_view
from reid_audit.surface import extract_skin
from reid_audit.testing import FakeEncoder, make_result, make_tiny_head
from reid_audit.validation import PARTS, Measurement, Validation, heads, run, validate, worlds
from reid_audit.validation.heads import PEOPLE, TAMPERINGS, VISITS, Heads, measure_agreement, measure_people


def _measure(value: float) -> Measurement:
    return Measurement("part", "name", value, 1.0, 0.5, 1.5, "text")


def test_only_what_lies_within_its_bounds_holds_and_nothing_at_all_does_not() -> None:
    def code(*values: float) -> int:
        return Validation(tuple(map(_measure, values)), (), (), "1", 0.0).exit_code

    assert [code(1.0), code(0.5, 1.5), code(1.0, 1.6), code(float("nan")), code()] == [0, 0, 1, 1, 1]


def test_every_number_has_its_bounds_and_the_released_value_lies_within() -> None:
    expected = tomllib.loads(files("reid_audit.validation").joinpath("expected.toml").read_text(encoding="utf-8"))
    assert set(expected) == {*PARTS, "other encoders"}
    assert set(expected["worlds"]) == set(worlds.WORLDS)
    assert set(expected["tamperings"]) == {*TAMPERINGS, "face removed"}
    assert set(expected["renderers"]) == set(RENDERERS) - {"auto", "raycast"}
    for section in expected.values():
        for bounds in section.values():
            assert bounds["low"] <= bounds.get("released", bounds["low"]) <= bounds["high"]
    assert all("released" in bounds for name in PARTS for bounds in expected[name].values())


def test_an_installation_that_measures_otherwise_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One cohort instead of five: too few of them can pass."""
    monkeypatch.setattr(worlds, "SEEDS", range(1))
    path = tmp_path / "validation.json"
    assert main(["validate", "--only", "worlds", "-o", str(path)]) == 1
    told = capsys.readouterr().out
    assert "DIFFERS nothing left 1 (4 to 5; release 5)" in told
    assert "holds   half left 0 (0 to 0; release 0)" in told
    assert "5 numbers in" in told
    assert "1 of them outside their bounds" in told
    values = {each["name"]: each["value"] for each in json.loads(path.read_text())["measurements"]}
    assert values == {name: float(name == "nothing left") for name in worlds.WORLDS}


@pytest.mark.slow
def test_the_rules_decide_as_they_did_at_the_release() -> None:
    assert validate(["worlds"]).exit_code == 0


@pytest.mark.parametrize("words", ["", "world", "worlds,heads"])
def test_a_part_that_is_not_known_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--only", words]) == 2
    assert "--only must name parts of worlds, tamperings, renderers, portraits, canaries" in " ".join(
        capsys.readouterr().err.split()
    )


def test_an_encoder_whose_files_are_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    assert main(["validate", "--only", "portraits", "--encoder", "Facenet512"]) == 2
    assert "facenet512_weights.onnx" in capsys.readouterr().err


def test_a_package_of_another_name_is_said_to_be_absent() -> None:
    assert run._find_version("numpy") == np.__version__
    assert run._find_version("no-such-package") == "not installed under this name"


def test_people_are_measured_by_who_lies_near_whom() -> None:
    vectors = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1], [np.nan] * 3, [0, 1, 0], [0, 1, 0]], np.float32)
    told = {name: value for name, value, _ in measure_people(vectors, np.array([0, 0, 1, 1, 2, 2]))}
    assert told["without a vector"] == 1
    assert told["mated distance"] == pytest.approx(0.1)  # 0.2 and 0: the person without a second vector has none
    assert told["non-mated distance"] == pytest.approx(1.0)
    assert told["linkability"] == 1.0
    alone = {name: value for name, value, _ in measure_people(vectors[2:4], np.array([1, 1]))}
    assert np.isnan(alone["linkability"])


def test_renderers_agree_by_the_worst_head() -> None:
    reference = np.array([[1, 0], [0, 1]], np.float32)
    moved = np.array([[1, 0], [0.6, 0.8]], np.float32)
    assert measure_agreement(reference, reference, np.array([0, 1])) == 0
    assert measure_agreement(moved, reference, np.array([0, 1])) == pytest.approx(0.2)
    assert np.isnan(measure_agreement(moved * np.nan, reference, np.array([0, 1])))


def test_an_encoder_is_told_with_its_vectors_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """On eggs instead of heads: the numbers are made up, what is told of them is not."""
    skins = [
        extract_skin(make_tiny_head(80.0, stretch=1.1 + 0.1 * person, dent_mm=0.5 * visit))
        for person in range(PEOPLE)
        for visit in range(VISITS)
    ]
    monkeypatch.setattr(run, "make_heads", lambda: Heads(tuple(skins), tuple(map(frontal_view, skins))))
    monkeypatch.setattr(run, "make_encoder", lambda *_, **__: FakeEncoder())
    monkeypatch.setattr(run, "time_face", lambda *_: 0.25)
    validation = validate(["portraits"], encoders=["pixels"])
    assert {each.part for each in validation.measurements} == {"portraits, pixels"}
    assert {each.name: each.holds for each in validation.measurements}["without a vector"]
    facts = dict(validation.facts)
    assert "0.25 s a face" in facts["pixels"]
    assert facts["pixels, test double"] == "pixels"
    assert len(skins) == heads.VISITS * heads.PEOPLE


def test_each_renderer_is_set_beside_the_reference_and_one_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skins = [extract_skin(make_tiny_head(80.0, stretch=1.1 + 0.1 * person)) for person in range(2)]
    eggs = Heads(tuple(skins), tuple(map(frontal_view, skins)))
    monkeypatch.setattr(run, "make_heads", lambda: eggs)
    monkeypatch.setattr(run, "make_encoder", lambda *_, **__: FakeEncoder())
    monkeypatch.setattr(heads, "PEOPLE", 2)
    monkeypatch.setattr(heads, "VISITS", 1)
    monkeypatch.setattr(Heads, "subjects", np.arange(2), raising=False)
    make_renderer = run.make_renderer

    def make(name: str) -> Renderer:
        if name == "pyrender":
            raise EngineError("no pyrender here")
        return make_renderer("raycast")

    monkeypatch.setattr(run, "make_renderer", make)
    validation = validate(["renderers"])
    assert [(each.name, each.value, each.holds) for each in validation.measurements] == [("vtk", 0.0, True)]
    assert [(each.name, each.reason) for each in validation.omissions] == [("pyrender", "no pyrender here")]
    assert validation.exit_code == 0


def test_the_audited_canaries_and_verdicts_are_told_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = make_result(6, {"blur-2mm": 0.2, "eye-plane": 0.5, "face-removal": 60.0}, draws=20)
    weak = Canary("naive", "dlib", "canary-blur", 6, Estimate(0.75, subjects=6))
    verdict = replace(
        result.verdict,
        conditions=tuple(
            replace(each, decision=Decision.FAIL if each.condition == "blur-2mm" else Decision.REVIEW)
            for each in result.verdict.conditions
        ),
    )
    asked = []

    def demo(**how: object) -> AuditResult:
        asked.append(how["subjects"])
        return replace(result, verdict=verdict, evidence=replace(result.evidence, canaries=(weak,)))

    monkeypatch.setattr(run, "run_demo", demo)
    told: list[tuple[str, int, int]] = []
    validation = validate(["canaries"], progress=lambda *counts: told.append(counts))
    values = {each.name: each.value for each in validation.measurements}
    assert values["least linked canary"] == 0.75
    assert (values["blur-2mm"], values["eye-plane"], values["face-removal"]) == (1.0, 0.0, 0.0)
    assert asked == [run.AUDITED_SUBJECTS]
    assert told == [("parts", 0, 1), ("parts", 1, 1)]


def test_a_tampering_that_is_not_named_is_outside_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [(name, float(name != "mirrored"), "text") for name in (*TAMPERINGS, "face removed")]
    monkeypatch.setattr(run, "measure_tamperings", lambda: seen)
    validation = validate(["tamperings"])
    assert [each.name for each in validation.measurements if not each.holds] == ["mirrored"]
    assert validation.exit_code == 1
