"""External defacers as data: the command line of each, and where its output is.

Nothing of these tools is part of this package: each is found on the machine or reported as missing. Their command lines
are those of their documentation and of published uses; a tool that changed since can be run by `make_command_tool`.
"""

import re
import shlex
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from reid_audit.records import InputError, Modality

PLACES = ("input", "output", "folder", "brain", "modality")
"""What stands between braces in the words of a tool, besides the names in its `Tool.environment`."""


@dataclass(frozen=True, slots=True)
class Tool:
    """How one tool is run on one scan.

    Attributes
    ----------
    name : str
        Condition of the scans that it makes.
    words : tuple of str
        The command: an executable to be found on the PATH, then its arguments. ``{input}`` is a NIfTI copy of the
        scan, ``{output}`` where the defaced one belongs, ``{folder}`` the private folder of both, ``{brain}`` a brain
        mask, ``{modality}`` the tool's own word for CT or MR.
    outputs : tuple of str
        Where the result may be, relative to the folder, in order; with ``*``.
    removes : str
        What it is said to remove and to keep.
    licence, url : str
    version : tuple of str
        Command that prints the version; ``{python}`` is the interpreter of the executable, where that is a script.
        Empty: it does not say.
    requires : tuple of str
        Executables that it calls itself.
    environment : tuple of str
        Variables that it needs; each may be a place in `words`.
    ct, mr : str
        The tool's word for the modality; ``"-"`` where it does not take it.
    gives_mask : bool
        Whether the output is a mask of the face (non-zero: to be made air), and not a scan.
    folders : tuple of str
        To be made before it runs.
    input_name, start_in : str
        What the copy of the scan is called (``.img`` makes a pair of files), and where the tool is started.
    texts : tuple of (str, str)
        Files to be written before it runs, and what stands in them: a BIDS-App needs a dataset.
    note : str
        What somebody who wants to use it should know.
    """

    name: str
    words: tuple[str, ...]
    outputs: tuple[str, ...]
    removes: str
    licence: str
    url: str
    version: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    ct: str = "CT"
    mr: str = "MR"
    gives_mask: bool = False
    folders: tuple[str, ...] = ()
    input_name: str = "input.nii.gz"
    start_in: str = "{folder}"
    texts: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @property
    def needs_brain(self) -> bool:
        """Whether it cannot run without a brain mask."""
        return any("{brain}" in word for word in self.words)

    @property
    def takes(self) -> tuple[Modality, ...]:
        """Modalities that it takes."""
        return tuple(modality for modality in Modality if self.word_for(modality) != "-")

    def word_for(self, modality: Modality) -> str:
        """Return the tool's word for a modality, ``"-"`` where it does not take it."""
        return {Modality.CT: self.ct, Modality.MR: self.mr}.get(modality, "-")


def _read_tools() -> tuple[Tool, ...]:
    """Read the table of tools beside this file. ``"package NAME"`` asks the executable's own Python for a version."""

    def words_of(value: list[str]) -> Any:
        kind, _, package = value[0].partition(" ") if len(value) == 1 else ("", "", "")
        if kind == "package":
            return ("{python}", "-c", f"import importlib.metadata as m; print(m.version({package!r}))")
        return tuple(value)

    rows: list[dict[str, Any]] = tomllib.loads(files(__package__).joinpath("tools.toml").read_text(encoding="utf-8"))[
        "tool"
    ]

    def value_of(value: Any) -> Any:
        if isinstance(value, list):
            return words_of(value)
        return tuple(value.items()) if isinstance(value, dict) else value

    return tuple(Tool(**{key: value_of(value) for key, value in row.items()}) for row in rows)


TOOLS: tuple[Tool, ...] = _read_tools()
"""Every tool that is known by name, those of Sahlsten 2023 and Molchanova 2023 among them."""


def make_command_tool(command: str, *, name: str = "command") -> Tool:
    """Return a tool for any command line, e.g. ``"mytool --in {input} --out {output}"``.

    The command is split as a shell splits words, and never given to a shell.

    Raises
    ------
    InputError
        Where it is empty, breaks off within a quotation, has no ``{input}``, or has braces around anything else than
        `PLACES`.
    """
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise InputError(f"--command: {error} in {command!r}; close the quotation") from error
    if not words:
        raise InputError("--command: is empty; give the tool and its arguments, with {input} and {output}")
    named = re.findall(r"\{([^{}]*)\}", command)
    strange = [place for place in named if place not in PLACES]
    if strange:
        known = ", ".join(f"{{{place}}}" for place in PLACES)
        raise InputError(f"--command: there is no {{{strange[0]}}}; the places are {known}")
    if "input" not in named:
        raise InputError("--command: has no {input}; say where the scan goes, and with {output} where the result")
    return Tool(name=name, words=words, outputs=("output.nii.gz",), removes="whatever it removes", licence="", url="")


def find_named_tool(name: str) -> Tool | None:
    """Return the tool of `TOOLS` with this name, or None."""
    return next((tool for tool in TOOLS if tool.name == name), None)
