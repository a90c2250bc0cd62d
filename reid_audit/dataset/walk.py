"""Walk a folder tree, each file once, whatever links it has."""

import os
from collections.abc import Collection
from pathlib import Path

from reid_audit.dataset.candidates import Ledger, show_name
from reid_audit.records import InputError


def _is_inside(real: str, root: str) -> bool:
    return real == root or real.startswith(os.path.join(root, ""))


def list_files(
    root: Path, ledger: Ledger, *, allow_outside: bool = False, without: Collection[Path] = ()
) -> list[Path]:
    """List the files of a tree in the order of their names, folder by folder.

    Links are followed within the tree, and out of it where that is allowed; each folder is searched once, so that links
    in a circle end. Names that begin with a dot, and folders in `without`, are left out.

    Parameters
    ----------
    root : Path
    ledger : Ledger
        Told of links to nothing or out of the tree, folders that cannot be listed, pipes, and names that are not text.
    allow_outside : bool
    without : collection of Path

    Raises
    ------
    InputError
        Where `root` is no folder, or cannot be listed.
    """
    real_root = os.path.realpath(root)
    if not os.path.isdir(real_root):
        raise InputError(f"{root.name}: there is no such folder")
    skipped = {os.path.realpath(path) for path in without}
    seen: set[tuple[int, int]] = set()
    files: list[Path] = []
    waiting = [Path(root)]
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                ledger.add("folder", "was searched already: a link leads back to it", show_name(folder, root))
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if folder == Path(root):
                raise InputError(f"{root.name}: the folder cannot be listed ({error.strerror})") from error
            ledger.add("folder", f"cannot be listed ({error.strerror})", show_name(folder, root))
            continue
        deeper = []
        for entry in listed:
            path = Path(entry.path)
            reason = _why_not(entry, real_root, skipped, allow_outside)
            if reason:
                ledger.add(*reason, show_name(path, root))
            elif reason is None:
                continue
            elif entry.is_dir():
                deeper.append(path)
            else:
                files.append(path)
        waiting += reversed(deeper)
    return files


def _why_not(
    entry: os.DirEntry[str], root: str, skipped: Collection[str], allow_outside: bool
) -> tuple[str, str] | tuple[()] | None:
    """Say what an entry is and why it is set aside; ``()`` = it is not, None = it is left out in silence."""
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        return "file", "its name is not UTF-8 text; rename it"
    if entry.name.startswith("."):
        return "hidden", "names that begin with a dot are not searched"
    try:
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if not os.path.exists(real):
                return "link", "leads nowhere: fetch its content first (git annex, datalad?)"
            if not allow_outside and not _is_inside(real, root):
                return "link", "leads out of the tree; allow it with --allow-outside"
        if entry.is_dir():
            return None if skipped and os.path.realpath(entry.path) in skipped else ()
        return () if entry.is_file() else ("special file", "is neither a file nor a folder")
    except OSError as error:
        return "file", f"cannot be looked at ({error.strerror})"
