"""The commands of `attn-research`, a file each: its arguments (`add_parser`) and its function.

`make_parser` imports every file of a command, and `--help` must be quick. So these files import JAX, NumPy, rich and
the modules that need them inside of functions.
"""
