"""Portraits for whoever may see them: kept only where asked for, in a private folder of their own."""

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from reid_audit.audit.settings import Settings, context_of
from reid_audit.records import EngineError, FaceRecord, InputError, RenderError, format_csv, write_private
from reid_audit.render import save_picture
from reid_audit.work import Progress, SerialExecutor, run_all

INDEX_FILE = "portraits.csv"

PORTRAITS_KEPT = (
    "Portraits of {drawn} scans were kept in a separate folder. They show faces, before and after defacing: biometric "
    "data of the people in this cohort. Keep that folder as safe as the scans, and never hand it on with this report."
)


def prepare_portraits(folder: Path) -> Path:
    """Make the folder, for its owner alone (mode 0700), and return it.

    Raises
    ------
    InputError
        The folder holds something, or cannot be made: portraits are never mixed with what others may read.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"--with-portraits {folder.name}: give a folder that is empty or not there yet")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise InputError(f"--with-portraits {folder.name} cannot be made: {error.strerror}") from error
    return folder


def _draw(record: FaceRecord, number: int, folder: Path, settings: Settings) -> tuple[int, str]:
    """Draw one scan again at the level and through the camera that its record holds; return its number and file."""
    if record.view is None or record.skin_level != record.skin_level:
        return number, ""
    try:
        context = context_of(record.scan, settings)
        portrait = context.draw(context.extract(record.skin_level), record.view)
    except (InputError, RenderError, EngineError):  # said already in the scan's own status, or the file is gone
        return number, ""
    name = f"portrait{number:05d}.png"
    save_picture(portrait, folder / name)
    return number, name


def write_portraits(
    records: Sequence[FaceRecord],
    folder: Path,
    *,
    settings: Settings,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> int:
    """Draw every scan that was portrayed as the naive attacker saw it, into a private folder.

    Files are numbered; ``portraits.csv`` beside them tells which scan each shows (``file`` is empty where a scan gave
    no portrait). They show faces: treat the folder as the scans themselves.

    Parameters
    ----------
    records : sequence of FaceRecord
        From `acquire_faces`; of several encoders the first one's are drawn, as it was shown them.
    folder : Path
        From `prepare_portraits`.
    settings : Settings
        With ``auto`` resolved by `reid_audit.audit.start_engines`.
    executor : concurrent.futures.Executor, optional
    progress : callable, optional

    Returns
    -------
    int
        Portraits written.
    """
    first = records[0].face.encoder if records else ""
    records = [record for record in records if record.face.encoder == first]
    tasks = [(record, number, folder, settings) for number, record in enumerate(records, 1)]
    files = dict(run_all(executor or SerialExecutor(), _draw, tasks, progress=progress, stage="portraits"))
    rows = [(files[n], r.scan.subject, r.scan.visit, r.scan.condition) for n, r in enumerate(records, 1)]
    write_private(folder / INDEX_FILE, format_csv(["file", "subject", "session", "condition"], rows))
    return sum(bool(name) for name in files.values())
