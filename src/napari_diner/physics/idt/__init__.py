"""Intensity diffraction tomography: a volume of refractive index lit from many directions, one intensity for each.

The unknown is the contrast of permittivity, Δε = n² − n0² = Δε_re + jΔε_im, kept as a real tensor (2, Z, Y, X). Light
travels towards +z as exp(+ikz) and n_im > 0 absorbs. The plane z = 0 is in focus, and z > 0 is nearer the objective.
A direction of illumination is given by its numerical aperture (NA_y, NA_x): the sine in air, which flat interfaces
leave as it is. The data are g = I / I_background − 1.
"""
