import pytest
from magnetar.config.runtime_keys import KubernetesRuntimeConfig
from magnetar.runtimes.kubernetes.config_map import apply

FILE = KubernetesRuntimeConfig.model_validate({"jobNamespace": "fns", "cpuOverCommitRatio": 2})


def test_keys_of_the_file_and_pulsars_field_names_count() -> None:
    """Numbers are read from text; what the ConfigMap does not name stays as the file has it."""
    outcome = apply(FILE, FILE, {"memoryOverCommitRatio": "1.5", "extraDependenciesDir": "/deps"})
    assert outcome.keys.memory_over_commit_ratio == 1.5
    assert outcome.keys.extra_function_dependencies_dir == "/deps"
    assert outcome.keys.job_namespace == "fns"
    assert outcome.refused == []


def test_what_a_config_map_no_longer_names_is_the_files_again() -> None:
    """It is put over the file, not over what it said before."""
    first = apply(FILE, FILE, {"jobNamespace": "other"})
    second = apply(FILE, first.keys, {})
    assert second.keys.job_namespace == "fns"
    assert second.changed == ["jobNamespace: 'other' -> 'fns'"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("grpcPort", "many", "grpcPort is 'many'"),
        ("imagePulPolicy", "Always", "imagePullPolicy"),
        ("cpuOverCommitRatio", "0", "cpuOverCommitRatio is '0'"),
        ("submittingInsidePod", "true", "can't be changed"),
    ],
)
def test_each_wrong_key_is_refused_by_itself(key: str, value: str, said: str) -> None:
    """The others count all the same."""
    outcome = apply(FILE, FILE, {key: value, "imagePullPolicy": "Never"})
    assert said in "".join(outcome.refused)
    assert outcome.keys.image_pull_policy == "Never"
