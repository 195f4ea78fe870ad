"""The command line, one module per noun. A module is imported when its command is invoked, never before."""
