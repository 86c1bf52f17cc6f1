"""The dock of lensless phase retrieval, and what it shares with the one that finds distances."""
