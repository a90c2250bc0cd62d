"""Other people's defacers, as data: what is run, with which words, and where the output is then.

Nothing of these tools is part of this package: each is found on the machine or reported as missing. Their command lines
are those of their documentation and of published uses; a tool that changed since can be run by `make_command_tool`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

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
        return self.ct if modality is Modality.CT else self.mr


def _distribution(name: str) -> tuple[str, ...]:
    """Return the command that asks the executable's own Python for the version of a package."""
    return ("{python}", "-c", f"import importlib.metadata as m; print(m.version({name!r}))")


def _afni(mode: str, removes: str) -> Tool:
    return Tool(
        name=f"afni-{mode.replace('_', '-')}",
        words=("@afni_refacer_run", "-input", "{input}", f"-mode_{mode}", "-prefix", "{output}"),
        outputs=("output.nii.gz", f"output.{mode}.nii.gz", f"output.nii.gz.{mode}.nii.gz"),
        removes=removes,
        licence="public domain (AFNI: GPL)",
        url="https://afni.nimh.nih.gov/pub/dist/doc/htmldoc/tutorials/refacer/refacer_run.html",
        version=("afni", "-ver"),
        requires=("3dcalc", "3dAllineate"),
    )


TOOLS: tuple[Tool, ...] = (
    _afni("deface", "sets face and ears to zero by a registered shell; keeps brain and the back of the head"),
    _afni("reface", "replaces face and ears by an average; keeps brain and the back of the head"),
    _afni("reface_plus", "replaces face, ears and skull by an average; keeps the brain"),
    Tool(
        name="deepdefacer",
        words=("deepdefacer", "--input_file", "{input}", "--defaced_output_path", "{output}"),
        outputs=("output.nii.gz",),
        removes="sets nose, mouth, chin and part of the eyes to zero (water in CT) by a U-Net of T1; keeps the rest",
        licence="MIT",
        url="https://pypi.org/project/deepdefacer",
        version=_distribution("deepdefacer"),
        note=(
            "needs an environment of its own: Python 3.7 or 3.8, SimpleITK 1, TensorFlow 2.9 or newer, nibabel 4. It "
            "takes voxels to run to the front and to the top, as they do here; given others it leaves the face"
        ),
    ),
    Tool(
        name="defacer",
        words=("defacer", "{input}", "{output}"),
        outputs=("output.nii.gz",),
        removes="sets eyes, nose, mouth and ears to zero by a U-Net of MR; keeps the rest",
        licence="see its repository",
        url="https://github.com/yeonuk-Jeong/Defacer",
        note="a notebook's functions and no command: wrap them in an executable of this name",
    ),
    Tool(
        name="fsl-deface",
        words=("fsl_deface", "{input}", "{output}"),
        outputs=("output.nii.gz",),
        removes="sets face and ears to zero by a registered mask; keeps brain and the back of the head",
        licence="FSL: non-commercial use",
        url="https://fsl.fmrib.ox.ac.uk/fsl/docs",
        requires=("flirt",),
        environment=("FSLDIR",),
    ),
    Tool(
        name="mask-face",
        words=("mask_face", "input", "-a", "-o", "output"),
        outputs=("output.nii*", "output.img", "*/output.nii*", "*/output.img"),
        removes="blurs and deforms the surface of face and ears; keeps what lies below the skin",
        licence="see its site",
        url="https://www.nitrc.org/projects/face_masking",
        environment=("MASKFACE_HOME",),
        input_name="input.img",
    ),
    Tool(
        name="mri-deface",
        words=(
            "mri_deface",
            "{input}",
            "{FREESURFER_HOME}/average/talairach_mixed_with_skull.gca",
            "{FREESURFER_HOME}/average/face.gca",
            "{output}",
        ),
        outputs=("output.nii.gz",),
        removes="sets what is likely to be face by an atlas to zero; keeps the brain",
        licence="FreeSurfer software licence",
        url="https://surfer.nmr.mgh.harvard.edu/fswiki/mri_deface",
        environment=("FREESURFER_HOME",),
    ),
    Tool(
        name="pydeface",
        words=("pydeface", "{input}", "--outfile", "{output}", "--force"),
        outputs=("output.nii.gz",),
        removes="sets eyes, nose and mouth to zero by a registered mask; keeps ears and brain",
        licence="MIT (FSL: non-commercial use)",
        url="https://github.com/poldracklab/pydeface",
        version=_distribution("pydeface"),
        requires=("fsl", "flirt"),
        environment=("FSLDIR",),
    ),
    Tool(
        name="quickshear",
        words=("quickshear", "{input}", "{brain}", "{output}"),
        outputs=("output.nii.gz",),
        removes="sets what lies before a plane along the brain to zero (water in CT); keeps forehead and brain",
        licence="BSD-3-Clause",
        url="https://github.com/nipy/quickshear",
        version=_distribution("quickshear"),
    ),
    Tool(
        name="mri-reface",
        words=("run_mri_reface.sh", "{input}", "{folder}/result", "-imType", "{modality}"),
        outputs=("result/*_deFaced.nii*", "result/*deface*.nii*"),
        removes="replaces face and ears by an average; keeps brain and the back of the head",
        licence="free for research, see its site",
        url="https://www.nitrc.org/projects/mri_reface",
        requires=("reg_aladin", "antsApplyTransforms"),
        ct="CT",
        mr="T1",
        folders=("result",),
        input_name="input.nii",
    ),
    Tool(
        name="mideface",
        words=("mideface", "--i", "{input}", "--o", "{output}"),
        outputs=("output.nii.gz",),
        removes="fills a thin layer of face and ears with noise or zero; keeps what lies below the skin",
        licence="FreeSurfer software licence",
        url="https://surfer.nmr.mgh.harvard.edu/fswiki/MiDeFace",
        version=("mri_info", "--version"),
        environment=("FREESURFER_HOME",),
    ),
    Tool(
        name="cta-deface",
        words=("python3", "{CTA_DEFACE_HOME}/run_CTA-DEFACE.py", "-i", "{folder}/in", "-o", "{folder}/result"),
        outputs=("result/*_defaced.nii.gz", "result/*defaced*.nii*"),
        removes="sets the skin of the face to the 10th percentile of the scan by an nnU-Net of CT; keeps the rest",
        licence="none stated; weights apart",
        url="https://github.com/CCI-Bonn/CTA-DEFACE",
        requires=("nnUNetv2_predict",),
        environment=("CTA_DEFACE_HOME",),
        start_in="{CTA_DEFACE_HOME}",
        mr="-",
        folders=("in", "result"),
        input_name="in/input_0000.nii.gz",
    ),
    Tool(
        name="totalsegmentator-face",
        words=("TotalSegmentator", "-i", "{input}", "-o", "{folder}/result", "--task", "{modality}"),
        outputs=("result/face.nii.gz",),
        removes="finds the face by an nnU-Net; the mask becomes air here; keeps the rest",
        licence="Apache-2.0; the face task asks for a licence number of its own",
        url="https://github.com/wasserth/TotalSegmentator",
        version=_distribution("TotalSegmentator"),
        ct="face",
        mr="face_mr",
        gives_mask=True,
        folders=("result",),
    ),
    Tool(
        name="caideface",
        words=(
            *("caideface", "run", "{folder}/in", "{folder}/result", "--modality", "{modality}", "--device", "cpu"),
            *("--brainsfit", "{BRAINSFIT}", "--brainsresample", "{BRAINSRESAMPLE}"),
        ),
        outputs=("result/defaced/*.nii.gz",),
        removes="sets the face to the background by a registered mask; keeps the brain with 14 mm around it",
        licence="Apache-2.0; weights of HD-BET or TotalSegmentator apart",
        url="https://pypi.org/project/caideface",
        version=_distribution("caideface"),
        requires=("hd-bet",),
        environment=("BRAINSFIT", "BRAINSRESAMPLE"),
        ct="ct",
        mr="mri",
        folders=("in", "result"),
        input_name="in/input.nii.gz",
    ),
    Tool(
        name="refacing-cgan",
        words=("refacing-cgan", "{input}", "{output}"),
        outputs=("output.nii.gz",),
        removes="replaces the face by one that a conditional GAN draws; keeps the brain",
        licence="see its repository",
        url="https://gitlab.com/acit-lausanne/refacing-cgan",
        ct="-",
        note="its command is not published: wrap it in an executable of this name",
    ),
)
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
    return Tool(
        name=name,
        words=words,
        outputs=("output.nii.gz",),
        removes="whatever it removes",
        licence="",
        url="",
    )


def find_named_tool(name: str) -> Tool | None:
    """Return the tool of `TOOLS` with this name, or None."""
    return next((tool for tool in TOOLS if tool.name == name), None)
