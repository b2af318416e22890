from pathlib import Path

import pytest
import yaml
from kube.bed import Room, requires_kube

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "kubernetes").glob("*.yaml"))
pytestmark = [requires_kube(), pytest.mark.timeout(180)]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_the_api_server_accepts_every_golden_file(kube: Room, file: Path) -> None:
    """Nothing is unknown to it and nothing is out of place: its validation is strict and it would store each object."""
    objects = list(yaml.safe_load_all(file.read_text()))
    for each in objects:
        each["metadata"]["namespace"] = kube.namespace
    text = yaml.safe_dump_all(objects)
    words = ("apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-")
    answer = kube.bed.kubectl(*words, text=text)
    assert answer.count("serverside-applied (server dry run)") == len(objects)
