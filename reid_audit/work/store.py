"""A private folder of finished results, each under the digest of what it depends on.

An entry is written to a temporary file and renamed: another process sees the whole entry or none, and two that write
the same one write the same bytes. Each carries a digest of its content, so that a damaged one is noticed, dropped and
done again. Where the folder grows beyond its limit, the entries that were not used for longest go first.
"""

import hashlib
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from reid_audit.records import InputError, StoreError

DEFAULT_MAX_BYTES = 2 * 2**30

_TAG = "CACHEDIR.TAG"  # https://bford.info/cachedir: backups and synchronisers leave such folders out
_TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Finished work of reid-audit. Biometric data: keep private. `reid-audit store clear` empties it.\n"
)
_ENTRIES = "entries-1"
_KEY = re.compile(r"[0-9a-f]{64}")
_MAGIC = b"reid-audit 1\n"
_DIGEST_BYTES = 32
_STALE_S = 3600.0  # a temporary file this old belongs to a process that was killed
_KEPT_SHARE = 0.9  # pruned to below the limit, so that not every write prunes
_CHECKED_SHARE = 0.05  # looked at again after writing this share of the limit

_logger = logging.getLogger(__name__)


def default_folder() -> Path:
    """Return where the store lies unless told otherwise: ``REID_AUDIT_STORE``, or the user's cache folder."""
    from platformdirs import user_cache_path

    named = os.environ.get("REID_AUDIT_STORE")
    return Path(named) if named else user_cache_path("reid-audit") / "store"


def default_max_bytes() -> int:
    """Return the limit of a store's size: 2 GiB, or ``REID_AUDIT_STORE_GB`` times 10**9 bytes.

    Raises
    ------
    InputError
        Where that is no number above 0.
    """
    named = os.environ.get("REID_AUDIT_STORE_GB")
    if named is None:
        return DEFAULT_MAX_BYTES
    try:
        size = int(float(named) * 1e9)
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise InputError(f"REID_AUDIT_STORE_GB must be a number above 0, such as 20. Got {named!r} instead.")
    return size


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    folder : Path
    entries : int
    size_bytes, max_bytes : int
        On disk, and the limit.
    """

    folder: Path
    entries: int
    size_bytes: int
    max_bytes: int


class Store:
    """Finished results on disk. Making one touches nothing; the folder comes with the first entry.

    Parameters
    ----------
    folder : Path, optional
        `default_folder` by default. A folder that holds anything else is refused.
    max_bytes : int, optional
        Limit of its size on disk; `default_max_bytes` by default.

    Raises
    ------
    InputError
        Where ``folder`` is no folder, or one with other files in it.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int | None = None) -> None:
        self.folder = default_folder() if folder is None else folder
        self.max_bytes = default_max_bytes() if max_bytes is None else max_bytes
        self._entries = self.folder / _ENTRIES
        self._unchecked_bytes = self.max_bytes  # the first write looks at the whole folder
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"--store must be a folder; {self.folder} is a file")
        with self._telling("read"):
            used = self.folder.is_dir() and not (self.folder / _TAG).is_file() and any(self.folder.iterdir())
        if used:
            raise InputError(
                f"--store must be a new or empty folder, or one that reid-audit made; {self.folder} holds other files"
            )

    @contextmanager
    def _telling(self, verb: str) -> Iterator[None]:
        """Turn what the system refuses into a StoreError that says what mends it."""
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"the store in {self.folder} cannot be {verb}: {error.strerror}. What it holds is whole. Free some "
                "space or mend its permissions, choose another folder with --store DIR, or do without it with "
                "--no-store"
            ) from error

    def _place(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key: {key!r}")
        return self._entries / key[:2] / key[2:]

    def get(self, key: str) -> bytes | None:
        """Return what was put under a key; None where there is nothing, or nothing whole."""
        place = self._place(key)
        with self._telling("read"):
            try:
                content = place.read_bytes()
            except FileNotFoundError:
                return None
        head, payload = content[: len(_MAGIC) + _DIGEST_BYTES], content[len(_MAGIC) + _DIGEST_BYTES :]
        if head != _MAGIC + _seal(key, payload):
            _logger.warning("a damaged entry of the store was dropped and will be made again")
            self.drop(key)
            return None
        with suppress(OSError):  # pruned meanwhile, or a store that may only be read: what was read is whole
            os.utime(place)  # used now
        return payload

    def put(self, key: str, payload: bytes) -> None:
        """Keep bytes under a key.

        Raises
        ------
        StoreError
            Where the disk is full or the folder cannot be written. The store stays whole.
        """
        place = self._place(key)
        content = _MAGIC + _seal(key, payload) + payload
        with self._telling("written"):
            try:
                self._write(place, content)
            except FileNotFoundError:  # another process cleared the store between two steps
                self._write(place, content)
        self._unchecked_bytes += len(payload)
        if self._unchecked_bytes > _CHECKED_SHARE * self.max_bytes:
            self._unchecked_bytes = 0
            if self.prune():
                _logger.warning(
                    "the store in %s is full: what was not used for longest was dropped, and would be made again; "
                    "set REID_AUDIT_STORE_GB for a larger one",
                    self.folder,
                )

    def _write(self, place: Path, content: bytes) -> None:
        self._make_folders(place.parent)
        temporary = place.parent / f".{os.getpid()}-{secrets.token_hex(8)}"
        try:
            with open(temporary, "xb", opener=_open_private) as stream:
                stream.write(content)
            os.replace(temporary, place)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _make_folders(self, place: Path) -> None:
        if place.is_dir():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(self.folder, 0o700)  # also where the user had made it
        tag = self.folder / _TAG
        if not tag.exists():
            with open(tag, "w", encoding="utf-8", opener=_open_private) as stream:
                stream.write(_TAG_TEXT)
        for folder in (self._entries, place):
            folder.mkdir(mode=0o700, exist_ok=True)

    def drop(self, key: str) -> None:
        """Forget what was put under a key."""
        with self._telling("written"):
            self._place(key).unlink(missing_ok=True)

    def _walk(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each entry was used last, its size on disk, and its place; drop what killed processes left."""
        if not self._entries.is_dir():
            return
        for shelf in sorted(self._entries.iterdir()):
            names: list[str] = []
            with suppress(FileNotFoundError):  # another process cleared the store meanwhile
                names = os.listdir(shelf)
            for name in names:
                place = shelf / name
                with suppress(FileNotFoundError):
                    state = place.lstat()
                    if not name.startswith("."):
                        yield state.st_mtime, max(state.st_size, 512 * getattr(state, "st_blocks", 0)), place
                    elif time.time() - state.st_mtime > _STALE_S:
                        place.unlink()

    def info(self) -> StoreInfo:
        """Count what is there."""
        with self._telling("read"):
            sizes = [size for _, size, _ in self._walk()]
        return StoreInfo(self.folder, len(sizes), sum(sizes), self.max_bytes)

    def prune(self, max_bytes: int | None = None) -> int:
        """Drop the entries that were not used for longest until the store is within a limit.

        Parameters
        ----------
        max_bytes : int, optional
            The store's own limit by default; where it is exceeded, a tenth below it is aimed at.

        Returns
        -------
        int
            Entries that went.
        """
        own = max_bytes is None
        limit = self.max_bytes if max_bytes is None else max_bytes
        with self._telling("written"):
            entries = sorted(self._walk())
            size, dropped = sum(entry[1] for entry in entries), 0
            aim = _KEPT_SHARE * limit if own and size > limit else limit
            for _, each, place in entries:
                if size <= aim:
                    break
                place.unlink(missing_ok=True)
                size, dropped = size - each, dropped + 1
        return dropped

    def clear(self) -> int:
        """Drop every entry and return how many there were. The folder stays, with its tag."""
        count = self.info().entries
        with self._telling("written"):
            for file in self._entries.glob("*/*"):  # also what another process is writing: it will write it again
                file.unlink(missing_ok=True)
        return count


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _seal(key: str, payload: bytes) -> bytes:
    return hashlib.sha256(key.encode() + payload).digest()
