"""samples, sources -> overlaps; the source index that the audit uses too."""
