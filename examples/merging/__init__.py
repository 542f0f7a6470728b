"""Two people edit one base, and their work is merged, or the conflict is named."""
