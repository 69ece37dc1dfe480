"""What a run leaves behind: records, the journal, statistics, and the words for them."""
