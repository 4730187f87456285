"""Exact and near duplicates of exchanges.

sign (per slice): hashes of each exchange · pair (per band): candidates · verify (per chunk): exact Jaccard similarity ·
rank: which of two alike exchanges stays. The measure is one function, likeness.alike, wherever two are compared.
"""
