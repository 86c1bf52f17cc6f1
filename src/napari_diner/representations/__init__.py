"""f_θ ∘ HM, the unknown: ways to represent an image or a volume by parameters that a solver can move."""
