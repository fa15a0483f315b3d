"""A network as V: its expansion against differences, and what refuses to be one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from planner.mpc.problem import NX, Limits
from planner.mpc.solver import RtiSolver
from planner.mpc.value_net import ACTIVATIONS, ValueNet, random_value_net

from .mpc_problems import CALM, DT, dozen, shared

NONE = np.zeros(0)


def layers(seed: int, width: int = 32):
    draw = np.random.default_rng(seed)
    sizes = (NX, width, width, 1)
    return [
        (draw.normal(0.0, 1.0 / np.sqrt(few), (many, few)), draw.normal(0.0, 0.3, many))
        for few, many in pairwise(sizes)
    ]


def in_torch(weights, mean, scale, activation: str):
    """The same network in float64."""
    tensors = [(torch.tensor(w), torch.tensor(b)) for w, b in weights]
    act = {"tanh": torch.tanh, "silu": torch.nn.functional.silu}[activation]

    def value(x: torch.Tensor) -> torch.Tensor:
        out = (x - torch.tensor(mean)) / torch.tensor(scale)
        for w, b in tensors[:-1]:
            out = act(w @ out + b)
        w, b = tensors[-1]
        return (w @ out + b)[0]

    return value


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("seed", range(4))
def test_value_gradient_and_hessian_are_torchs(activation: str, seed: int):
    draw = np.random.default_rng(100 + seed)
    mean, scale = draw.normal(size=NX), draw.uniform(0.5, 5.0, NX)
    weights = layers(seed)
    net = ValueNet(weights, mean, scale, activation)
    value = in_torch(weights, mean, scale, activation)
    x = draw.normal(size=(3, NX))
    got = net.expand(x, NONE, NONE)
    for i in range(3):
        at = torch.tensor(x[i], requires_grad=True)
        want = value(at)
        (slope,) = torch.autograd.grad(want, at)
        bend = torch.autograd.functional.hessian(value, at).numpy()
        values, vectors = np.linalg.eigh(bend)
        convex = (vectors * np.maximum(values, 0.0)) @ vectors.T
        assert got[0][i] == pytest.approx(want.item(), abs=1e-5)
        np.testing.assert_allclose(got[1][i], slope.numpy(), atol=1e-5)
        np.testing.assert_allclose(got[2][i], convex, atol=1e-4)


def test_the_hessian_is_symmetric_and_positive_semidefinite():
    net = random_value_net(1, np.zeros(NX))
    for x in np.random.default_rng(2).normal(size=(20, NX)):
        expansion = net.at(x)
        np.testing.assert_array_equal(expansion.hessian, expansion.hessian.T)
        assert np.linalg.eigvalsh(expansion.hessian).min() > -1e-9
        np.testing.assert_array_equal(expansion.point, x)


def test_the_solver_takes_another_network_without_being_made_anew():
    x0, stages = dozen()["free at 10"]
    solver = RtiSolver(DT, Limits())
    found = []
    for seed in (1, 2, 1):
        net = random_value_net(seed, x0, width=64)
        way = solver.solve(x0, CALM, stages, shared(), iterations=0)
        found.append(solver.solve(x0, CALM, stages, shared(), net.at(way.states[-1]), 3))
        assert found[-1].cost < found[-1].cost_before
    np.testing.assert_array_equal(found[0].states, found[2].states)
    assert not np.array_equal(found[0].states, found[1].states)


def test_what_does_not_fit_is_named():
    good = layers(1)
    with pytest.raises(ValueError, match="activation"):
        ValueNet(good, np.zeros(NX), np.ones(NX), "step")
    with pytest.raises(ValueError, match="layers\\[1\\]"):
        ValueNet([good[0], good[0], good[2]], np.zeros(NX), np.ones(NX))
    with pytest.raises(ValueError, match="scale"):
        ValueNet(good, np.zeros(NX), np.ones(3))
    with pytest.raises(ValueError, match="layers"):
        ValueNet(good[:1], np.zeros(NX), np.ones(NX))
