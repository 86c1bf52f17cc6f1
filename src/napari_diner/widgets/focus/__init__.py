"""The dock that finds the distances of a lensless stack."""
