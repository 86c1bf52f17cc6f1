"""L and argmin: the losses, and the ways to minimise them."""
