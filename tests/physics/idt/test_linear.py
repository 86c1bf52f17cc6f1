"""The linear model: adjoint, gradient, symmetries, and options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.errors import InputError, RecipeError
from napari_diner.physics.idt.geometry import Slices, VolumeGeometry
from napari_diner.physics.idt.given import GivenTransfer
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.idt.transfer import BornModel
from tests.kit.adjoint import AdjointMixin, Operator
from tests.kit.fields import noise

WAVELENGTH_UM, NA, N0 = 0.515, 0.65, 1.33
SHAPES = [(5, 16, 18), (3, 15, 13), (1, 12, 17)]
LIT = Illumination.of([[0.6, 0.1], [-0.2, 0.4], [0.0, 0.0], [0.0, -0.65]])
MULTIPLEXED = Illumination.of([[[0.6, 0.1, 3.0], [-0.2, 0.4, 1.0]], [0.3, 0.2], [[0.0, 0.6], [0.6, 0.0], [0.1, 0.1]]])


def build(shape: tuple[int, int, int] = (5, 16, 18), lit: Illumination = LIT, **options: Any) -> BornModel:
    chosen = {"first_slice_um": -0.7, "dtype": torch.complex128} | options
    first = chosen.pop("first_slice_um")
    return BornModel(VolumeGeometry(shape, 0.5, WAVELENGTH_UM, N0, 0.17, NA, first), lit, **chosen)


def full(model: LinearModel, frame: int) -> tuple[Tensor, Tensor]:
    """H_re and H_im of a frame at all frequencies, (Z, Y, X), continued by H(−u) = H*(u)."""
    rows, columns = model.shape[1:]
    minus_y = -torch.arange(rows) % rows

    def whole(half: Tensor) -> Tensor:
        rest = half[:, minus_y][..., 1 : columns - columns // 2].conj().flip(-1)
        return torch.cat([half, rest], -1)

    H_re, H_im = model.transfer(frame)
    return whole(H_re), whole(H_im)


def given(model: BornModel, centred: bool = False, **options: Any) -> GivenTransfer:
    pairs = [full(model, frame) for frame in range(model.frames)]
    H_re, H_im = (torch.stack([pair[part] for pair in pairs]).numpy() for part in range(2))
    if centred:
        H_re, H_im = (np.fft.fftshift(H, (-2, -1)) for H in (H_re, H_im))
    return GivenTransfer(H_re, H_im, model.slices, centred=centred, **{"dtype": torch.complex128} | options)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lit", [LIT, MULTIPLEXED])
@pytest.mark.parametrize("kind", ["born", "legacy", "given"])
@pytest.mark.parametrize("frames", [None, [2, 0]])
class TestForward(AdjointMixin):
    @pytest.fixture
    def operator(self, shape: tuple[int, int, int], lit: Illumination, kind: str, frames: list[int] | None) -> Operator:
        model: LinearModel = build(shape, lit, dispersion="legacy" if kind == "legacy" else "exact")
        if kind == "given":
            model = given(build(shape, lit))
        return Operator(
            lambda x: model.forward(x, frames),
            lambda y: model.adjoint(y, frames),
            (2, *shape),
            (len(frames or lit.frames), *shape[1:]),
            real_domain=True,
            real_codomain=True,
        )


def test_gradients() -> None:
    model = build((2, 5, 6), MULTIPLEXED)
    x, y = noise((2, 2, 5, 6), 1).requires_grad_(), noise((3, 5, 6), 2).requires_grad_()
    assert torch.autograd.gradcheck(model.forward, (x,))
    assert torch.autograd.gradcheck(model.adjoint, (y,))
    assert torch.autograd.gradgradcheck(lambda x: model.forward(x) ** 2, (x,))


@pytest.mark.parametrize("shape", SHAPES)
def test_formula(shape: tuple[int, int, int]) -> None:
    """Every H by the formulas as they are written, at all frequencies and with no short cut."""
    model = build(shape, LIT)
    fy, fx = np.meshgrid(*(np.fft.fftfreq(size, 0.17) for size in shape[1:]), indexing="ij")
    k0 = 2 * np.pi / WAVELENGTH_UM

    def amplitude(uy: Any, ux: Any, na: tuple[float, float], z: float) -> Any:
        vy, vx = uy + na[0] / WAVELENGTH_UM, ux + na[1] / WAVELENGTH_UM
        pupil = np.hypot(vy, vx) <= NA / WAVELENGTH_UM + 1e-12
        eta = np.sqrt(np.where(pupil, (N0 / WAVELENGTH_UM) ** 2 - vy**2 - vx**2, 1))
        eta_i = np.sqrt((N0**2 - na[0] ** 2 - na[1] ** 2) / WAVELENGTH_UM**2)
        slab = np.sinc(0.5 * (eta - eta_i))
        return 1j * k0**2 * 0.5 / (4 * np.pi * eta) * pupil * slab * np.exp(-2j * np.pi * z * (eta - eta_i))

    nyquist = np.zeros(shape[1:], dtype=bool)
    if shape[1] % 2 == 0:
        nyquist[shape[1] // 2] = True
    if shape[2] % 2 == 0:
        nyquist[:, shape[2] // 2] = True
    x = noise((2, *shape), 3).numpy()
    predicted = model.forward(torch.from_numpy(x)).numpy()
    for frame, na in enumerate(LIT.apertures):
        total = np.zeros(shape[1:], dtype=complex)
        for plane in range(shape[0]):
            z = -0.7 + 0.5 * plane
            ahead, mirrored = amplitude(fy, fx, na, z), np.conj(amplitude(-fy, -fx, na, z))
            H_re, H_im = np.where(nyquist, 0, ahead + mirrored), np.where(nyquist, 0, 1j * (ahead - mirrored))
            found_re, found_im = full(model, frame)
            assert np.abs(found_re[plane].numpy() - H_re).max() < 1e-12
            assert np.abs(found_im[plane].numpy() - H_im).max() < 1e-12
            total += H_re * np.fft.fft2(x[0, plane]) + H_im * np.fft.fft2(x[1, plane])
        assert np.abs(np.fft.ifft2(total).real - predicted[frame]).max() < 1e-12
        assert np.abs(np.fft.ifft2(total).imag).max() < 1e-12


def test_uniform_contrast_is_seen_by_its_absorption_only() -> None:
    for frame in range(4):
        H_re, H_im = build().transfer(frame)
        assert float(H_re[:, 0, 0].abs().max()) < 1e-14
        assert float(H_im[:, 0, 0].imag.abs().max()) < 1e-14
        assert float(H_im[:, 0, 0].real.max()) < -1


def test_turning_the_light_and_mirroring_z_negates_the_phase_contrast() -> None:
    model = build(first_slice_um=None)
    turned = build(first_slice_um=None, lit=LIT.opposite())
    for frame in range(4):
        (H_re, H_im), (T_re, T_im) = model.transfer(frame), turned.transfer(frame)
        assert torch.allclose(T_re.flip(0), -H_re, rtol=0, atol=1e-13)
        assert torch.allclose(T_im.flip(0), H_im, rtol=0, atol=1e-13)


def test_multiplexed_frame_is_the_weighted_mean_of_its_sources() -> None:
    x = noise((2, 5, 16, 18), 1)
    together = build(lit=Illumination.of([[[0.6, 0.1, 3.0], [-0.2, 0.4, 1.0]]])).forward(x)[0]
    alone = build(lit=Illumination.of([[0.6, 0.1], [-0.2, 0.4]])).forward(x)
    assert torch.allclose(together, 0.75 * alone[0] + 0.25 * alone[1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("elements", [1, 100, 777])
def test_results_do_not_depend_on_the_blocks(elements: int) -> None:
    x = noise((2, 5, 16, 18), 1)
    whole, blocks = build(lit=MULTIPLEXED), build(lit=MULTIPLEXED, block_elements=elements)
    assert len(list(blocks.blocks(12))) > len(list(whole.blocks(12))) == 1
    y = whole.forward(x)
    assert torch.allclose(blocks.forward(x), y, rtol=0, atol=1e-14)
    assert torch.allclose(blocks.adjoint(y), whole.adjoint(y), rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ["born", "given"])
def test_matrices_are_the_model_at_each_frequency(kind: str) -> None:
    model: LinearModel = build(lit=MULTIPLEXED) if kind == "born" else given(build(lit=MULTIPLEXED))
    x = noise((2, 5, 16, 18), 1)
    contrast = model.spectrum(x).flatten(2).flatten(0, 1)
    data = torch.zeros(3, model.half[0] * model.half[1], dtype=torch.complex128)
    model.block_elements = 300
    for block in model.blocks(3 * 10):
        places = model.active[block]
        matrices = model.matrices(block)
        assert matrices.shape == (len(places), 3, 10)
        data[:, places] = (matrices @ contrast[:, places].T[..., None])[..., 0].T
    assert torch.allclose(model.from_spectrum(data.unflatten(-1, model.half)), model.forward(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize("slices", [[3, 0], slice(1, 4), [-1]])
@pytest.mark.parametrize("kind", ["born", "given"])
def test_transfer_of_some_slices(slices: Any, kind: str) -> None:
    model: LinearModel = build(lit=MULTIPLEXED) if kind == "born" else given(build(lit=MULTIPLEXED))
    for some, every in zip(model.transfer(0, slices), model.transfer(0), strict=True):
        assert torch.allclose(some, every[slices], rtol=0, atol=1e-14)


def test_some_frames() -> None:
    x = noise((2, 5, 16, 18), 1)
    for model in (build(lit=MULTIPLEXED), given(build(lit=MULTIPLEXED))):
        assert torch.allclose(model.forward(x, [2, 0]), model.forward(x)[[2, 0]], rtol=0, atol=1e-14)


def test_single_precision_is_close_to_double() -> None:
    shape = (40, 16, 18)
    x = noise((2, *shape), 1)
    exact = build(shape, first_slice_um=30.0).forward(x)
    single = build(shape, first_slice_um=30.0, dtype=torch.complex64).forward(x.float())
    assert single.dtype == torch.float32
    assert float((single - exact).norm() / exact.norm()) < 2e-6


def test_legacy_dispersion_stretches_depth() -> None:
    # paraxially, both are a quadratic of the frequency: −λu²/(2 n0) and −n0 λu²/2
    lit = Illumination.of([[0.0, 0.0]])
    shape = (1, 64, 64)
    legacy = build(shape, lit, first_slice_um=4.0, dispersion="legacy").transfer(0)[0][0, :, 0]
    exact = build(shape, lit, first_slice_um=4.0 * N0**2).transfer(0)[0][0, :, 0]
    same_depth = build(shape, lit, first_slice_um=4.0).transfer(0)[0][0, :, 0]
    assert torch.allclose(legacy[1:4], exact[1:4], rtol=0.05)
    assert not torch.allclose(legacy[1:4], same_depth[1:4], rtol=0.3)


def test_legacy_dispersion_needs_a_dry_aperture() -> None:
    with pytest.raises(RecipeError, match=r"no waves at an NA of 1\.1 with dispersion legacy"):
        BornModel(
            VolumeGeometry((1, 8, 8), 0.5, 0.5, 1.33, 0.1, 1.1, 0.0), Illumination.of([[0.0, 0.0]]), dispersion="legacy"
        )


def test_illumination_outside_the_objective_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"frame 1 has an NA of 0\.7"):
        build(lit=Illumination.of([[0.7, 0.0]]))


def test_volume_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(2, 5, 16, 18\)"):
        build().forward(noise((2, 4, 16, 18), 1))


def test_data_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(4, 16, 18\)"):
        build().adjoint(noise((1, 16, 18), 1))
    with pytest.raises(IndexError):
        build().forward(noise((2, 5, 16, 18), 1), [4])


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_given_transfer_functions_are_those_of_the_model(centred: bool, shape: tuple[int, int, int]) -> None:
    model = build(shape, MULTIPLEXED)
    x = noise((2, *shape), 1)
    assert torch.allclose(given(model, centred).forward(x), model.forward(x), rtol=0, atol=1e-13)


def test_given_transfer_functions_of_unlike_shapes_are_refused() -> None:
    slices = Slices((4, 8, 8), 0.5, WAVELENGTH_UM, N0)
    H = np.zeros((3, 4, 8, 8), dtype=np.complex64)
    with pytest.raises(InputError, match=r"\(3, 4, 8, 8\) and \(3, 4, 8, 7\)"):
        GivenTransfer(H, H[..., :7], slices)
    with pytest.raises(InputError, match=r"\(4, 8, 8\)"):
        GivenTransfer(H[0], H[0], slices)
    H[1, 2, 3, 4] = np.nan
    with pytest.raises(InputError, match="frame 2"):
        GivenTransfer(H, H, slices)


def test_peak_phase() -> None:
    model = build(dtype=torch.complex64)
    contrast = torch.zeros(2, 5, 16, 18)
    contrast[0, 1:4, 3, 4] = 1.34**2 - N0**2
    contrast[0, 2, 8, 8] = N0**2 - 1.33**2 - 0.001
    assert model.peak_phase(contrast) == pytest.approx(2 * np.pi / WAVELENGTH_UM * 0.01 * 1.5, rel=1e-4)
    # negative phases count as well
    assert model.peak_phase(-contrast) == pytest.approx(model.peak_phase(contrast), rel=0.02)


def test_ring_reaches_no_frequency_beyond_both_pupils() -> None:
    model = build((2, 64, 64), ring(0.3, 4))
    f = torch.hypot(torch.fft.fftfreq(64, 0.17)[:, None], torch.fft.rfftfreq(64, 0.17)[None]).flatten()
    assert float(f[model.active].max()) <= 0.95 / WAVELENGTH_UM
    assert len(model.active) < 0.5 * f.numel()
