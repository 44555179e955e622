//! What several endpoints show of one person is one user: found, joined, explained, and taken apart by hand.

mod accounts;
mod automatic;
mod by_hand;
mod crowd;
mod evidence;
mod guards;
mod histories;
mod keepsakes;
mod kills;
mod model;
mod orders;
mod reordered;
mod shown;
