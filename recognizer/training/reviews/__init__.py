"""A model version and reviewed faces in, a candidate that learned from them out."""
