"""What goes in and out: image stacks, result folders, model files. No physics, no Qt."""
