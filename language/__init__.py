"""Words and Scene in, Goal out."""

import headway  # noqa: F401 - before numba: it says where compiled kernels are kept
