"""Progress lines that a fit prints, with a forecast of the remaining iterations."""
