"""Compiled kernels: scalars and arrays in, scalars and arrays out.

Nothing here validates, opens a file, holds an object or draws a random number without a key. That is the
business of :mod:`eventsim`, which stands on this package; this package stands on NumPy and Numba alone.
"""
