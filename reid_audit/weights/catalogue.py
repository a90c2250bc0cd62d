"""Every model file that this package knows of: where it is published, under which terms, and its digest."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What is known of one model file.

    Attributes
    ----------
    name : str
        How this package calls it.
    file_name : str
        Name on disk, without folders.
    licence : str
        Terms of the *weights*, as far as their publisher states them.
    source : str
        Where the file is published.
    size_bytes : int or None
        Exact size where it is known.
    sha256 : str or None
        64 lower-case hex digits where the file is pinned.
    package : str
        Distribution that carries the file; empty if none does.
    package_folder : str
        Folder of that distribution's module in which it lies.
    folder : str
        Folder below the weights home; empty = the home itself.
    urls : tuple of str
        Addresses to download it from, tried in order; one that ends in ``.bz2`` is unpacked. Empty: by hand only.
    """

    name: str
    file_name: str
    licence: str
    source: str
    size_bytes: int | None = None
    sha256: str | None = None
    package: str = ""
    package_folder: str = "models"
    folder: str = ""
    urls: tuple[str, ...] = ()


def _read_catalogue() -> Mapping[str, ModelFile]:
    """Read the table beside this file; a file without a ``source`` is published at the first of its ``urls``."""
    rows = tomllib.loads(files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8"))["file"]
    records = [ModelFile(**{"source": row["urls"][0], **row, "urls": tuple(row["urls"])}) for row in rows]
    return MappingProxyType({record.name: record for record in records})


MODEL_FILES: Mapping[str, ModelFile] = _read_catalogue()
"""Every model file that an encoder may ask for, by name."""
