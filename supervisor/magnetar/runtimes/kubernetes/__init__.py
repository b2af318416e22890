"""Functions as pods of Kubernetes: manifests (pure), a thin client, and the runtime that ties both together."""
