"""Tests of the command line and of the control socket behind it."""
