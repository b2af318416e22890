from pathlib import Path

import pytest
from magnetar.processes.cgroups import ControlGroup, ControlGroups, Limits, delegated, settings_of
from magnetar.runtimes.process.confinement import Confined, limits_of
from magnetar_instance.proto.function import FunctionDetails

MOUNTS = "tmpfs /run tmpfs rw 0 0\ncgroup2 {} cgroup2 rw,nosuid 0 0\n"


def tree(
    folder: Path, *, group: str = "/system.slice/magnetar.service", controllers: str = "cpu io memory pids"
) -> Path:
    """Make what the kernel shows of a group, and what tells a process which one is its own."""
    root = folder / "fs" / group.lstrip("/")
    root.mkdir(parents=True)
    (root / "cgroup.controllers").write_text(controllers + "\n")
    (root / "cgroup.type").write_text("domain\n")
    (root / "cgroup.procs").write_text("11\n12\n")
    (root / "cgroup.subtree_control").write_text("")
    (folder / "own").write_text(f"4:memory:/old\n0::{group}\n")
    (folder / "mounts").write_text(MOUNTS.format(folder / "fs"))
    return root


def test_a_delegated_group_is_found(tmp_path: Path) -> None:
    """The own group, where the kernel's files can be written and all controllers are there; also after a move into it."""
    root = tree(tmp_path)
    assert delegated(tmp_path / "own", tmp_path / "mounts") == root
    (tmp_path / "own").write_text("0::/system.slice/magnetar.service/magnetar.worker\n")
    assert delegated(tmp_path / "own", tmp_path / "mounts") == root
    (root / "cgroup.controllers").write_text("cpu pids")
    assert delegated(tmp_path / "own", tmp_path / "mounts") is None


def test_the_root_of_all_groups_is_left_alone(tmp_path: Path) -> None:
    """It has no type; its processes are those of the whole host, which are not moved."""
    root = tree(tmp_path, group="/")
    (root / "cgroup.type").unlink()
    assert delegated(tmp_path / "own", tmp_path / "mounts") is None


def test_a_kernel_without_swap_limits_the_rest(tmp_path: Path) -> None:
    """The one file that such a kernel lacks stops no instance; another that can't be written does."""
    groups = ControlGroups(tree(tmp_path))
    groups.open()
    path = groups.make("f-0", Limits(memory=1)).path
    (path / "memory.swap.max").unlink()
    (path / "memory.swap.max").symlink_to(tmp_path / "nowhere" / "file")
    assert groups.make("f-0", Limits(memory=2)).path == path
    assert (path / "memory.max").read_text() == "2"
    (path / "pids.max").unlink()
    (path / "pids.max").symlink_to(tmp_path / "nowhere" / "file")
    with pytest.raises(FileNotFoundError):
        groups.make("f-0", Limits(memory=2))


def test_a_group_whose_processes_are_still_dying_is_removed_later(tmp_path: Path) -> None:
    """It can't be removed while somebody is in it; the next group that is made takes it along."""
    groups = ControlGroups(tree(tmp_path))
    groups.open()
    first = groups.make("f-0", Limits())
    groups.remove(first)
    assert first.path.exists()  # its files stand for those in it
    for file in first.path.iterdir():
        file.unlink()
    groups.make("f-1", Limits())
    assert not first.path.exists()


@pytest.mark.parametrize("missing", ["own", "mounts"])
def test_a_host_without_version_2_has_none(tmp_path: Path, missing: str) -> None:
    """Where the kernel tells of no group, or of no place for them, nothing is made."""
    tree(tmp_path)
    (tmp_path / missing).write_text("4:memory:/x /sys/fs/memory cgroup rw\n")
    assert delegated(tmp_path / "own", tmp_path / "mounts") is None


def test_groups_are_made_below_it(tmp_path: Path) -> None:
    """The worker moves out of the way, controllers are switched on for what is below, and limits are written."""
    root = tree(tmp_path)
    groups = ControlGroups(root)
    groups.open()
    assert (root / "magnetar.worker" / "cgroup.procs").read_text() == "12"
    assert (root / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    group = groups.make("f-0", Limits(cpu=0.5, memory=2**20, pids=7))
    found = {file.name: file.read_text() for file in group.path.iterdir()}
    assert found == {
        "cpu.max": "50000 100000",
        "memory.max": "1048576",
        "memory.oom.group": "1",
        "memory.swap.max": "0",
        "pids.max": "7",
    }
    assert group.members == root / "magnetar.instances" / "f-0" / "cgroup.procs"
    assert group.oom_kills() == 0
    (group.path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert group.oom_kills() == 2
    (root / "magnetar.instances" / "empty").mkdir()
    groups.open()
    assert not (root / "magnetar.instances" / "empty").exists()


def test_no_bound_is_written_as_such() -> None:
    """What is not limited is set to the kernel's word for it."""
    assert settings_of(Limits()) == {"cpu.max": "max 100000", "memory.max": "max", "pids.max": "max"}
    assert settings_of(Limits(cpu=0.001))["cpu.max"] == "1000 100000"


@pytest.mark.parametrize(("language", "memory"), [("PYTHON", 1000), ("GO", 1000), ("JAVA", 1250 + 128 * 2**20)])
def test_limits_of_a_function(language: str, memory: int) -> None:
    """Its resources are its limits; a JVM needs more than its heap."""
    details = FunctionDetails(runtime=FunctionDetails.Runtime.Value(language))
    assert limits_of(details, 0) == Limits()
    details.resources.cpu, details.resources.ram = 1.5, 1000
    assert limits_of(details, 9) == Limits(1.5, memory, 9)


def test_a_death_for_want_of_memory_is_told_as_that(tmp_path: Path) -> None:
    """By the kernel's count of the group, or by what was seen."""
    confined = Confined(Limits(memory=64 * 2**20), ControlGroup(tmp_path))
    assert confined.reason() == ""
    (tmp_path / "memory.events").write_text("oom_kill 1\n")
    assert "out of memory, its resources.ram allow 64 MiB" in confined.reason()
    assert "it used 100 MiB" in Confined(Limits(memory=64 * 2**20), used=100 * 2**20).reason()
