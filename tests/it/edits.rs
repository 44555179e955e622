//! What local editors may change, what becomes of it, and who is adopted.

mod adoption;
mod by_hand;
mod csv;
mod domains;
mod kills;
mod locks;
mod model;
