"""Where the eyes of a scan are, told from its portrait: for a defacer without eye contours."""

from pathlib import Path

import numpy as np

from reid_audit.audit.settings import Settings, context_of
from reid_audit.face import make_encoder
from reid_audit.records import ORIGINAL, InputError, ScanRef
from reid_audit.render import pick_on_skin

_APART_MM = (40.0, 90.0)  # pupils of adults: 51 to 74 (Dodgson 2004, doi:10.1117/12.529999), with room for landmarks


def find_eyes(path: Path, *, settings: Settings = Settings()) -> tuple[tuple[float, float, float], ...]:
    """Find the skin before both eyes of a scan.

    The scan's portrait is drawn, a face is sought in it, and its eye landmarks are cast back onto the skin.

    Parameters
    ----------
    path : Path
        A file, or a folder that holds one DICOM series.
    settings : Settings
        The first of its encoders looks.

    Returns
    -------
    tuple of ((x, y, z), (x, y, z))
        The person's left and right eye, RAS mm.

    Raises
    ------
    InputError
        No scan, no face in its portrait, or eyes where none can be.
    RenderError, EngineError, WeightsError
        Where nothing can be drawn or recognised.
    """
    encoder = make_encoder(settings.encoders[0], detector=settings.detector, device=settings.device)
    context = context_of(ScanRef("", "", ORIGINAL, path), settings)
    skin = context.extract()
    view = context.find_view(skin)
    face = encoder.encode(context.draw(skin, view))
    if face.eyes_px is None:
        view = context.find_best_view(skin, encoder)
        face = encoder.encode(context.draw(skin, view))
    if face.eyes_px is None:
        raise InputError(f"{path.name}: its portrait shows no face to take the eyes from; draw them as structures")
    eyes = pick_on_skin(skin, view, face.eyes_px)
    apart_mm = float(np.linalg.norm(eyes[0] - eyes[1]))
    if not _APART_MM[0] <= apart_mm <= _APART_MM[1]:
        low, high = _APART_MM
        raise InputError(
            f"{path.name}: the eyes of its portrait lie {apart_mm:.0f} mm apart, not {low:g} to {high:g}; "
            "draw them as structures"
        )
    left, right = ((float(x), float(y), float(z)) for x, y, z in eyes)
    return left, right
