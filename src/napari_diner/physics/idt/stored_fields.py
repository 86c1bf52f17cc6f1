"""Sizes of the fields that a linearised multi-slice model stores. Does not import torch."""

from __future__ import annotations

STORED_BYTES, STORED_BYTES_OF_A_CARD = 2**30, 2**34
"""Bytes of fields to store at most, on the processor and on a graphics card."""
USED = 0.5
"""Part of the free memory that they may take on the processor."""
