# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""Tops: what was highest in its group before each of many values, or with it."""

import cython


def before(
    rows: cython.Py_ssize_t,
    group: cython.int[::1],
    value: cython.longlong[::1],
    beside: cython.int,
    most: cython.longlong,
    top: cython.longlong[::1],
    found: cython.longlong[::1],
) -> None:
    """Tell each place the highest value before it.

    Args:
        rows: How many places there are.
        group, value: The group of each, from 0, and its value.
        beside: 0 to tell it what was highest in its own group; 1: in the other one of a pair,
            which differs in the last bit.
        most: What a higher value counts as.
        top: By group: the highest value so far; brought up to date.
        found: Out: what each is told.
    """
    i: cython.Py_ssize_t
    g: cython.Py_ssize_t
    now: cython.longlong
    for i in range(rows):
        g = group[i]
        found[i] = top[g ^ beside]
        now = value[i]
        if now > most:
            now = most
        if now > top[g]:
            top[g] = now


def so_far(
    rows: cython.Py_ssize_t,
    group: cython.int[::1],
    value: cython.longlong[::1],
    most: cython.longlong,
    top: cython.longlong[::1],
    found: cython.longlong[::1],
) -> None:
    """Tell each place the highest value of its group so far, its own included.

    The arguments are those of :func:`before`; ``found`` may be ``value``.
    """
    i: cython.Py_ssize_t
    g: cython.Py_ssize_t
    now: cython.longlong
    for i in range(rows):
        g = group[i]
        now = value[i]
        if now > most:
            now = most
        if now > top[g]:
            top[g] = now
        found[i] = top[g]
