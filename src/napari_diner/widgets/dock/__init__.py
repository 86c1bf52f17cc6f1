"""The dock that all tasks share: settings, run panel, threads."""
