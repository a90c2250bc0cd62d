"""What the statistics of O'Sullivan-Steben 2025 say, recomputed from the distances that its authors printed.

O'Sullivan-Steben et al. (2025) judged an eye-plane defacer by the cosine distances of 70 patients before and after, and
printed the distances of 68 of them in their public notebook. Given those as a CSV (columns group, sex, index,
cosine_distance; groups same, defaced_same, different)::

    python examples/osullivan_statistics.py distances.csv

prints what can be reproduced, and why one number in the paper must be another test's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

from reid_audit import read_scores

THRESHOLD = 0.331027
EXPLANATION = """
The paper gives p = 1.60e-22 for a Wilcoxon signed-rank test. With 70 pairs the smallest two-sided p that this test can
give is 2 / 2^70 = {smallest:.3g}, when every patient's distance grew. A smaller one cannot come from it; the value is
that of the Mann-Whitney test above, which compares two unpaired groups. The conclusion stands: defacing moved the
distances. What the number does not say is whether a defaced scan is still nearer to its own patient than to others:
that takes the distances from defaced scans to other patients' originals."""


def smallest_wilcoxon_p(n: int) -> float:
    """Smallest two-sided p that an exact signed-rank test of n pairs can give: all signs alike, 2 of 2^n."""
    return 2.0 ** (1 - n)


def main() -> None:
    """Read the distances and print the statistics."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("distances", type=Path)
    frame = read_scores(parser.parse_args().distances).frame
    groups = {name: part["distance"].to_numpy(np.float64) for name, part in frame.groupby("group", observed=True)}
    same, defaced, different = groups["same"], groups["defaced_same"], groups["different"]

    print(f"{len(same)} patients; {len(different)} pairs of different patients of one sex\n")
    print(f"matched below {THRESHOLD}:")
    for name, values in (("before defacing", same), ("after defacing", defaced), ("different patients", different)):
        print(f"  {name:20} {np.count_nonzero(values < THRESHOLD)} of {len(values)}")

    wilcoxon = stats.wilcoxon(same, defaced)
    mann_whitney = stats.mannwhitneyu(same, defaced)
    print("\nthe same patients before and after defacing:")
    print(f"  Wilcoxon signed-rank  W = {wilcoxon.statistic:g}, p = {wilcoxon.pvalue:.4g}")
    print(f"  Mann-Whitney          U = {mann_whitney.statistic:g}, p = {mann_whitney.pvalue:.5g}")
    print(EXPLANATION.format(smallest=smallest_wilcoxon_p(70)))


if __name__ == "__main__":
    main()
