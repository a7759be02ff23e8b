"""Subsets of LAION: from parquet files of links to verified shards, a manifest and a held-out split."""
