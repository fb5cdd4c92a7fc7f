"""Records as something to read: tables and figures."""
