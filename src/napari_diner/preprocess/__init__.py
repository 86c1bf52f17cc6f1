"""Preparation of frames: correction, masks, cropping, resampling, registration and focus."""
