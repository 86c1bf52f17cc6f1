"""What the sections of every recipe are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of a recipe and of its sections: unknown keys are errors, values do not change once set.

    Free of torch, so that a form can be shown without it. The texts below the fields are what the user reads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
