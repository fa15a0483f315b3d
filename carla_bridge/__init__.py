"""CARLA on one side, our types on the other."""

import headway  # noqa: F401 - before numba: it says where compiled kernels are kept
