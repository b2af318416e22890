from kube.bed import kube, kube_bed

__all__ = ["kube", "kube_bed"]
