"""Faces that an earlier run finished: looked up before a scan is done, kept after it.

What a face depends on makes up its key: the bytes of the scan, its name, series, condition and modality, the settings,
the engines with their model files, what the original handed on, the attackers and what they know, the versions of the
packages and of the stages that a scan goes through. Subject, session and folder are neither in the key nor in the
entry.
"""

import logging
import platform
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from reid_audit import alteration, face, portrait, render, surface, volume
from reid_audit.attack import Attack, canaries
from reid_audit.audit.scan import Knowledge
from reid_audit.audit.settings import Engines, Recogniser, look_again, software_versions
from reid_audit.records import EngineError, FaceRecord, ScanRef, Status
from reid_audit.work import Progress, Store, digest_files, digest_of, digest_of_state, pack, run_all, unpack

STAGE_VERSIONS = {
    "alteration": alteration.STAGE_VERSION,
    "volume": volume.STAGE_VERSION,
    "surface": surface.STAGE_VERSION,
    "render": render.STAGE_VERSION,
    "face": face.STAGE_VERSION,
    "chain": portrait.STAGE_VERSION,
    "canary": canaries.STAGE_VERSION,
}
"""What a scan goes through on its way to a face: where a stage gives something else, older faces are not used."""

_PASSING = (Status.UNREADABLE, Status.RENDER_FAILED, Status.BACKEND_ERROR)
"""Outcomes that another attempt may mend (a disk, memory, an engine): never kept."""

_logger = logging.getLogger(__name__)


def _of_run(engines: Engines, recogniser: Recogniser) -> dict[str, str]:
    """Name everything but the scan that a face depends on."""
    settings = replace(
        engines.settings, encoders=(recogniser.recipe,), detector=recogniser.detector, device=recogniser.device
    )
    parts = {name: str(value) for part in (recogniser.identity, engines.drawing) for name, value in part.items()}
    stages = {f"stage {name}": str(version) for name, version in STAGE_VERSIONS.items()}
    return {**software_versions(), **parts, **stages, "settings": digest_of(settings)}


def _of_all(engines: Engines) -> Mapping[str, str]:
    lone = len(engines.recognisers) == 1
    return {
        name if lone else f"{name} of {recogniser.recipe}": value
        for recogniser in engines.recognisers
        for name, value in _of_run(engines, recogniser).items()
    }


_seen_here: dict[str, Mapping[str, str]] = {}


def check_engines_here(engines: Engines, expected: Mapping[str, str]) -> None:
    """Check, in a worker, that it would measure with what the run was started with.

    Raises
    ------
    EngineError
        Where a model file, a package, the graphics driver or a stage is another one.
    """
    run = digest_of(expected)
    if run not in _seen_here:
        _seen_here.clear()
        _seen_here[run] = _of_all(look_again(engines))
    here = _seen_here[run]
    other = [name for name in {**expected, **here} if here.get(name) != expected.get(name)]
    if other:
        name = other[0]
        raise EngineError(
            f"the worker on {platform.node()} would measure with another {name}: {here.get(name, 'none')} instead of "
            f"{expected.get(name, 'none')}; install the same reid-audit, packages and model files on every machine"
        )


def _statuses(value: object) -> Iterator[Status]:
    """Find every status in a record, wherever it stands."""
    if isinstance(value, Status):
        yield value
    elif is_dataclass(value):
        for part in fields(value):
            yield from _statuses(getattr(value, part.name))
    elif isinstance(value, Mapping | tuple | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _statuses(item)


@dataclass(frozen=True, slots=True, eq=False)
class FaceCache:
    """The part of a store that fits one run.

    Attributes
    ----------
    store : Store
    engines : Engines
        From `start_engines`. Each encoder has faces of its own: one more leaves those of the others as they are.
    """

    store: Store
    engines: Engines
    _states: dict[Path, str | None] = field(default_factory=dict, init=False, repr=False)
    _bytes: dict[Path, str] = field(default_factory=dict, init=False, repr=False)
    _of_encoder: dict[str, dict[str, str]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for recogniser in self.engines.recognisers:
            self._of_encoder[recogniser.name] = _of_run(self.engines, recogniser)

    @property
    def of_run(self) -> Mapping[str, str]:
        """What `check_engines_here` expects of every worker."""
        return _of_all(self.engines)

    def look_at_files(self, scans: Sequence[ScanRef]) -> list[ScanRef]:
        """Recall the digests of scans that were not touched since they were taken; return the others."""
        return [scan for scan in scans if not self._know(scan.path)]

    def read_files(self, scans: Sequence[ScanRef], *, executor: Executor, progress: Progress | None = None) -> None:
        """Take the digests of scans, from the store where their files were not touched since it knows them."""
        unknown = list(dict.fromkeys(scan.path for scan in self.look_at_files(scans)))

        def note(digested: tuple[Path, str | None]) -> None:
            path, digest = digested
            state = digest_of_state(path)
            if digest is not None and (None if state is None else state.digest) == self._states[path]:
                self._bytes[path] = digest
                if state is not None and state.settled:
                    self.store.put(digest_of("files", state.digest), digest.encode())

        calls = [(path,) for path in unknown]
        run_all(executor, _digest_path, calls, done=note, progress=progress, stage="scan files read")

    def _know(self, path: Path) -> bool:
        """Whether the digest of a scan is known without reading it; notes what the file system says of it."""
        state = digest_of_state(path)
        self._states[path] = None if state is None else state.digest
        self._bytes.pop(path, None)
        known = self.store.get(digest_of("files", state.digest)) if state is not None and state.settled else None
        if known is not None:
            self._bytes[path] = known.decode()
        return known is not None

    def key_of(self, scan: ScanRef, encoder: str, knowledge: Knowledge, attacks: Sequence[Attack]) -> str | None:
        """Return the key of what an encoder finds; None where the files could not be read: nothing is kept."""
        content = self._bytes.get(scan.path)
        if content is None:
            return None
        of_scan = [content, scan.label, scan.series, scan.condition, scan.modality]  # one folder may hold many series
        of_attacks = [[attack.name, attack.version] for attack in attacks]
        return digest_of("face", self._of_encoder[encoder], of_scan, knowledge, of_attacks)

    def find(
        self, scan: ScanRef, encoder: str, knowledge: Knowledge = Knowledge(), attacks: Sequence[Attack] = ()
    ) -> FaceRecord | None:
        """Return what an earlier run made of a scan by an encoder, or None."""
        key = self.key_of(scan, encoder, knowledge, attacks)
        payload = None if key is None else self.store.get(key)
        if key is None or payload is None:
            return None
        try:
            return replace(unpack(payload, FaceRecord), scan=scan)
        except ValueError:  # whole, but no record of this program
            _logger.warning("an entry of the store that is no face was dropped and will be made again")
            self.store.drop(key)
            return None

    def keep(self, record: FaceRecord, knowledge: Knowledge = Knowledge(), attacks: Sequence[Attack] = ()) -> None:
        """Keep a face, unless another attempt could end differently or the scan was touched meanwhile.

        Raises
        ------
        StoreError
            Where the store cannot be written.
        """
        key = self.key_of(record.scan, record.face.encoder, knowledge, attacks)
        if key is None or any(status in _PASSING for status in _statuses(record)):
            return
        state = digest_of_state(record.scan.path)
        if (None if state is None else state.digest) != self._states[record.scan.path]:
            _logger.warning("%s: its files changed while they were read; its face is not kept", record.scan.key)
            return
        nameless = ScanRef("", "", record.scan.condition, Path(record.scan.label), record.scan.modality)
        self.store.put(key, pack(replace(record, scan=nameless)))


def _digest_path(path: Path) -> tuple[Path, str | None]:
    return path, digest_files(path)
