"""What each command of the command line does; each imports what it needs when it is called."""
