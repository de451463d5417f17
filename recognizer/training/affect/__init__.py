"""Valence and arousal: what a model says of them, and which way to them people agree with."""
