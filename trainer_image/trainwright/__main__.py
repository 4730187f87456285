"""`trainwright …` and `python -m trainwright …`: the command line, what a pod runs, and one stage of a run.

`python -m trainwright pod STAGES` is PID 1 of a pod; it and the local runner start
`python -m trainwright STAGE --config run.json`; everything else is for people.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run one stage for `STAGE --config FILE`, a pod for `pod STAGES`, else the command line; exits with its code."""
    if "--config" in sys.argv[2:3]:
        from pathlib import Path

        from trainwright import stage_process

        sys.exit(stage_process.main(sys.argv[1], Path(sys.argv[3])))
    if sys.argv[1:2] == ["pod"] and len(sys.argv) == 3:
        from trainwright import pod

        sys.exit(pod.main([name for name in sys.argv[2].split(",") if name]))
    from trainwright import cli

    cli.main()


if __name__ == "__main__":
    main()
