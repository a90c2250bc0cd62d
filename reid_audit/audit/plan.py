"""What a run would do, told without opening a scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reid_audit.attack import Attack, choose_attacks
from reid_audit.audit.acquire import Records, defaced_scans, know_scans, look_up
from reid_audit.audit.face_cache import FaceCache
from reid_audit.audit.settings import Engines, Settings, start_engines
from reid_audit.dataset import Cohort, take_subjects
from reid_audit.work import Store


@dataclass(frozen=True, slots=True)
class RunPlan:
    """How much there is to do.

    Attributes
    ----------
    originals, defaced : int
        Scans.
    originals_kept, defaced_kept : int
        Those of them that every encoder has seen, by the store. A scan counts only where it is known not to have
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
    attacks: Iterable[str] | None = None,
    store: Store | None = None,
    limit: int | None = None,
) -> RunPlan:
    """Tell what a run would do: how many scans, and how many of them are in the store. Opens no scan.

    Parameters
    ----------
    cohort, settings, attacks, store, limit
        As for `reid_audit.audit`.

    Raises
    ------
    WeightsError, EngineError, InputError
        What would end the run before it began.
    """
    engines, chosen = start_engines(settings), choose_attacks(attacks)
    cache = None if store is None else FaceCache(store, engines)
    return plan_faces(take_subjects(cohort, limit), engines, attacks=chosen, cache=cache)


def plan_faces(
    cohort: Cohort, engines: Engines, *, attacks: Sequence[Attack] = (), cache: FaceCache | None = None
) -> RunPlan:
    """Tell what `acquire_faces` would do with the same arguments."""
    originals, defaced = cohort.originals, defaced_scans(cohort)
    absent = {scan.key for scan in cohort.find_absent_files()}
    records: Records = {}
    kept = [0, 0]
    if cache is not None:
        cache.look_at_files(cohort.scans)
        for k, scans in enumerate((originals, defaced)):
            knowledge = know_scans(cohort, scans, records, engines, attacks)
            missing = look_up(knowledge, records, cache=cache, attacks=attacks)
            kept[k] = len(scans) - len(missing)
            # Every original has a part in where a face is on average: one that is not known leaves all of it open.
            if not {scan.key for scan in missing} <= absent:
                break
    return RunPlan(
        originals=len(originals),
        originals_kept=kept[0],
        defaced=len(defaced),
        defaced_kept=kept[1],
        absent=tuple(scan.key for scan in cohort.find_absent_files()),
    )
