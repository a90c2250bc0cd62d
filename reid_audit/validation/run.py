"""Runs the parts and sets each number beside the release's."""

import math
import platform
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

from reid_audit.audit import Progress, Recogniser, Settings, time_face
from reid_audit.demo import run_demo
from reid_audit.face import Encoder, make_encoder
from reid_audit.records import AuditResult, Decision, EngineError, InputError
from reid_audit.render import RENDERERS, make_renderer
from reid_audit.validation.heads import (
    SPACING_MM,
    Heads,
    draw_heads,
    make_heads,
    measure_agreement,
    measure_people,
    measure_tamperings,
    stack_vectors,
)
from reid_audit.validation.records import Measurement, Omission, Validation
from reid_audit.validation.worlds import measure_worlds

PARTS = ("worlds", "tamperings", "renderers", "portraits", "canaries")
AUDITED_SUBJECTS = 6
REFERENCE_ENCODER = "dlib"
"""The encoder whose numbers the release has: its model files come with the package's dependencies."""
_REFERENCE_RENDERER = "raycast"  # runs on every machine
_PACKAGES = ("numpy", "scipy", "scikit-image", "simpleitk", "vtk", "embreex", "dlib-bin", "connected-components-3d")

Numbers = Iterable[tuple[str, float, str]]


def validate(
    parts: Sequence[str] = PARTS,
    *,
    encoders: Sequence[str] = (REFERENCE_ENCODER,),
    detector: str = "auto",
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Measure this installation on synthetic heads and made-up distances.

    Parameters
    ----------
    parts : sequence of str
        Of `PARTS`.
    encoders : sequence of str
        Whose portraits of synthetic people are compared. The release has numbers of dlib alone: of others it is
        asked that a vector comes of each portrait and that one person is nearer than two.
    detector : str
    executor : concurrent.futures.Executor, optional
        Where the audit of ``canaries`` runs.
    progress : callable, optional

    Raises
    ------
    InputError
        Where a part or an encoder is not known.
    WeightsError, EngineError
        Where an encoder's files or packages are not there.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise InputError(f"--only must name parts of {', '.join(PARTS)}; got {', '.join(unknown) or 'none'}")
    began = time.perf_counter()
    loaded = {name: make_encoder(name, detector=detector) for name in encoders} if "portraits" in parts else {}
    heads = make_heads() if {"renderers", "portraits"} & set(parts) else None
    measurements: list[Measurement] = []
    omissions: list[Omission] = []
    facts = [("Python", platform.python_version()), ("system", f"{platform.system()} {platform.machine()}")]
    facts += [(name, _find_version(name)) for name in _PACKAGES]
    for done, part in enumerate(parts):
        if progress is not None:
            progress("parts", done, len(parts))
        if part == "worlds":
            measurements += _compare(part, measure_worlds())
        elif part == "tamperings":
            measurements += _compare(part, measure_tamperings())
        elif part == "renderers" and heads is not None:
            measurements += _compare(part, _measure_renderers(heads, omissions))
        elif part == "portraits" and heads is not None:
            for encoder in loaded.values():
                measurements += _measure_encoder(heads, encoder, facts)
        else:
            settings = Settings(encoders=(REFERENCE_ENCODER,))
            result = run_demo(subjects=AUDITED_SUBJECTS, spacing_mm=SPACING_MM, settings=settings, executor=executor)
            measurements += _compare(part, _measure_audit(result))
    if progress is not None:
        progress("parts", len(parts), len(parts))
    seconds = time.perf_counter() - began
    return Validation(tuple(measurements), tuple(omissions), tuple(facts), version("reid-audit"), seconds)


def _find_version(package: str) -> str:
    """Return a package's version; others may have brought it under another name, as conda does."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed under this name"


@cache
def _read_expected() -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    text = files("reid_audit.validation").joinpath("expected.toml").read_text(encoding="utf-8")
    expected: Mapping[str, Mapping[str, Mapping[str, float]]] = tomllib.loads(text)
    return expected


def _compare(part: str, numbers: Numbers) -> Iterator[Measurement]:
    """Set numbers beside those of the part's section in ``expected.toml``."""
    expected = _read_expected()[part]
    for name, value, text in numbers:
        bounds = expected[name]
        yield Measurement(part, name, value, bounds.get("released", math.nan), bounds["low"], bounds["high"], text)


def _measure_renderers(heads: Heads, omissions: list[Omission]) -> Iterator[tuple[str, float, str]]:
    encoder = make_encoder(REFERENCE_ENCODER)
    with make_renderer(_REFERENCE_RENDERER) as renderer:
        reference = stack_vectors(encoder, draw_heads(heads, renderer))
    for name in RENDERERS:
        if name in ("auto", _REFERENCE_RENDERER):
            continue
        try:
            with make_renderer(name) as renderer:
                vectors = stack_vectors(encoder, draw_heads(heads, renderer))
        except EngineError as error:
            omissions.append(Omission("renderers", name, str(error)))
            continue
        text = f"largest distance of one head by {name} and by {_REFERENCE_RENDERER}, in median distances of two people"
        yield name, measure_agreement(vectors, reference, heads.subjects), text


def _measure_encoder(heads: Heads, encoder: Encoder, facts: list[tuple[str, str]]) -> Iterator[Measurement]:
    with make_renderer(_REFERENCE_RENDERER) as renderer:
        portraits = draw_heads(heads, renderer)
    vectors = stack_vectors(encoder, portraits)
    section = "portraits" if encoder.name == REFERENCE_ENCODER else "other encoders"
    for measurement in _compare(section, measure_people(vectors, heads.subjects)):
        yield replace(measurement, part=f"portraits, {encoder.name}")
    recogniser = Recogniser(encoder.name, encoder.recipe, encoder.detector, encoder.notice, encoder.identity)
    seconds = time_face(recogniser, portraits)
    length = f"vectors of {vectors.shape[1]} numbers" if vectors.shape[1] > 1 else "no vector"
    facts.append((encoder.name, f"{length}, {seconds:.2f} s a face"))
    facts += [(f"{encoder.name}, {key}", value) for key, value in encoder.identity.items()]
    if encoder.notice:
        facts.append((f"{encoder.name}, notice", encoder.notice))


def _measure_audit(result: AuditResult) -> Iterator[tuple[str, float, str]]:
    least = min(control.auc.value for control in result.evidence.controls)
    yield "control", least, f"linkability of {AUDITED_SUBJECTS} people's originals to the attacker who links them least"
    linked = min(canary.linkability.value for canary in result.evidence.canaries)
    yield "least linked canary", linked, "linkability of weakly defaced scans to the attacker who links them least"
    decisions = {each.condition: each.decision for each in result.verdict.conditions}
    yield "blur-2mm", float(decisions["blur-2mm"] is Decision.FAIL), "a light blur: 1 where it is a FAIL"
    kept = float(decisions["eye-plane"] is Decision.PASS)
    yield "eye-plane", kept, "the eye-plane cut: 1 where it would PASS"
    failed = float(decisions["face-removal"] is Decision.FAIL)
    yield "face-removal", failed, "the removal of the whole face: 1 where it is a FAIL"
