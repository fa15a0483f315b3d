"""headway: the vocabulary, the loop, and what the siblings share.

Importing it tells numba how our compiled kernels are cached, so every package imports it first.
"""

import os
import sys

# Ours first; numba's own for what is not ours.
os.environ.setdefault(
    "NUMBA_CACHE_LOCATOR_CLASSES",
    "headway.kernel_cache.KernelCacheLocator,"
    "UserProvidedCacheLocator,InTreeCacheLocator,UserWideCacheLocator,IPythonCacheLocator",
)
if "numba" in sys.modules:  # it read its environment when it was imported
    sys.modules["numba"].config.reload_config()
