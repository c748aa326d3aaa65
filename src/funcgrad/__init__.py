"""funcgrad: composable transformations of numerical Python functions."""
