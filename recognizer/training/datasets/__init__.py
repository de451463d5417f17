"""Data sets in: read, explored, cleaned, balanced and packed. No TensorFlow but for packing."""
