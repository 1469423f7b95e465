"""samples -> clusters of duplicates; the entry is `governance.dedup.cluster.cluster_duplicates`."""
