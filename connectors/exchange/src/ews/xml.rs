//! A pull parser that knows namespaces by their URI and bears no bombs. It must not know any operation.

use quick_xml::NsReader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use tenantry::{Error, Result, Retry};

/// Answers are a dozen elements deep.
const DEPTH: usize = 48;
/// A hundred recipients have some thousands of elements, a group some ten thousands of members.
const ELEMENTS: usize = 4_000_000;
/// An element with more in its tag is none of Exchange's.
const TAG: usize = 8 << 10;
/// No name, title or address is as long; certificates and photographs are, and are not kept.
const TEXT: usize = 64 << 10;
/// Namespaces that may be declared at once.
const BINDINGS: usize = 64;

/// The namespaces of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ns {
    /// The envelope's.
    Soap,
    /// That of operations.
    Messages,
    /// That of what they are about.
    Types,
    /// That of the details of faults.
    Errors,
    /// None.
    Unbound,
    /// Any other.
    Other,
}

const SPACES: [(&str, Ns); 4] = [
    ("http://schemas.xmlsoap.org/soap/envelope/", Ns::Soap),
    ("http://schemas.microsoft.com/exchange/services/2006/messages", Ns::Messages),
    ("http://schemas.microsoft.com/exchange/services/2006/types", Ns::Types),
    ("http://schemas.microsoft.com/exchange/services/2006/errors", Ns::Errors),
];

/// One step of a document.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// An element begins.
    Open(Ns, &'a str, Marks<'a>),
    /// An element ends, with the text that was directly in it, trimmed.
    Close(String),
}

/// The attributes of an element.
#[derive(Debug)]
pub(crate) struct Marks<'a>(BytesStart<'a>);

impl Marks<'_> {
    /// Returns the value of an attribute without a namespace.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        // With checks, the time would grow with the square of their number.
        let mut all = self.0.attributes();
        let found = all.with_checks(false).flatten().find(|mark| mark.key.as_ref() == name)?;
        found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
    }

    /// Returns the value of an `xs:boolean`, in each of its four spellings.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name).as_deref().map(str::trim) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(Error::protocol("a truth value of the answer is neither true nor false")),
        }
    }
}

/// Reads a whole document, step by step.
///
/// # Errors
/// `Protocol` with the place. Where the document is cut off, trying again may help.
pub(crate) fn read(body: &[u8], mut take: impl FnMut(Step<'_>) -> Result<()>) -> Result<()> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|error| match error.error_len() {
        // The end of the document lies within a letter.
        None => cut_off(body.len()),
        Some(_) => wrong("the answer is not UTF-8", error.valid_up_to()),
    })?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.resolver_mut().set_max_namespace_bindings(BINDINGS);
    // The text of each open element.
    let mut open: Vec<String> = Vec::new();
    let mut elements = 0_usize;
    let mut ended = false;
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let (space, event) = reader.read_resolved_event().map_err(|error| broken(&error, at))?;
        match event {
            Event::Start(tag) => {
                if ended {
                    return Err(wrong("the answer goes on behind its end", at));
                }
                elements += 1;
                if open.len() >= DEPTH || elements > ELEMENTS || tag.attributes_raw().len() > TAG {
                    return Err(wrong("the answer is deeper or larger than any of Exchange's", at));
                }
                let space = namespace(&space);
                open.push(String::new());
                let name = tag.local_name().into_inner().to_owned();
                take(Step::Open(space, &name, Marks(tag)))?;
            }
            Event::End(_) => {
                let text = open.pop().ok_or_else(|| wrong("the answer's elements do not fit", at))?;
                ended = open.is_empty();
                let trimmed = text.trim();
                let text = if trimmed.len() == text.len() { text } else { trimmed.to_owned() };
                take(Step::Close(text))?;
            }
            Event::Text(text) => append(&mut open, &text.xml10_content(), at)?,
            Event::CData(text) => append(&mut open, &text.xml10_content(), at)?,
            Event::GeneralRef(reference) => {
                let character = resolved(&reference).ok_or_else(|| wrong("the answer has entities of its own", at))?;
                append(&mut open, character.encode_utf8(&mut [0; 4]), at)?;
            }
            Event::DocType(_) => return Err(wrong("the answer has a document type, which no SOAP message may", at)),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            // What is missing then is never empty: it was not read.
            Event::Eof if ended => return Ok(()),
            Event::Eof => return Err(cut_off(at)),
            Event::Empty(_) => return Err(wrong("the answer's elements do not fit", at)),
        }
    }
}

fn append(open: &mut [String], text: &str, at: usize) -> Result<()> {
    match open.last_mut() {
        // What is longer is read to its end and not kept.
        Some(kept) => {
            let room = TEXT.saturating_sub(kept.len());
            if text.len() <= room {
                kept.push_str(text);
            } else {
                kept.push_str(&text[..text.floor_char_boundary(room)]);
            }
            Ok(())
        }
        None if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() => Ok(()),
        None => Err(wrong("the answer is not XML", at)),
    }
}

/// The five entities of XML and references to characters; there is no way to declare others.
fn resolved(reference: &BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten();
    }
    Some(match reference.xml10_content().as_ref() {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

fn namespace(space: &ResolveResult<'_>) -> Ns {
    match space {
        ResolveResult::Unbound => Ns::Unbound,
        ResolveResult::Unknown(_) => Ns::Other,
        ResolveResult::Bound(uri) => {
            SPACES.iter().find(|(known, _)| *known == uri.as_ref()).map_or(Ns::Other, |(_, ns)| *ns)
        }
    }
}

fn broken(error: &quick_xml::Error, at: usize) -> Error {
    use quick_xml::errors::{Error as Xml, IllFormedError};
    match error {
        // The document ended within a tag, a comment or the like.
        Xml::Syntax(_) | Xml::IllFormed(IllFormedError::MissingEndTag(_) | IllFormedError::UnclosedReference) => {
            cut_off(at)
        }
        _ => wrong("the answer is not well-formed XML", at),
    }
}

fn cut_off(at: usize) -> Error {
    wrong("the answer is cut off", at).with_retry(Retry::Backoff)
}

fn wrong(message: &'static str, at: usize) -> Error {
    Error::protocol(message).with_context("byte", at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        read(document.as_bytes(), |step| {
            if let Step::Close(text) = step {
                texts.push(text);
            }
            Ok(())
        })?;
        Ok(texts)
    }

    #[test]
    fn texts_are_trimmed_and_references_are_resolved() {
        assert_eq!(texts("<a> x<b/>y &amp;&#x41;<![CDATA[<z>]]>\n</a>").unwrap(), ["", "xy &A<z>"]);
    }

    #[test]
    fn namespaces_are_told_by_their_address_and_not_by_their_prefix() {
        let mut found = Vec::new();
        let document =
            "<x:a xmlns:x='http://schemas.microsoft.com/exchange/services/2006/types' xmlns='urn:y'><b/><t:c/></x:a>";
        read(document.as_bytes(), |step| {
            if let Step::Open(ns, name, _) = step {
                found.push((ns, name.to_owned()));
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(found, [(Ns::Types, "a".into()), (Ns::Other, "b".into()), (Ns::Other, "c".into())]);
    }

    #[test]
    fn bombs_are_refused_before_they_cost_anything() {
        let entities = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbb'><!ENTITY c '&b;&b;&b;&b;'>]><a>&c;</a>";
        let deep = "<a>".repeat(100_000);
        let wide = format!("<a {}/>", "b='1' ".repeat(10_000));
        let spaces =
            format!("<a {}/>", (0..100).map(|n| format!("xmlns:p{n}='urn:{n}'")).collect::<Vec<_>>().join(" "));
        for document in [entities, "<!DOCTYPE a><a/>", "<a>&c;</a>", &deep, &wide, &spaces] {
            let error = texts(document).unwrap_err();
            assert_eq!((error.kind().as_str(), error.retry()), ("protocol", Retry::Never), "{error}");
        }
        assert_eq!(texts(&format!("<a>{}</a>", "x".repeat(1 << 20))).unwrap()[0].len(), TEXT);
    }

    #[test]
    fn every_cut_of_a_document_is_an_error() {
        let document = "<?xml version=\"1.0\"?><a x='1'><!-- \u{e9} --><b>\u{e9}&amp;</b><![CDATA[x]]></a>";
        assert!(texts(document).is_ok());
        for cut in 0..document.len() {
            assert!(read(&document.as_bytes()[..cut], |_| Ok(())).is_err(), "{cut}");
        }
        for document in ["<a></a><b></b>", "<a></a>\u{b}", "<a></a>x", "x", "", "<a></b>", "{}"] {
            assert!(texts(document).is_err(), "{document}");
        }
    }
}
