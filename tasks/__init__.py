"""Imported as `harness.tasks`; the top-level folder is mapped into the one installed package."""

if __name__ != "harness.tasks":
    raise ImportError("import harness.tasks, not tasks: a second copy would register every entry twice")
