"""How fast a function goes through a topic into another, by whatever runs it."""
