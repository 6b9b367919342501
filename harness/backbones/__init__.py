"""Backbones: pretrained models and what methods may do with them.

`describe` says what a backbone is without loading it (no torch); `load` gives the `Backbone`. Only text models exist so far; another
modality is another class beside `Backbone` with its own capabilities, which methods' `needs` are matched to.
"""
