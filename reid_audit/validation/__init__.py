"""Whether this installation, on this machine, measures what the release measured: `reid-audit validate`.

Nothing but synthetic heads and made-up distances is needed, so that anybody can repeat it: a hospital after an update,
an ethics board that asks, a user on a system that the authors do not have.

Words
-----
part
    What is measured together: worlds (the rules, on cohorts of which the truth is known), tamperings, renderers,
    portraits (an encoder on synthetic people) and canaries (a whole audit).
measured by the release
    The value in ``expected.toml``, beside the bounds within which another machine's value holds.
"""

from reid_audit.validation.records import Measurement, Omission, Validation
from reid_audit.validation.run import PARTS, validate

__all__ = ["PARTS", "Measurement", "Omission", "Validation", "validate"]
