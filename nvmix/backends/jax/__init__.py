"""The JAX backend; importing it needs the extra nvmix[jax]."""

try:
    import jax  # noqa: F401
    import optimistix  # noqa: F401
except ImportError as error:
    message = "the 'jax' backend needs JAX and optimistix: pip install 'nvmix[jax]'"
    raise ImportError(message) from error
