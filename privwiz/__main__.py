"""``python -m privwiz``, and the file that ``spark-submit`` takes."""

from privwiz.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main(prog_name="privwiz")
