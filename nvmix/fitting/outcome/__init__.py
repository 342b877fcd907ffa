"""Status and result of a fit: limits of the families, singularities, `EMResult`."""
