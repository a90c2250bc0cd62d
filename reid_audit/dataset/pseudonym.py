"""Pseudonyms for the subjects of a DICOM tree, irreversible without the salt."""

import base64
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from reid_audit.records import InputError

_LEAST_BYTES = 16
_LETTERS = 10  # 50 bits: two of 10,000 people get one name with probability 4e-8


def salt_home() -> Path:
    """Give the salt file of this user: ``$XDG_DATA_HOME/reid-audit/salt``, by default below ``~/.local/share``."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "reid-audit" / "salt"


def read_salt(path: Path | None = None) -> bytes:
    """Read a salt, or make a random one that only its owner may read (mode 0600).

    The same salt gives the same pseudonyms. Who has it can find out which pseudonym a PatientID got, by trying.

    Parameters
    ----------
    path : Path, optional
        `salt_home` by default. Made, with its folder, where it is absent.

    Raises
    ------
    InputError
        Where the file is shorter than 16 bytes, can be read by others, or can be neither read nor made.
    """
    path = salt_home() if path is None else path
    try:
        if not path.exists():
            _make(path)
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise InputError(f"{path.name}: others can read this salt; make it private (chmod 600), or use another")
        salt = path.read_bytes().strip()
    except OSError as error:
        raise InputError(
            f"{path.name}: the salt cannot be read or made ({error.strerror}); give --salt-file"
        ) from error
    if len(salt) < _LEAST_BYTES:
        raise InputError(f"{path.name}: a salt has at least {_LEAST_BYTES} bytes, this one has {len(salt)}")
    return salt


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32) + "\n")
        os.link(temporary, path)  # whole or not at all, and never over one that another process made meanwhile
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)


def pseudonym_of(patient_id: str, salt: bytes) -> str:
    """Give the pseudonym of a PatientID: ``p`` and ten letters or digits of its HMAC-SHA256 under the salt."""
    digest = hmac.digest(salt, patient_id.strip().encode(), hashlib.sha256)
    return "p" + base64.b32encode(digest).decode().lower()[:_LETTERS]
