"""Files that are made of the code."""
