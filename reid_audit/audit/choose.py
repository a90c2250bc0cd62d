"""Which recogniser an attacker on this cohort would take: all of them look at its originals once, and are compared."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import islice

from reid_audit.accuracy.choose import EncoderChoice, EncoderScore, choose_encoder, score_encoder
from reid_audit.audit.acquire import Progress, acquire_faces_with_each
from reid_audit.audit.run import require_control
from reid_audit.audit.settings import Settings, start_engines_of_each
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.audit.sitting import Sitting
from reid_audit.dataset import Cohort
from reid_audit.face import make_encoder, name_encoder
from reid_audit.match import compare
from reid_audit.records import FaceRecord, Portrait
from reid_audit.render import make_renderer

TIMED_PORTRAITS = 5


@contain_side_effects()
def choose_model(
    cohort: Cohort,
    encoders: Sequence[str],
    *,
    settings: Settings = Settings(),
    confidence: float = 0.95,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> EncoderChoice:
    """Compare recognisers on the originals of a cohort, and recommend the one that tells its people apart best.

    Parameters
    ----------
    cohort : Cohort
        Only its originals are read. Needs people with two visits.
    encoders : sequence of str
        As for `reid_audit.make_encoders`.
    settings : Settings
        Its encoder is not used.
    confidence : float
        Confidence of the intervals.
    executor : concurrent.futures.Executor, optional
        Where the scans are done; in this process by default.
    progress : callable, optional

    Returns
    -------
    EncoderChoice
        Best first, each with its time per face: the median of up to five portraits in this process, with a detector of
        its own that remembers nothing, after one that does not count.

    Raises
    ------
    InputError
        Where the cohort has no comparison of one person, or of two, or an encoder is named twice.
    WeightsError, EngineError
        Where a model file or a package is missing.
    """
    originals = replace(cohort, scans=cohort.originals)
    require_control(originals, mend="choose on a cohort with two or more people in two visits")
    started = start_engines_of_each(settings, encoders)
    faces = acquire_faces_with_each(
        originals, settings=[engines.settings for engines in started], executor=executor, progress=progress
    )
    portraits = draw_again(started[0].settings, next((r for r in faces if any(one.face.acquired for one in r)), []))
    scores: list[EncoderScore] = []
    for engines, records in zip(started, faces, strict=True):
        if progress is not None:
            progress("comparing", len(scores), len(started))
        name = name_encoder(engines.settings.encoder)
        seconds = time_face(engines.settings, portraits)
        score = score_encoder(name, compare(records), seconds=seconds, confidence=confidence)
        scores.append(replace(score, stand_in=engines.identity.get("stand_in") == "true"))
    if progress is not None:
        progress("comparing", len(started), len(started))
    notices = tuple(dict.fromkeys(notice for engines in started for notice in engines.notices))
    return replace(choose_encoder(scores), cohort=cohort.source, notices=notices)


def draw_again(
    settings: Settings, records: Iterable[FaceRecord], *, portraits: int = TIMED_PORTRAITS
) -> list[Portrait]:
    """Draw the portraits of the first few scans that gave a face, as they were drawn before."""
    drawn = []
    with make_renderer(settings.renderer) as renderer:
        for record in islice((one for one in records if one.face.acquired), portraits):
            if record.view is not None:
                sitting = Sitting(record.scan, settings, renderer)
                drawn.append(sitting.draw(sitting.extract(record.skin_level), record.view))
    return drawn


def time_face(settings: Settings, portraits: Sequence[Portrait]) -> float:
    """Measure how long a recogniser takes for a face, detection and all.

    Parameters
    ----------
    settings : Settings
        With its encoder and detector.
    portraits : sequence of Portrait
        The first one is looked at once more, beforehand, which does not count.

    Returns
    -------
    float
        Median seconds; NaN without portraits.
    """
    fresh = make_encoder(settings.encoder, detector=settings.detector)
    seconds = []
    for portrait in (*portraits[:1], *portraits):
        began = time.perf_counter()
        fresh.encode(portrait)
        seconds.append(time.perf_counter() - began)
    return sorted(seconds[1:])[len(portraits) // 2] if portraits else math.nan
