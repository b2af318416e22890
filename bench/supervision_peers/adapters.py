"""One adapter for each supervisor. What can't be had is skipped with one line that says what to install."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("MAGNETAR_CACHE", Path(__file__).parents[2] / ".cache")) / "supervision-peers"
LOG_BYTES, LOG_FILES = 10 * 2**20, 10


class UnavailableError(Exception):
    """Raised when a supervisor is not here and can't be installed."""


class Adapter:
    """Runs named commands below a directory; `start` returns the process id of the supervisor."""

    name = ""
    stop_signal = signal.SIGTERM
    """What ends the supervisor together with its children."""

    def __init__(self, directory: Path, commands: dict[str, list[str]]) -> None:
        self.directory = directory
        self.commands = commands
        self.logs_at = directory / "logs"
        self.logs_at.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.configure()

    @classmethod
    def install(cls) -> None:
        """See to it that the supervisor is here. Raises UnavailableError."""

    def configure(self) -> None:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self) -> int:
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self.process.pid

    def logs(self, name: str) -> list[Path]:
        return [path for path in self.logs_at.glob(f"{name}*") if path.is_file()]


class Magnetar(Adapter):
    name = "magnetar"

    def configure(self) -> None:
        (self.directory / "commands.json").write_text(json.dumps(self.commands))

    def command(self) -> list[str]:
        return [sys.executable, "-m", "bench.supervision_peers.magnetar_children", str(self.directory)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def logs(self, name: str) -> list[Path]:
        number = list(self.commands).index(name)
        return list(self.logs_at.glob(f"functions/t/n/child/child-{number}.log*"))


def _python(*packages: str) -> None:
    if (CACHE / "python/bin/python").exists():
        return
    try:
        for arguments in (
            ["venv", str(CACHE / "python")],
            ["pip", "install", "-q", "-p", str(CACHE / "python"), *packages],
        ):
            subprocess.run(["uv", *arguments], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(CACHE / "python", ignore_errors=True)
        raise UnavailableError(f"{', '.join(packages)} could not be installed from PyPI") from error


class Supervisord(Adapter):
    name = "supervisord"

    @classmethod
    def install(cls) -> None:
        _python("supervisor", "circus", "setuptools<81")

    def configure(self) -> None:
        parts = [f"[supervisord]\nnodaemon=true\nlogfile={self.directory}/log\npidfile={self.directory}/pid\n"]
        for name, command in self.commands.items():
            parts.append(
                f"[program:{name}]\ncommand={' '.join(command)}\nautorestart=true\nredirect_stderr=true\n"
                f"stdout_logfile={self.logs_at}/{name}.log\n"
                f"stdout_logfile_maxbytes={LOG_BYTES}\nstdout_logfile_backups={LOG_FILES}\n"
            )
        (self.directory / "config").write_text("\n".join(parts))

    def command(self) -> list[str]:
        return [str(CACHE / "python/bin/supervisord"), "-c", str(self.directory / "config")]


class Circus(Adapter):
    name = "circus"

    @classmethod
    def install(cls) -> None:
        Supervisord.install()

    def configure(self) -> None:
        place = self.directory
        parts = [
            f"[circus]\nendpoint = ipc://{place}/e\npubsub_endpoint = ipc://{place}/p\nstats_endpoint = ipc://{place}/s\n"
        ]
        for name, command in self.commands.items():
            parts.append(
                f"[watcher:{name}]\ncmd = {command[0]}\nargs = {' '.join(command[1:])}\ncopy_env = true\n"
                f"stdout_stream.class = FileStream\nstdout_stream.filename = {self.logs_at}/{name}.log\n"
                f"stdout_stream.max_bytes = {LOG_BYTES}\nstdout_stream.backup_count = {LOG_FILES}\n"
            )
        (place / "config").write_text("\n".join(parts))

    def command(self) -> list[str]:
        return [str(CACHE / "python/bin/circusd"), str(self.directory / "config")]


class Pm2(Adapter):
    name = "pm2"

    @classmethod
    def install(cls) -> None:
        if (CACHE / "npm/node_modules/.bin/pm2").exists():
            return
        try:
            (CACHE / "npm").mkdir(parents=True, exist_ok=True)
            install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(CACHE / "npm"), "pm2"]
            subprocess.run(install, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UnavailableError("pm2 could not be installed from npm") from error

    def configure(self) -> None:
        programs = [
            {
                "name": name,
                "script": command[0],
                "args": command[1:],
                "interpreter": "none",
                "out_file": f"{self.logs_at}/{name}.log",
                "error_file": f"{self.logs_at}/{name}.err",
            }
            for name, command in self.commands.items()
        ]
        (self.directory / "programs.json").write_text(json.dumps({"apps": programs}))

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PM2_HOME": str(self.directory / "home")}

    def command(self) -> list[str]:
        return [str(CACHE / "npm/node_modules/.bin/pm2"), "start", str(self.directory / "programs.json")]

    def start(self) -> int:
        super().start()
        assert self.process is not None
        self.process.wait(120)
        return int((self.directory / "home/pm2.pid").read_text())


class Runit(Adapter):
    name = "runit"
    program, logger = "runsvdir", "svlogd"
    package = "runit"
    stop_signal = signal.SIGHUP

    @classmethod
    def install(cls) -> None:
        if shutil.which(cls.program) is None:
            raise UnavailableError(f"there is no {cls.program} in PATH: install the Debian package {cls.package}")

    def configure(self) -> None:
        for name, command in self.commands.items():
            service, logs = self.directory / "services" / name, self.logs_at / name
            (service / "log").mkdir(parents=True)
            logs.mkdir()
            (logs / "config").write_text(f"s{LOG_BYTES}\nn{LOG_FILES}\n")
            for file, line in (
                (service / "run", f"{' '.join(command)} 2>&1"),
                (service / "log/run", f"{self.logger} {logs}"),
            ):
                file.write_text(f"#!/bin/sh\nexec {line}\n")
                file.chmod(0o755)

    def command(self) -> list[str]:
        return [self.program, str(self.directory / "services")]

    def logs(self, name: str) -> list[Path]:
        return [path for path in (self.logs_at / name).iterdir() if path.name.startswith(("@", "current"))]


class S6(Runit):
    name = "s6"
    program, logger, package = "s6-svscan", f"s6-log n{LOG_FILES} s{LOG_BYTES}", "s6"
    stop_signal = signal.SIGTERM

    def command(self) -> list[str]:
        return [self.program, "-c", "1000", str(self.directory / "services")]


ADAPTERS: tuple[type[Adapter], ...] = (Magnetar, Supervisord, Circus, Pm2, S6, Runit)
