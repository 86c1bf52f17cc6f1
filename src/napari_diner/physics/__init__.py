"""P, the forward models: from an object to the intensities that a camera records.

Lengths are in micrometres, phases in radians, spatial frequencies in cycles per micrometre. Fields vary as
exp(+ikz) along +z, so that a thicker or denser object has a positive phase.
"""
