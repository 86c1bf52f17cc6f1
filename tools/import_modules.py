#!/usr/bin/env python3
"""Import every module except the widgets, which need a Qt binding, and those that need Triton or numba."""

import importlib
import sys
from pathlib import Path

import napari_diner


def main() -> int:
    """Import the modules and say how many there are."""
    root = Path(napari_diner.__file__).parent
    modules = [path.relative_to(root.parent).with_suffix("").parts for path in sorted(root.rglob("*.py"))]
    names = [".".join(parts).removesuffix(".__init__") for parts in modules if "widgets" not in parts]
    left_out = 0
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            # torch brings Triton along for NVIDIA cards only, and kernels cannot be declared without their compilers
            if error.name not in ("triton", "numba", "llvmlite"):
                raise
            left_out += 1
    print(f"{len(names) - left_out} modules imported")
    return 0


if __name__ == "__main__":
    sys.exit(main())
