"""The docks of lensless phase retrieval and autofocus."""
