"""A function's objects: manifests, names, the command of a pod and what it asks for. Pure."""
