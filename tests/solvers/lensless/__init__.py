"""Tests of self-calibration."""
