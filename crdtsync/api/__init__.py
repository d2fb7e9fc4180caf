"""The library: what ``import crdtsync`` gives to programs. Everything public is named in ``crdtsync``."""
