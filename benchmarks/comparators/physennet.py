"""PhysenNet: an untrained U-Net that maps a recorded frame to the object (Wang et al., Light Sci. Appl. 9, 77 (2020)).

Written from the paper and its published settings: five levels of two 3×3 convolutions with batch normalisation and
leaky ReLU, 32 to 512 channels, max-pooling down and transposed convolutions up, skip connections; uniform noise of 1/30
on the input at every step; Adam with a step of 0.01. The paper retrieves a phase from one frame. Here the network has
two outputs, amplitude and phase, and all frames are explained. The last rectifier is left out: it suits a phase, but
it would start with no light in half of the pixels, which costs 8 dB.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from napari_diner.representations.base import Representation
from napari_diner.representations.registry import RepresentationEntry, register

LEVELS, WIDTH, NOISE, LEARNING_RATE = 5, 32, 1 / 30, 0.01


def _layer(convolution: nn.Conv2d | nn.ConvTranspose2d, activation: nn.Module) -> nn.Sequential:
    nn.init.trunc_normal_(convolution.weight, std=0.1)
    # of the present input, in training and afterwards, as in the published code
    norm = nn.BatchNorm2d(convolution.out_channels, eps=1e-3, track_running_stats=False)
    return nn.Sequential(convolution, norm, activation)


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        *(
            _layer(nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.LeakyReLU(0.2))
            for channels in (inputs, outputs)
        )
    )


class UNet(nn.Module):
    """The U-Net of PhysenNet: (1, 1, Y, X) to (1, outputs, Y, X), with Y and X multiples of 16."""

    def __init__(self, outputs: int, width: int = WIDTH) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(_pair(a, b) for a, b in zip([1, *widths], widths, strict=False))
        self.up = nn.ModuleList(
            _layer(
                nn.ConvTranspose2d(2 * size, size, 3, stride=2, padding=1, output_padding=1, bias=False),
                nn.LeakyReLU(0.2),
            )
            for size in widths[-2::-1]
        )
        self.merge = nn.ModuleList(_pair(2 * size, size) for size in widths[-2::-1])
        self.last = _layer(nn.Conv2d(width, outputs, 3, padding=1, bias=False), nn.Identity())

    def forward(self, image: Tensor) -> Tensor:
        """Return the outputs for an image."""
        levels: list[Tensor] = []
        for pair in self.down:
            image = pair(nn.functional.max_pool2d(levels[-1], 2) if levels else image)
            levels.append(image)
        for up, merge, beside in zip(self.up, self.merge, levels[-2::-1], strict=True):
            image = merge(torch.cat([beside, up(image)], 1))
        outputs: Tensor = self.last(image)
        return outputs


class PhysenNet(Representation):
    """The outputs of the U-Net for a recorded frame, (Y, X), scaled to a maximum of one."""

    frame: Tensor

    def __init__(self, frame: Tensor, outputs: int = 2, width: int = WIDTH) -> None:
        super().__init__(tuple(frame.shape), outputs)
        margins = [-size % 2 ** (LEVELS - 1) for size in frame.shape]
        padded = pad((frame / frame.max())[None, None], (0, margins[1], 0, margins[0]), mode="reflect")
        self.register_buffer("frame", padded, persistent=False)
        self.network = UNet(outputs, width)

    def forward(self) -> Tensor:
        """Return the values for the frame with noise."""
        return self._values(self.frame + NOISE * torch.rand_like(self.frame))

    def exact(self) -> Tensor:
        """Return the values for the frame without noise."""
        return self._values(self.frame)

    def sample(self, indices: Tensor) -> Tensor:
        """Return the values at these flat indices, (n, outputs)."""
        return self.exact().flatten(1)[:, indices].T

    def _values(self, frame: Tensor) -> Tensor:
        values: Tensor = self.network(frame)[0, :, : self.shape[0], : self.shape[1]]
        return values


def register_physennet(frame: Tensor, width: int = WIDTH) -> None:
    """Make ``physennet`` a solver of lensless recordings; its input is the frame, (Y, X)."""
    register(
        RepresentationEntry(
            "physennet",
            "PhysenNet: an untrained U-Net",
            lambda shape, outputs, settings, generator: PhysenNet(frame, outputs, width),
            learning_rate=LEARNING_RATE,
        )
    )
