"""Figures as such: made outside matplotlib's global state, in one style, and written as the same text each time."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

INK, QUIET, PAPER = "#1b1f24", "#6a737d", "#ffffff"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))

Places = dict[tuple[int, ...], tuple[list[Any], list[float]]]
"""Where panels and titles of figures lie, by how many lines each panel's legend has."""

_SVG_DPI = 72  # of every SVG that matplotlib writes

_STYLE = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that a text is as wide on every machine
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": "small",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "savefig.dpi": 150,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the house's style, whatever a reader's matplotlibrc says. Ends with the ``with`` block."""
    import warnings

    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the reader's fonts may have it
        dict.update(matplotlib.rcParams, _settings())  # as they are: each was checked when it was set first
        yield


@cache
def _settings() -> dict[str, Any]:
    """Return matplotlib's defaults and the house's style. To check them anew takes longer than to draw some figures."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        return {name: value for name, value in dict.items(matplotlib.rcParams) if name != "backend"}


def new_figure(
    columns: int, *, rows: int = 1, width_inches: float = 5.0, height_inches: float = 3.6, share: bool = False
) -> tuple[Any, list[Any]]:
    """Return a figure and its Axes, row by row, outside matplotlib's global state.

    Parameters
    ----------
    columns, rows : int
    width_inches, height_inches : float
        Of one Axes.
    share : bool
        Give all Axes one x and one y axis, labelled at the left and below.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(width_inches * columns, height_inches * rows), layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).flat)


def say_nothing(axes: Any, why: str) -> None:
    """Write on empty Axes why they are empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", wrap=True, transform=axes.transAxes)


def colour(index: int) -> str:
    """Return the colour of the series with that number; they begin anew after the last."""
    return PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """Return the marker of the series with that number."""
    return MARKERS[index % len(MARKERS)]


def line(index: int) -> Any:
    """Return the line style of the series with that number."""
    return LINES[index % len(LINES)]


def shorten(label: str, *, most: int = 24) -> str:
    """Cut a long name for a legend, and keep matplotlib from reading formulae and hidden labels into it."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in label)
    clean = clean if len(clean) <= most else f"{clean[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
    return f" {clean}" if clean.startswith("_") else clean.replace("$", r"\$")


def show_legend(axes: Any, **where: Any) -> None:
    """Name the series, if there is one with a name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**where)


def show_common_legend(figure: Any) -> None:
    """Name the series of all Axes once, below them."""
    series: dict[str, Any] = {}
    for axes in figure.axes:
        if axes.get_legend() is None:
            series |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if series:
        columns = max(1, min(6, 110 // (8 + max(map(len, series)))))
        figure.legend(series.values(), series.keys(), loc="outside lower left", ncols=columns, fontsize="small")


def _lay_out(figure: Any, engine: Any, places: Places) -> None:
    legends = (axes.get_legend() for axes in figure.axes)
    key = tuple(0 if legend is None else len(legend.get_texts()) for legend in legends)
    if key not in places:
        engine.execute(figure)
        places[key] = (
            [axes.get_position(original=True) for axes in figure.axes],
            [text.get_position()[1] for text in figure.texts],
        )
    else:
        panels, heights = places[key]
        for axes, panel in zip(figure.axes, panels, strict=True):
            axes.set_position(panel)
        for text, height in zip(figure.texts, heights, strict=True):
            text.set_y(height)


_GROUP = re.compile(r'<g id="[^"]*">')
_LEAD = re.compile(r"^ +", re.MULTILINE)
_OUTLINE = re.compile(r' d="[^"]*"')
_FURTHER_DIGITS = re.compile(r"(?<=\.\d\d)\d+")


def to_svg(figure: Any, *, name: str = "figure", themed: bool = False, places: Places | None = None) -> str:
    """Return the figure as an ``<svg>`` element: the same figure gives the same text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        Keeps the ids of several figures in one page apart.
    themed : bool
        Take ink and paper from the page's CSS variables ``--ink``, ``--quiet`` and ``--paper`` (dark mode).
    places : dict, optional
        Of figures with the same axes: panels lie where those of the first lie, which takes less than to lay them out.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with style(), matplotlib.rc_context({"svg.hashsalt": f"reid-audit {name}"}):
        engine, canvas, dpi = figure.get_layout_engine(), figure.canvas, figure.dpi
        if engine:  # laid out here: to save it would draw it twice for that
            FigureCanvasSVG(figure)
            figure.set_dpi(_SVG_DPI)
            _lay_out(figure, engine, {} if places is None else places)
            figure.set_layout_engine(None)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        figure.set_layout_engine(engine)
        figure.set_dpi(dpi)
        figure.set_canvas(canvas)
    text = buffer.getvalue()
    text = _LEAD.sub("", _GROUP.sub("<g>", text[text.index("<svg") :]))
    text = _OUTLINE.sub(lambda outline: _FURTHER_DIGITS.sub("", outline[0]), text)  # a hundredth of a point is enough
    if themed:
        for value, variable in ((INK, "--ink"), (QUIET, "--quiet"), (PAPER, "--paper")):
            text = text.replace(value, f"var({variable})")
    return text


def to_png(figure: Any) -> bytes:
    """Return the figure as a PNG of 150 dpi on white paper."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()
