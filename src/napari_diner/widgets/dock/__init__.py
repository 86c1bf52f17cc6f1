"""The base of all docks: settings, run panel, threads."""
