"""Recordings of real kernels; the installed package has a selection of them."""
