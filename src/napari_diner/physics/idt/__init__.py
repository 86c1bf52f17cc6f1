"""Intensity diffraction tomography: a refractive-index volume under many directions of illumination.

The unknown is the contrast of permittivity, Δε = n² − n0² = Δε_re + jΔε_im, kept as a real tensor (2, Z, Y, X). Light
travels towards +z as exp(+ikz), and n_im > 0 absorbs. The plane z = 0 is in focus; z > 0 is nearer to the objective.
A direction of illumination is given by its numerical aperture (NA_y, NA_x): the sine in air, which flat interfaces
preserve. The data are g = I / I_background − 1.
"""
