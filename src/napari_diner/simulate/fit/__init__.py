"""Synthetic images, videos and volumes."""
