"""f_θ ∘ HM, the unknown: representations of an image or a volume by parameters of a solver."""
