"""Let `python -m ftm_cli` run the tool."""

from ftm_cli.app import main

if __name__ == "__main__":
    main()
