from kube.bed import kube, kube_bed
from pulsar_bed.bed import pulsar_standalone, real_pulsar

__all__ = ["kube", "kube_bed", "pulsar_standalone", "real_pulsar"]
