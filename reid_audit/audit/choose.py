"""Which encoder an attacker on this cohort would take: all of them look at its originals once, and are compared."""

import math
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import islice

from reid_audit.accuracy.choose import EncoderChoice, EncoderScore, choose_encoder, score_encoder
from reid_audit.audit.acquire import acquire_faces
from reid_audit.audit.calibrate import require_control
from reid_audit.audit.settings import Recogniser, Settings, context_of, start_engines
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.dataset import Cohort
from reid_audit.face import make_encoder
from reid_audit.match import compare_faces
from reid_audit.records import FaceRecord, Portrait
from reid_audit.work import Progress

TIMED_PORTRAITS = 5


@contain_side_effects()
def choose_model(
    cohort: Cohort,
    *,
    settings: Settings,
    confidence: float = 0.95,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> EncoderChoice:
    """Compare encoders on the originals of a cohort, and recommend the one that tells its subjects apart best.

    Parameters
    ----------
    cohort : Cohort
        Only its originals are read. Needs subjects with two sessions.
    settings : Settings
        Its encoders are compared.
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
        Where the cohort has no mated or no non-mated comparison, or an encoder is named twice.
    WeightsError, EngineError
        Where a model file or a package is missing.
    """
    originals = replace(cohort, scans=cohort.originals)
    require_control(originals, mend="choose on a cohort with two or more people in two visits")
    engines = start_engines(settings)
    records = acquire_faces(originals, engines, executor=executor, progress=progress)
    portraits = draw_again(engines.settings, records)
    scores: list[EncoderScore] = []
    for recogniser in engines.recognisers:
        if progress is not None:
            progress("comparing", len(scores), len(engines.recognisers))
        table = compare_faces([record for record in records if record.face.encoder == recogniser.name])
        seconds = time_face(recogniser, portraits)
        score = score_encoder(recogniser.name, table, seconds=seconds, confidence=confidence)
        scores.append(replace(score, stand_in=recogniser.identity.get("stand_in") == "true"))
    if progress is not None:
        progress("comparing", len(scores), len(scores))
    notices = tuple(dict.fromkeys(recogniser.notice for recogniser in engines.recognisers if recogniser.notice))
    return replace(choose_encoder(scores), cohort=cohort.source, notices=notices)


def draw_again(
    settings: Settings, records: Sequence[FaceRecord], *, portraits: int = TIMED_PORTRAITS
) -> list[Portrait]:
    """Draw the first few portraits that gave a face, as the first encoder that found any was shown them."""
    acquired = [record for record in records if record.face.acquired]
    drawn = []
    for record in islice((r for r in acquired if r.face.encoder == acquired[0].face.encoder), portraits):
        if record.view is not None:
            context = context_of(record.scan, settings)
            drawn.append(context.draw(context.extract(record.skin_level), record.view))
    return drawn


def time_face(recogniser: Recogniser, portraits: Sequence[Portrait]) -> float:
    """Measure how long a recogniser takes for a face, detection and all.

    Parameters
    ----------
    recogniser : Recogniser
    portraits : sequence of Portrait
        The first one is looked at once more, beforehand, which does not count.

    Returns
    -------
    float
        Median seconds; NaN without portraits.
    """
    fresh = make_encoder(recogniser.recipe, detector=recogniser.detector, device=recogniser.device)
    seconds = []
    for portrait in (*portraits[:1], *portraits):
        began = time.perf_counter()
        fresh.encode(portrait)
        seconds.append(time.perf_counter() - began)
    return sorted(seconds[1:])[len(portraits) // 2] if portraits else math.nan
