"""The generalized inverse Gaussian law: moments, solves, tables, variates."""
