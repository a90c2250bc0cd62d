"""`plan`: how large a cohort must be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from reid_audit.accuracy.panels import Panels
from reid_audit.cli.options import FormatOption, OutputFormat, SeedOption, show_progress, words_of
from reid_audit.cli.words import out
from reid_audit.records import Decision, InputError, Policy, to_json
from reid_audit.stats import subjects_needed
from reid_audit.verdict import TARGETS, CohortPlan, plan_cohort, read_policy
from reid_audit.verdict.rules import judge
from reid_audit.verdict.worlds import NothingLeft


@dataclass(frozen=True, slots=True)
class _EncoderPlan:
    """The plans for a number of encoders."""

    encoders: int
    plans: tuple[CohortPlan, ...]


@dataclass(frozen=True, slots=True)
class _Plans:
    """What is printed as JSON."""

    attacks: tuple[str, ...]
    strata: tuple[str, ...]
    worlds: int
    seed: int
    policy: Policy
    by_encoders: tuple[_EncoderPlan, ...]


def plan(
    policy: Annotated[Path | None, typer.Option("--policy", help="TOML file with your limits.")] = None,
    attack: Annotated[
        str, typer.Option("--attack", help="Attackers, with commas; those the policy asks for if left out.")
    ] = "",
    encoders: Annotated[str, typer.Option("--encoders", help="How many encoders, with commas: 1,2")] = "1",
    visits: Annotated[str, typer.Option("--visits", help="Visits of each subject, with commas.")] = "1,2",
    strata: Annotated[
        str, typer.Option("--strata", help="Columns that split the subjects in two halves each: sex,site")
    ] = "",
    worlds: Annotated[
        int, typer.Option("--worlds", help="Cohorts drawn per size; 200 tell P(PASS) to 3-7 points.", min=1)
    ] = 100,
    seed: SeedOption = 0,
    form: FormatOption = OutputFormat.TEXT,
    max_rate: Annotated[
        float | None,
        typer.Option("--max-rate", help="Only ask how many subjects bound a match rate below this, in (0, 1)."),
    ] = None,
    confidence: Annotated[float, typer.Option("--confidence", help="Of that one-sided bound.")] = 0.95,
    most_matches: Annotated[int, typer.Option("--matches", help="Plan it for up to so many matches.")] = 5,
) -> None:
    """Say how many subjects an audit needs to PASS a defacer that leaves nothing.

    Draws synthetic cohorts and applies every rule of the policy to each.

    Example: [bold]reid-audit plan --policy policy.toml --strata sex,site[/]
    """
    if max_rate is not None:
        _say_bound(max_rate, confidence, most_matches)
        return
    limits = Policy() if policy is None else read_policy(policy)
    attacks, columns = tuple(words_of(attack)) or limits.required_attacks, tuple(words_of(strata))
    sessions = _numbers(visits, "--visits")

    def decide_cohort(panels: Panels) -> Decision:
        return judge(panels, limits)[0]

    by_encoders = []
    for count in _numbers(encoders, "--encoders"):
        world = NothingLeft(attacks, count, columns)
        with show_progress() as progress:
            plans = plan_cohort(decide_cohort, world, visits=sessions, worlds=worlds, seed=seed, progress=progress)
        by_encoders.append(_EncoderPlan(count, plans))
    done = _Plans(attacks, columns, worlds, seed, limits, tuple(by_encoders))
    if form is OutputFormat.JSON:
        out.out(to_json(done), end="")
    else:
        _say_plans(done)


def _numbers(text: str, option: str) -> Sequence[int]:
    words = words_of(text)
    if not words or not all(word.isdigit() and int(word) > 0 for word in words):
        raise InputError(f"{option} must be whole numbers above 0, with commas; got {text!r}")
    return [int(word) for word in words]


def _say_plans(done: _Plans) -> None:
    table = Table("encoders", "visits", *(f"P(PASS) {target:.0%}" for target in TARGETS), "largest that was tried")
    for encoder_plan in done.by_encoders:
        for visits in dict.fromkeys(plan.visits for plan in encoder_plan.plans):
            part = [plan for plan in encoder_plan.plans if plan.visits == visits]
            needed = ("not reached" if plan.subjects is None else f"{plan.subjects} subjects" for plan in part)
            last = part[0].rates[-1]
            told = ", ".join(f"{decision.value} {count / done.worlds:.0%}" for decision, count in last.decisions)
            table.add_row(str(encoder_plan.encoders), str(visits), *needed, f"{last.subjects} subjects: {told}")
    out.print(table)
    among = f", strata {', '.join(done.strata)}" if done.strata else ""
    out.say(
        f"Smallest cohort of which a defacer that leaves nothing PASSes that often: attackers {', '.join(done.attacks)}"
        f"{among}; {done.worlds} synthetic cohorts per size, seed {done.seed}. The policy asks for at least "
        f"{done.policy.min_subjects} subjects. Scans without a face, small strata and weak encoders need more."
    )


def _say_bound(max_rate: float, confidence: float, most_matches: int) -> None:
    table = Table("people who match after defacing", "people needed")
    for matches in range(most_matches + 1):
        table.add_row(str(matches), str(subjects_needed(max_rate, confidence, matches)))
    out.print(table)
    out.print(
        f"So many matches among so many people bound the match rate below {max_rate:.3g} "
        f"at {confidence:.0%} confidence."
    )
