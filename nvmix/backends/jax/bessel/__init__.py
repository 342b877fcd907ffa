"""log K_v(z), its ratios and derivatives."""
