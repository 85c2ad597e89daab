import re
import subprocess
import sys

BURN = "import time\nwhile time.process_time() < 0.3: pass"

# Starts a process that starts a process, and leaves it without a parent; the pipe closes when both have ended.
DETACHED = f"""
import subprocess, sys
between = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
subprocess.run([sys.executable, "-c", between, {BURN!r}], stdout=subprocess.PIPE)
sys.exit(3)
"""


def test_processor_time_of_detached_processes_is_told_and_the_exit_code_kept() -> None:
    command = [sys.executable, "-m", "slowmo_pipeline_tests.support.processor_time", "-c", DETACHED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 3
    told = re.fullmatch(r"Processor time: [\d.]+ minutes \(([\d.]+) s\)\n", done.stdout)
    assert told is not None
    assert float(told[1]) > 0.3
