"""How fast this client is, beside the reference client and the limit of the machine: `make bench`."""
