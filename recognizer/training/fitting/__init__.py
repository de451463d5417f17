"""A training set in, a fitted network out: settings, batches, steps, teachers, runs, searches."""
