"""`trainwright …` and `python -m trainwright …`: the command line, and with `--config` one stage of a run.

`python -m trainwright STAGE --config run.json` is what pods and the local runner start; everything else is for people.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run one stage if `STAGE --config FILE` is given, else the command line; exits with the contract's code."""
    if "--config" in sys.argv[2:3]:
        from pathlib import Path

        from trainwright import stage_process

        sys.exit(stage_process.main(sys.argv[1], Path(sys.argv[3])))
    from trainwright import cli

    cli.main()


if __name__ == "__main__":
    main()
