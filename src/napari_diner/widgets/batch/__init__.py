"""The dock of batches."""
