"""Distribution function and quantiles of mixtures of one column."""
