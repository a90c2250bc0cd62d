"""Where on the face a defacer changed something, and where identity is left, drawn on an average head."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.plots.canvas import shorten
from reid_audit.records import LeakMap

_LIGHT = np.array([-0.35, 0.5, 1.0])  # from the viewer's upper left
_MOST_CHANGE_MM = 20.0
_MOST_IDENTITY = 32.0
_LEAST_IDENTITY = 1.0


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
    layer : {"change", "identity"}
        How far the skin moved, in mm; or between-person over within-person variance, where more than 1 is left.
    """
    from matplotlib.colors import LogNorm, Normalize

    relief, values = (np.array(rows, dtype=float) for rows in (leak.relief_mm, getattr(leak, _FIELDS[layer])))
    height, width = (n * leak.cell_mm for n in relief.shape)
    place: dict[str, Any] = {"origin": "lower", "extent": (0, width, 0, height), "interpolation": "nearest"}
    axes.imshow(_shade(relief, leak.cell_mm), cmap="gray", vmin=-0.2, vmax=1.1, **place)
    if layer == "change":
        norm: Any = Normalize(0, _MOST_CHANGE_MM)
        shown, label, colours = np.ma.masked_less(values, 0.5), "change, mm", "viridis"
    else:
        norm = LogNorm(_LEAST_IDENTITY, _MOST_IDENTITY)
        shown, label, colours = np.ma.masked_less_equal(values, _LEAST_IDENTITY), "between / within persons", "inferno"
    image = axes.imshow(np.ma.masked_invalid(shown), cmap=colours, norm=norm, alpha=0.8, **place)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.75, label=label)
    if layer == "identity":
        bar.set_ticks([1, 2, 4, 8, 16, 32], labels=["1", "2", "4", "8", "16", "32"])
        bar.minorticks_off()
    axes.set_axis_off()
    axes.set_title(shorten(f"{leak.condition}: {'change' if layer == 'change' else 'identity left'}", most=40))


_FIELDS = {"change": "change_mm", "identity": "identity"}
