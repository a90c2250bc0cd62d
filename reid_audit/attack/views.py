"""Several views of one head: what an attacker makes of their faces, and of their distances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from reid_audit.records import SCORE_COLUMNS, Face, FaceRecord, InputError, ScoreTable, Status

MULTIVIEW_MIN = "multiview-min"
MULTIVIEW_MEAN = "multiview-mean"


def list_views(record: FaceRecord) -> tuple[Face, ...]:
    """Return the faces of a scan from every side, the frontal one first."""
    return (record.face, *record.views)


def see_from(records: Iterable[FaceRecord], view: int) -> list[FaceRecord]:
    """Return the records with the face of one view, 0 = frontal; a scan that was not portrayed keeps its status."""
    return [
        replace(record, face=list_views(record)[view] if view < len(list_views(record)) else record.face)
        for record in records
    ]


def average_views(records: Iterable[FaceRecord]) -> list[FaceRecord]:
    """Return the records with the mean of the vectors of all views, unit length.

    Views without a face are left out. Where no view has one the scan keeps the status of its frontal portrait.
    """
    return [replace(record, face=_mean_face(list_views(record))) for record in records]


def _mean_face(faces: Sequence[Face]) -> Face:
    vectors = [np.asarray(face.vector, dtype=np.float64) for face in faces if face.vector is not None]
    if not vectors:
        return faces[0]
    mean = np.mean(vectors, axis=0)
    length = float(np.linalg.norm(mean))
    if not length > 0:  # opposite vectors: there is no mean direction
        return Face(Status.NO_FACE, faces[0].encoder, reason="the views cancel each other")
    return Face(Status.OK, faces[0].encoder, vector=(mean / length).astype(np.float32))


def keep_nearest(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Return the smallest distance of each comparison over several tables of the same comparisons.

    Parameters
    ----------
    tables : sequence of ScoreTable
        At least one; equal in every column but the distance.

    Returns
    -------
    ScoreTable
        NaN where every table has NaN.

    Raises
    ------
    InputError
        Where the tables do not hold the same comparisons in the same order.
    """
    labels = [column for column in SCORE_COLUMNS if column != "distance"]
    first = tables[0].frame
    for table in tables[1:]:
        if not table.frame[labels].equals(first[labels]):
            raise InputError("the nearest of several views needs the same comparisons from each")
    nearest = np.fmin.reduce([table.frame["distance"].to_numpy() for table in tables])  # NaN only where all are
    return ScoreTable(first.assign(distance=nearest))
