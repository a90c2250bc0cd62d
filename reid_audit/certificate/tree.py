"""Every file of a tree with its SHA-256: hidden ones too, since they are released too."""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from reid_audit.records import InputError

_LEFT_OUT = (".git",)  # changes with every commit and is no part of what a user of the data sees


def list_tree(root: Path) -> list[Path]:
    """List every file below a folder in the order of their names; only ``.git`` is left out.

    Raises
    ------
    InputError
        Where ``root`` is no folder, or something in it cannot be hashed: a folder that cannot be listed, a link to a
        folder or to nothing, a pipe. A certificate that leaves such a thing out would say nothing of what lies behind.
    """
    if not root.is_dir():
        raise InputError(f"--release {root.name}: there is no such folder; give the folder that is released")

    def refuse(error: OSError) -> None:
        name = os.path.relpath(error.filename, root)
        raise InputError(f"--release {root.name}: {name} cannot be listed ({error.strerror}); mend its permissions")

    files = []
    for folder, folders, names in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in (*folders, *names):
            path = Path(folder, name)
            linked = path.is_symlink() and not path.is_file()
            if linked or not (path.is_file() or path.is_dir()):
                raise InputError(
                    f"--release {root.name}: {path.relative_to(root)} is a link to a folder or to nothing, or no "
                    "regular file; put the files themselves there (git annex get), and no originals"
                )
        files += [Path(folder, name) for name in names if name not in _LEFT_OUT]
    return sorted(files, key=lambda path: path.relative_to(root).as_posix())


def hash_tree(
    root: Path, files: Iterable[Path], *, progress: Callable[[str, int, int], None] | None = None
) -> dict[str, tuple[str, int]]:
    """Return SHA-256 and size of each file, by its path relative to the tree. InputError where one cannot be read."""
    files = list(files)
    hashed = {}
    for done, path in enumerate(files, 1):
        name = path.relative_to(root).as_posix()
        try:
            with path.open("rb") as stream:
                hashed[name] = hashlib.file_digest(stream, "sha256").hexdigest(), stream.tell()
        except OSError as error:
            raise InputError(f"--release {root.name}: {name} cannot be read ({error.strerror})") from error
        if progress is not None:
            progress("files hashed", done, len(files))
    return hashed


def digest_tree(digests: Iterable[tuple[str, str]]) -> str:
    """Return one SHA-256 for a tree: of the lines that ``sha256sum`` would print of its (path, SHA-256), by name."""
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in sorted(digests)).encode()).hexdigest()
