"""Figures: views of what a result holds. They weigh nothing, so that picture and table cannot disagree.

Each function draws on the Axes that it is given, so that a notebook can arrange them; `to_svg` and `to_png` turn a
figure into text for a page or a file. Where there is nothing to draw the Axes say so.

=================================== ====================================================================================
`draw_distributions`, `draw_pairs`  distances per group; each subject before and after defacing
`draw_roc`, `draw_det`              what originals allow, with the operating points, and what defaced scans leave
`draw_cmc`                          mates among the first r, with chance
`draw_match_rates`, `draw_attacks`  match rates per defacer; what each attacker reaches, with intervals
`draw_tradeoff`                     risk against cost (after Molchanova 2023, Figure 5)
`draw_bland_altman`                 a measure before and after, case by case
`draw_threshold_by_size`            how much a threshold depends on the number of people who set it
=================================== ====================================================================================

Colours are Okabe and Ito's, which colour-blind readers can tell apart; each series has a marker or line of its own too.
"""

from reid_audit.plots.canvas import new_figure, say_nothing, to_png, to_svg
from reid_audit.plots.cost import draw_bland_altman, draw_tradeoff
from reid_audit.plots.curves import draw_cmc, draw_det, draw_roc, draw_threshold_by_size
from reid_audit.plots.distances import draw_distributions, draw_pairs
from reid_audit.plots.rates import draw_attacks, draw_match_rates

__all__ = [
    "draw_attacks",
    "draw_bland_altman",
    "draw_cmc",
    "draw_det",
    "draw_distributions",
    "draw_match_rates",
    "draw_pairs",
    "draw_roc",
    "draw_threshold_by_size",
    "draw_tradeoff",
    "new_figure",
    "say_nothing",
    "to_png",
    "to_svg",
]
