"""L and argmin: losses and solvers."""
