"""The normal variance-mean mixture: its density, moments, gauges and EM maps."""
