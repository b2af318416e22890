"""Every command with its one line of help; what runs it is imported when it is called."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Verb:
    """One command; `target` is `module:function`. A hidden one is an older name that still works."""

    target: str
    help: str
    hidden: bool = False


@dataclass(frozen=True)
class Branch:
    """A command that holds others."""

    help: str
    children: Mapping[str, "Verb | Branch"]
    hidden: bool = False


def _functions(verb: str, help_line: str, *, hidden: bool = False) -> Verb:
    return Verb(f"magnetar.cli.functions.{verb}:{verb}", help_line, hidden)


def _workers(verb: str, help_line: str) -> Verb:
    return Verb(f"magnetar.cli.workers.{verb}:{verb}", help_line)


_STATUS = _functions("status", "Show whether a function's instances run, and if not, why.")

FUNCTIONS = Branch(
    "Deploy functions and look after them.",
    {
        "create": _functions("create", "Deploy a function."),
        "update": _functions("update", "Change a deployed function; what is not named stays as it is."),
        "get": Verb("magnetar.cli.functions.get:get", "Print a function's config."),
        "list": Verb("magnetar.cli.functions.listing:list_functions", "List the functions of a namespace."),
        "delete": _functions("delete", "Stop a function and forget it."),
        "start": _functions("start", "Start a stopped function or one of its instances."),
        "stop": _functions("stop", "Stop a function or one of its instances."),
        "restart": _functions("restart", "Restart a function or one of its instances."),
        "status": _STATUS,
        "getstatus": replace(_STATUS, hidden=True),
        "stats": _functions("stats", "Show how much a function has processed."),
        "trigger": _functions("trigger", "Send a value to a function and print what comes out."),
        "invoke": _functions("invoke", "Send one value to a function, deployed or in a file, and print its answer."),
        "querystate": _functions("querystate", "Print what a function keeps under a key."),
        "putstate": _functions("putstate", "Let a function keep a value under a key."),
        "upload": _functions("upload", "Store a file as a package."),
        "download": _functions("download", "Fetch a function's package, or a stored file."),
        "localrun": _functions("localrun", "Run a function on this host, without a worker."),
        "available-functions": _functions("available_functions", "List the builtin functions."),
        "reload": _functions("reload", "Let the worker look for builtin functions anew."),
        "logs": _functions("logs", "Print a function's log, or follow it."),
        "loglevel": _functions("loglevel", "Change the level of a Python function's log while it runs."),
        "events": _functions("events", "Show what happened to a function's instances lately, and why."),
        "manifests": _functions("manifests", "Print what a function is in Kubernetes; nothing is applied."),
        "validate": _functions("validate", "Judge a config without deploying anything."),
        "plan": _functions("plan", "Show what an update would change, and which instances it would restart."),
    },
)

WORKERS = Branch(
    "Look after the fleet of workers.",
    {
        "get-cluster": _workers("get_cluster", "List the workers of the fleet."),
        "get-cluster-leader": _workers("get_cluster_leader", "Show which worker leads."),
        "get-function-assignments": _workers("get_function_assignments", "Show which worker runs which instance."),
        "function-stats": _workers("function_stats", "Show the figures of all instances of one worker."),
        "monitoring-metrics": _workers("monitoring_metrics", "Print the worker's own metrics."),
        "rebalance": _workers("rebalance", "Spread the instances evenly over the workers."),
        "drain": _workers("drain", "Move all instances off a worker."),
    },
)

ROOT = Branch(
    "Run Pulsar Functions without the JVM, and look after them.",
    {
        "standalone": Verb("magnetar.cli.standalone:standalone", "Run a worker and a broker on this host."),
        "worker": Verb("magnetar.cli.worker:worker", "Run a worker against a Pulsar that is there."),
        "broker": Verb("magnetar.cli.broker:broker", "Run the embedded broker alone."),
        "dev": Verb("magnetar.cli.dev.dev:dev", "Run functions and reload them when their files change."),
        "demo": Verb("magnetar.cli.demo:demo", "Show the main job: a worker, two functions, messages in and out."),
        "functions": FUNCTIONS,
        "functions-worker": WORKERS,
        "workers": replace(WORKERS, hidden=True),
        "top": Verb("magnetar.cli.top.top:top", "Watch the instances of a worker."),
        "config": Branch(
            "Read a functions_worker.yml as the worker does.",
            {
                "show": Verb("magnetar.cli.config.show:show", "Print the settings and where each comes from."),
                "lint": Verb("magnetar.cli.config.lint:lint", "List what is wrong, and what has no effect."),
            },
        ),
        "java": Branch(
            "Have what Java functions need.",
            {"fetch": Verb("magnetar.cli.java:fetch", "Fetch Pulsar's Java instance.")},
        ),
        "init": Verb("magnetar.cli.init:init", "Write a small function and its config to begin with."),
        "doctor": Verb("magnetar.cli.doctor.doctor:doctor", "Check that this host has what is needed."),
        "instance-path": Verb("magnetar.cli.instance_path:instance_path", "Print where the Python instance is."),
    },
)
