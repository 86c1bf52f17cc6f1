"""The geometry of cone-beam lensless imaging with a point source.

By the Fresnel scaling theorem (Paganin, Coherent X-Ray Optics, Sec. 1.4; Goodman, Introduction to Fourier Optics), the
pattern recorded at the distance z₂ behind a sample that is lit by a point source at the distance z₁ is that of a plane
wave at the shorter distance z₂/M, magnified by M and fainter by M²:

    I_{z₁}(M·r; z₂) = M⁻² I_∞(r; z₂/M),    M = (z₁ + z₂)/z₁.

It is valid within the paraxial approximation.
"""

from __future__ import annotations

from typing import Literal

From = Literal["sample", "sensor", "lens"]


def magnification(source_um: float, distance_um: float, to: From = "sample") -> float:
    """Return the magnification of the sample's shadow, M = (z₁ + z₂)/z₁.

    Parameters
    ----------
    source_um
        Distance from the point source to the sample, z₁, to the sensor, z₁ + z₂, or to a lens that makes its light
        parallel.
    distance_um
        Distance z₂ from the sample to the sensor.
    to
        End point of `source_um`.

    Raises
    ------
    ValueError
        If the source is not in front of the sample.
    """
    if to == "lens":
        return 1.0
    sample_um = source_um if to == "sample" else source_um - distance_um
    if sample_um <= 0:
        raise ValueError(
            f"the point source, {source_um:g} µm in front of the sensor, must be in front of the sample, which is "
            f"{distance_um:g} µm in front of it"
        )
    return (sample_um + distance_um) / sample_um


def effective_distance_um(distance_um: float, magnification: float) -> float:
    """Return the distance z₂/M at which a plane wave gives the same pattern, in micrometres."""
    return distance_um / magnification


def real_distance_um(effective_um: float, source_um: float, to: From = "sample") -> float:
    """Return the distance z₂ from sample to sensor of an effective distance z₂/M.

    With z₁ known, ``z₂ = z z₁/(z₁ − z)``; with L = z₁ + z₂ known, ``z = z₂ (L − z₂)/L``, of which the smaller solution,
    with the sample nearer to the sensor than to the source, is returned. Collimated light has ``z₂ = z``.

    Raises
    ------
    ValueError
        If no distance gives this effective distance.
    """
    if to == "lens":
        return effective_um
    if to == "sample":
        if effective_um >= source_um:
            raise ValueError("an effective distance is always shorter than the distance from the source to the sample")
        return effective_um * source_um / (source_um - effective_um)
    root = source_um**2 - 4 * source_um * effective_um
    if root < 0:
        raise ValueError("an effective distance is at most a quarter of the distance from the source to the sensor")
    return float((source_um - root**0.5) / 2)
