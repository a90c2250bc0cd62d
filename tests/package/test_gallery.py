"""The gallery in renders/ is what the script draws today."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from PIL import Image
from places import ROOT


@pytest.mark.slow
def test_the_gallery_is_what_its_script_draws() -> None:
    spec = importlib.util.spec_from_file_location("make_gallery", ROOT / "examples" / "make_gallery.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    drawn = dict(script.draw_gallery())
    stored = {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in (ROOT / "renders").glob("*.png")}
    assert sorted(drawn) == sorted(stored)
    for name, portrait in drawn.items():
        difference = np.abs(portrait.pixels.astype(int) - stored[name].astype(int)).mean()
        assert difference < 1.0, f"renders/{name}.png differs by {difference:.2f} of 255; run `make gallery`"
