"""List what a folder or manifest holds, and the cohort that it makes. No pixel is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reid_audit.dataset.bids import looks_like_bids, read_bids, read_participants
from reid_audit.dataset.candidates import Aside, Candidate, Choice, Inventory, Ledger
from reid_audit.dataset.choose import keep_asked, keep_suffix, number_visits, settle
from reid_audit.dataset.cohort import Cohort, check_unlike
from reid_audit.dataset.dicom_tree import read_dicom_tree
from reid_audit.dataset.manifest import read_manifest
from reid_audit.dataset.pseudonym import read_salt
from reid_audit.records import FRAMES, ORIGINAL, InputError, ScanRef, listed, natural_key
from reid_audit.volume.stored import quiet

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS = ("auto", "bids", "dicom")


def take_inventory(
    path: Path,
    *,
    choice: Choice = Choice(),
    layout: str = "auto",
    salt_file: Path | None = None,
    allow_outside: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Inventory:
    """Look at a manifest, a BIDS dataset or a tree of DICOM files, and say which cohort it is.

    Parameters
    ----------
    path : Path
        A file is a manifest. A folder with ``dataset_description.json``, or with the names of one, is a BIDS dataset;
        any other folder is searched for DICOM files.
    choice : Choice
        Decides where a tree could be several cohorts.
    layout : str
        ``"bids"`` or ``"dicom"`` where ``"auto"`` would be wrong.
    salt_file : Path, optional
        Of the pseudonyms of a DICOM tree; see `read_salt`.
    allow_outside : bool
        Whether scans may lie outside the folder: by the manifest's paths, or by links.
    progress : callable, optional

    Returns
    -------
    Inventory
        With questions instead of a cohort where the choice leaves something open.

    Raises
    ------
    InputError
        Where `path` is none of the three, holds no scan, or an option cannot be followed.
    """
    path = Path(path)
    if choice.frames not in ("", *FRAMES):
        raise InputError(f"--four-d must be {' or '.join(FRAMES)}; got {choice.frames!r}")
    if layout not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}")
    if not path.exists():
        raise InputError(f"{path.name}: there is no such file or folder; give a manifest, or a BIDS or DICOM folder")
    if path.is_file():
        return _of_manifest(path, choice, layout=layout, allow_outside=allow_outside)
    if layout == "bids" or (layout == "auto" and looks_like_bids(path)):
        return _of_bids(path, choice, allow_outside=allow_outside)
    return _of_dicom(path, choice, read_salt(salt_file), allow_outside=allow_outside, progress=progress)


def read_cohort(
    path: Path,
    *,
    choice: Choice = Choice(),
    layout: str = "auto",
    salt_file: Path | None = None,
    allow_outside: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Cohort:
    """Read a cohort from a manifest, a BIDS dataset or a tree of DICOM files; takes what `take_inventory` takes.

    Raises
    ------
    InputError
        As `take_inventory`, and where something must be asked first: the message holds every question.
    """
    inventory = take_inventory(
        path, choice=choice, layout=layout, salt_file=salt_file, allow_outside=allow_outside, progress=progress
    )
    if inventory.cohort is None:
        questions = " ".join(inventory.questions)
        raise InputError(f"{inventory.source}: {questions} `reid-audit inventory` shows what there is.")
    return inventory.cohort


def _of_manifest(path: Path, choice: Choice, *, layout: str, allow_outside: bool) -> Inventory:
    if choice != Choice() or layout != "auto":
        raise InputError(f"{path.name}: is a manifest, in which everything is chosen already; leave the options out")
    cohort = read_manifest(path, allow_outside=allow_outside)
    absent = cohort.find_absent_files()
    notes = [f"{len(absent)} scans have no file: {listed(scan.key for scan in absent)}"] if absent else []
    return Inventory("manifest", cohort.source, cohort, (), (), (*notes, *_doubt(cohort)))


def _scan_of(image: Candidate) -> ScanRef:
    part = image.series or image.frames
    return ScanRef(image.subject, image.session, image.condition, image.path, image.modality, part, image.image)


def _finish(
    layout: str,
    source: str,
    ledger: Ledger,
    candidates: Sequence[Candidate],
    choice: Choice,
    questions: Sequence[str],
    notes: Sequence[str],
    strata: pd.DataFrame | None = None,
) -> Inventory:
    """Choose among the images of a tree, and put together what they amount to."""
    import pandas as pd

    chosen, cohort = list(candidates), None
    if candidates or questions:  # else there is nothing to choose from
        kept, which = keep_suffix(keep_asked(candidates, choice, ledger), choice, ledger)
        kept, order = number_visits(kept, ledger) if layout == "DICOM" else (kept, [])
        chosen, asked, told = settle(kept, choice, ledger, run_is="SeriesNumber" if layout == "DICOM" else "run")
        questions, notes = [*questions, *which, *asked], [*notes, *order, *told]
    if not questions:
        if not any(image.condition == ORIGINAL for image in chosen):
            raise InputError(f"{source}: no original scan is left. Set aside: {ledger.describe()}.")
        for name in (*choice.derivatives, *(name.strip() for name, _ in choice.conditions)):
            if not any(image.condition == name for image in chosen):
                raise InputError(
                    f"{source}: the condition {name!r} was declared and holds no image of a head that is judged. Set "
                    f"aside: {ledger.describe()}. Correct its path, or leave it out"
                )
        people = sorted({image.subject for image in chosen}, key=natural_key)
        table = pd.DataFrame(index=pd.Index([], name="subject")) if strata is None else strata
        unlisted = [who for who in people if who not in table.index]
        if len(table.columns) and unlisted:
            notes = [*notes, f"participants.tsv does not list {listed(unlisted)}"]
        idle = [who for who in table.index if who not in people]
        if idle:
            notes = [*notes, f"participants.tsv lists {len(idle)} people without a scan: {listed(map(str, idle))}"]
        table = table.reindex(pd.Index(people, name="subject"), fill_value="")
        for what in ("subject", "session", "condition", "image"):
            check_unlike(source, what, (getattr(image, what) for image in chosen))
        copies = tuple(_tell_copies(entry) for entry in ledger.close() if entry.may_show)
        cohort = Cohort(tuple(_scan_of(image) for image in chosen), table, source, copies)
        notes = [*notes, *_doubt(cohort)]
    return Inventory(layout, source, cohort, tuple(questions), ledger.close(), tuple(notes))


def _tell_copies(entry: Aside) -> str:
    such_as = f", e.g. {entry.examples[0]}" if entry.examples else ""
    return f"{entry.count} {entry.what} ({entry.reason}{such_as})"


def _doubt(cohort: Cohort) -> list[str]:
    """Say what the cohort lacks for an audit."""
    notes = []
    if cohort.conditions == (ORIGINAL,):
        notes.append(
            "no defaced scan was found: enough for `calibrate`; declare defaced trees with --condition NAME=PATH"
        )
    files: dict[tuple[int, int], list[str]] = {}
    for scan in cohort.scans:
        if not scan.series and scan.path.is_file():
            status = scan.path.stat()
            files.setdefault((status.st_dev, status.st_ino), []).append(scan.key)
    twice = [" = ".join(keys) for keys in files.values() if len(keys) > 1]
    if twice:
        notes.append(f"one file under several labels, which is no evidence of protection: {listed(twice)}")
    alone = [image.key for image in cohort.scans if cohort.partner_of(image) is None]
    if alone:
        notes.append(f"{len(alone)} defaced scans have no original of their visit: {listed(alone)}")
    return notes


def _of_bids(path: Path, choice: Choice, *, allow_outside: bool) -> Inventory:
    root = path if path.name else path.resolve()
    ledger = Ledger()
    candidates, notes = read_bids(root, choice, ledger, allow_outside=allow_outside)
    strata, more = read_participants(root)
    return _finish("BIDS", root.name, ledger, candidates, choice, [], [*notes, *more], strata)


def _of_dicom(
    path: Path, choice: Choice, salt: bytes, *, allow_outside: bool, progress: Callable[[str, int, int], None] | None
) -> Inventory:
    if choice.derivatives:
        raise InputError("--derivative is for BIDS datasets; declare defaced DICOM trees with --condition NAME=PATH")
    ledger = Ledger(names=False)
    with quiet():
        candidates, questions, notes = read_dicom_tree(
            path, choice, ledger, salt=salt, allow_outside=allow_outside, progress=progress
        )
    return _finish("DICOM", "DICOM tree", ledger, candidates, choice, questions, notes)
