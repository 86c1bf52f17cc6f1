#!/usr/bin/env python3
"""Check for the system packages that GUI tests need: Xvfb and the libraries that Qt loads.

On Debian and its derivatives, missing packages are installed if this runs as root; otherwise it prints the command that
installs them and exits with status 1. On other systems it does nothing. Standard library only.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE_OF_LIBRARY = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libOpenGL.so.0": "libopengl0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}


def loads(library: str) -> bool:
    """Return whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def missing_packages() -> list[str]:
    """Return the Debian packages that are missing."""
    missing = [package for library, package in PACKAGE_OF_LIBRARY.items() if not loads(library)]
    missing += [package for program, package in (("Xvfb", "xvfb"), ("xauth", "xauth")) if not shutil.which(program)]
    if not any(Path("/usr").glob("lib*/**/dri/*_dri.so")):
        missing.append("libgl1-mesa-dri")
    return missing


def main() -> int:
    """Install missing packages, or print the command that does."""
    if not sys.platform.startswith("linux"):
        return 0
    missing = missing_packages()
    if not missing:
        return 0
    names = " ".join(missing)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sudo = "" if os.geteuid() == 0 else "sudo "
        print(f"The GUI tests need system packages. Install them with: {sudo}apt-get install -y {names}")
        return 1
    print(f"Installing system packages for the GUI tests: {names}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    options = ["-qq", "-o", "DPkg::Lock::Timeout=300"]
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        finished = subprocess.run(
            ["apt-get", *options, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if finished.returncode != 0:
            print(f"apt-get {arguments[0]} failed: {finished.stderr.strip()}")
    still_missing = missing_packages()
    if still_missing:
        print(f"These system packages could not be installed; please install them yourself: {' '.join(still_missing)}")
    return 1 if still_missing else 0


if __name__ == "__main__":
    sys.exit(main())
