"""Rules about words and sentences: tokens, stems, small talk, grounding, word lists."""
