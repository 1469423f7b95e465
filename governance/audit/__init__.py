"""an adapter or an endpoint, its training data and controls -> what comes back, with intervals."""
