//! What a configuration refers to outside of itself: environment variables and files.
//!
//! It knows nothing of their meaning. Tests and hosts with a vault of their own put something else in its place.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Gives the variables and files that a configuration names.
pub trait Environment {
    /// Returns the value of a variable; none if it is not set.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// Reads a whole file: a secret, or certificates.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// Says why a file could not be read, as the end of a sentence.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this account".to_owned(),
        io::ErrorKind::IsADirectory => "is a folder, not a file".to_owned(),
        io::ErrorKind::FileTooLarge => "is larger than 4 MiB".to_owned(),
        kind => format!("cannot be read ({kind})"),
    }
}

/// The environment of this process and the files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

/// More than any secret or bundle of certificates has; a mistaken path must not fill the memory.
const MAX_FILE_BYTES: u64 = 4 << 20;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 4 MiB"));
        }
        Ok(bytes)
    }
}
