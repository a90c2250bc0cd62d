"""Draw the first screen of a report as a picture, as the README shows it.

    python examples/draw_report_picture.py reid-audit-demo docs/report.png

Needs Chromium on the PATH and playwright, which the tests need as well.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

LAST_WHOLE_BLOCK = """height => Math.max(...[...document.querySelectorAll("body *")]
    .filter(each => ["P", "FIGCAPTION", "LI", "FIGURE"].includes(each.tagName))
    .map(each => each.getBoundingClientRect().bottom).filter(bottom => bottom <= height))"""


def draw_picture(page: Path, picture: Path, *, width_px: int = 1200, height_px: int = 900) -> None:
    """Open a page in a headless Chromium and write what a reader sees first, down to the last whole block."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("needs Chromium on the PATH")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": width_px, "height": height_px})
        opened.goto(page.resolve().as_uri())
        bottom_px = opened.evaluate(LAST_WHOLE_BLOCK, height_px)
        opened.screenshot(path=str(picture), clip={"x": 0, "y": 0, "width": width_px, "height": bottom_px + 8})
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="folder that `demo` or `score` wrote")
    parser.add_argument("picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    draw_picture(options.result / "report.html", options.picture)
