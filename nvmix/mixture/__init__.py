"""Normal variance-mean mixtures and subordinators: density, moments, gauges, EM maps."""
