"""Where the tests find what lies beside them."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
EXAMPLES = ROOT / "examples"
SHARED = ROOT.parent / "shared"
"""Real scans and adversaries; absent from most checkouts."""
