"""Half an hour of many clients on bad lines, and whether their memory stays where it is: `make soak`."""
