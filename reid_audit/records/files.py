"""Where results are written: into a folder that holds none yet, in files for their owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from reid_audit.records.errors import InputError


def write_private(path: Path, text: str) -> None:
    """Write a text file that only its owner may read (mode 0600), by way of a temporary neighbour.

    Whoever reads ``path`` meanwhile, or after a run that was stopped, finds the old text or the new one whole.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        os.fchmod(descriptor, 0o600)  # a file that was there before keeps its mode otherwise
        file.write(text)
    temporary.replace(path)


def prepare_folder(folder: Path, marker: str, *, overwrite: bool = False) -> None:
    """Make the folder for a result, and refuse one that holds such a result already.

    Parameters
    ----------
    folder : Path
    marker : str
        Name of the file by which a result of this kind is known.
    overwrite : bool

    Raises
    ------
    InputError
        Where ``folder`` is a file, cannot be made, or holds ``marker`` and ``overwrite`` is False.
    """
    if (folder / marker).exists() and not overwrite:
        raise InputError(f"{folder.name} holds a result already ({marker}); give another folder or --overwrite")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder.name} cannot be made into a folder for the result: {error.strerror}") from error
