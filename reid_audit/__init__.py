"""reid-audit."""
