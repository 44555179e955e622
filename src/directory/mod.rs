//! A customer's local directory in the hands of its editors and readers. It never asks a remote directory.

pub mod csv;
