"""a run -> documents."""
