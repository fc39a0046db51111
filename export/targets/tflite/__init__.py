"""TFLite (LiteRT) flatbuffers."""
