"""One process per measurement: `python -m bench.drivers.NAME ARGUMENTS` prints one JSON object."""
