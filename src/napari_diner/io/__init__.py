"""Input and output: image stacks, tables, result folders, model files. No physics, no Qt, no torch."""
