"""Sessions that hold several images: how their comparisons count as one, and what each image gives away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reid_audit.records import IMAGE_COLUMNS, ScoreTable

if TYPE_CHECKING:
    import pandas as pd


def pool_images(scores: ScoreTable) -> ScoreTable:
    """Make one comparison of each two sessions: that of the two images which lie nearest to each other.

    Who searches with all images of a session, in a gallery that holds all of them, takes the nearest pair: mated and
    non-mated comparisons alike, so that people stay the sample and neither an image that protects well, nor the number
    of images, hides one that does not.

    Parameters
    ----------
    scores : ScoreTable
        Returned as it is where it tells no images apart.

    Returns
    -------
    ScoreTable
        Columns `reid_audit.records.SCORE_COLUMNS`; NaN where no two images have a distance.
    """
    frame = scores.frame
    if not set(IMAGE_COLUMNS) & set(frame.columns):
        return scores
    return ScoreTable(_nearest(frame), scores.notes)


def _nearest(frame: pd.DataFrame) -> pd.DataFrame:
    kept = frame.drop(columns=list(IMAGE_COLUMNS), errors="ignore")
    keys = [name for name in kept.columns if name != "distance"]
    nearest = kept.groupby(keys, observed=True, sort=False, dropna=False)["distance"].min()
    return nearest.reset_index()[list(kept.columns)]
