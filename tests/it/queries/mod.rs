//! Queries: what they find, in what order, page by page; beside imports, behind kills, after erasures.

mod beside;
mod details;
mod kills;
mod leaps;
mod oracle;
mod random;
mod refusals;
mod scale;
mod tenants;
