"""Editors and forms, built from a recipe."""
