"""How often the triggers of known differences are right, over generated captures."""
