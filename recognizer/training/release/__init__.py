"""A fitted network in, a calibrated model version with its card out."""
