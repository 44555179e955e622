//! What is printed: lines for people, or JSON lines. Whether anybody still reads is known to it alone.

use std::io::{self, BufWriter, Stdout, Write};

use serde::Serialize;

use crate::status::Ended;

/// The standard output.
#[derive(Debug)]
pub(crate) struct Output {
    out: BufWriter<Stdout>,
    json: bool,
    /// Whether the other end of the pipe was found closed by somebody who tells of it in words of their own.
    closed: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { out: BufWriter::new(io::stdout()), json, closed: false }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line. Whatever a directory says, it does not move the cursor of a terminal.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Ended> {
        let plain: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        Ok(writeln!(self.out, "{plain}")?)
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Ended> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        Ok(writeln!(self.out)?)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.closed |= done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        done
    }

    pub(crate) fn end(&mut self) -> Result<(), Ended> {
        Ok(self.out.flush()?)
    }
}

impl Write for &mut Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.out.write(bytes);
        self.noted(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.out.flush();
        self.noted(done)
    }
}
