"""Figures: views of what a result holds. They compute nothing, so that picture and table cannot disagree.

Each function draws on the Axes that it is given, so that a notebook can arrange them; `to_svg` and `to_png` turn a
figure into text for a page or a file. Where there is nothing to draw the Axes say so.

=================================== ====================================================================================
`draw_intervals`                    rates and estimates with their intervals, chance and limit
`draw_distributions`, `draw_pairs`  distances per group; each subject before and after defacing
`draw_roc`, `draw_det`              what originals allow, with the operating points, and what defaced scans leave
`draw_cmc`                          mates among the first r, with chance
`draw_tradeoff`, `draw_risk`        risk against cost: linkability, or the mean inverse distance
`draw_bland_altman`                 a measure before and after, case by case
`draw_bars`                         means with standard deviations and stars, by structure and model
`draw_boxes`                        a measure by structure
`draw_dvh`                          dose-volume histograms before and after
`draw_difference`, `draw_contours`  a slice with what changed, and with contours before and after
`draw_leak_map`                     where a defacer changed a face, and where identity is left, on an average head
`draw_threshold_by_size`            how much a threshold depends on the number of subjects who set it
=================================== ====================================================================================

Colours are Okabe and Ito's, which colour-blind readers can tell apart; each series has a marker or line of its own too.
"""

from reid_audit.plots.agreement import DvhCurve, draw_boxes, draw_dvh
from reid_audit.plots.bars import Bar, draw_bars, stars
from reid_audit.plots.canvas import Places, new_figure, say_nothing, shorten, show_common_legend, style, to_png, to_svg
from reid_audit.plots.cost import draw_bland_altman, draw_risk, draw_tradeoff
from reid_audit.plots.curves import Leftover, draw_cmc, draw_det, draw_roc, draw_threshold_by_size
from reid_audit.plots.distances import draw_distributions, draw_pairs
from reid_audit.plots.intervals import Number, draw_intervals
from reid_audit.plots.leaks import draw_leak_map
from reid_audit.plots.slices import draw_contours, draw_difference

__all__ = [
    "Bar",
    "DvhCurve",
    "Leftover",
    "Number",
    "Places",
    "draw_bars",
    "draw_bland_altman",
    "draw_boxes",
    "draw_cmc",
    "draw_contours",
    "draw_det",
    "draw_difference",
    "draw_distributions",
    "draw_dvh",
    "draw_intervals",
    "draw_leak_map",
    "draw_pairs",
    "draw_risk",
    "draw_roc",
    "draw_threshold_by_size",
    "draw_tradeoff",
    "new_figure",
    "say_nothing",
    "shorten",
    "show_common_legend",
    "stars",
    "style",
    "to_png",
    "to_svg",
]
