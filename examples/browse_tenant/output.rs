//! What is printed: lines for people, or JSON lines. Whether anybody still reads is known to it alone.

use std::io::{self, BufWriter, Stdout, Write};

use serde::Serialize;

use crate::status::Ended;

/// The standard output.
#[derive(Debug)]
pub(crate) struct Output {
    out: BufWriter<Stdout>,
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { out: BufWriter::new(io::stdout()), json }
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

    pub(crate) fn end(&mut self) -> Result<(), Ended> {
        Ok(self.out.flush()?)
    }
}

impl Write for &mut Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
