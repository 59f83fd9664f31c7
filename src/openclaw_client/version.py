"""The version of this package: told to the gateway, and shown by the command line."""

__version__ = "0.1.0"
