"""Running many recordings: plans, items, and where they are computed."""
