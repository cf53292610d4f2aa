"""The real `eddyline live` on Prism: how it ends, however it ends."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

SMALL = ("--devices-count", "8", "--rate", "150")


def running(pids):
    """Those that are there and no zombies, which wait for whoever adopted them."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, pids))],
        capture_output=True,
        text=True,
        check=False,
    )
    states = (line.split() for line in listed.stdout.splitlines())
    return {int(pid) for pid, state in states if not state.startswith("Z")}


def drained(run, text):
    """Hold its words against each other: all that was published is in the lake."""
    words = " ".join(text.split())
    assert "Drained: all of it is in" in words
    assert "listens on all interfaces" in words
    published = re.search(r"([\d,]+) messages were published", words)[1]
    assert f"{published} messages in" in words
    assert re.search(r"= [\d,]+ readings", words)
    assert (run.folder / "truth-1.json").exists()


@pytest.mark.job
@pytest.mark.timeout(300)
def test_a_live_run_on_prism_is_drained_by_ctrl_c_and_its_counts_balance(live):
    run = live(*SMALL)
    run.await_readings()
    children = run.children()
    assert len(children) == 3  # the emulator, Prism, the publisher
    run.signal(signal.SIGINT)
    text = run.hear()
    assert run.process.wait(20) == 0, text
    drained(run, text)
    assert not running(children)


@pytest.mark.job
@pytest.mark.timeout(300)
def test_a_prism_that_hangs_is_told_and_ends_the_run_with_its_code(live):
    run = live(*SMALL, "--patience", "12")
    run.await_readings()
    children = run.children()
    (engine,) = [pid for pid, command in children.items() if "--job_port" in command]
    os.kill(engine, signal.SIGSTOP)
    text = run.hear()
    assert run.process.wait(20) == 1, text
    assert re.search(r"nothing was read for|the lake had no commit for", text), text
    assert "prism.log" in text.replace("\n", "")  # the terminal breaks a long path
    assert not running(children)


@pytest.mark.live
@pytest.mark.timeout(300)
def test_a_second_ctrl_c_while_it_drains_stops_at_once_with_words(live):
    run = live(*SMALL)
    run.await_readings()
    children = run.children()
    (engine,) = [pid for pid, command in children.items() if "--job_port" in command]
    os.kill(engine, signal.SIGSTOP)  # it drains and drains
    run.signal(signal.SIGINT)
    run.hear(until="draining:")
    began = time.monotonic()
    run.signal(signal.SIGINT)
    text = run.hear()
    assert run.process.wait(20) == 130, text
    assert time.monotonic() - began < 10  # on a busy machine; draining would wait for 60
    assert "Stopped at once" in text
    assert "Traceback" not in text
    assert not running(children)


@pytest.mark.live
@pytest.mark.timeout(300)
def test_nothing_outlives_a_run_that_is_killed(live):
    run = live(*SMALL)
    run.await_readings()
    children = run.children()
    assert len(running(children)) == 3
    run.signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while left := running(children):
        assert time.monotonic() < until, {children[pid] for pid in left}
        time.sleep(0.2)


@pytest.mark.live
@pytest.mark.timeout(300)
def test_pubsub_between_fleet_and_job_is_drained_the_same_way(live):
    if not (shutil.which("gcloud") and shutil.which("java")):
        pytest.skip("needs the Google Cloud SDK with its Pub/Sub emulator, and Java")
    run = live(*SMALL, "--source-kind", "pubsub", "--seconds", "20")
    text = run.hear(seconds=200)
    if "gcloud components install" in text:
        pytest.skip("needs the Pub/Sub emulator: gcloud components install pubsub-emulator")
    assert run.process.wait(20) == 0, text
    drained(run, text)
