"""What a run is made with: settings, the engines they come to, and the fingerprint that binds a threshold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata

from reid_audit.face import make_encoders, name_encoder
from reid_audit.records import (
    FaceRecord,
    Fingerprint,
    InputError,
    View,
)
from reid_audit.render import Lighting, make_renderer
from reid_audit.surface import SurfaceSettings

SOFTWARE = (
    "reid-audit",
    "numpy",
    "scipy",
    "scikit-image",
    "scikit-learn",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "vtk",
    "pyrender",
    "embreex",
    "dlib-bin",
    "deepface",
    "retina-face",
    "onnxruntime",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything about a run that changes a distance.

    Attributes
    ----------
    encoder, detector, renderer : str
        ``"auto"`` or a name; see `reid_audit.make_encoder` and `reid_audit.make_renderer`.
    level : float or None
        Skin level for every scan, in its own units; None = found on each original.
    surface : SurfaceSettings
    lighting : Lighting
    """

    encoder: str = "auto"
    detector: str = "auto"
    renderer: str = "auto"
    level: float | None = None
    surface: SurfaceSettings = field(default_factory=SurfaceSettings)
    lighting: Lighting = field(default_factory=Lighting)


@dataclass(frozen=True, slots=True)
class Engines:
    """What `Settings` came to on this machine: ``auto`` is resolved, the model files were found and checked.

    ``identity`` is everything that changes a vector, ``drawing`` everything of the renderer that changes a pixel.
    """

    settings: Settings
    notices: tuple[str, ...]
    identity: Mapping[str, str]
    drawing: Mapping[str, str]


def start_engines(settings: Settings) -> Engines:
    """Load the recogniser and the renderer once, so that what is missing ends the run before it begins.

    Raises
    ------
    WeightsError, EngineError, InputError
        Where a model file or package is missing, or a name is not known.
    """
    return start_engines_of_each(settings, (settings.encoder,))[0]


def start_engines_of_each(settings: Settings, encoders: Sequence[str]) -> tuple[Engines, ...]:
    """Load several recognisers, which will look at the same portraits, and the renderer.

    Parameters
    ----------
    settings : Settings
        Its encoder is not used.
    encoders : sequence of str
        As for `reid_audit.make_encoders`.

    Returns
    -------
    tuple of Engines
        One per recogniser, in their order, with settings that differ in encoder and detector alone.

    Raises
    ------
    WeightsError, EngineError
        As `start_engines`.
    InputError
        Also where two recognisers would have one name: two files ``onnx:a/model.onnx`` and ``onnx:b/model.onnx``.
    """
    made = make_encoders(encoders, detector=settings.detector)
    names = [encoder.name for encoder in made]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise InputError(f"--encoder: two recognisers are called {twice}; give one of the files another name")
    with make_renderer(settings.renderer) as renderer:
        return tuple(
            Engines(
                replace(settings, encoder=encoder.recipe, detector=encoder.detector, renderer=renderer.name),
                tuple(notice for notice in (encoder.notice, renderer.notice) if notice),
                dict(encoder.identity),
                dict(renderer.identity),
            )
            for encoder in made
        )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fingerprint_of(engines: Engines, records: Iterable[FaceRecord]) -> Fingerprint:
    """Return what a threshold of this run is bound to.

    The modality is that of the scans that could be read, ``"CT+MR"`` for a mixed cohort and ``""`` where none could.
    """
    settings = engines.settings
    view = asdict(View())
    del view["target_ras_mm"]  # found anew on each original
    modalities = sorted({record.grid.modality for record in records if record.grid is not None})
    return Fingerprint(
        encoder=name_encoder(settings.encoder),
        weights=_digest(dict(engines.identity)),
        detector=settings.detector,
        renderer=f"{settings.renderer} {_digest([asdict(settings.lighting), dict(engines.drawing)])}",
        views=f"faced {_digest(view)}",
        surface=_digest([asdict(settings.surface), settings.level]),
        modality="+".join(modalities),
    )


def software_versions() -> dict[str, str]:
    """Return the versions of the packages that a number may depend on."""
    return {name: metadata.version(name) for name in SOFTWARE}


def describe_settings(settings: Settings, *, seed: int) -> dict[str, str]:
    """Return the settings as names and words for the report."""
    table = {"encoder": name_encoder(settings.encoder), "detector": settings.detector, "renderer": settings.renderer}
    table["skin level"] = "found on each original" if settings.level is None else f"{settings.level:g}"
    for part in (settings.surface, settings.lighting, View()):
        table |= {
            f"{type(part).__name__} {name}".replace("_", " "): str(value)
            for name, value in asdict(part).items()
            if name != "target_ras_mm"
        }
    return table | {"seed": str(seed)}
