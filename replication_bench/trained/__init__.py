"""Trained weights that are there already: of a run whose training is equal, or of a model that ``--from`` names."""
