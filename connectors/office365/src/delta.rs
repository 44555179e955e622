//! What changed since a cursor: three chains of pages, each to its end. It must not know what is stored.
