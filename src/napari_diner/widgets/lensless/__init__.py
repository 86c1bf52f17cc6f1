"""The dock of lensless phase retrieval, and the parts it shares with the focus dock."""
