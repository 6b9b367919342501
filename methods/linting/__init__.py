"""Parts of the tool `promptset`: finding prompts in source files without running them, and the rules they are held to."""
