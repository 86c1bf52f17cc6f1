"""What is done to frames before they are explained: correct, mask, crop, resample, and find their focus."""
