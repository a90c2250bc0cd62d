"""Where on the face a defacer changed something, and where identity is left, drawn on an average head."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.plots.canvas import shorten
from reid_audit.records import LeakMap

_LIGHT = np.array([-0.35, 0.5, 1.0])  # from the viewer's upper left
_SHADES = np.linspace(-0.2, 1.1, 10)
_CHANGE_MM = np.array([0.5, 1, 2, 3, 5, 7.5, 10, 15, 20])
_LOOKED_AT = np.arange(1, 11) / 10
_IDENTITY = 2.0 ** np.arange(6)  # of variances: 1 = another person fits as well


def _shade(relief_mm: NDArray[np.float64], cell_mm: float) -> NDArray[np.float64]:
    """Light the average head as matt plaster; NaN where there is none."""
    up, left = np.gradient(relief_mm, cell_mm)
    normal = np.stack([-left, -up, np.ones_like(up)]) / np.sqrt(1 + left**2 + up**2)
    return np.asarray(np.tensordot(_LIGHT / np.linalg.norm(_LIGHT), normal, axes=1))


def draw_leak_map(axes: Any, leak: LeakMap, *, layer: str) -> None:
    """Draw one layer of a map in colour over the average head in grey, as one who faces it sees it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    leak : LeakMap
    layer : {"change", "identity", "occlusion"}
        How far the skin moved, in mm; between-person over within-person variance, where more than 1 is left; or where a
        recogniser looks, 0 to 1.
    """
    from matplotlib.colors import BoundaryNorm, LogNorm

    relief, values = (np.array(rows, dtype=float) for rows in (leak.relief_mm, getattr(leak, _LAYERS[layer][0])))
    x, y = (np.arange(n) * leak.cell_mm for n in relief.shape[::-1])
    # Areas and no pixels: a page shows no picture, so that nothing in it can be one of a person.
    axes.contourf(x, y, np.ma.masked_invalid(_shade(relief, leak.cell_mm)), levels=_SHADES, cmap="gray", extend="both")
    if layer == "change":
        levels, colours, label = _CHANGE_MM, "viridis", "change, mm"
        norm: Any = BoundaryNorm(levels, 256, extend="max")
    elif layer == "occlusion":
        levels, colours, label = _LOOKED_AT, "cividis", "vector moves (1 = most)"
        norm = BoundaryNorm(levels, 256)
    else:
        levels, colours, label = _IDENTITY, "inferno", "between / within persons"
        norm = LogNorm(levels[0], levels[-1])
    shown = np.ma.masked_invalid(np.where(values > levels[0], values, np.nan))
    areas = axes.contourf(x, y, shown, levels=levels, cmap=colours, norm=norm, extend="max", alpha=0.8)
    bar = axes.figure.colorbar(areas, ax=axes, shrink=0.75, label=label)
    bar.set_ticks(levels, labels=[f"{level:g}" for level in levels])
    bar.minorticks_off()
    axes.set_aspect("equal")
    axes.set_axis_off()
    title = _LAYERS[layer][1]
    axes.set_title(shorten(f"{leak.condition}: {title}" if title else "where the recogniser looks", most=40))


_LAYERS = {"change": ("change_mm", "change"), "identity": ("identity", "identity left"), "occlusion": ("occlusion", "")}
