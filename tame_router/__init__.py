"""TAME Router: the gate of the TAiwan Mixture of Experts."""

__version__ = "0.1.0"
