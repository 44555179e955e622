//! What a row means: pure functions from a row to a patch. It asks nobody.
