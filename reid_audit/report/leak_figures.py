"""Figures of where identity is left: by channel, and on the face."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from reid_audit import plots
from reid_audit.attack import find_attack
from reid_audit.records import ORIGINAL, Estimate, LeakMap
from reid_audit.report.figure import Figure
from reid_audit.report.rows import Row
from reid_audit.report.words import estimate_text

_MOST_COLUMNS = 4


def list_channels(rows: Sequence[Row]) -> list[tuple[str, str, Row]]:
    """Return each defacer, each part of the head that an attacker reads, and the row that links best by it."""
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        channel = find_attack(row.attack).channel
        if channel and row.condition != ORIGINAL and not math.isnan(row.linkability.value):
            key = row.condition, channel
            best[key] = max(best.get(key, row), row, key=lambda each: each.linkability.value)
    return [(condition, channel, row) for (condition, channel), row in best.items()]


def draw_channels(rows: Sequence[Row]) -> Iterator[Figure]:
    """Yield linkability by part of the head, a panel per defacer, where more than one part was looked at."""
    channels = list_channels(rows)
    lines = list(dict.fromkeys(channel for _, channel, _ in channels))
    conditions = list(dict.fromkeys(condition for condition, _, _ in channels))
    if len(lines) < 2:
        return

    def draw(axes: Any, condition: str) -> None:
        shown: list[tuple[str, str, Estimate]] = [
            (channel, "", row.linkability) for name, channel, row in channels if name == condition
        ]
        plots.draw_intervals(axes, shown, label="linkability", lines=lines, chance=0.5)
        axes.set_title(plots.shorten(condition, most=28))

    yield Figure(
        "linkability by part of the head",
        "Where identity is left: what an attacker links who reads one part of the head alone, with intervals. "
        "A better defacer can change what lies in the face; ears and outline stay where only the face is defaced. "
        "Parts of the face bind no verdict. Dotted: chance.",
        "; ".join(f"{name}, {channel}: {estimate_text(row.linkability)}" for name, channel, row in channels),
        tuple(partial(draw, condition=condition) for condition in conditions),
        columns=min(len(conditions), _MOST_COLUMNS),
        height_inches=1.3 + 0.24 * len(lines),
        share=True,
        folded=True,
    )


def draw_leak_maps(leaks: Sequence[LeakMap]) -> Iterator[Figure]:
    """Yield what each defacer changed and what identity is left, side by side on the average head."""
    if not leaks:
        return
    columns = min(len(leaks), _MOST_COLUMNS)
    panels: list[Callable[[Any], None]] = []
    for start in range(0, len(leaks), columns):
        some = leaks[start : start + columns]
        for layer in ("change", "identity"):
            panels += [partial(plots.draw_leak_map, leak=leak, layer=layer) for leak in some]
            panels += [_leave_empty] * (columns - len(some))
    looked_at = next((leak for leak in leaks if leak.occlusion), None)
    if looked_at is not None:
        panels.append(partial(plots.draw_leak_map, leak=looked_at, layer="occlusion"))
        panels += [_leave_empty] * (columns - 1)
    yield Figure(
        "where identity is left on the face",
        "On the average synthetic head, cell by cell. Above: how far the skin moved, median over people. Below: "
        "between-person over within-person variance of what a defaced head and an original differ by, where most of "
        "both agree; grey = another person fits as well. Without intervals: it shows where, not whether."
        + ("" if looked_at is None else " Last: how far the recogniser's vector moves when a disc hides that place."),
        "; ".join(_say_leak(leak) for leak in leaks),
        tuple(panels),
        columns=columns,
        height_inches=min(3.2, 9.0 / columns),
        legend=False,
        folded=True,
    )


def _leave_empty(axes: Any) -> None:
    axes.set_axis_off()


def _say_leak(leak: LeakMap) -> str:
    """Say on how much of the face something changed, and on how much at least twice the chance is left."""
    change = [value for row in leak.change_mm for value in row if not math.isnan(value)]
    identity = [value for row in leak.identity for value in row if not math.isnan(value)]
    changed = sum(value > 1 for value in change) / max(len(change), 1)
    left = sum(value > 2 for value in identity) / max(len(identity), 1)
    return (
        f"{leak.condition}, {leak.subjects} people: the skin moved by more than 1 mm on {changed:.0%} of the face, and "
        f"other people differ twice as much as the person on {left:.0%}"
    )
