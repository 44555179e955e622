//! What Graph's answers mean as errors, in one match over its codes. It must not know who asked.
