"""A small network as V: value, gradient and a convex quadratic expansion where a horizon ends.

Its weights are plain arrays, so that another V takes a copy and no compilation. Everything is
float32 but what leaves here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from headway.types import Array, check_shape
from planner.mpc.problem import NX
from planner.mpc.solver import TerminalExpansion

Layer = tuple[Array, Array]  # weight (out, in) and bias (out,)


def _tanh(z: Array) -> tuple[Array, Array, Array]:
    value = np.tanh(z)
    slope = 1.0 - value * value
    return value, slope, -2.0 * value * slope


def _silu(z: Array) -> tuple[Array, Array, Array]:
    gate = 0.5 + 0.5 * np.tanh(0.5 * z)
    change = gate * (1.0 - gate)
    return z * gate, gate + z * change, change * (2.0 + z * (1.0 - 2.0 * gate))


ACTIVATIONS: dict[str, Callable[[Array], tuple[Array, Array, Array]]] = {
    "tanh": _tanh, "silu": _silu,
}  # fmt: skip


class ValueNet:
    """A `TerminalCost`: a multilayer perceptron of the model's state.

    With z_l the layers' inputs to the activation, J_l = dz_l/dx and a_l its outputs, the Hessian is
    sum_l J_l' diag(dV/da_l * activation''(z_l)) J_l; its negative eigenvalues are set to zero.

    Args:
        layers: weights and biases from first to last; the last has one output. Whatever else V
            depends on, and is the same for all states of a tick, belongs into the first bias.
        mean: (NX,) that is subtracted from a state.
        scale: (NX,) by which it is divided then.
        activation: of `ACTIVATIONS`, after each layer but the last.

    Raises:
        ValueError: shapes do not fit, or the activation is not known.
    """

    def __init__(
        self, layers: Sequence[Layer], mean: Array, scale: Array, activation: str = "silu"
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"ValueNet.activation: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}"
            )
        if len(layers) < 2:
            raise ValueError(f"ValueNet.layers: expected two or more, got {len(layers)}")
        check_shape("ValueNet", "mean", mean, (NX,))
        check_shape("ValueNet", "scale", scale, (NX,))
        width = NX
        for number, (weight, bias) in enumerate(layers):
            size = 1 if number == len(layers) - 1 else len(bias)
            check_shape("ValueNet", f"layers[{number}] weight", weight, (size, width))
            check_shape("ValueNet", f"layers[{number}] bias", bias, (size,))
            width = size
        self._activation = ACTIVATIONS[activation]
        self._mean, self._scale = np.asarray(mean, np.float64), np.asarray(scale, np.float64)
        self._layers = [
            (np.ascontiguousarray(w, np.float32), np.ascontiguousarray(b, np.float32))
            for w, b in layers
        ]

    def expand(self, x: Array, t: Array, proposal: Array) -> tuple[Array, Array, Array]:
        """Expand V at states; see `headway.interfaces.TerminalCost`.

        Args:
            x: (B, NX).
            t: (B,) [s], which this V does not look at.
            proposal: (B,), the same.

        Returns:
            value (B,), gradient (B, NX), PSD Hessian (B, NX, NX).
        """
        del t, proposal
        value, gradient, hessian = np.empty(len(x)), np.empty((len(x), NX)), []
        for i, state in enumerate(x):
            value[i], gradient[i], bend = self._expand(state)
            hessian.append(bend)
        return value, gradient, np.array(hessian).reshape(len(x), NX, NX)

    def at(self, state: Array) -> TerminalExpansion:
        """Return the expansion around one state (NX,) as the MPC takes it."""
        _, gradient, hessian = self._expand(state)
        return TerminalExpansion(np.asarray(state, np.float64), gradient, hessian)

    def _expand(self, state: Array) -> tuple[float, Array, Array]:
        out = ((state - self._mean) / self._scale).astype(np.float32)
        slopes, bends, jacobians = [], [], []
        for number, (weight, bias) in enumerate(self._layers[:-1]):
            jacobian = weight if number == 0 else weight @ (slopes[-1][:, None] * jacobians[-1])
            out, slope, bend = self._activation(weight @ out + bias)
            slopes.append(slope)
            bends.append(bend)
            jacobians.append(jacobian)
        weight, bias = self._layers[-1]
        value = float(weight[0] @ out + bias[0])
        adjoint = weight[0]  # dV / da_l
        gradient = (adjoint * slopes[-1]) @ jacobians[-1]
        hessian = np.zeros((NX, NX), np.float32)
        for number in reversed(range(len(slopes))):
            jacobian = jacobians[number]
            hessian += jacobian.T @ ((adjoint * bends[number])[:, None] * jacobian)
            adjoint = (adjoint * slopes[number]) @ self._layers[number][0]
        scaled = hessian.astype(np.float64) / np.outer(self._scale, self._scale)
        values, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
        convex = (vectors * np.maximum(values, 0.0)) @ vectors.T
        return value, gradient.astype(np.float64) / self._scale, 0.5 * (convex + convex.T)


def random_value_net(
    seed: int, center: Array, width: int = 256, depth: int = 3, activation: str = "silu"
) -> ValueNet:
    """Return a net of random weights, for timings.

    Args:
        seed: of the weights.
        center: (NX,) state around which its inputs are scaled.
        width: of its hidden layers.
        depth: how many there are.
        activation: see `ValueNet`.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    sizes = [NX, *[width] * depth, 1]
    layers = [
        (draw.normal(0.0, np.sqrt(2.0 / few), (many, few)), draw.normal(0.0, 0.1, many))
        for few, many in pairwise(sizes)
    ]
    scale = np.array([20.0, 20.0, 0.5, 5.0, 2.0, 0.1, 2.0, 0.1])
    return ValueNet(layers, center, scale, activation)
