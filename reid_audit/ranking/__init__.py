"""Defacers side by side, best first, across results that were measured alike."""

from reid_audit.ranking.rows import rank_defacers

__all__ = ["rank_defacers"]
