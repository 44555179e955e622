//! Drives the fakes through independent clients; it knows nothing of their insides.

// The attribute tells clippy that the helpers are test code as well.
#[cfg(test)]
mod ews;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod ldap;
