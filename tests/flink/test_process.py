import sys

import pytest

from deploy.flink.process import Process


@pytest.fixture
def process(tmp_path):
    for name in ("pids", "logs"):
        (tmp_path / name).mkdir()
    process = Process("sleeper", tmp_path)
    yield process
    process.kill()


def start(process, code):
    process.start([sys.executable, "-c", f"{code}; import time; time.sleep(600)"])


def test_a_process_is_known_by_its_pid_file_and_stopped_by_it(process, tmp_path):
    start(process, "pass")
    again = Process("sleeper", tmp_path)
    assert again.pid == process.pid is not None
    again.stop()
    assert process.pid is None
    assert not process.pid_file.exists()


def test_a_pid_that_another_process_has_by_now_is_not_touched(process):
    start(process, "pass")
    true = process.pid_file.read_text()
    pid = process.pid
    process.pid_file.write_text(f"{pid}\nMon Jan  1 00:00:00 2001\n")
    process.stop()
    process.pid_file.write_text(true)
    assert process.pid == pid


def test_a_pid_file_that_was_not_written_to_its_end_names_nobody(process):
    start(process, "pass")
    true = process.pid_file.read_text()
    process.pid_file.write_text(f"{process.pid}\n")
    assert process.pid is None
    process.pid_file.write_text(true)


def test_what_it_says_is_in_its_log(process, waiting):
    start(process, "import sys; print('first', flush=True); sys.stderr.write('second\\n')")
    waiting(lambda: "second" in process.tail(), 20, "its words")
    assert process.tail() == "first\nsecond"


def test_one_that_ignores_to_be_asked_is_killed(process, monkeypatch):
    monkeypatch.setattr("deploy.flink.process.PATIENCE", 0.5)
    start(process, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on')")
    process.stop()
    assert process.pid is None
