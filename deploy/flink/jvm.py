"""Command lines of Flink's two processes."""

from pathlib import Path

from deploy.flink.parts import Parts, java

# What Flink's own scripts would open on Java 11 and later.
OPENED = ("lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "text", "time", "util")
OPENED_CONCURRENT = ("util.concurrent", "util.concurrent.atomic", "util.concurrent.locks")
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
LOG4J = Path(__file__).with_name("log4j.properties")


def job_manager(parts: Parts, conf: Path) -> list[str]:
    """The JobManager, with a small heap."""
    return _java(parts, ["-Xmx512m"], JOB_MANAGER, conf)


def task_manager(parts: Parts, conf: Path) -> list[str]:
    """A TaskManager; its memory is written out, since only Flink's scripts would derive it."""
    sizes = {
        "task.heap.size": "512m",
        "task.off-heap.size": "128m",
        "framework.heap.size": "128m",
        "framework.off-heap.size": "128m",
        "managed.size": "128m",
        "network.min": "64m",
        "network.max": "64m",
        "jvm-metaspace.size": "256m",
        "jvm-overhead.min": "192m",
        "jvm-overhead.max": "192m",
    }
    memory = [f"-Dtaskmanager.memory.{name}={size}" for name, size in sizes.items()]
    flags = ["-Xmx768m", "-XX:MaxDirectMemorySize=448m", "-XX:MaxMetaspaceSize=256m"]
    return [*_java(parts, flags, TASK_MANAGER, conf), *memory]


def _java(parts: Parts, flags: list[str], main: str, conf: Path) -> list[str]:
    opened = [
        f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in (*OPENED, *OPENED_CONCURRENT)
    ]
    return [
        java(),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1" if main == JOB_MANAGER else "-XX:+TieredCompilation",
        *flags,
        "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
        *opened,
        f"-Dlog4j.configurationFile={LOG4J}",
        "-cp",
        parts.class_path,
        main,
        "--configDir",
        str(conf),
    ]
