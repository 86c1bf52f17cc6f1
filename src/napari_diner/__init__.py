"""Phase and refractive index from recorded intensities, with implicit neural representations, for napari.

The folders are the symbols of Eq. 4b of the DINER paper (Xie et al., CVPR 2023),
``θ*, HM* = argmin L(P(f_θ(HM_i)), y)``: `representations` holds the unknown f_θ ∘ HM, `physics` the forward model
P, `solvers` the loss L and the argmin, `tasks` the questions a user asks.

Importing this package imports neither torch nor Qt.
"""

import os
from importlib.metadata import PackageNotFoundError, version

# Threads of torch that wait for each other soon sleep instead of spinning (GNU OpenMP): where another program shares
# the processors, a spinning thread keeps the one that it waits for from running, and a step takes many times longer.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

try:
    __version__ = version("napari-diner")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0.0.0"

__all__ = ["__version__"]
