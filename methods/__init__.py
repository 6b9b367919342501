"""Imported as `harness.methods`; the top-level folder is mapped into the one installed package."""

if __name__ != "harness.methods":
    raise ImportError("import harness.methods, not methods: a second copy would register every entry twice")
