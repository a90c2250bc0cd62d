"""Can a face-recognition attacker still link your head CT and MRI scans to people?

The names below are what a notebook needs; ``__init__.pyi`` lists them with their rooms::

    result = audit("manifest.csv")    # scans, portraits, faces, distances, evidence, verdict
    result.rates                      # the numbers that carry the verdict, as a DataFrame
    result.plot.roc()                 # a figure of the report
    write_result(result, "result")    # JSON, CSV and a page

or step by step: `read_volume`, `extract_skin`, `find_frontal_view`, `render_portrait`, `encode_face`, `compare_faces`,
`assess_scores`. Everything else stands in the rooms: `reid_audit.deface`, `.utility`, `.phantom`, `.stats`,
`.accuracy`, `.attack`, `.weights` and so on, each with an ``__all__``. A room is imported when it is first used.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version

import lazy_loader as _lazy

__version__ = _version("reid-audit")
_import_name, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return _import_name(name)
    try:
        return _import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"reid_audit has no {name}: its rooms hold what its face does not") from None
