"""tables of a run, pipeline, policy -> verdict, signed."""
