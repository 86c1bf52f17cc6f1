"""Networks applied to many samples in chunks, to limit the memory of activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def in_chunks(evaluate: Callable[[Tensor], Tensor], inputs: Tensor, size: int, network: nn.Module) -> Tensor:
    """Return the values, (n, outputs), of a function of many inputs, (n, ...), computed `size` at a time.

    If gradients are needed, each chunk is recomputed in the backward pass.

    Parameters
    ----------
    evaluate
        Returns the values of some inputs.
    inputs
        Keys, which get gradients, or indices.
    size
        Inputs in each part.
    network
        Network whose parameters get gradients.
    """
    parameters = [parameter for parameter in network.parameters() if parameter is not inputs]
    values: Tensor = _InChunks.apply(evaluate, size, inputs, *parameters)  # type: ignore[no-untyped-call]
    return values


class _InChunks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, evaluate: Callable[[Tensor], Tensor], size: int, inputs: Tensor, *parameters: Tensor
    ) -> Tensor:
        """Return the values in one array, as small ones between the activations would fragment the memory."""
        ctx.evaluate, ctx.size = evaluate, size
        ctx.save_for_backward(inputs, *parameters)
        first = evaluate(inputs[:size])
        values = first.new_empty(len(inputs), first.shape[1])
        values[:size] = first
        for start in range(size, len(inputs), size):
            part = slice(start, start + size)
            values[part] = evaluate(inputs[part])
        return values

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Recompute each chunk, and propagate its gradient to its inputs and to the parameters."""
        inputs, *parameters = ctx.saved_tensors
        of_inputs = torch.empty_like(inputs) if ctx.needs_input_grad[2] else None
        sums = [torch.zeros_like(parameter) for parameter in parameters]
        for start in range(0, len(inputs), ctx.size):
            part = slice(start, start + ctx.size)
            with torch.enable_grad():
                own = inputs[part].detach()
                variables = list(parameters)
                if of_inputs is not None:
                    variables.append(own.requires_grad_())
                values = ctx.evaluate(own)
            gradients = torch.autograd.grad(values, variables, grad_outputs[0][part], allow_unused=True)
            if of_inputs is not None:
                of_inputs[part] = gradients[-1]
            for total, gradient in zip(sums, gradients, strict=False):
                if gradient is not None:
                    total += gradient
        return None, None, of_inputs, *sums
