"""Stored pixel values of a DICOM file, changed where a mask says so and nowhere else."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError


def unpack(ds: Any, name: str) -> None:
    """Turn compressed pixels into plain ones, in place; the values stay.

    Raises
    ------
    InputError
        Where no decoder for them is installed, or they are damaged.
    """
    if not ds.file_meta.TransferSyntaxUID.is_compressed:
        return
    kind = ds.file_meta.TransferSyntaxUID.name
    try:
        ds.decompress(generate_instance_uid=False)
    except (RuntimeError, NotImplementedError, ValueError, AttributeError) as error:
        raise InputError(
            f"{name}: its pixels ({kind}) cannot be unpacked; convert it first, e.g. gdcmconv --raw"
        ) from error


def air_value(ds: Any, air: float) -> int:
    """Return the stored value that stands for `air` (HU), or the nearest that the pixels can hold."""
    slope, intercept = float(ds.get("RescaleSlope") or 1), float(ds.get("RescaleIntercept") or 0)
    bits, signed = int(ds.BitsStored), int(ds.PixelRepresentation) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return int(np.clip(round((air - intercept) / slope), low, high))


def set_pixels(ds: Any, where: NDArray[np.bool_], value: int, name: str) -> None:
    """Set stored pixels to a value, in place. Every other byte of the pixel data stays.

    Parameters
    ----------
    ds : pydicom.Dataset
    where : (row, column) or (frame, row, column) bool
    value : int
        As stored.
    name : str
        File name, for messages.

    Raises
    ------
    InputError
        The pixels cannot be unpacked, or are not what the header declares.
    """
    unpack(ds, name)
    if not where.any():
        return
    bits = int(ds.BitsAllocated)
    if bits not in (8, 16, 32) or int(ds.get("SamplesPerPixel") or 1) != 1:
        raise InputError(f"{name}: its pixels have {bits} bits or several colours; 8, 16 or 32 bits of grey are read")
    order = "<" if ds.original_encoding[1] is not False else ">"
    dtype = np.dtype(f"{order}{'i' if int(ds.PixelRepresentation) else 'u'}{bits // 8}")
    data = bytes(ds.PixelData)
    n_bytes = where.size * dtype.itemsize
    if len(data) < n_bytes:
        raise InputError(f"{name}: its pixels are cut short; copy the file again")
    pixels = np.frombuffer(data[:n_bytes], dtype).copy()
    pixels[where.ravel()] = value
    ds.PixelData = pixels.tobytes() + data[n_bytes:]
    for keyword, extreme in (("SmallestImagePixelValue", pixels.min()), ("LargestImagePixelValue", pixels.max())):
        if keyword in ds:
            ds[keyword].value = int(extreme)
