"""Editors and forms that are built from a recipe."""
