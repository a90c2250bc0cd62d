"""The main job on synthetic heads: makes people, scans them twice, defaces the first visit, and audits the release."""

import tempfile
from collections.abc import Iterable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from .audit import Progress, Settings, audit, start_engines
from .dataset import read_manifest, write_manifest
from .deface import apply_defacer, reference_defacers
from .phantom import LABELS, make_phantom
from .records import ORIGINAL, AuditResult, InputError, Modality, Policy, ScanRef
from .volume import write_volume
from .work import SerialExecutor, run_all


def _scan_person(
    identity: int, visit: int, folder: Path, *, modality: Modality, spacing_mm: float | None, seed: int
) -> list[ScanRef]:
    """Write the scan of one visit, and what each defacer makes of a first visit."""
    phantom = make_phantom(identity, visit, modality=modality, spacing_mm=spacing_mm, seed=seed, difficulty="typical")
    volumes = {ORIGINAL: phantom.volume}
    if visit == 1:
        for defacer in reference_defacers():
            volumes[defacer.name] = apply_defacer(defacer, phantom.volume, phantom.labels, LABELS).volume
    subject, scans = f"p{identity + 1:03d}", []
    for condition, volume in volumes.items():
        path = folder / f"{subject}_{visit}_{condition}.nii.gz"
        write_volume(volume, path)
        scans.append(ScanRef(subject, str(visit), condition, path, modality))
    return scans


def write_demo_cohort(
    folder: Path,
    *,
    subjects: int = 30,
    modality: Modality = Modality.CT,
    spacing_mm: float | None = None,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write synthetic people in two visits, the first of them defaced by each reference defacer.

    People and visits differ as those of published label maps do (``difficulty="typical"`` of `make_phantom`).

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    subjects : int
        At least 2.
    modality : Modality
    spacing_mm : float, optional
        See `reid_audit.phantom.make_phantom`. A scan of 2 mm takes a quarter of the time.
    seed : int
        The same seed gives the same bytes.
    executor : concurrent.futures.Executor, optional
    progress : callable, optional

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    InputError
        Where there are fewer than two subjects.
    """
    if subjects < 2:
        raise InputError(f"--subjects must be at least 2: a person is compared with others. Got {subjects} instead.")
    folder.mkdir(parents=True, exist_ok=True)
    visits = [(identity, visit, folder) for identity in range(subjects) for visit in (1, 2)]
    scan_person = partial(_scan_person, modality=modality, spacing_mm=spacing_mm, seed=seed)
    made = run_all(executor or SerialExecutor(), scan_person, visits, progress=progress, stage="heads")
    manifest = folder / "manifest.csv"
    write_manifest(manifest, [scan for scans in made for scan in scans])
    return manifest


def run_demo(
    *,
    subjects: int = 30,
    modality: Modality = Modality.CT,
    spacing_mm: float | None = None,
    settings: Settings = Settings(),
    policy: Policy = Policy(),
    attacks: Iterable[str] | None = None,
    seed: int = 0,
    keep_scans: Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Audit three defacers on synthetic people.

    Parameters
    ----------
    subjects, modality, spacing_mm, seed
        See `write_demo_cohort`.
    settings, policy, attacks
        See `reid_audit.audit`.
    keep_scans : Path, optional
        Folder for the scans; by default they go to a temporary one and are removed.
    executor : concurrent.futures.Executor, optional
    progress : callable, optional
    """
    start_engines(settings)  # what is missing shows before any head is made
    with tempfile.TemporaryDirectory(prefix="reid-audit-") as temporary:
        manifest = write_demo_cohort(
            keep_scans or Path(temporary),
            subjects=subjects,
            modality=modality,
            spacing_mm=spacing_mm,
            seed=seed,
            executor=executor,
            progress=progress,
        )
        return audit(
            read_manifest(manifest),
            settings=settings,
            policy=policy,
            attacks=attacks,
            seed=seed,
            executor=executor,
            progress=progress,
        )
