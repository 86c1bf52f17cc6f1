"""Tasks: recipe, data, stages and results of each kind of reconstruction."""
