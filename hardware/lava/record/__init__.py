"""Lava processes that record a run. Lava's compiler executes every file of this folder again: keep it to these."""
