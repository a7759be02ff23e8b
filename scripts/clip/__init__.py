"""How the image-text model ``pocket-clip`` is made: pictures and phrases, networks, training, packing, evaluation."""
