"""One file that holds one volume: NIfTI and MGH by nibabel, NRRD and MetaImage by SimpleITK."""

import os
import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from isal import igzip
from isal.igzip_lib import IsalError

from reid_audit.records import InputError
from reid_audit.volume.stored import (
    LIMIT_VARIABLE,
    Stored,
    check_declared,
    corner_shift_mm,
    ending,
    lps_to_ras,
    max_gib,
    numbers,
    quiet_itk,
)

_MAX_HEADER_BYTES = 2**26  # header and extensions before the voxels

# --- NIfTI and MGH ---


class _Pydicom(ModuleType):
    """What nibabel holds of pydicom: imports it when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


@cache
def _load_nibabel() -> None:
    """Import nibabel without the pydicom that it reads header extensions with: a fifth of a second for nothing.

    Called within `quiet`, so that nobody here imports pydicom at the same time.
    """
    if "nibabel" in sys.modules or "pydicom" in sys.modules:
        return
    later: Any = _Pydicom("pydicom")
    later.Dataset = object  # all that is asked for while nibabel is imported, as the name of a type
    sys.modules["pydicom"] = later
    try:
        import nibabel  # noqa: F401
    finally:
        del sys.modules["pydicom"], later.Dataset


class _BoundedGzip(igzip.IGzipFile):  # type: ignore[misc]  # the package has no types
    """A gzip file that refuses to unpack more than the largest image: a few kB may unpack to terabytes.

    To go forward is to unpack too, so that a header which says that its voxels begin far behind is stopped as well.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._limit = int(max_gib() * 2**30) + _MAX_HEADER_BYTES

    def _check(self, end: int) -> None:
        if end > self._limit:
            raise InputError(
                f"{Path(self.name).name}: unpacks to more than {max_gib():g} GiB; if that is no mistake, set "
                f"{LIMIT_VARIABLE} to a higher limit"
            )

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._limit - self.tell()) + 1  # one more shows that there is more
        content: bytes = super().read(left if size is None or size < 0 else min(size, left))
        self._check(self.tell())
        return content

    def readinto(self, buffer: Any) -> int:
        """Unpack where the voxels shall be, without a copy between."""
        self._check(self.tell() + memoryview(buffer).nbytes)
        filled: int = self._buffer.readinto(buffer)
        return filled

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            raise OSError("the end of a packed file is found by unpacking it")
        if whence == os.SEEK_SET or offset:  # to ask where the stream is is to go nowhere from there
            self._check(offset + (self.tell() if whence == os.SEEK_CUR else 0))
        position: int = super().seek(offset, whence)
        return position


def _nifti_notes(name: str, image: Any, raw: Any) -> list[str]:
    """Judge how a NIfTI header says where the head is; `raw` is the header before nibabel mended it."""
    from nibabel.spatialimages import HeaderDataError

    header, notes = image.header, []
    sform, s_code = header.get_sform(coded=True)
    try:
        qform, q_code = header.get_qform(coded=True)
    except (HeaderDataError, ValueError):  # a quaternion longer than 1, by rounding or by damage
        if not s_code:
            raise InputError(f"{name}: its q-form is damaged, and there is no s-form; write it again") from None
        qform, q_code = None, 0
        notes.append("the q-form cannot be read: the s-form is used")
    if s_code == 0 and not np.all(np.abs(raw["pixdim"][1:4]) > 0):
        raise InputError(f"{name}: the spacing in its header is {numbers(raw['pixdim'][1:4])} mm; it must be positive")
    if s_code == 0 and q_code == 0:
        notes.append(
            "no orientation in the header: x is taken to run from right to left, left and right may be swapped"
        )
    elif s_code and q_code and qform is not None and np.isfinite(sform).all():
        shift_mm = corner_shift_mm(qform, sform, image.shape)
        if np.linalg.det(qform[:3, :3]) * np.linalg.det(sform[:3, :3]) < 0:
            notes.append(
                "q-form and s-form are mirror images of each other: the s-form is used, left and right are in doubt"
            )
        elif shift_mm > 1.0:
            notes.append(f"q-form and s-form differ by up to {shift_mm:.1f} mm: the s-form is used")
    return notes


def read_nibabel(path: Path, frames: str = "") -> Stored:
    """Read NIfTI (.nii, .nii.gz) or MGH (.mgh, .mgz); of a 4-D file the first volume or the mean, see `FRAMES`."""
    _load_nibabel()
    from nibabel.filebasedimages import ImageFileError
    from nibabel.freesurfer.mghformat import MGHError
    from nibabel.spatialimages import HeaderDataError, HeaderTypeError
    from nibabel.wrapstruct import WrapStructError

    # What gzip and nibabel raise on damaged bytes, found by feeding them thousands of damaged files.
    ours: tuple[Any, ...] = (ImageFileError, HeaderDataError, HeaderTypeError, WrapStructError, MGHError)
    unpacking: Any = IsalError  # its stub takes the class for an instance
    damaged = (OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, MemoryError, unpacking, *ours)
    try:
        # Opened here, so that it is closed here: nibabel leaves its own files open where it fails.
        with _BoundedGzip(path) if path.suffix.lower() in (".gz", ".mgz") else path.open("rb") as stream:
            return _read_stream(path.name, stream, frames, is_mgh=ending(path) in (".mgz", ".mgh"))
    except InputError:
        raise
    except damaged as error:
        raise InputError(f"{path.name}: breaks off, is damaged or is no {ending(path)} image; copy it again") from error


def _read_stream(name: str, stream: Any, frames: str, *, is_mgh: bool) -> Stored:
    import nibabel as nib
    from nibabel.arrayproxy import ArrayProxy
    from nibabel.fileholders import FileHolder

    start = stream.read(4)
    stream.seek(0)
    is_nifti2 = 540 in (int.from_bytes(start, "little"), int.from_bytes(start, "big"))
    kind = nib.MGHImage if is_mgh else nib.Nifti2Image if is_nifti2 else nib.Nifti1Image
    raw = None if is_mgh else kind.header_class.from_fileobj(stream, check=False)
    stream.seek(0)
    image = kind.from_file_map({"image": FileHolder(fileobj=stream)})
    check_declared(name, image.shape, image.header.get_data_dtype(), frames=frames)
    notes = [] if is_mgh else _nifti_notes(name, image, raw)
    if is_mgh and int(image.header["goodRASFlag"]) != 1:
        notes.append("no orientation in the header: FreeSurfer's default is taken, left and right may be swapped")
    # Unscaled: nibabel would scale in float64, at twice the memory.
    stored = image.dataobj
    least = 0 if raw is None else int(image.header.single_vox_offset)
    if raw is not None and raw["vox_offset"] < least:
        # Some programs leave the offset out. Voxels cannot begin within the header: they begin where it ends.
        spec = (image.shape, image.header.get_data_dtype(), least, stored.slope, stored.inter)
        stored = ArrayProxy(stream, spec)
        notes.append(f"the header says that voxels begin at byte {int(raw['vox_offset'])}: read from {least}")
    volumes = np.asarray(stored.get_unscaled()).reshape((*image.shape[:3], -1), order="F")
    values = volumes[..., 0]
    if volumes.shape[3] > 1:
        values = volumes.mean(axis=3, dtype=np.float32) if frames == "mean" else values
        notes.append(f"{frames} of {volumes.shape[3]} volumes")
    stream.read(2**20)  # on to the end of a gzip file, where its checksum is compared
    slope, intercept = float(stored.slope), float(stored.inter)
    return Stored(values, np.asarray(image.affine, np.float64), slope, intercept, notes=tuple(notes))


# --- NRRD and MetaImage ---


def read_itk(path: Path) -> Stored:
    """Read NRRD or MetaImage (.mha, .mhd)."""
    import SimpleITK as sitk

    name, notes = path.name, []
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet_itk():
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{name}: is not a readable {ending(path)} image, its header is damaged") from error
    if reader.GetNumberOfComponents() != 1 or "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise InputError(f"{name}: holds colour, vectors or complex numbers; one real number per voxel is needed")
    shape, dims = reader.GetSize(), reader.GetDimension()
    check_declared(name, shape, None)
    try:
        with quiet_itk():
            image = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{name}: breaks off or is damaged; copy or convert it again") from error
    if ending(path) == ".nrrd":
        space = reader.GetMetaData("NRRD_space") if reader.HasMetaDataKey("NRRD_space") else ""
        if not re.fullmatch(r"([lr][ap]s)|((left|right)-(anterior|posterior)-superior)", space.lower()):
            what = f"the space {space!r} in the header names no side of the head" if space else "no space in the header"
            notes.append(f"{what}: LPS is assumed, left and right may be swapped")
    direction = np.reshape(image.GetDirection(), (dims, dims))[:3, :3]
    voxel_to_lps_mm = np.eye(4)
    voxel_to_lps_mm[:3, :3] = direction * image.GetSpacing()[:3]
    voxel_to_lps_mm[:3, 3] = image.GetOrigin()[:3]
    # SimpleITK's array is (k, j, i), so its transpose is (i, j, k).
    values = sitk.GetArrayFromImage(image).T.reshape(shape[:3], order="F")
    return Stored(values, lps_to_ras(voxel_to_lps_mm), notes=tuple(notes))
