"""Imported as `harness.reports`; the top-level folder is mapped into the one installed package."""

if __name__ != "harness.reports":
    raise ImportError("import harness.reports, not reports: a second copy would register every entry twice")
