"""What a run leaves behind: its record on disk, and its mirror at wandb."""
