"""What must hold: that what was forgotten is gone."""
