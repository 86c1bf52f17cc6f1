"""The task of fitting a neural representation to an image, a stack, a volume or a video."""
