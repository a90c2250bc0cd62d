"""Synthetic releases in which the truth is known, as frames of a ScoreTable: what the rules are tried on.

Each kind says what an honest verdict may be. The cohorts are those of `reid_audit.verdict.worlds`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from reid_audit.stats.residuals import percentiles, residuals
from reid_audit.verdict.worlds import DIM, SyntheticCohort, tabulate_world, unit

ATTACKS = ("naive", "aligned", "registered")


class World(SyntheticCohort):
    """A cohort that is drawn from a seed."""

    def __init__(self, people, seed, visits=2, **settings):
        super().__init__(people, np.random.default_rng([seed, people]), visits, **settings)

    def resaved(self, sd=0.02):
        return unit(self.originals + sd * self.draw(self.visits, self.people))

    def blind(self):
        return unit(self.mean + 8 * self.draw(self.visits, self.people))

    def defaced(self, leak=0.0, *, attacks=ATTACKS, **how):
        return self.deface(attacks, leak=leak, **how)


def table(world, release, *, columns=None, **how):
    """Return every comparison, and the strata."""
    strata = pd.DataFrame(columns or {}, index=pd.Index(world.names, name="subject"))
    return tabulate_world(world, release, **how), strata


# ------------------------------------------------------------------------------------------------------ kinds


def perfect(w):
    return table(w, w.defaced())


def removed(w):
    return table(w, w.defaced(removal=True), unseen={"naive": np.flatnonzero(w.rng.random(w.people) < 0.95)})


def one_attacker(w):
    return table(w, w.defaced(attacks=("registered",)))


def linkability(auc, **how):
    def make(w):
        key = (auc, how.get("removal", False))
        return table(w, w.defaced(LEAKS[key] if key in LEAKS else calibrate_leak(*key), **how))

    return make


def strong_leak(w):
    return table(w, w.defaced(0.5))


LEAKS = {(0.60, False): 0.0529, (0.60, True): 0.0211, (0.65, False): 0.0793, (0.65, True): 0.0320}
"""Shares of the person that leave a linkability, by it and whether faces are removed; from `calibrate_leak`."""


@cache
def calibrate_leak(auc, removal=False):
    """Return the share of the person that gives this linkability in a large cohort.

    Linkability is the mean mate percentile within searches, after what scans share with everybody was taken out: what
    the rule of linkability estimates.
    """
    low, high = 0.0, 1.5
    for _ in range(12):
        middle = (low + high) / 2
        seen = []
        for seed in range(6):
            w = World(400, 1000 + seed)
            y = w.defaced(middle, removal=removal, attacks=("naive",))["naive"]
            blocks = np.array([1 - y[a] @ w.originals[1 - a].T for a in (0, 1)])
            seen.append(np.diagonal(percentiles(residuals(blocks)), axis1=1, axis2=2).mean())
        low, high = (middle, high) if np.mean(seen) < auc else (low, middle)
    return (low + high) / 2


def untouched(count, *, sd=0.02, removal=True, visits=None):
    """``count`` people's files (of all visits, or of the first ``visits``) were only written anew."""

    def make(w):
        who = w.rng.permutation(w.people)[:count]
        y = w.defaced(removal=removal)
        for vectors in y.values():
            vectors[:visits, who] = w.resaved(sd)[:visits, who]
        return table(w, y)

    return make


def site(w):
    k = max(2, round(0.06 * w.people))
    y = w.defaced(removal=True)
    for vectors in y.values():
        vectors[:, :k] = w.resaved()[:, :k]
    return table(w, y, columns={"site": ["B"] * k + ["A"] * (w.people - k)})


def stratum_leak(share=0.3, leak=0.5, column="scanner"):
    """A scanner on whose scans the defacer leaves half of the person."""

    def make(w):
        k = round(share * w.people)
        amount = np.where(np.arange(w.people)[:, None] < k, leak, 0.0)
        return table(w, w.defaced(amount), columns={column: ["B"] * k + ["A"] * (w.people - k)})

    return make


def relabelled(order, *, leak=None):
    """Labels in another order: nobody is defaced, or (``leak``) the defacer leaves a share."""

    def make(w):
        p = order(w)
        y = {a: w.resaved() for a in ATTACKS} if leak is None else w.defaced(leak)
        return table(w, {a: vectors[:, p] for a, vectors in y.items()})

    return make


def shifted(w):
    return np.roll(np.arange(w.people), 1)


def swapped_pairs(w):
    p = np.arange(w.people)
    return np.minimum(p ^ 1, w.people - 1) if w.people % 2 == 0 else np.r_[p[:-1] ^ 1, p[-1]]


def shuffled(w):
    return w.rng.permutation(w.people)


def from_the_middle(w):
    p, k = np.arange(w.people), w.people // 2
    return np.r_[p[:k], np.roll(p[k:], 1)]


def two_labels(w):
    """Two pairs of labels are one person each; the defacer is perfect."""
    for a, b in ((0, 1), (2, 3)):
        w.person[b] = w.person[a]
        for v in range(w.visits):
            w.originals[v, b] = unit(w.mean + w.person[a] + 0.3 * w.draw())
    return table(w, w.defaced())


def one_label(w):
    """The second visits of two people are somebody who is not in the cohort; the defacer is perfect."""
    for i in (0, 1):
        w.originals[1:, i] = unit(w.mean + w.draw() + 0.3 * w.draw(w.visits - 1))
    return table(w, w.defaced())


def blind_registered(w):
    y = w.defaced(0.5, removal=True, attacks=("naive", "registered"))
    y["registered"] = w.blind()
    return table(
        w, y, unseen={"naive": np.flatnonzero(w.rng.random(w.people) < 0.97)}, canary={"registered": w.blind()}
    )


def partly_blind(share):
    """The binding attackers see nothing in a share of the people, whoever they are."""

    def make(w):
        dark = w.rng.permutation(w.people)[: round(share * w.people)]
        canary = {}
        y = w.defaced(0.5, removal=True)
        for a in ATTACKS:
            canary[a] = unit(w.originals + 0.25 * w.draw(w.visits, w.people))
            for vectors in (canary[a], y[a]):
                vectors[:, dark] = w.blind()[:, dark]
        return table(w, y, canary=canary)

    return make


def unseen_tenth(w):
    k = max(1, w.people // 10)
    return table(w, w.defaced(removal=True), unseen={a: np.arange(k) for a in ATTACKS})


def stratum_blind(column="sex", share=0.15):
    def make(w):
        k = max(2, round(share * w.people))
        x = w.originals.copy()
        x[:, :k] = unit(w.mean + 7 * w.draw(w.visits, k))
        canary = {a: unit(x + 0.25 * w.draw(w.visits, w.people)) for a in ATTACKS}
        for vectors in canary.values():
            vectors[:, :k] = w.blind()[:, :k]
        columns = {column: ["F"] * k + ["M"] * (w.people - k)}
        return table(w, w.defaced(removal=True), originals=x, canary=canary, columns=columns)

    return make


def sex_only(w):
    sex = np.zeros((w.people, DIM))
    sex[:, 1] = 0.45 * (2 * w.sex - 1)
    y = {a: unit(w.mean + sex + 0.15 * w.draw(w.visits, w.people)) for a in ATTACKS}
    return table(w, y, columns={"sex": np.where(w.sex, "M", "F")})


def copies_as_visits(w):
    first = unit(8 * w.draw(w.people))
    x = unit(first + 0.01 * w.draw(w.visits, w.people))
    blind = {a: unit(w.draw(w.visits, w.people)) for a in ATTACKS}
    return table(w, blind, originals=x, canary={a: w.blind() for a in ATTACKS})


def weak_recogniser(w):
    loud = World(w.people, int(w.rng.integers(1 << 30)), w.visits, noise=1.3, condition=w.condition)
    return table(loud, loud.defaced())


def untouched_and_swapped(w):
    """Two people's files were only written anew, and each is listed as the other's."""
    a, b = w.rng.permutation(w.people)[:2]
    y = w.defaced(removal=True)
    for vectors in y.values():
        vectors[:, [a, b]] = w.resaved()[:, [b, a]]
    return table(w, y)


def sampled(make, most=24):
    """File-level canaries: of the first visit of a sample, a blur that is linked and an eye plane that nobody links."""

    def made(w):
        frame, strata = make(w)
        canary = (frame["condition"] == "canary-light").to_numpy()
        sample = set(w.rng.permutation(w.names)[:most])
        light = frame[
            canary & frame["probe_subject"].isin(sample).to_numpy() & (frame["probe_session"] == "1").to_numpy()
        ]
        plane = light.assign(condition="canary-eye-plane", distance=w.rng.uniform(0.6, 1.0, len(light)))
        return pd.concat([frame[~canary], light.assign(condition="canary-blur"), plane], ignore_index=True), strata

    return made


def with_columns(make):
    """Age in years, sex and many small sites: nothing that a perfect defacer should stumble on."""

    def made(w):
        frame, strata = make(w)
        age, site = w.rng.integers(5, 95, w.people), w.rng.integers(0, 20, w.people)
        return frame, strata.assign(
            age=age.astype(str), sex=np.where(w.sex, "M", "F"), site=[f"site {k}" for k in site]
        )

    return made


def renamed(make):
    """Other names of the condition, and sessions that are called differently for each person."""

    def made(w):
        frame, strata = make(w)
        for side in ("probe", "reference"):
            session = frame[f"{side}_subject"].astype(str) + "-scan" + frame[f"{side}_session"].astype(str)
            frame = frame.assign(**{f"{side}_session": session})
        return frame.assign(condition=frame["condition"].astype(str).replace(w.condition, "our tool, v2")), strata

    return made


def two_encoders(first, second):
    """The same people seen by two encoders."""

    def made(w):
        frames = [make(w)[0].assign(encoder=name) for make, name in ((first, "A"), (second, "B"))]
        return pd.concat(frames, ignore_index=True), pd.DataFrame(index=pd.Index(w.names, name="subject"))

    return made


def beside_shape(recogniser, shape):
    """A recogniser's attackers, and shape, which sees the same people in its own way and does not bind."""

    def made(w):
        frame, strata = recogniser(w)
        seen, _ = shape(World(w.people, int(w.rng.integers(2**31)), w.visits))
        naive = seen[seen["attack"] == "naive"].assign(attack="shape", encoder="shape")
        return pd.concat([frame.assign(encoder="A"), naive], ignore_index=True), strata

    return made


def blind(w):
    return table(w, {"naive": w.blind()}, canary={"naive": w.blind()})


@dataclass(frozen=True)
class Kind:
    make: Callable
    passes: str  # "grows": the operating characteristics; "both": of two encoders; "never"; "limit": at most 5 %;
    # "rarely": at most 1 %; "free"
    visits: int = 0  # as asked for


KINDS = {
    "perfect": Kind(perfect, "grows"),
    "removed": Kind(removed, "grows"),
    "weak_recogniser": Kind(weak_recogniser, "free"),
    "linkability0.60": Kind(linkability(0.60), "limit"),
    "linkability0.60_removal": Kind(linkability(0.60, removal=True), "limit"),
    "linkability0.65": Kind(linkability(0.65), "rarely"),
    "half_left": Kind(strong_leak, "never"),
    "untouched1": Kind(untouched(1), "rarely"),
    "untouched1_among_new_faces": Kind(untouched(1, removal=False), "rarely"),
    "untouched1_saved_coarsely": Kind(untouched(1, sd=0.06), "rarely"),
    "untouched1_one_visit_only": Kind(untouched(1, visits=1), "rarely"),
    "untouched2": Kind(untouched(2), "never"),
    "untouched4": Kind(untouched(4), "never"),
    "untouched12": Kind(untouched(12), "never"),
    "site": Kind(site, "never"),
    "stratum_leak": Kind(stratum_leak(), "never"),
    "shifted": Kind(relabelled(shifted), "never"),
    "shifted_from_the_middle": Kind(relabelled(from_the_middle), "never"),
    "swapped_pairs": Kind(relabelled(swapped_pairs), "never"),
    "shuffled": Kind(relabelled(shuffled), "never"),
    "shifted_leak": Kind(relabelled(shifted, leak=0.3), "never"),
    "swapped_leak": Kind(relabelled(swapped_pairs, leak=0.3), "never"),
    "shuffled_leak": Kind(relabelled(shuffled, leak=0.3), "never"),
    "untouched2_swapped": Kind(untouched_and_swapped, "never"),
    "two_labels": Kind(two_labels, "rarely"),
    "one_label": Kind(one_label, "free"),
    "blind_registered": Kind(blind_registered, "never"),
    "partly_blind": Kind(partly_blind(0.3), "never"),
    "unseen_tenth": Kind(unseen_tenth, "never"),
    "women_blind": Kind(stratum_blind(), "never"),
    "site_blind": Kind(stratum_blind("site", 0.25), "never"),
    "sex_only": Kind(sex_only, "free"),
    "copies_as_visits": Kind(copies_as_visits, "never"),
    "one_attacker": Kind(one_attacker, "never"),
    "sampled_canaries": Kind(sampled(perfect), "grows"),
    "sampled_canaries_untouched1": Kind(sampled(untouched(1)), "rarely"),
    "sampled_canaries_women_blind": Kind(sampled(stratum_blind()), "never"),
    "sampled_canaries_two_labels": Kind(sampled(two_labels), "free"),
    "columns": Kind(with_columns(perfect), "grows"),
    "columns_removed": Kind(with_columns(removed), "grows"),
    "renamed": Kind(renamed(perfect), "grows"),
    "two_encoders": Kind(two_encoders(perfect, removed), "both"),
    "two_encoders_one_links": Kind(two_encoders(perfect, linkability(0.65)), "rarely"),
    "shape_too": Kind(beside_shape(perfect, perfect), "grows"),
    "shape_links": Kind(beside_shape(perfect, strong_leak), "never"),
    "shape_blind": Kind(beside_shape(perfect, blind), "grows"),
    "three_visits": Kind(perfect, "grows", 3),
    "three_visits_untouched1": Kind(untouched(1, visits=1), "rarely", 3),
    "four_visits_linkability0.60": Kind(linkability(0.60), "limit", 4),
    "one_visit": Kind(perfect, "free", 1),
    "one_visit_removed": Kind(removed, "free", 1),
    "one_visit_sampled_canaries": Kind(sampled(perfect), "free", 1),
    "one_visit_linkability0.60": Kind(linkability(0.60), "limit", 1),
    "one_visit_linkability0.65": Kind(linkability(0.65), "rarely", 1),
    "one_visit_untouched1": Kind(untouched(1), "rarely", 1),
    "one_visit_shifted": Kind(relabelled(shifted), "never", 1),
    "one_visit_swapped_pairs": Kind(relabelled(swapped_pairs), "never", 1),
}
