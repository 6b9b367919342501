"""Graphs: a procedural world of motifs planted into random trees and scale-free graphs, few-shot tasks over it, and real graphs."""
