"""`python -m mnemos` is `mnemos`, for where the command is not on the path."""

from mnemos.cli import main

if __name__ == "__main__":
    main()
