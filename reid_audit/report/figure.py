"""One picture of a page, with the words for readers who do not see it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reid_audit import plots

_WIDTH_INCHES = 10.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture of one or more panels.

    Attributes
    ----------
    name : str
        Stands in the picture and names its file.
    caption, alt : str
        What it shows, and the same in words and numbers.
    panels : tuple of callables
        Each draws on the Axes that it is given.
    columns : int
        Panels beside each other; 0 = all.
    share : bool
        All panels have one x and one y axis.
    legend : bool
        One legend below for all panels.
    folded : bool or None
        Whether the page shows it only when asked; None = it stands on the first screen.
    places : dict, optional
        Shared by figures whose panels have the same axes: the first of them is laid out, and the rest follow it.
    """

    name: str
    caption: str
    alt: str
    panels: tuple[Callable[[Any], None], ...]
    columns: int = 0
    height_inches: float = 3.6
    share: bool = False
    legend: bool = True
    folded: bool | None = False
    places: plots.Places | None = None

    def make(self) -> Any:
        """Return the matplotlib figure."""
        columns = self.columns or len(self.panels)
        with plots.style():
            figure, axes = plots.new_figure(
                columns,
                rows=-(-len(self.panels) // columns),
                width_inches=_WIDTH_INCHES / columns,
                height_inches=self.height_inches,
                share=self.share,
            )
            for draw, panel in zip(self.panels, axes, strict=False):
                draw(panel)
                panel.xaxis.set_tick_params(labelbottom=True)
            for spare in axes[len(self.panels) :]:
                spare.remove()
            figure.suptitle(plots.shorten(self.name, most=80), fontsize="medium", fontweight="bold", x=0.01, ha="left")
            if self.legend:
                plots.show_common_legend(figure)
            return figure

    def svg(self) -> str:
        """Return the figure for a page that gives ink and paper."""
        return plots.to_svg(self.make(), name=self.name, themed=True, places=self.places)

    def _repr_png_(self) -> bytes:
        """Show the figure in a notebook, whatever backend is set."""
        return plots.to_png(self.make())
