"""Mutation testing: are the tests good enough to notice a small change of the code?

``python -m tests.mutation`` draws a seeded sample of mutants, runs each against a deterministic
tier of quick tests, and says which share of them was noticed. See ``docs/mutation.md``.
"""
