"""What was measured, what the release measured, and whether they agree."""

from dataclasses import dataclass

from reid_audit.records import Real


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number of this installation beside the release's.

    Attributes
    ----------
    part, name : str
        What was measured, e.g. ``"renderers"`` and ``"vtk"``.
    value : float
        Here.
    released : float
        What the release measured on the authors' machine; NaN where it could not, as with a user's own encoder.
    low, high : float
        Bounds within which the value holds.
    text : str
        What the number is, in one sentence.
    """

    part: str
    name: str
    value: Real
    released: Real
    low: Real
    high: Real
    text: str

    @property
    def holds(self) -> bool:
        """Whether the value lies within the bounds; what is no number does not."""
        return self.low <= self.value <= self.high


@dataclass(frozen=True, slots=True)
class Omission:
    """What was not measured here, and why: it is told, and never taken for a success."""

    part: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Validation:
    """All measurements of one installation.

    Attributes
    ----------
    measurements : tuple of Measurement
    omissions : tuple of Omission
    facts : tuple of (str, str)
        What else describes this installation: encoders with the digests of their files, versions, the machine.
    tool_version : str
    seconds : float
    """

    measurements: tuple[Measurement, ...]
    omissions: tuple[Omission, ...]
    facts: tuple[tuple[str, str], ...]
    tool_version: str
    seconds: float

    @property
    def differing(self) -> tuple[Measurement, ...]:
        """What lies outside its bounds."""
        return tuple(measurement for measurement in self.measurements if not measurement.holds)

    @property
    def exit_code(self) -> int:
        """0 where everything that was measured holds, 1 where something differs, or nothing was measured."""
        return 0 if self.measurements and not self.differing else 1
