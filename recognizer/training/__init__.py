"""Data sets in, a calibrated exported model out. The only room that imports TensorFlow."""
