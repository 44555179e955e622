//! The shapes of Graph's answers, borrowed from the bytes they came in. It must not know what they mean.
