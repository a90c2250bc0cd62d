"""Slices through a head: what changed, and contours before and after."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.plots.canvas import colour, shorten

_NOISE = 0.01

Slice = NDArray[np.float32]


def _show(axes: Any, image: Slice, spacing_mm: tuple[float, float], *, sagittal: bool, **how: Any) -> Any:
    """Show a slice as radiologists see it: the patient's right at the left, the front or the top above."""
    extent = (0, image.shape[0] * spacing_mm[0], 0, image.shape[1] * spacing_mm[1])
    shown = axes.imshow(image.T, origin="lower", extent=extent, interpolation="nearest", **how)
    if not sagittal and not axes.xaxis_inverted():
        axes.invert_xaxis()
    axes.set_xticks([])
    axes.set_yticks([])
    return shown


def draw_difference(
    axes: Any,
    original: Slice,
    difference: Slice,
    spacing_mm: tuple[float, float],
    *,
    plane: str,
    limit: float,
    unit: str = "HU",
) -> None:
    """Draw a slice in grey, and over it where it changed: red became brighter, blue darker.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    original, difference : (a, b) float32
        After minus before; what is less than a hundredth of the limit is left clear.
    spacing_mm : tuple of two float
    plane : str
        ``"sagittal"``, ``"coronal"`` or ``"axial"``.
    limit : float
        The difference of the full colour; of the grey, too, from -limit to limit.
    unit : str
    """
    sagittal = plane == "sagittal"
    _show(axes, original, spacing_mm, sagittal=sagittal, cmap="gray", vmin=-limit, vmax=limit)
    clear = np.ma.masked_where(np.abs(difference) < _NOISE * limit, difference)
    shown = _show(axes, clear, spacing_mm, sagittal=sagittal, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.75)
    axes.figure.colorbar(shown, ax=axes, shrink=0.7, label=f"after - before, {unit}")
    axes.set_title(plane)


def draw_contours(
    axes: Any,
    image: Slice,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
    *,
    title: str,
    window: tuple[float, float],
) -> None:
    """Draw an axial slice with the outline of a structure before (solid) and after (dashed); see `draw_difference`."""
    _show(axes, image, spacing_mm, sagittal=False, cmap="gray", vmin=window[0], vmax=window[1])
    at = [(np.arange(n) + 0.5) * s for n, s in zip(image.shape, spacing_mm, strict=True)]
    for mask, series, dashes in ((before, 0, "solid"), (after, 1, "dashed")):
        if mask.any() and not mask.all():
            axes.contour(at[0], at[1], mask.T.astype(float), [0.5], colors=[colour(series)], linestyles=[dashes])
    axes.set_title(shorten(title, most=40), fontsize="small")
