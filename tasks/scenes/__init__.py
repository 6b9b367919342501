"""A procedural world of small pictures: coloured, textured things at places, with the words of the text world to say what is seen."""
