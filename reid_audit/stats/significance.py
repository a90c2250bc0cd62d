"""Significance tests, each with n, statistic, method, p and effect size; correction for many of them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import Estimate, InputError, TestResult
from reid_audit.stats.ranks import control_false_discoveries, h_of_ranks, p_of_signed_ranks, p_of_u, rank

_EXACT_UP_TO = 2000
"""Product of the sample sizes up to which an exact Mann-Whitney null distribution costs nothing noticeable."""
_PERMUTATIONS_AT_ONCE = 500


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64).ravel()
    return numbers[~np.isnan(numbers)]


def mann_whitney(a: ArrayLike, b: ArrayLike, *, compared: str = "", subjects: int = 0) -> TestResult:
    """Two-sided Mann-Whitney U test of two groups of distances; NaN is left out and shows in ``n``.

    ``statistic`` is U of ``a``: the number of (a, b) in which a is the *larger*, ties one half. ``effect`` is AUC =
    P(a < b) = 1 - U / (n1 n2). The p-value takes all values for independent, which pairs that share subjects are not:
    it is reported because the literature does, and the permutation test stands beside it. Exact without ties where
    n1 n2 <= 2000, else normal with continuity and tie correction.
    """
    x, y = _finite(a), _finite(b)
    test = TestResult("mann_whitney", compared, (len(x), len(y)), subjects, effect_name="AUC")
    if not len(x) or not len(y):
        return replace(test, reason="one of the groups is empty")
    both = np.concatenate([x, y])
    if both.min() == both.max():
        u = len(x) * len(y) / 2
        return replace(test, statistic=u, p=1.0, method="exact", effect=0.5, reason="all distances are equal")
    exact = len(x) * len(y) <= _EXACT_UP_TO and len(np.unique(both)) == len(both)
    method = "exact" if exact else "asymptotic"
    u = float(rank(both)[: len(x)].sum()) - len(x) * (len(x) + 1) / 2
    p = p_of_u(u, x, y, exact=exact)
    return replace(test, statistic=u, p=p, method=method, effect=1 - u / (len(x) * len(y)))


def wilcoxon(before: ArrayLike, after: ArrayLike, *, compared: str = "", subjects: int | None = None) -> TestResult:
    """Two-sided Wilcoxon signed-rank test of distances paired by subject.

    Pairs with a NaN are left out; zero differences are dropped as Wilcoxon did, and both show in ``n``. ``statistic``
    is the smaller rank sum W; ``effect`` the matched-pairs rank-biserial correlation (sum of ranks in which ``after``
    is larger minus the others, over their total): +1 = every distance grew. Exact up to 50 pairs without ties.

    Raises
    ------
    InputError
        Lengths differ.
    """
    x, y = (np.asarray(v, dtype=np.float64).ravel() for v in (before, after))
    if len(x) != len(y):
        raise InputError(f"wilcoxon needs as many distances before as after; got {len(x)} and {len(y)}")
    both = _finite(y - x)
    difference = both[both != 0]
    n = len(difference)
    test = TestResult(
        "wilcoxon_signed_rank", compared, (n,), n if subjects is None else subjects, effect_name="rank-biserial"
    )
    if not n:
        reason = "no pair differs" if len(both) else "no pair has a distance before and after"
        return replace(test, subjects=0, reason=reason)
    size = rank(np.abs(difference))
    effect = float((size * np.sign(difference)).sum() / size.sum())
    ties = len(np.unique(np.abs(difference))) < n
    method = "exact" if n <= 50 and not ties else "asymptotic"
    w = float(min(size[difference > 0].sum(), size[difference < 0].sum()))
    p = p_of_signed_ranks(w, size, exact=method == "exact")
    return replace(test, statistic=w, p=p, method=method, effect=effect)


def mcnemar(first: ArrayLike, second: ArrayLike, *, compared: str = "") -> TestResult:
    """Two-sided exact McNemar test of two yes/no outcomes of the same subjects.

    Only subjects whose two outcomes differ say anything: the p-value is that of a binomial test of one half on them.
    ``n`` = (subjects with the first alone, subjects with the second alone), ``statistic`` the smaller of the two,
    ``effect`` the difference of the two shares, first - second, over all subjects.

    Raises
    ------
    InputError
        Lengths differ.

    Examples
    --------
    Eight outcomes differ, all one way: p = 2 / 2 ** 8.

    >>> mcnemar([True] * 8 + [False] * 2, [False] * 10).p
    0.0078125
    """
    from scipy.special import bdtr

    x, y = (np.asarray(v, dtype=bool).ravel() for v in (first, second))
    if len(x) != len(y):
        raise InputError(f"mcnemar needs as many first as second outcomes; got {len(x)} and {len(y)}")
    b, c = int((x & ~y).sum()), int((~x & y).sum())
    test = TestResult("mcnemar", compared, (b, c), len(x), effect_name="difference of shares")
    if not len(x):
        return replace(test, reason="nobody has both outcomes")
    p = min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5))) if b + c else 1.0
    reason = "" if b + c else "nobody's outcomes differ"
    return replace(test, statistic=min(b, c), p=p, method="exact", effect=(b - c) / len(x), reason=reason)


def kruskal(groups: Sequence[ArrayLike], *, compared: str = "", subjects: int = 0) -> TestResult:
    """Kruskal-Wallis H test of several groups (chi-squared); effect: eta squared = (H - k + 1) / (n - k).

    The literature compares defacers and models with it; where the groups are the same subjects it is conservative.
    """
    samples = [_finite(g) for g in groups]
    sizes = tuple(len(s) for s in samples)
    test = TestResult(
        "kruskal_wallis", compared, sizes, subjects, alternative="any group differs", effect_name="eta squared"
    )
    k, n = len(samples), sum(sizes)
    reason = "fewer than two groups" if k < 2 else "a group is empty" if not min(sizes) else ""
    if not reason and np.ptp(np.concatenate(samples)) == 0:
        reason = "all distances are equal"
    if reason:
        return replace(test, reason=reason)
    h, p = h_of_ranks(samples)
    effect = (h - k + 1) / (n - k) if n > k else math.nan
    return replace(test, statistic=h, p=p, method="asymptotic", effect=effect)


def adjust(tests: Iterable[TestResult]) -> tuple[TestResult, ...]:
    """Benjamini-Hochberg over one family: the same tests in the same order with ``p_adjusted``. NaN p stay NaN."""
    family = tuple(tests)
    known = [i for i, test in enumerate(family) if not math.isnan(test.p)]
    adjusted = dict.fromkeys(range(len(family)), math.nan)
    if known:
        adjusted |= dict(zip(known, control_false_discoveries([family[i].p for i in known]).tolist(), strict=True))
    return tuple(replace(test, p_adjusted=adjusted[i]) for i, test in enumerate(family))


def permute_identities(
    blocks: Sequence[NDArray[np.float64]], *, rng: np.random.Generator, permutations: int = 9999, compared: str = ""
) -> TestResult:
    """Test whether defaced scans carry any identity: permute which subject each of them belongs to.

    Under the null hypothesis a defaced scan is no nearer to its owner than to anybody else, so relabelling the
    owners changes nothing in distribution, however the pairs depend on each other: the test is exact. The statistic
    is the mean distance to the owner. Since every permutation uses each row and each column once, it is blind to
    scans that are far from, and references that are near to, everybody.

    Parameters
    ----------
    blocks : sequence of (n, n) float64
        One per session structure: row i = the defaced scan of subject i, column j = the original of subject j, the
        same n subjects in the same order in all. NaN (not acquired) is filled with the block's mean, which keeps the
        test exact: whole rows and columns are filled, whoever they are matched with.
    rng : numpy.random.Generator
    permutations : int
        Number of random relabellings; p = (1 + as small ones) / (1 + permutations).

    Returns
    -------
    TestResult
        One-sided (``"less"``); ``effect`` = how many standard deviations the observed mean lies below the
        permuted ones. NaN with a reason for fewer than 2 subjects or no distance.
    """
    n = len(blocks[0]) if blocks else 0
    test = TestResult(
        "identity_permutation", compared, (n,), n, alternative="less", effect_name="standard deviations below chance"
    )
    full = []
    for block in blocks:
        if block.shape != (n, n):
            raise InputError(f"blocks must all have the shape ({n}, {n}); got {block.shape}")
        seen = ~np.isnan(block)
        if seen.any():
            full.append(np.where(seen, block, block[seen].mean()))
    if n < 2 or not full:
        reason = "fewer than two people" if n < 2 else "no defaced scan gave a distance"
        return replace(test, reason=reason)
    total = np.sum(full, axis=0) / len(full)
    rows = np.arange(n)
    observed = float(total[rows, rows].mean())
    drawn = np.empty(permutations)
    for start in range(0, permutations, _PERMUTATIONS_AT_ONCE):
        block = drawn[start : start + _PERMUTATIONS_AT_ONCE]
        block[:] = total[rows, [rng.permutation(n) for _ in block]].mean(axis=1)
    slack = 1e-12 * max(1.0, abs(observed))  # equal means may differ by the order of summation
    p = (1 + int((drawn <= observed + slack).sum())) / (1 + permutations)
    spread = float(drawn.std())
    effect = (float(drawn.mean()) - observed) / spread if spread > slack else 0.0
    method = f"{permutations} permutations"
    return replace(test, statistic=observed, p=p, method=method, effect=effect)


def bounded_below(estimate: Estimate, margin: float, *, compared: str = "") -> TestResult:
    """Say whether an AUC is shown to lie below a stated margin: the equivalence test of linkage.

    The null hypothesis is AUC >= margin; it is rejected at 1 - confidence where the one-sided upper bound lies below
    the margin. ``statistic`` is that bound, ``effect`` the AUC, ``p`` NaN (the bound is the test), and ``method`` says
    ``"shown below ..."`` or ``"not shown below ..."``. An estimate without a bound is never shown.
    """
    shown = "shown" if estimate.at_most < margin else "not shown"  # for NaN, too
    method, n = f"{shown} below {margin:g} at {estimate.confidence:.0%}", (estimate.subjects,)
    test = TestResult("equivalence", compared, n, *n, estimate.at_most, math.nan, method, "less", estimate.value, "AUC")
    return replace(test, reason=estimate.reason)
