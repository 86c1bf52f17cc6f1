"""Give a representation the values of an image: how a DINER is started from the result of another solver."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_diner.representations.diner import CHUNK, Diner
from napari_diner.representations.pixels import Pixels

# keys in which the first layer of each backbone varies gently: a SIREN multiplies them by its frequency
_KEY_SPAN = {"siren": 0.1, "mlp": 1.0}
_CHART_STEPS = 400
_CHART_SAMPLES = 2048
_KEY_STEPS = 12


def fit_values(representation: nn.Module, values: Tensor, generator: torch.Generator | None = None) -> None:
    """Make a representation return the given values, as nearly as it can.

    Pixels take the values. In a DINER the roles are shared as in bundle adjustment: a few hundred steps of Adam teach
    the network a smooth chart from keys to values, on keys that are the values themselves, rescaled; then each key is
    moved by Levenberg-Marquardt steps of its own until the network returns its value. The N problems of size
    table_width are independent and are solved side by side.

    Parameters
    ----------
    representation
        A `Diner` or `Pixels`; changed in place.
    values
        Wanted values, (outputs, *shape).
    generator
        Source of the random samples on which the chart is learnt, on the processor.
    """
    if isinstance(representation, Pixels):
        with torch.no_grad():
            representation.values.copy_(values)
        return
    if not isinstance(representation, Diner):
        raise TypeError(f"cannot give values to a {type(representation).__name__}")
    wanted = values.reshape(representation.outputs, -1).T.contiguous()
    _lay_out_keys(representation, wanted)
    _learn_chart(representation, wanted, generator)
    _move_keys(representation, wanted)


@torch.no_grad()
def _lay_out_keys(diner: Diner, wanted: Tensor) -> None:
    """Set the first coordinates of the keys to the values, rescaled to the span of the backbone."""
    low, high = wanted.amin(0), wanted.amax(0)
    centred = (wanted - (low + high) / 2) / ((high - low) / 2).clamp_min(1e-12)
    shared = min(diner.settings.table_width, diner.outputs)
    diner.hash_table[:, :shared] = _KEY_SPAN[diner.settings.backbone] * centred[:, :shared]


def _learn_chart(diner: Diner, wanted: Tensor, generator: torch.Generator | None) -> None:
    """Teach the network which value belongs to which key.

    With keys as wide as the values, both are drawn evenly over the box of all values, a little enlarged, so that rare
    values are learnt as well as common ones. Otherwise they are those of random samples.
    """
    optimizer = torch.optim.Adam(diner.backbone.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _CHART_STEPS)
    low, high = wanted.amin(0), wanted.amax(0)
    centre, half = (low + high) / 2, ((high - low) / 2).clamp_min(1e-12)
    span = _KEY_SPAN[diner.settings.backbone]
    table = diner.hash_table.detach()
    for _ in range(_CHART_STEPS):
        if diner.outputs <= diner.settings.table_width:
            place = (torch.rand(_CHART_SAMPLES, diner.outputs, generator=generator) * 2.2 - 1.1).to(table.device)
            keys = nn.functional.pad(span * place, (0, diner.settings.table_width - diner.outputs))
            targets = centre + half * place
        else:
            chosen = torch.randint(len(table), (_CHART_SAMPLES,), generator=generator).to(table.device)
            keys, targets = table[chosen], wanted[chosen]
        optimizer.zero_grad()
        loss = ((diner.backbone(keys) - targets) / half).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _move_keys(diner: Diner, wanted: Tensor) -> None:
    """Move each key by damped Gauss-Newton steps until the network returns its value."""
    network = diner.backbone
    width = diner.settings.table_width
    jacobian = torch.func.vmap(torch.func.jacfwd(network))
    identity = torch.eye(width, device=wanted.device)
    for keys, targets in zip(diner.hash_table.detach().split(CHUNK), wanted.split(CHUNK), strict=True):
        damping = torch.full((len(keys), 1, 1), 1e-4, device=keys.device)
        with torch.no_grad():
            errors = targets - network(keys)
            for _ in range(_KEY_STEPS):
                J = jacobian(keys)  # (samples, outputs, width)
                normal = J.mT @ J
                scale = normal.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None].clamp_min(1e-20)
                step = torch.linalg.solve(normal + damping * scale * identity, J.mT @ errors[:, :, None])[:, :, 0]
                trial = keys + step
                trial_errors = targets - network(trial)
                better = (trial_errors.square().sum(1) < errors.square().sum(1))[:, None]
                keys.copy_(torch.where(better, trial, keys))
                errors = torch.where(better, trial_errors, errors)
                damping = torch.where(better[:, :, None], damping / 10, damping * 10).clamp(1e-9, 1e6)
