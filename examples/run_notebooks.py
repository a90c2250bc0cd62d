"""Run the notebooks beside this file from top to bottom and store them with their outputs, clean of this machine.

python examples/run_notebooks.py             # all of them
python examples/run_notebooks.py compare     # those whose names begin so
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).resolve().parent
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))


def run_notebook(path: Path, *, timeout_seconds: int = 600) -> Any:
    """Run a notebook in an empty folder and return it with its outputs; an error in a cell is raised."""
    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="reid-audit-") as folder:
        paths = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        before = {name: os.environ.get(name) for name in ("PYTHONPATH", "TMPDIR")}
        os.environ |= {"PYTHONPATH": paths, "TMPDIR": folder}  # what a notebook makes goes with the folder
        try:
            client = NotebookClient(book, timeout=timeout_seconds, resources={"metadata": {"path": folder}})
            client.execute()
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
    return clean(book)


def clean(book: Any) -> Any:
    """Take out what belongs to one machine and one moment: times, versions, object addresses, random ids."""
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in book.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            output.pop("metadata", None) if output.output_type == "stream" else output.update(metadata={})
            for kind, data in output.get("data", {}).items():
                if kind == "image/png":
                    output.data[kind] = shrink(data)
                elif isinstance(data, str) and kind.startswith("text/"):
                    output.data[kind] = re.sub(r"T_[0-9a-f]{5}", "T_table", re.sub(r" at 0x[0-9a-f]+", "", data))
    return book


def shrink(png_base64: str) -> str:
    """Store a picture in 256 colours where that is smaller: figures need no more."""
    with Image.open(io.BytesIO(base64.b64decode(png_base64))) as picture:
        flat = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    flat.save(buffer, format="png", optimize=True)
    return min(png_base64, base64.b64encode(buffer.getvalue()).decode(), key=len)


def main() -> None:
    """Run and store."""
    wanted = sys.argv[1:] or [""]
    for path in NOTEBOOKS:
        if any(path.name.startswith(word) for word in wanted):
            nbformat.write(run_notebook(path), path)
            print(path.name)


if __name__ == "__main__":
    main()
