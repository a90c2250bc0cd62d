"""What a file is that was called an image and is none, told from its first bytes."""

import zlib
from pathlib import Path

from reid_audit.volume.stored import ending, max_gib

_PACKED = {".nii.gz", ".mgz"}
_AT_ONCE = 2**20
_GZIP = b"\x1f\x8b"
_STARTS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the image; fetch it with `git lfs pull`"),
    (b"PK\x03\x04", "is a ZIP archive; unpack it"),
    (b"BZh", "is packed with bzip2; unpack it"),
    (b"\xfd7zXZ", "is packed with xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "is packed with Zstandard; unpack it"),
    (b"7z\xbc\xaf", "is a 7-Zip archive; unpack it"),
    (b"\x89HDF", "is HDF5 (MINC 2?), not what its name says; convert it to NIfTI"),
    (b"CDF", "is NetCDF (MINC 1?), not what its name says; convert it to NIfTI"),
    (b"\x89PNG", "is a PNG picture, not a volume"),
    (b"\xff\xd8\xff", "is a JPEG picture, not a volume"),
    (b"%PDF", "is a PDF document, not a volume"),
)
_TEXTS = (
    (b"<!doctype", "is a web page, as a download that failed leaves it; download it again"),
    (b"<html", "is a web page, as a download that failed leaves it; download it again"),
    (b"<?xml", "is XML, as a download that failed leaves it; download it again"),
    (b"{", "is JSON, as a download that failed leaves it, or a sidecar; download it again"),
)


def _name_rest(path: Path) -> str:
    """Say that something follows the packed content; ``""`` where the content breaks off, or nothing follows it."""
    unpack, left = zlib.decompressobj(zlib.MAX_WBITS | 16), max_gib() * 2**30
    with path.open("rb") as stream:
        while not unpack.eof and left > 0 and (packed := stream.read(_AT_ONCE)):
            while packed and not unpack.eof and left > 0:
                try:
                    left -= len(unpack.decompress(packed, _AT_ONCE))
                except zlib.error:
                    return ""
                packed = unpack.unconsumed_tail
        rest = len(unpack.unused_data) + path.stat().st_size - stream.tell()
    if not unpack.eof or not rest or unpack.unused_data.startswith(_GZIP):
        return ""
    return f"has {rest} bytes behind the end of its packed content, as a faulty copy leaves them; copy it again"


def name_cause(path: Path) -> str:
    """Say what a file is that could not be read as what its name says, and what mends it; ``""`` where nobody knows."""
    with path.open("rb") as stream:
        start = stream.read(512)
    kind = ending(path)
    if start.startswith(_GZIP):
        if kind in _PACKED:
            return _name_rest(path)
        return f"is packed with gzip although its name ends on {kind}; rename it to {kind}.gz, or unpack it"
    text = start.lstrip().lower()
    if b"annex/objects" in start:
        return "is a git-annex pointer, not the image; fetch it with `git annex get` or `datalad get`"
    causes = [cause for known, cause in _STARTS if start.startswith(known)]
    causes += [cause for known, cause in _TEXTS if text.startswith(known)]
    if causes:
        return causes[0]
    if start[128:132] == b"DICM":
        return "is one DICOM file, not what its name says; give the folder that holds its series"
    if kind in _PACKED and int.from_bytes(start[:4], "little") in (348, 540):
        return f"is not packed although its name ends on {kind}; rename it to {kind.removesuffix('.gz')}"
    return ""
