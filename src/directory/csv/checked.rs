//! Looks at the bytes of a table before they are parsed: encoding, separator, quotes. Of them it changes only what is no
//! content: it takes the byte order mark away, and ends every line alike, so that lines are counted right.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};

/// Bytes of a quoted cell behind which its end is no longer waited for.
const LONGEST_CELL: u64 = 64 << 10;
/// Bytes in which the first line has to end.
const LONGEST_HEADER: usize = 64 << 10;

/// What keeps the rest of a table from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) line: u64,
    pub(super) message: &'static str,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for Unreadable {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    Start,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that ends the cell, or is half of a quote within it.
    Closing,
}

/// A table whose bytes are looked at on their way.
#[derive(Debug)]
pub(super) struct Checked<R> {
    head: VecDeque<u8>,
    rest: R,
    pub(super) separator: u8,
    state: State,
    line: u64,
    /// Where the open quote is, and how long its cell is by now.
    quote: u64,
    length: u64,
    /// Lines with a quote that is neither at an edge of its cell nor doubled.
    strays: VecDeque<u64>,
    unreadable: Option<Unreadable>,
    /// Whether the last byte was a CR that ended a line.
    returned: bool,
}

impl<R: Read> Checked<R> {
    /// Reads the first line ahead: which encoding, which separator.
    pub(super) fn begin(mut rest: R, separator: Option<u8>) -> io::Result<Self> {
        let mut head = Vec::new();
        let mut part = [0; 4096];
        while !head.iter().any(|byte| matches!(byte, b'\n' | b'\r')) && head.len() < LONGEST_HEADER {
            match rest.read(&mut part) {
                Ok(0) => break,
                Ok(read) => head.extend_from_slice(&part[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let unreadable = |message| io::Error::other(Unreadable { line: 1, message });
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) || head.contains(&0) {
            return Err(unreadable("the table is in UTF-16; save it as \u{201c}CSV UTF-8\u{201d}"));
        }
        if head.starts_with(b"PK\x03\x04") {
            return Err(unreadable("this is a spreadsheet, not a table; save it as \u{201c}CSV UTF-8\u{201d}"));
        }
        if head.starts_with("\u{feff}".as_bytes()) {
            head.drain(..3);
        }
        let separator = separator.unwrap_or_else(|| separator_of(&head));
        Ok(Self {
            head: head.into(),
            rest,
            separator,
            state: State::Start,
            line: 1,
            quote: 0,
            length: 0,
            strays: VecDeque::new(),
            unreadable: None,
            returned: false,
        })
    }

    /// Tells whether there is a stray quote in lines before one, and forgets it.
    pub(super) fn has_stray_before(&mut self, line: u64) -> bool {
        let mut found = false;
        while self.strays.front().is_some_and(|stray| *stray < line) {
            self.strays.pop_front();
            found = true;
        }
        found
    }

    /// Follows one byte; `false` where no more is to be read.
    fn follow(&mut self, byte: u8) -> bool {
        let ends = byte == self.separator || byte == b'\n';
        self.state = match self.state {
            State::Start if byte == b'"' => {
                (self.quote, self.length) = (self.line, 0);
                State::Quoted
            }
            State::Start | State::Plain if ends => State::Start,
            State::Start | State::Plain => State::Plain,
            State::Quoted if byte == b'"' => State::Closing,
            State::Closing if byte == b'"' => State::Quoted,
            State::Closing if ends => State::Start,
            State::Closing => {
                if self.strays.back() != Some(&self.line) {
                    self.strays.push_back(self.line);
                }
                State::Plain
            }
            State::Quoted => {
                self.length += 1;
                State::Quoted
            }
        };
        self.line += u64::from(byte == b'\n');
        if self.state == State::Quoted && self.length > LONGEST_CELL {
            self.unreadable = Some(Unreadable {
                line: self.quote,
                message: "a quote that begins here does not end; close it, or double it within a cell",
            });
        }
        self.unreadable.is_none()
    }
}

/// Returns the separator that the first line has most of outside of quotes.
fn separator_of(head: &[u8]) -> u8 {
    let (mut quoted, mut counts) = (false, [0_usize; 3]);
    let separators = *b",;\t";
    for byte in head.iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')) {
        quoted ^= *byte == b'"';
        if let Some(at) = separators.iter().position(|separator| separator == byte).filter(|_| !quoted) {
            counts[at] += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    counts.iter().position(|count| *count == most).map_or(b',', |at| separators[at])
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(unreadable) = self.unreadable {
            return Err(io::Error::other(unreadable));
        }
        loop {
            let read = if self.head.is_empty() { self.rest.read(buffer)? } else { self.head.read(buffer)? };
            if read == 0 && !buffer.is_empty() && self.state == State::Quoted {
                let message = "a quote that begins here does not end; close it, or double it within a cell";
                return Err(io::Error::other(Unreadable { line: self.quote, message }));
            }
            let mut kept = 0;
            for at in 0..read {
                let mut byte = buffer[at];
                let follows = std::mem::replace(&mut self.returned, byte == b'\r' && self.state != State::Quoted);
                if follows && byte == b'\n' {
                    continue;
                }
                if self.returned {
                    byte = b'\n';
                }
                buffer[kept] = byte;
                kept += 1;
                if !self.follow(byte) {
                    // What lies before it is read; the next call tells.
                    return Ok(kept);
                }
            }
            // Nothing of something is not the end.
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<(Vec<u8>, u8, Vec<u64>)> {
        let mut checked = Checked::begin(bytes, None)?;
        let mut out = Vec::new();
        checked.read_to_end(&mut out)?;
        Ok((out, checked.separator, checked.strays.into()))
    }

    fn unreadable(bytes: &[u8]) -> Unreadable {
        *read(bytes).unwrap_err().get_ref().unwrap().downcast_ref().unwrap()
    }

    #[test]
    fn the_separator_is_the_one_that_the_first_line_has_most_of() {
        for (head, separator) in [
            ("a,b\n1;2;3", b','),
            ("a;b;c\n", b';'),
            ("a\tb\n", b'\t'),
            ("\"a,b,c\";d\n", b';'),
            ("one\n", b','),
            ("", b','),
        ] {
            assert_eq!(read(head.as_bytes()).unwrap().1, separator, "{head}");
        }
        assert_eq!(read("\u{feff}a,b\n".as_bytes()).unwrap().0, b"a,b\n");
    }

    #[test]
    fn lines_end_alike_and_cells_stay_as_they_are() {
        for bytes in [&b"a,b\r\n\"1\r\n2\",3\r\n"[..], b"a,b\r\"1\r\n2\",3\r", b"a,b\n\"1\r\n2\",3\n"] {
            assert_eq!(read(bytes).unwrap().0, b"a,b\n\"1\r\n2\",3\n");
        }
    }

    #[test]
    fn other_encodings_and_files_are_told_at_once() {
        for bytes in [&b"\xff\xfea\0,\0"[..], b"\xfe\xff\0a", b"a\0,\0b\0\n\0"] {
            assert!(unreadable(bytes).message.contains("UTF-16"));
        }
        assert!(unreadable(b"PK\x03\x04xyz").message.contains("spreadsheet"));
    }

    #[test]
    fn a_quote_that_does_not_end_is_told_with_its_line() {
        assert_eq!(unreadable(b"a,b\n1,\"two\nthree\n4,5\n").line, 2);
        let long = format!("a,b\n1,2\n3,\"{}\n", "x".repeat(70_000));
        assert_eq!(unreadable(long.as_bytes()).line, 3);
        assert_eq!(read(b"a,b\n\"1\n\"\"2\",3\r\n").unwrap().2, [0_u64; 0]);
        assert_eq!(read(b"a,b\n\"Ann \"the boss\" Lee\",3\n5\"6,7\n").unwrap().2, [2]);
    }
}
