"""Deep models that predict material properties from a formula, and CECV to look inside them."""

__version__ = "0.1.0"
