"""Bundles: a folder with everything that runs a trained network elsewhere, and the programs that stand in it."""
