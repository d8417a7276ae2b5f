"""The native engine: C++ kernels in ``src/``, loaded by :mod:`snnface.engine.library`."""
