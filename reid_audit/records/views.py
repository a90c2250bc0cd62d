"""The only way up: what tables and figures of a record are made by, imported by its name when one is asked for."""

from importlib import import_module
from typing import Any

_VIEWS = "reid_audit.report.views"


def view(name: str, *arguments: object) -> Any:
    """Return what the function of that name makes of a record."""
    return getattr(import_module(_VIEWS), name)(*arguments)
