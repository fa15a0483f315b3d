"""Proposals, plan, tracker and safety."""

import headway  # noqa: F401 - before numba: it says where compiled kernels are kept
