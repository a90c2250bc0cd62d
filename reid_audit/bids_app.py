"""The audit as a BIDS-App: people one by one or all at once, then the group; results as a BIDS derivative.

participant
    Takes the faces of some people, or of all, into the store, and writes per person what became of each scan. May run
    on several machines at once with one store.
group
    Audits everybody. What the store holds is not done again. Originals never are; a defaced scan is, where it was done
    for some people only: the registered attacker knows where faces are on average over all.

What is written: ``dataset_description.json`` with source and tool, ``sub-*/sub-*_faces.tsv``, the tables and the page
of the report. BIDS knows no such tables, so ``.bidsignore`` names them. Vectors stay in the store.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from .attack import Attack, choose_attacks, list_attacks
from .audit import Progress, Settings, acquire_faces, add_canaries, audit, describe_scans, start_engines
from .audit.face_cache import FaceCache
from .dataset import Cohort, read_description
from .records import AuditResult, Calibration, FaceRecord, InputError, Policy, describe_dataset, write_private
from .report import Table, result_to_html, result_to_json, write_bids
from .report.bids import format_tsv
from .work import Store

PAGE_FILE = "reid_report.html"
RESULT_FILE = "reid_result.json"

_COLUMNS = {
    "session": "Label of the visit, 1 in a dataset without sessions; then its image, where visits have several",
    "condition": "'original', or the name of the derivative",
    "file": "Name of the image",
    "status": "How far the scan came; ok = a face was found and measured",
    "reason": "One sentence where the status is not ok",
    "confidence": "The detector's own score",
    "skin_level": "Intensity of the skin's isosurface, in the scan's own units",
    "findings": "Codes of what was noticed",
}


def check_folders(bids_dir: Path, out_dir: Path) -> None:
    """Check that results cannot mix with the data.

    Raises
    ------
    InputError
        Where the output is the dataset itself, lies in it outside ``derivatives``, or holds another tool's derivative.
    """
    data, out = bids_dir.resolve(), out_dir.resolve()
    if out == data or (out.is_relative_to(data) and out.relative_to(data).parts[0] != "derivatives"):
        raise InputError(f"{out_dir.name}: lies within the dataset; give a folder elsewhere, or below its derivatives")
    if out == data / "derivatives":
        raise InputError("derivatives: holds a folder per tool; give derivatives/reid-audit")
    made_by = read_description(out_dir).get("GeneratedBy") if out_dir.is_dir() else None
    if made_by is not None and not (isinstance(made_by, list) and any(_is_ours(tool) for tool in made_by)):
        raise InputError(f"{out_dir.name}: holds what another tool made; give another folder")


def _is_ours(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("Name") == "reid-audit"


def check_dataset(bids_dir: Path) -> None:
    """Check what a BIDS dataset must say of itself; the official validator checks the rest.

    Raises
    ------
    InputError
        Where ``dataset_description.json`` is absent or lacks its name or version.
    """
    description = read_description(bids_dir)
    lacking = [key for key in ("Name", "BIDSVersion") if not description.get(key)]
    if lacking:
        what = "is absent" if not description else f"lacks {' and '.join(lacking)}"
        raise InputError(f"dataset_description.json {what}; mend it, or pass --skip-bids-validation")


def _write_description(bids_dir: Path, out_dir: Path) -> None:
    """Name the tool and the source: by its DOI, else by where it lies around the derivative, else by its name."""
    raw = read_description(bids_dir)
    doi = raw.get("DatasetDOI")
    inside = out_dir.resolve().is_relative_to(bids_dir.resolve())
    depth = len(out_dir.resolve().relative_to(bids_dir.resolve()).parts) if inside else 0
    source = {"DOI": str(doi)} if doi else {"URL": "/".join([".."] * depth) if inside else bids_dir.resolve().name}
    description = describe_dataset(
        f"Re-identification audit of {raw.get('Name', bids_dir.resolve().name)}",
        "derivative",
        GeneratedBy=[{"Name": "reid-audit", "Version": metadata.version("reid-audit")}],
        SourceDatasets=[source],
    )
    write_private(out_dir / "dataset_description.json", description)
    write_private(out_dir / ".bidsignore", "reid_*\n*_faces.tsv\nfaces.json\n")


def _tabulate_faces(records: Sequence[FaceRecord]) -> Table:
    rows = [
        (*(getattr(row, name) for name in list(_COLUMNS)[:-1]), ", ".join(finding.code for finding in row.findings))
        for row in describe_scans(records)
    ]
    return Table(_COLUMNS, rows)


def _choose(names: Iterable[str] | None) -> tuple[Attack, ...]:
    """Return the attackers of these names; by default all."""
    return list_attacks() if names is None else choose_attacks(names)


def run_participants(
    cohort: Cohort,
    bids_dir: Path,
    out_dir: Path,
    *,
    store: Store,
    everybody: bool = True,
    settings: Settings = Settings(),
    attacks: Iterable[str] | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[FaceRecord]:
    """Take the faces of some people into the store, and write what became of each scan.

    Parameters
    ----------
    cohort : Cohort
        Those people, from the dataset in `bids_dir`.
    bids_dir, out_dir : Path
    store : Store
        Where the faces go: biometric data.
    everybody : bool
        Whether the cohort is the whole dataset. Without everybody's originals there is no average face and no choice
        of canaries, so that these and the registered attacker wait for the group.
    settings : Settings
    attacks : sequence of str
    executor : concurrent.futures.Executor, optional
    progress : callable, optional

    Returns
    -------
    list of FaceRecord
        Without canaries.

    Raises
    ------
    InputError, WeightsError, EngineError, StoreError
    """
    check_folders(bids_dir, out_dir)
    engines = start_engines(settings)
    wanted = [attack for attack in _choose(attacks) if everybody or not attack.needs_others]
    out_dir.mkdir(parents=True, exist_ok=True)
    records = acquire_faces(
        add_canaries(cohort) if everybody else cohort,
        engines,
        attacks=wanted,
        executor=executor,
        progress=progress,
        cache=FaceCache(store, engines),
    )
    records = [record for record in records if not record.scan.is_canary]
    _write_description(bids_dir, out_dir)
    write_private(out_dir / "faces.json", format_tsv(_tabulate_faces(()))[1])
    for subject in cohort.subjects:
        folder = out_dir / f"sub-{subject}"
        folder.mkdir(exist_ok=True)
        own = [record for record in records if record.scan.subject == subject]
        write_private(folder / f"sub-{subject}_faces.tsv", format_tsv(_tabulate_faces(own))[0])
    return records


def run_group(
    cohort: Cohort,
    bids_dir: Path,
    out_dir: Path,
    *,
    store: Store,
    calibrations: Sequence[Calibration] = (),
    policy: Policy = Policy(),
    settings: Settings = Settings(),
    attacks: Iterable[str] | None = None,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Audit a BIDS dataset and write the result as a derivative.

    Parameters are those of `run_participants` and `reid_audit.audit`.

    Raises
    ------
    InputError, CalibrationError, WeightsError, EngineError, StoreError
    """
    check_folders(bids_dir, out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    result = audit(
        cohort,
        calibrations=calibrations,
        policy=policy,
        settings=settings,
        attacks=[attack.name for attack in _choose(attacks)],
        seed=seed,
        executor=executor,
        progress=progress,
        store=store,
    )
    write_bids(result, out_dir)
    _write_description(bids_dir, out_dir)  # names the source too
    write_private(out_dir / RESULT_FILE, result_to_json(result))
    write_private(out_dir / PAGE_FILE, result_to_html(result))
    return result


def keep_labels(cohort: Cohort, participants: Sequence[str], sessions: Sequence[str]) -> Cohort:
    """Keep some people and visits of a cohort; labels with or without ``sub-`` and ``ses-``. Empty = all.

    Raises
    ------
    InputError
        Where a label is nobody's.
    """
    people = {label.removeprefix("sub-") for label in participants}
    visits = {label.removeprefix("ses-") for label in sessions}
    for option, wanted, there in (("participant", people, cohort.subjects), ("session", visits, cohort.sessions)):
        unknown = sorted(wanted - set(there))
        if unknown:
            known = ", ".join(there[:5]) + (" ..." if len(there) > 5 else "")
            raise InputError(f"--{option}-label: {unknown[0]!r} has no scan in the dataset; there are {known}")
    scans = tuple(
        scan
        for scan in cohort.scans
        if (not people or scan.subject in people) and (not visits or scan.session in visits)
    )
    if not scans:
        raise InputError("--participant-label, --session-label: nobody has a scan in these sessions")
    here = {scan.subject for scan in scans}
    return replace(cohort, scans=scans, strata=cohort.strata.loc[[who in here for who in cohort.strata.index]])
