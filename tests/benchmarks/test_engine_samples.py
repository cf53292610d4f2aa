import threading
import time

from benchmarks.engines.sampled import sampled


def burn(over):
    while not over.is_set():
        sum(range(1_000))


def test_samples_name_the_function_that_a_thread_spent_its_time_in(tmp_path):
    path, over = tmp_path / "samples.txt", threading.Event()
    with sampled(str(path)):
        thread = threading.Thread(target=burn, args=(over,))
        thread.start()
        time.sleep(0.5)
        over.set()
        thread.join()
    [line, *_] = [line for line in path.read_text().splitlines() if line.endswith(":burn")]
    assert float(line.split()[0]) > 0.05


def test_nothing_is_written_where_no_file_is_named():
    with sampled(""):
        assert "samples" not in {thread.name for thread in threading.enumerate()}
