//! What several endpoints show of one person is one user: found, joined, explained, and taken apart by hand.

mod automatic;
mod crowd;
mod orders;
mod shown;
