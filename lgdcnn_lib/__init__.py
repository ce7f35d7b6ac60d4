"""Deep models that predict properties from a formula, and CECV to look inside them."""

__version__ = "0.1.0"
