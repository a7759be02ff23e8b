"""What WordNet knows of a caption: more general captions, others that say the same, and a score of generality."""
