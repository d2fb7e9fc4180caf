"""A room without a folder: its tree and texts in memory, as a program uses them. Pure."""
