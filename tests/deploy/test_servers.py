"""What `make test-live` fetches: pinned by checksum, never in the way where it is not to be had."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # last: the root also holds folders with names like `io`

from deploy.fetching import Unavailable  # noqa: E402
from deploy.servers.parts import CHECKSUMS, check  # noqa: E402


def sums_of(**files):
    return "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()
    )


def test_only_the_very_jars_pass(tmp_path):
    (tmp_path / "one").write_bytes(b"1")
    check(tmp_path, sums_of(one=b"1"))
    for other in (sums_of(one=b"2"), sums_of(one=b"1", two=b"2"), ""):
        with pytest.raises(Unavailable, match=r"not what was expected: (one|two)$"):
            check(tmp_path, other)
    assert "kafka-clients-" in CHECKSUMS.read_text()


def test_what_cannot_be_had_is_told_and_the_command_runs_all_the_same(tmp_path):
    command = [sys.executable, "-m", "deploy.servers", "/bin/sh", "-c", "echo it ran; set"]
    # Nothing is on the path: no Java, no Node.js.
    environment = {**os.environ, "PATH": str(tmp_path), "HOME": str(tmp_path)}
    environment |= {"EDDYLINE_KAFKA": "", "EDDYLINE_KINESALITE": "mine"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "EDDYLINE_KAFKA is not to be had: there is no java here" in done.stderr
    assert "KINESALITE" not in done.stderr
    assert done.stdout.startswith("it ran")
    assert "mine" in done.stdout
