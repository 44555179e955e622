//! The two resume points: inside a listing and between runs. It must not know how a page is read.
