"""Headers of defaced DICOM files: new UIDs, the claim that the face was removed, no private elements.

Nothing else of a header is touched: to remove names and numbers is the task of a de-identifier, before or after.
"""

import secrets
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

METHOD = "reid-audit eye-plane"
_CODE = ("113102", "DCM", "Clean Recognizable Visual Features Option")
# Pictures of the face before the cut, and signatures of bytes that have changed.
_DROPPED = (0x00880200, 0x4FFE0001, 0xFFFAFFFA)


class Renamer:
    """Gives every UID that belongs to a rewritten file a new one, the same one wherever it is met.

    Parameters
    ----------
    uids : iterable of str
        SOP instances and series that are rewritten. Study and frame of reference stay: the files still belong
        together with what is not rewritten.
    salt : str, optional
        The same salt gives the same new UIDs. Whoever knows it can tell which new UID belongs to an old one; left out,
        it is drawn and forgotten.
    """

    def __init__(self, uids: Iterable[str], *, salt: str | None = None) -> None:
        from pydicom.uid import generate_uid

        secret = secrets.token_hex(16) if salt is None else salt
        self._new = {str(uid): str(generate_uid(entropy_srcs=[METHOD, secret, str(uid)])) for uid in uids if uid}

    def rename(self, ds: Any) -> None:
        """Replace the UIDs of a data set, its file header and its sequences, in place."""
        self._walk(ds)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID

    def _walk(self, ds: Any) -> None:
        for tag, kind in _elements(ds):
            if kind == "SQ":
                for item in ds[tag].value or ():
                    self._walk(item)
            elif kind == "UI":
                value = ds[tag].value
                many = value if not isinstance(value, str) and value is not None else [value]
                if any(str(uid) in self._new for uid in many):
                    new = [self._new.get(str(uid), uid) for uid in many]
                    ds[tag].value = new if len(new) > 1 else new[0]


def _elements(ds: Any) -> list[tuple[Any, str]]:
    """Return tag and VR of each element, without the costly conversion of values that nobody asks for."""
    from pydicom.datadict import dictionary_VR

    elements = []
    for tag in list(ds.keys()):
        element = ds.get_item(tag)
        kind = element.VR
        if kind in (None, "UN"):  # implicit VR, or an explicit one that was lost
            try:
                kind = dictionary_VR(tag)
            except KeyError:
                kind = "UN"
        elements.append((tag, kind))
    return elements


def strip(ds: Any, *, keep_private: bool) -> None:
    """Remove thumbnails, signatures and, unless told otherwise, private elements, in sequences too."""
    for tag, kind in _elements(ds):
        if int(tag) in _DROPPED or (tag.is_private and not keep_private):
            del ds[tag]
        elif kind == "SQ":
            for item in ds[tag].value or ():
                strip(item, keep_private=keep_private)


def claim_defaced(ds: Any, *, identity_removed: bool) -> None:
    """Set (0012,0062) to (0012,0064), in place: the face was removed, by what, under DICOM's code for it.

    (0012,0062) also says that names and numbers are gone. Nothing here removes them, so it keeps the value that it has,
    "NO" where it has none; `identity_removed` says YES.
    """
    from pydicom.dataset import Dataset

    claimed = str(ds.get("PatientIdentityRemoved") or "NO")
    ds.PatientIdentityRemoved = "YES" if identity_removed else claimed
    said = ds.get("DeidentificationMethod") or []
    methods = [said] if isinstance(said, str) else list(said)
    method = f"{METHOD} {version('reid-audit')}"
    ds.DeidentificationMethod = [*(m for m in methods if m != method), method]
    codes = list(ds.get("DeidentificationMethodCodeSequence") or ())
    if _CODE[0] not in [str(item.get("CodeValue")) for item in codes]:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = _CODE
        codes.append(item)
    ds.DeidentificationMethodCodeSequence = codes
