"""A procedural English-like world: meanings, three languages to say them in, and the text that small models are pretrained on."""
