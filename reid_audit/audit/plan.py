"""What a run would do, told without opening a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reid_audit.attack import DEFAULT_ATTACKS, check_attacks
from reid_audit.audit.acquire import list_defaced, list_originals, look_up
from reid_audit.audit.face_cache import FaceCache
from reid_audit.audit.settings import Settings, start_engines_of_each
from reid_audit.dataset import Cohort, take_subjects
from reid_audit.records import FaceRecord
from reid_audit.work import Store


@dataclass(frozen=True, slots=True)
class RunPlan:
    """How much there is to do.

    Attributes
    ----------
    originals, defaced : int
        Scans.
    originals_kept, defaced_kept : int
        Those of them that every recogniser has seen, by the store. A scan counts only where it is known not to have
        been touched.
    absent : tuple of str
        Keys of scans without a file.
    """

    originals: int
    originals_kept: int
    defaced: int
    defaced_kept: int
    absent: tuple[str, ...]

    @property
    def to_do(self) -> int:
        """Scans that would be read."""
        return self.originals + self.defaced - self.originals_kept - self.defaced_kept - len(self.absent)


def plan_run(
    cohort: Cohort,
    *,
    settings: Settings = Settings(),
    encoders: Sequence[str] = (),
    attacks: Sequence[str] = DEFAULT_ATTACKS,
    store: Store | None = None,
    limit: int | None = None,
) -> RunPlan:
    """Tell what a run would do: how many scans, and how many of them are in the store. Opens no scan.

    Parameters
    ----------
    cohort, settings, encoders, attacks, store, limit
        As for `audit_cohort`.

    Raises
    ------
    WeightsError, EngineError, InputError
        What would end the run before it began.
    """
    started, attacks = start_engines_of_each(settings, encoders or (settings.encoder,)), check_attacks(attacks)
    kept = None if store is None else FaceCache(store, started)
    return plan_faces(take_subjects(cohort, limit), recognisers=len(started), attacks=attacks, kept=kept)


def plan_faces(
    cohort: Cohort, *, recognisers: int = 1, attacks: Sequence[str] = ("naive",), kept: FaceCache | None = None
) -> RunPlan:
    """Tell what `acquire_faces_with_each` would do with the same arguments."""
    found: list[dict[str, FaceRecord]] = [{} for _ in range(recognisers)]
    originals, absent = {scan.key for scan in cohort.originals}, tuple(s.key for s in cohort.find_absent_files())
    if kept is not None:
        kept.look_at_files(cohort.scans)
        _, missing = look_up(list_originals(cohort, found), found, kept=kept, attacks=attacks)
        # Every original has a part in where a face is on average, so that one that is not known leaves all of it open.
        if set(missing) <= set(absent):
            look_up(list_defaced(cohort, found), found, kept=kept, attacks=attacks)
    seen = set.intersection(*(set(mine) for mine in found))
    return RunPlan(
        originals=len(originals),
        originals_kept=len(originals & seen),
        defaced=len(cohort.scans) - len(originals),
        defaced_kept=len(seen - originals),
        absent=absent,
    )
