"""What a run is made with: settings, the engines they come to, and the fingerprints that bind thresholds."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib import metadata

from reid_audit.face import Detector, Encoder, check_encoders, make_encoder
from reid_audit.portrait import ScanContext
from reid_audit.records import FaceRecord, Fingerprint, InputError, ScanRef, View, Volume
from reid_audit.render import Lighting, Renderer, make_renderer
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
    encoders : tuple of str
        Each ``"auto"`` or a name; see `reid_audit.face.make_encoder`. Each scan is drawn once and each detector looks
        for its face once; every encoder is judged by thresholds of its own.
    detector, renderer : str
        ``"auto"`` or a name; see `reid_audit.face.make_encoder` and `reid_audit.render.make_renderer`.
    device : str
        One of `reid_audit.face.DEVICES`: where ONNX graphs run.
    skin_level : float or None
        For every scan, in its own units; None = found on each original.
    surface : SurfaceSettings
    lighting : Lighting
    """

    encoders: tuple[str, ...] = ("auto",)
    detector: str = "auto"
    renderer: str = "auto"
    device: str = "auto"
    skin_level: float | None = None
    surface: SurfaceSettings = field(default_factory=SurfaceSettings)
    lighting: Lighting = field(default_factory=Lighting)


@dataclass(frozen=True, slots=True)
class Recogniser:
    """An encoder with its detector, as they were found on this machine.

    Attributes
    ----------
    name : str
        Of the encoder, for reports.
    recipe, detector : str
        What `reid_audit.face.make_encoder` takes to make it again in another process. May hold a path: no report.
    notice : str
        A fallback or a stand-in that the user must know of.
    identity : mapping of str to str
        Everything that changes a vector.
    """

    name: str
    recipe: str
    detector: str
    notice: str
    identity: Mapping[str, str]

    @property
    def device(self) -> str:
        """Where its graphs run: ``"cpu"`` or ``"cuda"``."""
        return self.identity.get("device", "cpu")


@dataclass(frozen=True, slots=True)
class Engines:
    """What `Settings` came to on this machine: ``auto`` is resolved, the model files were found and checked.

    Attributes
    ----------
    settings : Settings
    recognisers : tuple of Recogniser
        One per encoder, in the order of the settings.
    drawing : mapping of str to str
        Everything of the renderer that changes a pixel.
    drawing_notice : str
        A fallback of the renderer that the user must know of.
    """

    settings: Settings
    recognisers: tuple[Recogniser, ...]
    drawing: Mapping[str, str]
    drawing_notice: str = ""

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user must know of them all."""
        notices = dict.fromkeys((*(recogniser.notice for recogniser in self.recognisers), self.drawing_notice))
        return tuple(notice for notice in notices if notice)

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of the encoders."""
        return tuple(recogniser.name for recogniser in self.recognisers)


def start_engines(settings: Settings) -> Engines:
    """Load the encoders and the renderer once, so that what is missing ends the run before it begins.

    Raises
    ------
    WeightsError, EngineError
        Where a model file or package is missing.
    InputError
        Where a name is not known, there is none, or two encoders would have one name: ``onnx:a/model.onnx`` and
        ``onnx:b/model.onnx``.
    """
    if not settings.encoders:
        raise InputError("--encoder: name at least one")
    check_encoders(settings.encoders, detector=settings.detector, device=settings.device)
    made = _make_encoders(tuple((name, settings.detector, settings.device) for name in settings.encoders))
    names = [encoder.name for encoder in made]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise InputError(f"--encoder: two are called {twice}; leave one out, or give its file another name")
    with make_renderer(settings.renderer) as renderer:
        return Engines(
            replace(settings, encoders=tuple(encoder.recipe for encoder in made), renderer=renderer.name),
            tuple(_describe(encoder) for encoder in made),
            dict(renderer.identity),
            renderer.notice,
        )


def _describe(encoder: Encoder) -> Recogniser:
    return Recogniser(encoder.name, encoder.recipe, encoder.detector, encoder.notice, dict(encoder.identity))


def _make_encoders(recipes: tuple[tuple[str, str, str], ...]) -> tuple[Encoder, ...]:
    """Load encoders by (name, detector, device); those with one detector look for a face once."""
    shared: dict[str, Detector] = {}
    return tuple(
        make_encoder(name, detector=detector, device=device, detectors=shared) for name, detector, device in recipes
    )


_load_encoders = lru_cache(maxsize=1)(_make_encoders)


def encoders_of(engines: Engines) -> tuple[Encoder, ...]:
    """Return the encoders of a run, loaded once per process."""
    return _load_encoders(tuple((each.recipe, each.detector, each.device) for each in engines.recognisers))


def look_again(engines: Engines) -> Engines:
    """Return the same engines as they are in this process, a worker's: other files and packages show."""
    return replace(
        engines,
        recognisers=tuple(_describe(encoder) for encoder in encoders_of(engines)),
        drawing=dict(renderer_of(engines.settings.renderer).identity),
    )


@lru_cache(maxsize=1)
def renderer_of(name: str) -> Renderer:
    """Return this process's renderer of that name."""
    return make_renderer(name)


def context_of(scan: ScanRef, settings: Settings, *, change: Callable[[Volume], Volume] | None = None) -> ScanContext:
    """Return the context in which a scan is examined under these settings."""
    return ScanContext(
        scan,
        renderer_of(settings.renderer),
        surface=settings.surface,
        lighting=settings.lighting,
        skin_level=settings.skin_level,
        change=change,
    )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fingerprints_of(engines: Engines, records: Iterable[FaceRecord]) -> tuple[Fingerprint, ...]:
    """Return what the thresholds of this run are bound to, per encoder.

    The modality is that of the scans that could be read, ``"CT+MR"`` for a mixed cohort and ``""`` where none could.
    """
    settings = engines.settings
    view = asdict(View())
    del view["target_ras_mm"]  # found anew on each original
    modalities = sorted({record.grid.modality for record in records if record.grid is not None})
    return tuple(
        Fingerprint(
            encoder=recogniser.name,
            weights=_digest(dict(recogniser.identity)),
            detector=recogniser.detector,
            renderer=f"{settings.renderer} {_digest([asdict(settings.lighting), dict(engines.drawing)])}",
            views=f"faced {_digest(view)}",
            surface=_digest([asdict(settings.surface), settings.skin_level]),
            modality="+".join(modalities),
        )
        for recogniser in engines.recognisers
    )


def software_versions() -> dict[str, str]:
    """Return the versions of the packages that a number may depend on; those of extras where they are installed."""
    versions = {}
    for name in SOFTWARE:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def describe_settings(engines: Engines, *, seed: int) -> dict[str, str]:
    """Return the settings as names and words for the report."""
    settings = engines.settings
    detectors = dict.fromkeys(recogniser.detector for recogniser in engines.recognisers)
    table = {"encoder": ", ".join(engines.encoders), "detector": ", ".join(detectors), "renderer": settings.renderer}
    table["skin level"] = "found on each original" if settings.skin_level is None else f"{settings.skin_level:g}"
    for part in (settings.surface, settings.lighting, View()):
        table |= {
            f"{type(part).__name__} {name}".replace("_", " "): str(value)
            for name, value in asdict(part).items()
            if name != "target_ras_mm"
        }
    return table | {"seed": str(seed)}
