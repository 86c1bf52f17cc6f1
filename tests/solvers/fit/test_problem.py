"""The misfit of a fit and its gradient through the lattice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from napari_diner.representations import interpolation
from napari_diner.representations.diner import Diner
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.settings import CompleteDinerSettings
from napari_diner.representations.unknown import Values
from napari_diner.solvers.adam import AdamDescent
from napari_diner.solvers.fit import problem as value_problem
from napari_diner.solvers.fit.keys import KeySearch
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.settings import AdamSettings

COUNT = 6000


def build(width: int = 2, backbone: str = "mlp") -> Diner:
    torch.manual_seed(0)
    settings = CompleteDinerSettings(table_width=width, backbone=backbone, lattice_size=12, key_range=0.5)
    return Diner((COUNT,), 3, settings, torch.Generator().manual_seed(0)).double()


def problem(weighted: bool) -> ValueProblem:
    generator = torch.Generator().manual_seed(1)
    targets = torch.rand(3, COUNT, generator=generator, dtype=torch.float64)
    weights = torch.randint(1, 9, (COUNT,), generator=generator).double() if weighted else None
    return ValueProblem(targets, weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_descending_in_parts_gives_the_gradient_of_the_loss(
    width: int, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_problem, "_PART", 1000)  # several parts, the last one short
    question, diner = problem(weighted), build(width)
    loss = question.loss(diner.lattice())
    expected = torch.autograd.grad(loss, list(diner.parameters()))
    misfit = question.descend(Values(diner), None, exact=False)
    assert float(misfit) == pytest.approx(float(loss.detach()), rel=1e-6)
    for parameter, gradient in zip(diner.parameters(), expected, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, gradient, rtol=1e-9, atol=1e-15)


def test_a_sample_that_counts_thrice_is_like_three_samples() -> None:
    torch.manual_seed(0)
    targets, outputs = torch.rand(2, 4), torch.rand(2, 4)
    weights = torch.tensor([1.0, 3.0, 2.0, 1.0])
    repeated = torch.arange(4).repeat_interleave(weights.long())
    alone = ValueProblem(targets, weights).loss(outputs)
    assert float(alone) == pytest.approx(float(ValueProblem(targets[:, repeated]).loss(outputs[:, repeated])), rel=1e-6)


def test_the_exact_loss_is_that_of_the_exact_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_problem, "_PART", 1000)
    question, diner = problem(weighted=True), build()
    assert question.objective(Values(diner)) == pytest.approx(float(question.loss(diner.exact()).detach()), rel=1e-9)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_threads_share_the_keys_without_mixing_them_up(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_diner.representations import lattice as module

    diner = build(width)
    shared = diner.lattice().detach()
    monkeypatch.setattr(module, "_WORTH_SHARING", 10 * COUNT)
    assert torch.allclose(shared, diner.lattice().detach(), rtol=1e-12, atol=1e-14)


def test_the_gradient_is_the_derivative() -> None:
    question = problem(weighted=True)
    estimate = torch.rand(3, COUNT, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(question.loss(estimate), estimate)
    evaluation = question.evaluate(estimate.detach())
    assert torch.allclose(evaluation.gradient, expected, rtol=1e-12, atol=1e-18)
    assert evaluation.loss == evaluation.misfit == pytest.approx(float(question.loss(estimate).detach()), rel=1e-12)


def test_the_derivative_of_values_is_the_identity() -> None:
    question = problem(weighted=False)
    estimate, change = torch.rand(2, 3, COUNT, dtype=torch.float64)
    linearised = question.linearise(estimate)
    assert torch.equal(linearised.residual(), estimate - question.targets)
    assert torch.equal(linearised.apply(change), change)
    assert torch.equal(linearised.adjoint(change), change)


def test_batches_hold_every_sample_once() -> None:
    question = problem(weighted=False)
    parts = question.batches(1000, torch.Generator().manual_seed(0))
    assert [len(part) for part in parts] == [1000] * 6
    assert torch.equal(torch.cat([*parts]).sort().values, torch.arange(COUNT))
    assert question.batches(None, None) == [None]


def test_gradients_of_batches_add_up_to_that_of_all_samples() -> None:
    question = problem(weighted=False)
    pixels = Pixels((COUNT,), 3).double()
    unknown = Values(pixels)
    question.descend(unknown, None, exact=False)
    whole, pixels.values.grad = pixels.values.grad, None
    parts = question.batches(1000, torch.Generator().manual_seed(0))
    for part in parts:
        question.descend(unknown, part, exact=False)
    # each part stands for all samples
    assert torch.allclose(pixels.values.grad / len(parts), whole, rtol=1e-12, atol=1e-18)


def descent(monkeypatch: pytest.MonkeyPatch, *, fused: bool) -> AdamDescent:
    """Return a descent with a search for keys halfway, with the steps of the keys in compiled loops or by torch."""
    if not fused:
        monkeypatch.setattr(interpolation, "can_step", lambda values, keys: False)
    question, diner = problem(weighted=True), build().float()
    single = ValueProblem(question.targets.float(), question.weights.float())
    refinement = KeySearch(diner, single.targets, 1)
    settings = AdamSettings(iterations=30, learning_rate=2e-3)
    return AdamDescent(single, Values(diner), settings, refinement=refinement)


def test_steps_in_compiled_loops_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="the compiled loops need numba")
    monkeypatch.setattr(interpolation, "FEWEST_KEYS", 1)
    fused, plain = ([step.loss for step in descent(monkeypatch, fused=fused).steps()] for fused in (True, False))
    # the last ten steps use the exact network, and torch for all parameters
    assert fused == pytest.approx(plain, rel=1e-3)
    assert fused[-1] < 0.5 * fused[0]


def test_the_extent_of_the_keys_is_known_until_they_change() -> None:
    question, diner = problem(weighted=False), build().float()
    question = ValueProblem(question.targets.float())
    optimizer = torch.optim.Adam(diner.parameters(), fused=True)
    diner.remember_extent(torch.tensor([-9.0, -9.0]), torch.tensor([9.0, 9.0]))
    assert diner.lattice_of_keys().half.tolist() == [9.0, 9.0]
    changes: list[Callable[[], object]] = [
        lambda: diner.load_state_dict(diner.state_dict()),
        lambda: diner.hash_table.__setitem__(slice(3), 0.1),
        lambda: (question.descend(Values(diner), None, exact=True), optimizer.step()),
        lambda: (question.descend_and_step(Values(diner), optimizer), optimizer.step()),
    ]
    for change in changes:
        diner.remember_extent(torch.tensor([-9.0, -9.0]), torch.tensor([9.0, 9.0]))
        with torch.set_grad_enabled(change in changes[2:]):
            change()
        keys = diner.hash_table.detach()
        assert torch.allclose(diner.lattice_of_keys().half, (keys.amax(0) - keys.amin(0)) / 2)
