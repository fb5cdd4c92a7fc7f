<<<<<<< HEAD
"""Runs on disk: records, and the clock and environment that they tell of."""
=======
"""What a run leaves behind: its record on disk, and its mirror at wandb."""
>>>>>>> reports
