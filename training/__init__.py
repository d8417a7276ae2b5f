"""Teachers, recipes, the trainer, baselines and evaluation."""
