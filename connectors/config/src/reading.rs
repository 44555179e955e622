//! One reading of one file: its places, its surroundings and the problems found so far.
//!
//! It knows no key.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::environment::{Environment, reason};
use crate::problem::Problem;

/// What every part of the reading shares.
pub(crate) struct Reading<'a> {
    text: &'a str,
    file: Arc<str>,
    folder: &'a Path,
    pub(crate) environment: &'a dyn Environment,
    found: Vec<Problem>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(text: &'a str, file: &'a Path, environment: &'a dyn Environment) -> Self {
        Self {
            text,
            file: file.display().to_string().into(),
            folder: file.parent().unwrap_or(Path::new("")),
            environment,
            found: Vec::new(),
        }
    }

    /// Notes a problem at a byte of the text.
    pub(crate) fn problem(&mut self, at: usize, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let (line, column) = self.place(at);
        self.found.push(Problem {
            file: Arc::clone(&self.file),
            line,
            column,
            key: key.to_owned(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Returns line and column of a byte of the text, both from 1.
    pub(crate) fn place(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Returns the line of text that a byte is in.
    pub(crate) fn line_text(&self, at: usize) -> &'a str {
        let at = self.text.floor_char_boundary(at);
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        self.text[start..].lines().next().unwrap_or("")
    }

    /// Reads a file that the configuration names: relative to the configuration, not to the current folder.
    pub(crate) fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        self.environment.read(&self.resolve(path))
    }

    fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Returns why a file could not be read, without its path: somebody may have written a secret there.
    pub(crate) fn describe(&self, error: &io::Error, path: &str) -> String {
        let why = format!("the file named here {}", reason(error));
        if Path::new(path).is_absolute() {
            return why;
        }
        let folder = if self.folder == Path::new("") { Path::new(".") } else { self.folder };
        format!("{why}, looked for from the configuration's own folder {}", folder.display())
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.found
    }
}
