"""The errors that may end a run."""


class ReidAuditError(Exception):
    """Base of every error that this package raises on purpose. The message is one sentence for the user."""


class InputError(ReidAuditError, ValueError):
    """A file, table or argument cannot be used. The message names it, the rule and the value."""


class WeightsError(ReidAuditError):
    """A model file is missing, damaged or not the pinned one. The message names the command that mends it."""


class EngineError(ReidAuditError):
    """A package that renders or recognises faces is missing or failed. Never to be confused with "no face"."""


class RenderError(ReidAuditError):
    """No portrait could be drawn of this surface."""


class StoreError(ReidAuditError):
    """The folder of finished work cannot be read or written. The message names it and the options that mend it."""


class CalibrationError(ReidAuditError, ValueError):
    """A calibration was made under settings that do not fit. The message names each difference."""
